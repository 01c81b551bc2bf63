"""`bondlore yields`: the local table of Treasury yields."""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore.cli.options import builder, mapping, parse_day, print_json
from bondlore.clock import utc_now
from bondlore.errors import InputError
from bondlore.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bondlore.measure.yields import Yields

__all__ = ["parser", "refresh", "run"]

_EXAMPLE = """  bondlore yields --source treasury --out yields.csv     # refreshes what is there
  bondlore yields --source treasury --tenor 10Y --tenor 10Y_real --tenor 10Y_breakeven
  bondlore yields --source file --file desk.csv --map date=day,10Y=ten --out yields.csv"""
_SHOWN = 5


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore yields`."""
    p = builder("yields", "Fetch or refresh Treasury yields (percent), or show a file's.", _EXAMPLE)
    p.add_argument("--source", choices=("fred", "treasury", "file"), default="file", help="default: file")
    p.add_argument("--file", type=Path, metavar="FILE", help="with --source file (default: the shipped table)")
    p.add_argument("--map", metavar="OURS=THEIRS", help="the columns of a --file of your own: date=day,10Y=ten")
    p.add_argument(
        "--out", type=Path, metavar="CSV", help="the table (default yields.csv; with --source file written if named)"
    )
    p.add_argument(
        "--tenor",
        action="append",
        metavar="T",
        help="fetch 2Y, 10Y_real, 10Y_breakeven, ..; may be repeated (default: what --out has, else 2Y 10Y 30Y)",
    )
    p.add_argument("--start", type=parse_day, metavar="DATE", help="first day to fetch (default: where the file ends)")
    p.add_argument("--json", action="store_true", help="the last days as JSON")
    return p


def run(args: argparse.Namespace) -> int:
    """Show the last days; with a web source, fetch and merge first."""
    from bondlore.chain import load_yields

    if args.source == "file":
        from bondlore.measure.yields import write_yields

        for name, value in (("--tenor", args.tenor), ("--start", args.start)):
            if value:
                raise InputError("chooses what to fetch", where=name, remedy="use --source treasury or fred")
        found = load_yields(args.file, mapping=mapping(args.map))
        if args.out:
            write_yields(found, args.out)
    else:
        for name, value in (("--map", args.map), ("--file", args.file)):
            if value:
                raise InputError("is for a file of your own", where=name, remedy="use --source file --file CSV")
        args.out = args.out or Path("yields.csv")
        found = refresh(args.out, source=args.source, start=args.start, tenors=args.tenor or ())
    if args.out:
        say(f"yields: wrote {args.out}")
    table = found.table()
    rows = table.slice(max(0, table.num_rows - _SHOWN)).to_pylist()
    if args.json:
        print_json(rows)
        return 0
    for r in rows:
        print("  ".join(f"{k} {v if v is not None else '–'}" for k, v in r.items()))
    return 0


def refresh(path: Path, *, source: str, start: date | None = None, tenors: Sequence[str] = ()) -> Yields:
    """Fetch from where `path` (or else the shipped table) ends, merge, write `path`. Raises YieldsError.

    A tenor that the table has not is fetched from where the table begins.
    """
    from bondlore.chain import load_yields
    from bondlore.ingest.fetch import Fetcher
    from bondlore.measure.yields import merge_yields, write_yields
    from bondlore.measure.yields_sources import fetch_yields

    old = load_yields(path if path.exists() else None)
    now = utc_now()
    wanted = tuple(tenors) or old.tenors
    # a week of overlap: late corrections and holidays
    late = old.dates[-1].item() - timedelta(days=7) if set(wanted) <= set(old.tenors) else old.dates[0].item()
    first = start or max(late, date(1990, 1, 2))
    got = fetch_yields(source, Fetcher(), start=first, end=now.date(), tenors=wanted, at=now)
    for problem in got.problems:
        say(f"yields: {problem}")
    merged = merge_yields(old, got.yields)
    write_yields(merged, path)
    return merged
