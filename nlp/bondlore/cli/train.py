"""`bondlore train`: labels to a model folder."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from bondlore import taxonomy
from bondlore.cli.options import add_taxonomy, builder, positive
from bondlore.clock import utc_now
from bondlore.errors import MissingExtraError
from bondlore.tag import bundle as bundles
from bondlore.train.recipe import ENCODERS

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore train my-labels.jsonl --out models/mine
  bondlore train flat.jsonl --taxonomy mine.yaml --out models/mine
  bondlore train flat.csv --derive-taxonomy --predictions out-of-fold.jsonl --out models/mine
  bondlore train labels/*.jsonl --taxonomy mine.yaml --base path/to/encoder --recipe recipe.toml --out models/mine"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore train`."""
    p = builder("train", "Train a model on labelled articles and write its folder, complete or not at all.", _EXAMPLE)
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path, help="in any form that labels convert knows")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="the model folder to write")
    p.add_argument("--recipe", type=Path, metavar="TOML", help="everything a run depends on; see models/recipe.toml")
    p.add_argument("--base", metavar="NAME|DIR", help="a Hugging Face encoder (default: the shipped model's own)")
    p.add_argument(
        "--texts", metavar="ARCHIVE", nargs="+", type=Path, default=(), help="where keyed labels find their sentences"
    )
    p.add_argument(
        "--encoder",
        choices=ENCODERS,
        help="tuned, frozen (few labels; seconds), or auto: whichever does better on held-out folds (default auto)",
    )
    p.add_argument("--epochs", type=positive, metavar="N", help="instead of the recipe's")
    p.add_argument("--folds", type=_folds, metavar="N", help="held-out folds for calibration; 0 skips them")
    p.add_argument("--seed", type=int, metavar="N", help="instead of the recipe's")
    p.add_argument(
        "--predictions", type=Path, metavar="FILE", help="write what held-out folds' models say, for labels check"
    )
    which = p.add_mutually_exclusive_group()
    add_taxonomy(which)
    which.add_argument("--derive-taxonomy", action="store_true", help="the narratives are the labels that occur")
    return p


def _folds(text: str) -> int:
    value = int(text)
    if value < 0 or value == 1:
        raise argparse.ArgumentTypeError("must be 0, or at least 2")
    return value


def run(args: argparse.Namespace) -> int:
    """Raises LabelError, TaxonomyError, ModelError, MissingExtraError."""
    from bondlore.train import labels
    from bondlore.train.recipe import Recipe, read

    if args.derive_taxonomy:
        from bondlore.train.labelling.derive import of_files

        narratives = of_files(args.labels, name=args.out.name)
    else:
        narratives = taxonomy.load(args.taxonomy)
    articles = labels.read_all(args.labels, narratives, texts=args.texts)
    recipe = read(args.recipe) if args.recipe else Recipe()
    given = {
        k: getattr(args, k) for k in ("base", "encoder", "epochs", "folds", "seed") if getattr(args, k) is not None
    }
    recipe = replace(recipe, **given)
    if not recipe.base:
        recipe = replace(recipe, base=str(bundles.read(verify=()).folder / "encoder"))
    try:
        from bondlore.train.run import train
    except ImportError as error:
        raise MissingExtraError("train", str(error.name)) from error
    made = train(
        articles,
        narratives,
        recipe,
        args.out,
        now=utc_now(),
        sources=[p.name for p in args.labels],
        predictions=args.predictions,
    )
    print(f"{made.id} in {args.out}")
    return 0
