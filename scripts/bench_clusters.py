"""Joining near-copies, timed and scored: planted copies and rewrites among unlike articles.

    python scripts/bench_clusters.py                     # 10,000, 30,000 and 100,000 articles
    python scripts/bench_clusters.py --sizes 10000

Four of five articles are originals of 60 to 500 words, dated within eleven days a thousand; every fifth is planted:
a copy under another headline, one cut to its first half, one with one word in forty made another figure and a paragraph
added, and a light rewrite of one word in twenty-five. A rewrite of one word in twelve and a paraphrase of one in three
share too few runs of five words to be near-copies by the thresholds: they are shown, and are no part of the recall. A
third of the originals share a paragraph of background, and daily tables repeat their form with other figures. Each size
runs in a process of its own. `slope` is the growth of the processor time with the articles, 1 for linear.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2025, 4, 1, tzinfo=UTC)
WORDS = [f"word{n}" for n in range(20_000)]
WEIGHTS = [1 / (n + 10) for n in range(len(WORDS))]  # as words are spread in text (Zipf)


def sample(rng: random.Random, n: int) -> list[str]:
    return rng.choices(WORDS, cum_weights=CUMULATED, k=n)


CUMULATED: list[float] = []
for weight in WEIGHTS:
    CUMULATED.append(weight + (CUMULATED[-1] if CUMULATED else 0.0))


def reworded(rng: random.Random, words: list[str], every: int) -> list[str]:
    return [rng.choice(WORDS) if rng.randrange(every) == 0 else word for word in words]


KINDS: dict[str, Callable[[random.Random, list[str]], list[str]]] = {
    "copy": lambda _rng, words: words,
    "cut": lambda _rng, words: words[: max(len(words) // 2, 30)],
    "updated": lambda rng, words: (
        [f"{rng.random():.2f}" if rng.randrange(40) == 0 else w for w in words] + sample(rng, 30)
    ),
    "light rewrite": lambda rng, words: reworded(rng, words, 25),
    "rewrite": lambda rng, words: reworded(rng, words, 12),
    "paraphrase": lambda rng, words: reworded(rng, words, 3),
}
FURTHER = ("rewrite", "paraphrase")


def articles(count: int) -> Iterator[tuple[str, str, str, datetime, str]]:
    """(id, title, text, published, the id of its original or "")."""
    rng = random.Random(count)
    background, table = sample(rng, 40), sample(rng, 80)
    days = max(count * 11 // 1_000, 11)
    recent: list[tuple[str, list[str], datetime]] = []
    for n in range(count):
        at = START + timedelta(days=days * n / count, minutes=rng.randrange(600))
        if n % 5 == 4 and recent:
            origin, words, first = rng.choice(recent)
            kind = rng.choice(list(KINDS))
            text = KINDS[kind](rng, words)
            yield f"{kind}{n}", f"Told again {n}", " ".join(text), first + timedelta(hours=rng.randrange(72)), origin
            continue
        if n % 50 == 0:  # a table of the day: the same form, other figures
            words = [f"{rng.random() * 5:.2f}" if i % 3 else w for i, w in enumerate(table)]
        else:
            words = sample(rng, rng.randrange(60, 500)) + (background if n % 3 == 0 else [])
            recent = [*recent[-199:], (f"o{n}", words, at)]
        yield f"o{n}", f"Story {n}", " ".join(words), at, ""


def measure(count: int, folder: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from bondlore.article import Article
    from bondlore.store import Store

    origin: dict[str, str] = {}

    def given() -> Iterator[Article]:
        for identity, title, text, at, first in articles(count):
            origin[identity] = first
            yield Article(identity, title, text, "bench", published_at=at, published_precision="second")

    with Store.open(folder / "news.db") as store:
        store.add(given(), source="bench", seen_at=START + timedelta(days=9_000))
        before = processor_s()
        start = time.monotonic()
        report = store.cluster()
        seconds, spent = time.monotonic() - start, processor_s() - before
        store.export(folder / "out")
    label: dict[str, str] = {}
    for path in sorted((folder / "out").glob("*.parquet")):
        table = pq.read_table(path, columns=["id", "cluster"])
        label.update(zip(table["id"].to_pylist(), table["cluster"].to_pylist(), strict=True))
    planted, found = Counter[str](), Counter[str]()
    for identity, first in origin.items():
        if first:
            kind = identity.rstrip("0123456789")
            planted[kind] += 1
            found[kind] += label[identity] == label[first]
    members: dict[str, list[str]] = defaultdict(list)
    for identity, cluster in label.items():
        members[cluster].append(identity)
    joined = right = 0
    for group in members.values():
        stories = Counter(origin[i] or i for i in group)
        joined += math.comb(len(group), 2)
        right += sum(math.comb(n, 2) for n in stories.values())
    wanted = [kind for kind in KINDS if kind not in FURTHER]
    return {
        "articles": report.articles,
        "pairs": report.pairs,
        "seconds": round(seconds, 2),
        "processor_s": round(spent, 2),
        "articles_a_s": round(count / seconds),
        "precision": round(right / max(joined, 1), 4),
        "recall": round(sum(found[k] for k in wanted) / max(sum(planted[k] for k in wanted), 1), 4),
        "recall_by_kind": {k: round(found[k] / planted[k], 3) for k in KINDS if planted[k]},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "store_mb": (folder / "news.db").stat().st_size >> 20,
    }


def processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    p.add_argument("--job", type=int, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.job:
        with tempfile.TemporaryDirectory() as name:
            print(json.dumps(measure(args.job, Path(name))))
        return 0
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0]}))
    before: dict[str, Any] | None = None
    for size in args.sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--job", str(size)], stdout=subprocess.PIPE, text=True, check=True
        )
        got = json.loads(done.stdout)
        if before:
            growth = math.log(got["processor_s"] / before["processor_s"])
            got["slope"] = round(growth / math.log(got["articles"] / before["articles"]), 2)
        print(json.dumps(got), flush=True)
        before = got
    return 0


if __name__ == "__main__":
    sys.exit(main())
