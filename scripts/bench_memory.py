"""Peak memory of `bondlore tag` by the size of the archive: flat, or something is kept that should not be.

    python scripts/bench_memory.py [--sizes 1000,10000,100000] [--workers 1] [--json]

The archives are made here: short invented articles off the subject, so that planning, shards and commits are measured
and not the encoder's speed; eight articles of the shipped sample, spread evenly, are read by the model, so that its
memory is in the figure. Every job runs in a process of its own; with several workers, the largest of them is told apart
from the parent.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bondlore import resources
from bondlore.article import Article
from bondlore.ingest.archive import read_archive
from bondlore.tag import bundle as bundles
from bondlore.tag.batch import run
from bondlore.tag.sentences import split
from bondlore.tag.subject import SubjectGate

STORY = """a the home side won lost by two goals in rain after extra time and its coach said that players had trained
for this match while visitors from the coast town kept their heads up until late whistle blew over full stands"""
WORDS = STORY.split()
READ = 8  # articles of the subject in every archive


def articles(size: int) -> Iterator[dict[str, str]]:
    """`size` different rows, of which READ are about bonds."""
    gate = SubjectGate(bundles.read(verify=()).taxonomy.subject)
    sample = read_archive([resources.find("corpus/sample/archive.jsonl")])
    about: list[Article] = list(islice((a for a in sample if gate(split(a)) != "off_topic"), READ))
    rng = random.Random(size)
    for k in range(size):
        if about and k % (size // READ) == size // READ // 2:
            article = about.pop()
            yield {"id": f"b{k}", "title": article.title, "text": article.text}
            continue
        sentences = [" ".join(rng.choices(WORDS, k=rng.randint(8, 24))).capitalize() + "." for _ in range(4)]
        yield {"id": f"a{k}", "title": sentences[0], "text": " ".join(sentences[1:]), "published": "2025-04-09"}


def child(args: argparse.Namespace) -> None:
    """Tag one archive; what it took, as JSON."""
    began = time.perf_counter()
    report = run([args.archive], args.out, workers=args.workers, quiet=True)
    peak = {
        name: resource.getrusage(who).ru_maxrss / 1024
        for name, who in (("parent_mb", resource.RUSAGE_SELF), ("worker_mb", resource.RUSAGE_CHILDREN))
    }
    if args.workers == 1:
        peak["worker_mb"] = peak["parent_mb"]
    print(json.dumps({"articles": report.rows, "seconds": time.perf_counter() - began} | peak))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sizes", default="1000,10000,100000")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--json", action="store_true")
    p.add_argument("--archive", type=Path, help=argparse.SUPPRESS)
    p.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.archive:
        return child(args)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, args.sizes.split(",")):
            archive = Path(folder) / f"{size}.jsonl.gz"
            with gzip.open(archive, "wt", compresslevel=1, encoding="utf-8") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in articles(size))
            options = [
                "--archive",
                str(archive),
                "--out",
                str(Path(folder) / str(size)),
                "--workers",
                str(args.workers),
            ]
            done = subprocess.run([sys.executable, __file__, *options], capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr[-2000:])
            found.append(json.loads(done.stdout.splitlines()[-1]))
            if not args.json:
                r = found[-1]
                print(
                    f"{r['articles']:8} articles {r['seconds']:7.1f} s, peak parent {r['parent_mb']:5.0f} MB,"
                    f" worker {r['worker_mb']:5.0f} MB",
                    flush=True,
                )
    if args.json:
        print(json.dumps(found, indent=2))
    return None


if __name__ == "__main__":
    main()
