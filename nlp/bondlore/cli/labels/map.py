"""`bondlore labels map`: labels of a former version of the taxonomy, carried over to the present one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bondlore import atomic, taxonomy
from bondlore.cli.options import add_taxonomy, print_json
from bondlore.errors import InputError, LabelError
from bondlore.progress import say

__all__ = ["EXAMPLE", "arguments", "run"]

EXAMPLE = """  bondlore labels map old.jsonl --taxonomy mine.yaml --since 1 --out new.jsonl --review to-decide.jsonl

The taxonomy file records what became of each narrative:
  version: "2"
  history:
    - version: "1"
      narratives: [foreign_selling, oil, wages, weather]
      map:
        foreign_selling: [official_selling, private_selling]   # split: somebody reads again
        oil: inflation                                         # merged
        wages: inflation
        weather: null                                          # retired"""


def arguments(p: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path)
    p.add_argument("--since", default="", metavar="VERSION", help="of rows that do not say (field taxonomy: name/1)")
    p.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file, native JSON Lines")
    p.add_argument("--review", type=Path, metavar="FILE", help="a new file for articles in which somebody must decide")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_taxonomy(p)


def run(args: argparse.Namespace) -> int:
    """Write the rows and say what became of the labels. Raises LabelError, TaxonomyError, InputError."""
    from bondlore.train.labelling.mapping import carry_files

    for target in (args.out, args.review):
        if target and target.exists():
            raise InputError("is there already", where=str(target), remedy="choose another name")
    narratives = taxonomy.load(args.taxonomy)
    found = carry_files(args.labels, narratives, args.since)
    if found.review and not args.review:
        row = found.review[0]
        number, offered = next(iter(row["review"].items()))
        raise LabelError(
            f"{len(found.review)} articles have labels that the mapping leaves open, e.g. sentence {number} of"
            f" {row['id']!r}: {' or '.join(offered)}",
            where=", ".join(map(str, args.labels)),
            remedy="pass --review FILE to have them written for somebody to decide",
        )
    if found.added:
        say(f"labels: warning: {', '.join(found.added)} came later: these labels say nothing of it, read them again")
    for target, rows in ((args.out, found.rows), (args.review, found.review)):
        if target and (rows or target == args.out):
            atomic.write_text(target, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    counts = {k: found.counts[k] for k in ("kept", "renamed", "retired", "undecided")}
    if args.json:
        print_json(
            {
                "out": str(args.out),
                "taxonomy": narratives.stamp,
                "articles": len(found.rows),
                "review": len(found.review),
                "labels": counts,
                "added": list(found.added),
            }
        )
        return 0
    told = ", ".join(f"{n} {k}" for k, n in counts.items())
    print(f"{len(found.rows)} articles under {narratives.stamp} in {args.out}; labels: {told}")
    if found.review:
        print(f"{len(found.review)} articles to decide in {args.review}: label what 'review' offers, then remove it")
    return 0
