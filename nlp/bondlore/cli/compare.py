"""`bondlore compare`: two models on the same articles, with a paired test."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bondlore import taxonomy
from bondlore.cli.options import add_taxonomy, builder, positive, print_json
from bondlore.errors import InputError
from bondlore.progress import Progress, say

if TYPE_CHECKING:
    from bondlore.tag.tagger import Tagger
    from bondlore.train.compare import Comparison
    from bondlore.train.labels import LabelledArticle

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore compare models/default models/mine dev.jsonl
  bondlore compare models/mine theirs.predictions.jsonl dev.jsonl --figure micro_f1"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore compare`."""
    p = builder(
        "compare", "Which of two models is better on labelled articles, if the difference is no noise?", _EXAMPLE
    )
    what = "a model folder, a hub name, or a file of predictions (evaluate --predictions)"
    p.add_argument("a", metavar="MODEL_A", help=what)
    p.add_argument("b", metavar="MODEL_B", help="the same")
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path, help="articles neither model was trained on")
    p.add_argument("--figure", default="", metavar="F", help="decides (default core_micro_f1, else micro_f1)")
    p.add_argument("--draws", type=positive, default=2000, help="bootstrap draws over stories (default 2000)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_taxonomy(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Print both models' figures, the differences and the verdict. Raises LabelError, InputError, ModelError."""
    from bondlore.train import labels
    from bondlore.train.compare import compare
    from bondlore.train.evaluate import gold_rows
    from bondlore.train.split import stories

    taggers = [_tagger(name) for name in (args.a, args.b)]
    known = [t.taxonomy for t in taggers if t is not None]
    narratives = taxonomy.load(args.taxonomy) if args.taxonomy or not known else known[0]
    for name, tagger in zip((args.a, args.b), taggers, strict=True):
        if tagger is not None and set(tagger.taxonomy) != set(narratives):
            raise InputError(
                "knows other narratives", where=name, remedy="compare models of one taxonomy, or files of predictions"
            )
    articles = labels.read_all(args.labels, narratives)
    found = [_answers(n, t, articles) for n, t in zip((args.a, args.b), taggers, strict=True)]
    result = compare(
        gold_rows(articles),
        *found,
        narratives=narratives.ids,
        core=narratives.core,
        deciding=args.figure,
        draws=args.draws,
        seed=args.seed,
        stories=stories(articles),
    )
    if args.json:
        print_json({"a": args.a, "b": args.b, **result.plain()})
    else:
        _print(result, args.a, args.b)
    return 0


def _tagger(name: str) -> Tagger | None:
    """The model, or None for a file of predictions."""
    from bondlore.tag.tagger import Tagger

    return None if Path(name).is_file() else Tagger.load(name)


def _answers(name: str, tagger: Tagger | None, articles: list[LabelledArticle]) -> dict[str, dict[str, Any]]:
    from bondlore.train.evaluate import predictions
    from bondlore.train.labels import fingerprints
    from bondlore.train.predictions import read_predictions

    if tagger is None:
        return read_predictions(Path(name))
    texts = set(tagger.bundle.training.get("labels", {}).get("texts", []))
    if overlap := sum(key in texts for key in fingerprints(articles)):
        say(f"compare: warning: {name} was trained on {overlap} of these {len(articles)} articles")
    with Progress(f"compare {name}", total=len(articles), unit="articles") as progress:
        return predictions(tagger, articles, each=progress.step)


def _print(result: Comparison, a: str, b: str) -> None:
    print(f"A {a}\nB {b}\n{result.articles} articles; B - A with 95% paired bootstrap intervals\n")
    width = max(map(len, result.figures))
    for name, d in result.figures.items():
        star = " *" if name == result.deciding else ""
        span = f"{d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f})"
        print(f"{name:<{width}}{d.a:>8.3f}{d.b:>8.3f}  {span}  p {d.p:.3f}{star}")
    verdict = {"a": "A is better", "b": "B is better", "": "no winner"}[result.winner]
    print(f"\n{verdict}: {result.reason}")
