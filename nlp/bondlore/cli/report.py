"""`bondlore report`: the page."""

from __future__ import annotations

import argparse
from pathlib import Path

from bondlore.cli.options import add_db, add_in_sample, add_model, builder, database, parse_day, print_json
from bondlore.clock import utc_now
from bondlore.errors import InputError

__all__ = ["FORMATS", "formats", "parser", "run"]

_EXAMPLE = """  bondlore report --tagged tagged/ --out report/
  bondlore report --db news.db --date 2025-04-09 --formats html,json"""
FORMATS = ("html", "png", "md", "json", "txt")


def formats(text: str) -> tuple[str, ...]:
    """An argparse type: names of report formats, comma-separated."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names or set(names) - {*FORMATS, "csv"}:
        raise argparse.ArgumentTypeError(f"{text!r}: choose among {', '.join((*FORMATS, 'csv'))}")
    return names


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore report`."""
    p = builder("report", "Write the narrative report of a day: HTML, PNG, Markdown, JSON, plain text, CSV.", _EXAMPLE)
    p.add_argument("--tagged", type=Path, metavar="DIR", help="a folder written by bondlore tag (instead of --db)")
    p.add_argument(
        "--date", type=parse_day, metavar="DATE", help="the report's day (default: the last dated article's)"
    )
    p.add_argument("--since", type=parse_day, metavar="DATE", help="where the charts begin (default: by the period)")
    p.add_argument(
        "--freq",
        choices=("auto", "D", "W", "M"),
        default="auto",
        help="period of the charts (default: the finest that holds)",
    )
    p.add_argument("--yields", type=Path, metavar="FILE", help="yields (default: the shipped table)")
    add_in_sample(p)
    p.add_argument(
        "--interactive",
        action="store_true",
        help="also write interactive.html: hover, choose stories, zoom (needs bondlore[interactive])",
    )
    p.add_argument("--out", type=Path, metavar="DIR", default=Path("report"), help="default report/")
    p.add_argument(
        "--formats", type=formats, default=FORMATS, metavar="LIST", help=f"default {','.join(FORMATS)}; also csv"
    )
    p.add_argument("--json", action="store_true", help="print the paths as JSON")
    add_model(p)
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Write the report and print its paths. Raises InputError when there is nothing dated to report."""
    from bondlore import chain
    from bondlore.report.write import write_report
    from bondlore.tag import bundle as bundles

    if args.tagged and args.db:
        raise InputError("both --tagged and --db", where="bondlore report", remedy="give one of them")
    if args.tagged and not args.tagged.is_dir():
        raise InputError("is no folder", where=str(args.tagged), remedy="name one that bondlore tag --out has written")
    bundle = bundles.read(args.model, verify=())
    source = args.tagged or database(args)
    table, freq = chain.page_table(source, bundle, day=args.date, since=args.since, freq=args.freq)
    data = chain.make_report(
        table,
        bundle,
        chain.load_yields(args.yields),
        day=args.date,
        since=args.since,
        freq=freq,
        by=chain.voters(source),
        stamp=utc_now().isoformat(timespec="seconds"),
        in_sample=args.in_sample,
    )
    names = (*args.formats, "interactive") if args.interactive else args.formats
    paths = write_report(data, args.out, formats=names)
    if args.json:
        print_json(paths)
    else:
        for path in paths.values():
            print(path)
    return 0
