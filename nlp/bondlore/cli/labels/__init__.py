"""`bondlore labels ACTION`: what is done with labels before training; one module an action."""

from __future__ import annotations

import argparse
from importlib import import_module

from bondlore.cli.options import builder

__all__ = ["parser", "run"]

_ACTIONS = {
    "check": "find what would make training wrong, with file and row",
    "taxonomy": "make a taxonomy file of the labels you use",
    "convert": "from one form into another: Label Studio, doccano, Argilla, CSV, data sets",
    "map": "carry labels over from a former version of the taxonomy, by its recorded history",
    "suggest": "which articles to label next, for training or for an audit, and why each",
    "agreement": "do annotators agree? alpha, AC1, positive agreement, confusions",
}
_EXAMPLE = """  bondlore labels check my-labels.jsonl --taxonomy mine.yaml
  bondlore labels agreement first.jsonl second.jsonl"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore labels`, with a parser of its own for each action."""
    p = builder("labels", "Work on labels files before training.", _EXAMPLE)
    actions = p.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in _ACTIONS.items():
        module = import_module(f"bondlore.cli.labels.{name}")
        sub = actions.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(sub)
        sub.set_defaults(module=module)
    return p


def run(args: argparse.Namespace) -> int:
    """Run the action and give its exit code."""
    return int(args.module.run(args))
