"""`bondlore labels check`: read labels files as training would, and count what is in them."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from bondlore import taxonomy
from bondlore.cli.options import add_taxonomy, print_json

__all__ = ["EXAMPLE", "arguments", "run"]

EXAMPLE = "  bondlore labels check my-labels.jsonl --taxonomy mine.yaml"


def arguments(p: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path)
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_taxonomy(p)


def run(args: argparse.Namespace) -> int:
    """Print counts. Raises LabelError with file and row at the first row that cannot be used."""
    from bondlore.train import labels
    from bondlore.train.split import stories

    narratives = taxonomy.load(args.taxonomy)
    articles = labels.read_all(args.labels, narratives)
    counts = Counter((n, stance) for a in articles for carried in a.labels.values() for n, stance in carried.items())
    summary = {
        "articles": len(articles),
        "sentences": sum(len(a.sentences) for a in articles),
        "labelled_sentences": sum(len(a.labels) for a in articles),
        "stories": len(set(stories(articles))),
        "narratives": {n: {s: counts[n, s] for s in ("support", "reject")} for n in narratives},
    }
    if args.json:
        print_json(summary)
        return 0
    print(
        "{articles} articles, {sentences} sentences, {labelled_sentences} labelled, {stories} stories".format(**summary)
    )
    for n in narratives:
        print(f"  {n:<20}{counts[n, 'support']:>6} support{counts[n, 'reject']:>6} reject")
    return 0
