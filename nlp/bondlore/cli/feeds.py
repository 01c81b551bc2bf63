"""`bondlore feeds`: how each feed is doing."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from bondlore.cli.options import add_db, builder, database, print_json

__all__ = ["parser", "run"]

_EXAMPLE = "  bondlore feeds --db news.db"


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore feeds`."""
    p = builder("feeds", "Each feed's last success, error, articles a day and next poll; failing ones first.", _EXAMPLE)
    p.add_argument("--feeds", metavar="FILE", type=Path, help="only the feeds of this list, unpolled ones too")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when a feed is failing or retired."""
    from bondlore.ingest.feedlist import read_feeds
    from bondlore.store import Store

    with Store.open(database(args), create=False) as store:
        found = {health.url: asdict(health) for health in store.feed_health()}
    if args.feeds:
        unpolled = {"state": "never polled", "articles_a_day": 0.0, "last_success": None, "next_poll_at": None}
        found = {f.url: found.get(f.url, {"url": f.url, "last_error": "", **unpolled}) for f in read_feeds(args.feeds)}
    rank = {"failing": 0, "retired": 1, "never polled": 2, "active": 3}
    rows = sorted(found.values(), key=lambda row: (rank[row["state"]], row["url"]))
    if args.json:
        print_json(rows)
    else:
        print(f"{'state':<13}{'last success':<18}{'a day':>6}  {'next poll':<18}feed")
        for row in rows:
            print(
                f"{row['state']:<13}{_time(row['last_success']):<18}{row['articles_a_day']:>6.1f}  "
                f"{_time(row['next_poll_at']):<18}{row['url']}"
            )
            if row["state"] in ("failing", "retired"):
                print(f"{'':<13}{row['last_error']}")
    return 3 if any(row["state"] in ("failing", "retired") for row in rows) else 0


def _time(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ") if at else "never"
