"""`bondlore labels check`: what would make training wrong, and what somebody should look at."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bondlore import taxonomy
from bondlore.cli.options import add_taxonomy, positive, print_json

if TYPE_CHECKING:
    from bondlore.train.labelling.findings import Finding

__all__ = ["EXAMPLE", "arguments", "run"]

EXAMPLE = """  bondlore labels check my-labels.jsonl --taxonomy mine.yaml
  bondlore labels check train.jsonl --held-out dev.jsonl --doubts
  bondlore labels check project-1-export.json --predictions out-of-fold.jsonl     (Label Studio's JSON)"""


def arguments(p: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path)
    p.add_argument(
        "--held-out", nargs="+", type=Path, default=[], metavar="FILE", help="development or test labels: report leaks"
    )
    p.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="scores of models that have not seen these labels (--predictions of train or evaluate): doubtful labels",
    )
    p.add_argument(
        "--doubts",
        action="store_true",
        help="find doubtful labels without --predictions: a word-count model judges each fold from the others;"
        " the surest come first, and most of the rest are no errors",
    )
    p.add_argument("--limit", type=positive, default=20, metavar="N", help="findings of a kind to print (default 20)")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_taxonomy(p)


def run(args: argparse.Namespace) -> int:
    """Print counts and findings; exit code 1 where training would be wrong. Raises LabelError, InputError."""
    from bondlore.train.labelling.check import check
    from bondlore.train.predictions import read_predictions
    from bondlore.train.split import stories

    narratives = taxonomy.load(args.taxonomy)
    predictions = read_predictions(args.predictions) if args.predictions else None
    found = check(args.labels, narratives, held_out=args.held_out, predictions=predictions, doubts=args.doubts)
    articles = found.articles
    counts = Counter((n, stance) for a in articles for carried in a.labels.values() for n, stance in carried.items())
    summary: dict[str, Any] = {
        "articles": len(articles),
        "sentences": sum(bool(s) for a in articles for s in a.sentences),
        "labelled_sentences": sum(len(a.labels) for a in articles),
        "stories": len(set(stories(articles))),
        "narratives": {n: {s: counts[n, s] for s in ("support", "reject")} for n in narratives},
        "errors": found.errors,
        "warnings": len(found.findings) - found.errors,
    }
    if args.json:
        print_json({**summary, "findings": [f.plain() for f in found.findings]})
        return 1 if found.errors else 0
    print(
        "{articles} articles, {sentences} sentences, {labelled_sentences} labelled, {stories} stories".format(**summary)
    )
    for n in narratives:
        print(f"  {n:<20}{counts[n, 'support']:>6} support{counts[n, 'reject']:>6} reject")
    _print(found.findings, args.limit)
    print("{errors} errors, {warnings} warnings".format(**summary))
    return 1 if found.errors else 0


def _print(findings: tuple[Finding, ...], limit: int) -> None:
    shown: Counter[tuple[str, str]] = Counter()
    for f in findings:
        shown[f.level, f.kind] += 1
        if shown[f.level, f.kind] <= limit:
            print(f"{f.level}: {f.where + ': ' if f.where else ''}{f.message} [{f.kind}]")
    for (level, kind), n in shown.items():
        if n > limit:
            print(f"{level}: {n - limit} more of [{kind}]; --limit {n} or --json shows them")
