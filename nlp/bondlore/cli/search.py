"""`bondlore search`: full-text search in the store."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, time

from bondlore.cli.options import add_db, builder, database, parse_day, positive, print_json

__all__ = ["parser", "run"]

_EXAMPLE = '  bondlore search "basis trade" --since 2025-04-01 --db news.db'


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore search`."""
    p = builder("search", "Articles with all these words, best match first; quotes make a phrase.", _EXAMPLE)
    p.add_argument("query", metavar="WORDS")
    p.add_argument("--since", type=parse_day, metavar="DATE", help="published on or after this day (UTC)")
    p.add_argument("--limit", type=positive, default=20, metavar="N", help="at most N articles (default 20)")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Print matches, or say that there are none."""
    from bondlore.store import Store

    since = datetime.combine(args.since, time(), UTC) if args.since else None
    with Store.open(database(args), create=False) as store:
        found = store.search(args.query, since, limit=args.limit)
    if args.json:
        keys = ("id", "title", "publisher", "url", "published_at")
        print_json([{k: getattr(a, k) for k in keys} for a in found])
        return 0
    for a in found:
        day = a.published_at.date().isoformat() if a.published_at else "no date   "
        print(f"{day}  {a.publisher or 'unknown'}: {a.title}\n            {a.url or a.id}")
    if not found:
        print("no article matches")
    return 0
