"""`bondlore copies`: which articles count as one story with this one, why, and the word that they do not."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from bondlore.cli.options import add_db, builder, database, print_json

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore copies 3f1c9a0b7d2e4c55 --db news.db
  bondlore copies 3f1c9a0b7d2e4c55 --apart 9b2d0c4e1f6a7788 --because "another day's auction" --db news.db"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore copies`."""
    p = builder(
        "copies", "Near-copies of an article and how alike they read; nothing is deleted, any is undone.", _EXAMPLE
    )
    p.add_argument("id", metavar="ID", help="an article of the store (bondlore search --json shows ids)")
    change = p.add_mutually_exclusive_group()
    change.add_argument("--apart", metavar="ID", help="never take this other article for a copy of it")
    change.add_argument("--join", metavar="ID", help="take back --apart")
    p.add_argument("--because", default="", metavar="TEXT", help="why they are kept apart; shown from then on")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Show the copies, after the change if one is asked for. Exit code 3 when parted articles stay one cluster."""
    from bondlore.store import Store

    still = False
    with Store.open(database(args), create=False) as store:
        if args.apart:
            still = store.keep_apart(args.id, args.apart, reason=args.because)
        elif args.join:
            store.join_again(args.id, args.join)
        found = store.near_copies(args.id)
    if args.json:
        print_json([asdict(copy) for copy in found])
        return 3 if still else 0
    for copy in found:
        if copy.apart:
            why = f"kept apart{f': {copy.reason}' if copy.reason else ''}"
        elif copy.jaccard is None or copy.containment is None:
            why = "through another"
        else:
            why = f"{copy.jaccard:.0%} of all runs of five words shared, {copy.containment:.0%} of the shorter's"
        print(f"{copy.id}  {copy.publisher or 'unknown'}: {copy.title}\n    {why}")
    if not found:
        print("no near-copy")
    if still:
        print("the two are still one cluster, through another: keep that one apart too")
    return 3 if still else 0
