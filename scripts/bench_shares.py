#!/usr/bin/env python3
"""Ten million taggings to daily shares with intervals: seconds, peak memory, how both grow, and pandas beside it.

    scripts/bench_shares.py                     # 1, 3 and 10 million rows; writes and removes about 1 GB
    scripts/bench_shares.py --rows 1000000      # 100,000, 300,000 and a million

Taggings are made up (seed fixed): ten narratives over eight years, one article in five a copy of another. Each size is
measured in a process of its own, so that its peak memory is its own: reading the Parquet shards, correcting counts,
intervals from the joint bootstrap. Beside it, in a process of its own too, pandas' groupby over the same files, which
only counts and gives no interval. The days are the same at every size, and each costs its 500 draws whatever it holds:
`s a million more` is what a further million rows costs, and is the same at every size where the cost is linear.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

NARRATIVES = tuple(f"n{i}" for i in range(10))
SHARD, DAYS = 250_000, 2920
GOAL_SECONDS, GOAL_MB, GOAL_ROWS = 60.0, 2048.0, 10_000_000


def write(folder: Path, rows: int) -> None:
    """Shards as `bondlore tag` writes them, less the columns that shares never read."""
    rng = np.random.default_rng(0)
    start = np.datetime64("2017-01-02T00:00:00", "us")
    for first in range(0, rows, SHARD):
        n = min(SHARD, rows - first)
        number = np.arange(first, first + n)
        copy = np.where(rng.random(n) < 0.2, number - rng.integers(0, 4, n), number)
        # an archive in order of time, as archives are
        at = start + (np.sort(number / rows + rng.random(n) * 1e-4) * DAYS * 86_400e6).astype("timedelta64[us]")
        columns: dict[str, Any] = {
            "id": pa.array([f"{i:016x}" for i in number.tolist()]),
            "published_at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "published_precision": pa.repeat("second", n),
            "cluster": pa.array([f"{i:016x}" for i in np.maximum(copy, first).tolist()]),
            "gate": pa.array(np.array(["causal", "topical", "off_topic"])[rng.integers(0, 3, n)].tolist()),
            "model": pa.repeat("bench", n),
            "status": pa.repeat("ok", n),
        }
        verdicts = pa.array(["promotes", "rejects", "contested"])
        for k, name in enumerate(NARRATIVES):
            drawn = rng.integers(0, 3, n).astype(np.int8)
            absent = rng.random(n) > 0.03 + 0.02 * k
            coded = pa.DictionaryArray.from_arrays(pa.array(drawn, mask=absent), verdicts)
            columns[f"v_{name}"] = coded.cast(pa.string())
        pq.write_table(pa.table(columns), folder / f"{first:09d}.parquet")


def measure(folder: Path) -> dict[str, Any]:
    """Seconds by step and the peak of this process."""
    from bondlore.measure.confusion import Confusion, Counts
    from bondlore.measure.shares import shares
    from bondlore.taxonomy import Narrative, Taxonomy

    taxonomy = Taxonomy("bench", "1", tuple(Narrative(n, n, "core", n) for n in NARRATIVES))
    measures = ("presence", "support", "rejection")
    counts = Counts(tp=160, fp=90, fn=40, tn=1900)
    confusion = Confusion({n: dict.fromkeys(measures, counts) for n in NARRATIVES})
    began = time.perf_counter()
    data = ds.dataset(folder, format="parquet")
    series = shares(data, taxonomy, freq="D", by="cluster", confusion=confusion)
    total = time.perf_counter() - began
    stated = len(series) - series.table["low"].null_count
    figures = {"total_s": round(total, 1), "cpu_s": round(time.process_time(), 1)}
    return {"rows": data.count_rows(), **figures, "shares": stated} | _peak()


def beside(folder: Path) -> dict[str, Any]:
    """pandas' groupby over the same files: counts a day, no cluster, no correction, no interval."""
    import pandas as pd

    began = time.perf_counter()
    columns = ["published_at", "gate", *(f"v_{n}" for n in NARRATIVES)]
    frame = pd.read_parquet(folder, columns=columns)
    frame = frame[frame["gate"] != "off_topic"]
    day = frame["published_at"].dt.floor("D")
    found = frame[[f"v_{n}" for n in NARRATIVES]].notna().groupby(day).mean()
    return {"rows": len(frame), "total_s": round(time.perf_counter() - began, 1), "days": len(found)} | _peak()


def _peak() -> dict[str, Any]:
    return {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


def apart(what: str, folder: Path) -> dict[str, Any]:
    """The same script in a new process."""
    command = [sys.executable, __file__, "--only", what, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", type=int, default=GOAL_ROWS, help="taggings (default 10 million)")
    p.add_argument("--alone", action="store_true", help="leave out pandas' groupby")
    p.add_argument("--keep", type=Path, metavar="DIR", help="write the taggings here and leave them")
    p.add_argument("--only", choices=("measure", "beside"), help=argparse.SUPPRESS)
    p.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.only:
        print(json.dumps(measure(args.folder) if args.only == "measure" else beside(args.folder)))
        return 0
    root = args.keep or Path(tempfile.mkdtemp(prefix="bench-shares-"))
    try:
        before: dict[str, Any] | None = None
        for rows in (max(args.rows // 10, 1), max(args.rows * 3 // 10, 1), args.rows):
            folder = root / str(rows)
            if not folder.exists():
                folder.mkdir(parents=True)
                write(folder, rows)
            found = apart("measure", folder)
            if before is not None and rows > before["rows"]:
                more = (rows - before["rows"]) / 1e6
                found["cpu_s_a_million_more"] = round((found["cpu_s"] - before["cpu_s"]) / more, 2)
            before = found
            print("bondlore  ", json.dumps(found), flush=True)
            if not args.alone:
                print("pandas    ", json.dumps(apart("beside", folder)), flush=True)
        if args.rows < GOAL_ROWS:
            return 0
        met = found["total_s"] <= GOAL_SECONDS and found["peak_mb"] <= GOAL_MB
        print(f"goal, 10 million in {GOAL_SECONDS:.0f} s and {GOAL_MB:.0f} MB: {'met' if met else 'not met'}")
        return 0 if met else 1
    finally:
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
