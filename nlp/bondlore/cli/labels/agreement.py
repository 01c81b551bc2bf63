"""`bondlore labels agreement`: whether annotators agree, and on what they do not."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore import taxonomy
from bondlore.cli.options import add_taxonomy, positive, print_json
from bondlore.progress import say

if TYPE_CHECKING:
    from bondlore.train.labelling.agreement import Agreement, Figure

__all__ = ["EXAMPLE", "arguments", "run"]

EXAMPLE = """  bondlore labels agreement first.jsonl second.jsonl
  bondlore labels agreement all-annotators.jsonl --json     (rows name their annotator)"""
_COLUMNS = ("alpha", "ac1", "positive_agreement", "prevalence", "agreement")
_MODEL = "lm-"  # begins the name of an annotator that is a language model


def arguments(p: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    p.add_argument(
        "labels", metavar="LABELS", nargs="+", type=Path, help="one file an annotator, or one file of several"
    )
    p.add_argument("--draws", type=positive, default=1000, help="bootstrap draws over articles (default 1000)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--pairs", type=positive, default=10, metavar="N", help="confusion pairs to print (default 10)")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_taxonomy(p)


def run(args: argparse.Namespace) -> int:
    """Print the table. Raises LabelError."""
    from bondlore.train.labelling.agreement import measure
    from bondlore.train.labelling.annotations import side_by_side

    narratives = taxonomy.load(args.taxonomy)
    given = side_by_side(args.labels, narratives)
    if models := [a for a in given.annotators if a.startswith(_MODEL)]:
        say(f"labels: {', '.join(models)}: language models; agreement with them is consistency, not human agreement")
    result = measure(given, narratives, draws=args.draws, seed=args.seed)
    if args.json:
        print_json(result.plain())
    else:
        _print(result, args.pairs)
    return 0


def _print(result: Agreement, pairs: int) -> None:
    print(f"{result.articles} articles labelled by two or more of {', '.join(result.annotators)}", end="")
    print(f"; {result.alone} by one only, left out" if result.alone else "")
    print("95% bootstrap intervals over articles; – where undefined\n")
    width = max(len(r.question) for r in result.rows)
    for unit in ("sentence", "article"):
        head = "".join(f"{c.replace('_agreement', ''):>22}" for c in _COLUMNS[:3])
        print(f"{unit:<{width}}{'units':>7}{'named':>7}{head}{'prevalence':>12}{'raw':>7}")
        for r in (r for r in result.rows if r.unit == unit):
            spans = "".join(f"{_span(r.figures.get(c)):>22}" for c in _COLUMNS[:3])
            named = "" if r.named is None else r.named
            points = f"{_point(r.figures.get('prevalence')):>12}{_point(r.figures.get('agreement')):>7}"
            print(f"{r.question:<{width}}{r.units:>7}{named:>7}{spans}{points}")
        print()
    print("confused on a sentence (count, first example)")
    for c in result.confusions[:pairs]:
        print(f"{c.count:>5}  {c.a} / {c.b}  ({c.example})")


def _point(figure: Figure | None) -> str:
    return "" if figure is None else "–" if figure.value is None else f"{figure.value:.2f}"


def _span(figure: Figure | None) -> str:
    if figure is None or figure.value is None or figure.low is None:
        return _point(figure)
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"
