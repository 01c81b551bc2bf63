"""`bondlore yields`: the local table of Treasury yields."""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore.cli.options import builder, parse_day, print_json
from bondlore.clock import utc_now
from bondlore.progress import say

if TYPE_CHECKING:
    from bondlore.measure.yields import Yields

__all__ = ["parser", "refresh", "run"]

_EXAMPLE = """  bondlore yields --source treasury --out yields.csv     # refreshes what is there
  bondlore yields --source file --file my-yields.csv"""
_SHOWN = 5


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore yields`."""
    p = builder("yields", "Fetch or refresh Treasury yields (percent), or show a file's.", _EXAMPLE)
    p.add_argument("--source", choices=("fred", "treasury", "file"), default="file", help="default: file")
    p.add_argument("--file", type=Path, metavar="FILE", help="with --source file (default: the shipped table)")
    p.add_argument("--out", type=Path, metavar="CSV", default=Path("yields.csv"), help="default yields.csv")
    p.add_argument("--start", type=parse_day, metavar="DATE", help="first day to fetch (default: where the file ends)")
    p.add_argument("--json", action="store_true", help="the last days as JSON")
    return p


def run(args: argparse.Namespace) -> int:
    """Show the last days; with a web source, fetch and merge first."""
    from bondlore.chain import load_yields

    if args.source == "file":
        table = load_yields(args.file).table()
    else:
        table = refresh(args.out, source=args.source, start=args.start).table()
        say(f"yields: wrote {args.out}")
    rows = table.slice(max(0, table.num_rows - _SHOWN)).to_pylist()
    if args.json:
        print_json(rows)
        return 0
    for r in rows:
        print("  ".join(f"{k} {v if v is not None else '–'}" for k, v in r.items()))
    return 0


def refresh(path: Path, *, source: str, start: date | None = None) -> Yields:
    """Fetch from where `path` (or else the shipped table) ends, merge, write `path`. Raises YieldsError."""
    from bondlore.chain import load_yields
    from bondlore.ingest.fetch import Fetcher
    from bondlore.measure.yields import merge_yields, write_yields
    from bondlore.measure.yields_sources import fetch_yields

    old = load_yields(path if path.exists() else None)
    today = utc_now().date()
    # a week of overlap: late corrections and holidays
    first = start or max(old.dates[-1].item() - timedelta(days=7), date(1990, 1, 2))
    got = fetch_yields(source, Fetcher(), start=first, end=today)
    for problem in got.problems:
        say(f"yields: {problem}")
    merged = merge_yields(old, got.yields)
    write_yields(merged, path)
    return merged
