"""`bondlore ingest`: poll the feeds once."""

from __future__ import annotations

import argparse
from pathlib import Path

from bondlore import resources
from bondlore.cli.options import add_db, builder, database, print_json
from bondlore.clock import utc_now
from bondlore.progress import say

__all__ = ["parser", "run"]

_EXAMPLE = "  bondlore ingest --feeds my-feeds.opml --db news.db"


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore ingest`."""
    p = builder("ingest", "Poll the feeds once into the store: conditional requests, one bad feed costs one.", _EXAMPLE)
    p.add_argument("--feeds", metavar="OPML", type=Path, help="a feed list (default: the shipped public feeds)")
    p.add_argument("--allow-private", action="store_true", help="allow feeds on this machine or a private network")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when some feeds failed, 1 when all did."""
    from bondlore.chain import poll_feeds
    from bondlore.ingest.fetch import Fetcher
    from bondlore.ingest.opml import read_opml
    from bondlore.store import Store

    feeds = read_opml(args.feeds or resources.find("corpus/feeds.opml"))
    with Store.open(database(args)) as store:
        polled = poll_feeds(store, feeds, Fetcher(allow_private=args.allow_private), clock=utc_now)
    for name, problem in polled.failing:
        say(f"ingest: {name}: {problem}")
    if args.json:
        print_json(
            {
                "new": polled.new,
                "updated": polled.updated,
                "answered": polled.answered,
                "failing": [{"feed": n, "problem": p} for n, p in polled.failing],
            }
        )
    else:
        print(f"{polled.new} new articles, {polled.updated} updated; {polled.answered} of {len(feeds)} feeds answered")
    return 0 if not polled.failing else 3 if polled.answered else 1
