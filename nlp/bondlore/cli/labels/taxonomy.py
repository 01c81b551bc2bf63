"""`bondlore labels taxonomy`: a taxonomy file made of the labels somebody uses."""

from __future__ import annotations

import argparse
from pathlib import Path

from bondlore import atomic
from bondlore.errors import InputError

__all__ = ["EXAMPLE", "arguments", "run"]

EXAMPLE = """  bondlore labels taxonomy flat.jsonl --out mine.yaml
  bondlore train flat.jsonl --taxonomy mine.yaml --out models/mine"""


def arguments(p: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path)
    p.add_argument("--out", type=Path, required=True, metavar="FILE", help="the YAML file to write")
    p.add_argument("--name", metavar="NAME", help="of the taxonomy (default: the file's)")


def run(args: argparse.Namespace) -> int:
    """Write the file. Raises LabelError, TaxonomyError, InputError."""
    from bondlore.taxonomy import to_yaml
    from bondlore.train.labelling.derive import of_files

    if args.out.exists():
        raise InputError("is there already", where=str(args.out), remedy="choose another --out")
    made = of_files(args.labels, name=args.name or args.out.stem)
    atomic.write_text(args.out, to_yaml(made))
    print(f"{len(made)} narratives in {args.out}: {', '.join(made)}; write a definition for each")
    return 0
