"""`bondlore archive`: the store's articles as Parquet, by month."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, time
from pathlib import Path

from bondlore.cli.options import add_db, builder, database, parse_day, print_json

__all__ = ["parser", "run"]

_EXAMPLE = "  bondlore archive --out archive --since 2025-04-01 --db news.db"


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore archive`."""
    p = builder("archive", "Write the store's articles to Parquet, a file a month (UTC).", _EXAMPLE)
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the files")
    p.add_argument("--since", type=parse_day, metavar="DATE", help="published on or after this day (UTC)")
    p.add_argument("--until", type=parse_day, metavar="DATE", help="published before this day (UTC)")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Print the files written. A month's file is replaced as a whole."""
    from bondlore.store import Store

    since, until = (datetime.combine(day, time(), UTC) if day else None for day in (args.since, args.until))
    with Store.open(database(args), create=False) as store:
        written = store.export(args.out, since=since, until=until)
    if args.json:
        print_json({str(args.out / name): count for name, count in written.items()})
        return 0
    for name, count in written.items():
        print(f"{count:>8} articles  {args.out / name}")
    if not written:
        print("no article to write")
    return 0
