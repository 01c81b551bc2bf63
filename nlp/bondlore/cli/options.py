"""Arguments and outputs that several commands share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from bondlore.errors import InputError

__all__ = [
    "add_db",
    "add_in_sample",
    "add_model",
    "add_polling",
    "add_taxonomy",
    "agent",
    "builder",
    "count",
    "database",
    "mapping",
    "parse_day",
    "parse_moment",
    "parse_span",
    "parse_time",
    "positive",
    "print_json",
]

DEFAULT_DB = "bondlore.db"


def builder(command: str, summary: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help ends with an example."""
    return argparse.ArgumentParser(
        prog=f"bondlore {command}",
        description=summary,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_db(parser: argparse.ArgumentParser) -> None:
    """--db URL or path; BONDLORE_DB, else bondlore.db in this folder."""
    parser.add_argument("--db", metavar="URL", help=f"the store (default: $BONDLORE_DB, else {DEFAULT_DB})")


def add_in_sample(parser: argparse.ArgumentParser) -> None:
    """--in-sample FROM:TO, of pages."""
    parser.add_argument(
        "--in-sample",
        type=parse_span,
        action="append",
        default=[],
        metavar="FROM:TO",
        help="where the model's training texts come from; such days are shaded; may be repeated",
    )


def add_polling(parser: argparse.ArgumentParser) -> None:
    """How feeds and pages are asked: --now, --every, --pages, --contact."""
    parser.add_argument("--now", action="store_true", help="poll feeds that are not due yet too")
    parser.add_argument(
        "--every", type=positive, default=60, metavar="MINUTES", help="how often a feed is polled at most (default 60)"
    )
    parser.add_argument(
        "--pages",
        type=count,
        default=10,
        metavar="N",
        help="fetch the pages of N articles a host whose feed gave a teaser, robots.txt allowing (default 10; 0: none)",
    )
    parser.add_argument(
        "--contact",
        metavar="ADDRESS",
        help="your e-mail or web address, told to publishers in the User-Agent (default: $BONDLORE_CONTACT)",
    )


def agent(args: argparse.Namespace) -> str:
    """The User-Agent, with the contact of --contact or the environment. Raises InputError for one that is none."""
    from bondlore.ingest import fetch

    return fetch.agent(getattr(args, "contact", None) or os.environ.get("BONDLORE_CONTACT", ""))


def database(args: argparse.Namespace) -> str:
    """The store's address from --db, the environment or the default."""
    return str(args.db or os.environ.get("BONDLORE_DB") or DEFAULT_DB)


def add_model(parser: argparse.ArgumentParser) -> None:
    """--model FOLDER or hub name."""
    parser.add_argument("--model", metavar="M", help="a model folder or hub name (default: the shipped model)")


def add_taxonomy(parser: argparse._ActionsContainer) -> None:
    """--taxonomy FILE."""
    parser.add_argument("--taxonomy", metavar="FILE", help="a taxonomy of your own (default: the shipped one)")


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def count(text: str) -> int:
    """An argparse type: an integer of at least 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def parse_day(text: str) -> date:
    """An argparse type: YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write YYYY-MM-DD") from error


def parse_moment(text: str) -> datetime | date:
    """An argparse type: YYYY-MM-DD, or a time with its zone such as 2025-04-09T12:00Z."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write YYYY-MM-DD or 2025-04-09T12:00Z") from error
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no zone; write 2025-04-09T12:00Z")
    return at


def parse_time(text: str) -> time:
    """An argparse type: HH:MM."""
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of day; write 15:30") from error


def parse_span(text: str) -> tuple[date, date]:
    """An argparse type: FROM:TO, both days included."""
    start, _, end = text.partition(":")
    if not end or parse_day(start) > parse_day(end):
        raise argparse.ArgumentTypeError(f"{text!r} is no span; write 2025-03-01:2025-05-31")
    return parse_day(start), parse_day(end)


def mapping(text: str | None) -> dict[str, str] | None:
    """`title=headline,text=body` to a mapping. Raises InputError."""
    if not text:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not (k.strip() and v.strip()) for k, _, v in pairs):
        raise InputError(f"{text!r} is not a mapping", where="--map", remedy="write title=headline,text=body")
    return {k.strip(): v.strip() for k, _, v in pairs}


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
