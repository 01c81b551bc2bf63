#!/usr/bin/env python3
"""How far measured shares are from the truth, and how often their intervals hold it, by method and size.

    scripts/validate_measurement.py --quick                              # about a minute
    scripts/validate_measurement.py --labels corpus/labels/passages.dev.jsonl more.jsonl --out report.json

Archives with known truth are drawn, with replacement, from the shipped model's real predictions on labelled articles it
never saw: the pool is every (article, narrative) pair's truth, probability and verdict. An archive has twelve months;
its true share is flat, rises, falls or spikes between 1% and 60%. Correction uses a labelled sample of its own, drawn
anew for every archive. In `drift` archives the model is less sure in the last months (every score lower by one in
log-odds, four in ten finds lost): the assumption of adjusted counts and EM fails, and the drift test should say so.
Seeds are fixed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bondlore.measure.heldout import HeldOut, make_held_out
from bondlore.measure.intervals import wilson
from bondlore.measure.shares import shares
from bondlore.tagging import schema
from bondlore.taxonomy import Narrative, Taxonomy

TAXONOMY = Taxonomy("pairs", "1", (Narrative("story", "story", "core", "any narrative"),))
MONTHS = 12
LABELLED, LABELLED_SHARE = 600, 0.25
PATHS = {
    "flat": np.full(MONTHS, 0.05),
    "rising": np.linspace(0.01, 0.60, MONTHS),
    "falling": np.linspace(0.45, 0.02, MONTHS),
    "spiking": np.r_[np.full(5, 0.04), 0.25, 0.55, 0.30, np.full(4, 0.06)],
}
SIZES, AUDITS = (20, 100, 500, 3000, 5000), (50, 300)
METHODS = ("uncorrected", "probability_sum", "adjusted_count", "em")


class Pool:
    """Pairs by truth: `scores[t]` (pairs, 2): probability, and 1 where the verdict is that the article carries it."""

    def __init__(self, truth: np.ndarray, probability: np.ndarray, verdict: np.ndarray) -> None:
        both = np.column_stack([probability, verdict.astype(float)])
        self.scores = (both[~truth], both[truth])
        self.tpr, self.fpr = (float(s[:, 1].mean()) for s in (self.scores[1], self.scores[0]))

    def draw(self, rng: np.random.Generator, truth: np.ndarray, drifted: np.ndarray) -> np.ndarray:
        """(n, 2) for each truth; where `drifted`, as a model that has become less sure would score it."""
        out = np.empty((len(truth), 2))
        for value in (False, True):
            at = np.flatnonzero(truth == value)
            out[at] = self.scores[int(value)][rng.integers(len(self.scores[int(value)]), size=len(at))]
        odds = out[:, 0] / (1 - out[:, 0]) * np.exp(-1)
        out[:, 0] = np.where(drifted, odds / (1 + odds), out[:, 0])
        out[:, 1] *= ~drifted | (rng.random(len(truth)) < 0.6)
        return out


def real_pool(labels: list[str]) -> Pool:
    """The shipped model's predictions on labelled articles. Only files it was not trained on make an honest pool."""
    from bondlore import Tagger, taxonomy
    from bondlore.measure.audit import read_audit

    narratives, tagger = taxonomy.load(), Tagger.load()
    truth, probability, verdict = [], [], []
    for path in labels:
        articles = [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
        gold = {r["id"]: r for r in read_audit(path, narratives).to_pylist()}
        for article in (a for a in articles if a.get("gate", "causal") in ("causal", "topical")):
            tagging = tagger.tag([{"sentences": article["sentences"]}])[0]
            for n in narratives:
                truth.append(gold[article["id"]][f"v_{n}"] is not None)
                probability.append(tagging.probabilities[n])
                verdict.append(n in tagging.narratives)
    return Pool(np.array(truth), np.array(probability), np.array(verdict))


def tagged(scores: np.ndarray, month: np.ndarray, prefix: str = "x") -> pa.Table:
    """A table of `tagging.schema`, one article a row."""
    form, n = schema(TAXONOMY.ids), len(scores)
    days = [datetime(2024, m + 1, 10, 12, tzinfo=UTC) for m in range(MONTHS)]
    columns: dict[str, Any] = {
        "id": [f"{prefix}{i}" for i in range(n)],
        "published_at": [days[m] for m in month.tolist()],
        "published_precision": ["second"] * n,
        "gate": ["causal"] * n,
        "model": ["m"] * n,
        "status": ["ok"] * n,
        "p_story": scores[:, 0],
        "v_story": ["promotes" if v else None for v in scores[:, 1] > 0],
    }
    return pa.table(
        {f.name: pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type) for f in form},
        schema=form,
    )


def gold_table(ids: list[str], truth: np.ndarray) -> pa.Table:
    return pa.table({"id": ids, "v_story": pa.array(["promotes" if t else None for t in truth], pa.string())})


def labelled(pool: Pool, rng: np.random.Generator) -> HeldOut:
    truth = rng.random(LABELLED) < LABELLED_SHARE
    table = tagged(pool.draw(rng, truth, np.zeros(LABELLED, bool)), np.zeros(LABELLED, int), "h")
    return make_held_out(table, gold_table(table["id"].to_pylist(), truth), TAXONOMY)


def archive(pool: Pool, rng: np.random.Generator, path: np.ndarray, n: int, drift: bool) -> dict[str, list[Any]]:
    """Method -> (true share of the month's articles' population, share, low, high, reason) a month."""
    month = np.repeat(np.arange(MONTHS), n)
    truth = rng.random(len(month)) < path[month]
    late = month >= MONTHS - 4 if drift else np.zeros(len(month), bool)
    table, known = tagged(pool.draw(rng, truth, late), month), labelled(pool, rng)
    common: dict[str, Any] = {"freq": "M", "series": ("presence",), "draws": 200, "seed": int(rng.integers(1 << 31))}
    out: dict[str, list[Any]] = {}

    def keep(name: str, got: pa.Table) -> None:
        rows = got.select(["share", "low", "high", "reason"]).to_pylist()
        out[name] = [(float(p), *r.values()) for p, r in zip(path, rows, strict=True)]

    for method in METHODS:
        action = "refuse" if drift else "off"
        keep(method, shares(table, TAXONOMY, method=method, held_out=known, drift=action, **common).table)
    for audits in () if drift else (a for a in AUDITS if a <= n):
        chosen = np.concatenate([m * n + rng.choice(n, audits, replace=False) for m in range(MONTHS)])
        gold = gold_table([f"x{i}" for i in chosen], truth[chosen])
        keep(f"ppi, {audits} audits", shares(table, TAXONOMY, audit=gold, **common).table)
        counted = truth[chosen].reshape(MONTHS, audits).mean(axis=1)
        low, high = wilson(counted, np.full(MONTHS, float(audits)))
        out[f"audit alone, {audits}"] = [
            (float(p), *map(float, r), "") for p, *r in zip(path, counted, low, high, strict=True)
        ]
    return out


def summary(rows: list[Any]) -> dict[str, float | int]:
    stated = [r for r in rows if r[1] is not None]
    out: dict[str, float | int] = {"periods": len(rows), "refused": len(rows) - len(stated)}
    if not stated:
        return out | {"error": -1.0, "coverage": -1.0, "width": -1.0}
    true, share, low, high = (np.array([r[i] for r in stated]) for i in range(4))
    out["error"] = round(100 * float(np.abs(share - true).mean()), 2)
    out["coverage"] = round(float(((low <= true) & (true <= high)).mean()), 3)
    out["width"] = round(100 * float((high - low).mean()), 2)
    return out


def validate(pool: Pool, sizes: tuple[int, ...], archives: int, seed: int = 0) -> dict[str, Any]:
    cells: dict[tuple[int, str], list[Any]] = defaultdict(list)
    bad: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    fired: dict[int, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for n in sizes:
        # large archives are dear and say more each
        for p, k in ((p, k) for p in range(len(PATHS)) for k in range(max(archives * 500 // max(n, 500), 1))):
            name, path = list(PATHS.items())[p]
            rng = np.random.default_rng([seed, n, p, k])
            off = np.abs(pool.fpr + (pool.tpr - pool.fpr) * path - path) > 0.03
            for method, rows in archive(pool, rng, path, n, drift=False).items():
                cells[n, method] += rows
                bad[n][method] += [abs(r[1] - r[0]) for r, o in zip(rows, off, strict=True) if o and r[1] is not None]
            if name in ("flat", "rising"):
                rows = archive(pool, rng, path, n, drift=True)["adjusted_count"]
                for m, r in enumerate(rows):
                    fired[n]["drifted" if m >= MONTHS - 4 else "sound"].append("drift" in r[4])
        print(f"{n} articles a month done", file=sys.stderr)
    return {
        "pool": {"positive": len(pool.scores[1]), "negative": len(pool.scores[0]), "tpr": pool.tpr, "fpr": pool.fpr},
        "archives": archives * len(PATHS),
        "cells": [{"n": n, "method": m, **summary(rows)} for (n, m), rows in cells.items()],
        "where_counting_is_off_by_3_points": {
            n: {m: round(100 * float(np.mean(e)), 2) for m, e in some.items() if e} for n, some in bad.items()
        },
        "drift_test_fired": {n: {k: round(float(np.mean(v)), 3) for k, v in some.items()} for n, some in fired.items()},
    }


def verdicts(report: dict[str, Any]) -> list[tuple[str, bool]]:
    """The bars, each met or not on this run's figures."""
    cells = {(c["n"], c["method"]): c for c in report["cells"]}
    out = []
    for (n, method), c in cells.items():
        if method.startswith("ppi"):
            out.append(
                (f"{method} of {n}: coverage {c['coverage']:.3f} in 0.93 to 0.97", 0.93 <= c["coverage"] <= 0.97)
            )
        elif method in ("adjusted_count", "em"):
            out.append((f"{method}, {n}: coverage {c['coverage']:.3f} at least 0.90", c["coverage"] >= 0.9))
    for n, errors in report["where_counting_is_off_by_3_points"].items():
        for method in ("adjusted_count", "em", *(m for m in errors if m.startswith("ppi"))):
            ratio = errors[method] / errors["uncorrected"]
            out.append((f"{method}, {n}: error {ratio:.2f} of counting's, at most 0.33", ratio <= 1 / 3))
    if (3000, "ppi, 300 audits") in cells:
        ratio = cells[3000, "ppi, 300 audits"]["width"] / cells[3000, "audit alone, 300"]["width"]
        out.append((f"ppi, 300 of 3000: {100 * (1 - ratio):.0f}% narrower than the audit, at least 20%", ratio <= 0.8))
    return out


def show(report: dict[str, Any]) -> None:
    pool = report["pool"]
    print(
        f"pool: {pool['positive']} positive and {pool['negative']} negative pairs, true positive rate "
        f"{pool['tpr']:.2f}, false positive rate {pool['fpr']:.2f}"
    )
    print("error and width in points")
    print(f"{'articles':>8}  {'method':<18}{'error':>7}{'coverage':>10}{'width':>8}{'refused':>9}{'months':>8}")
    for c in report["cells"]:
        figures = f"{c['error']:>7.2f}{c['coverage']:>10.3f}{c['width']:>8.2f}{c['refused']:>9}{c['periods']:>8}"
        print(f"{c['n']:>8}  {c['method']:<18}{figures}")
    print("drift test fired (level 0.01): months as labelled, months of a less sure model")
    for n, found in report["drift_test_fired"].items():
        print(f"{n:>8}  {found['sound']:.3f}  {found['drifted']:.3f}")
    for what, met in report["bars"]:
        print(f"{'met    ' if met else 'NOT MET'} {what}")


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="fewer and smaller archives: about a minute")
    p.add_argument(
        "--labels", nargs="+", default=["corpus/labels/passages.dev.jsonl"], help="files the model never saw"
    )
    p.add_argument("--archives", type=int, help="archives of each path and size (default 25, quick 3)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, help="the figures as JSON")
    args = p.parse_args()
    began = time.monotonic()
    sizes = (20, 100, 500, 3000) if args.quick else SIZES
    report = validate(real_pool(args.labels), sizes, args.archives or (3 if args.quick else 25), args.seed)
    report["bars"] = verdicts(report)
    report["labels"], report["seconds"] = args.labels, round(time.monotonic() - began, 1)
    show(report)
    print(f"{report['seconds']} s")
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
