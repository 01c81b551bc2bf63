"""`bondlore ingest`: poll the feeds once."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

from bondlore import resources
from bondlore.cli.options import add_db, add_polling, agent, builder, database, print_json
from bondlore.clock import utc_now
from bondlore.progress import say

__all__ = ["parser", "run"]

_EXAMPLE = "  bondlore ingest --feeds my-feeds.opml --db news.db"


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore ingest`."""
    p = builder("ingest", "Poll the feeds once into the store: conditional requests, one bad feed costs one.", _EXAMPLE)
    p.add_argument(
        "--feeds", metavar="FILE", type=Path, help="a feed list, OPML or YAML (default: the shipped public feeds)"
    )
    p.add_argument("--allow-private", action="store_true", help="allow feeds on this machine or a private network")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_polling(p)
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when some feeds failed, 1 when all did."""
    from bondlore.chain import poll_feeds, read_pages
    from bondlore.ingest.feedlist import read_feeds
    from bondlore.ingest.fetch import Fetcher
    from bondlore.store import Store

    feeds = read_feeds(args.feeds or resources.find("corpus/feeds.opml"))
    fetcher = Fetcher(allow_private=args.allow_private, user_agent=agent(args))
    every = timedelta(minutes=args.every)
    with Store.open(database(args)) as store:
        polled = poll_feeds(store, feeds, fetcher, clock=utc_now, every=every, at_once=args.now)
        pages = read_pages(store, fetcher, clock=utc_now, per_host=args.pages)
    for name, problem in polled.failing:
        say(f"ingest: {name}: {problem}")
    if args.json:
        print_json(
            {
                "new": polled.new,
                "updated": polled.updated,
                "answered": polled.answered,
                "waiting": polled.waiting,
                "pages": dict(pages.statuses),
                "failing": [{"feed": n, "problem": p} for n, p in polled.failing],
            }
        )
    else:
        asked = len(feeds) - polled.waiting
        print(f"{polled.new} new articles, {polled.updated} updated; {polled.answered} of {asked} feeds answered")
        if polled.waiting:
            print(f"{polled.waiting} feeds are not due yet (bondlore feeds tells when; --now asks them all the same)")
        if pages.tried:
            print(f"{pages.better} of {pages.tried} article pages gave a fuller text")
    return 0 if not polled.failing else 3 if polled.answered or polled.waiting else 1
