"""`bondlore daily`: ingest, yields, tag, report, for cron."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore import resources
from bondlore.cli.options import add_db, add_model, add_polling, agent, builder, database, print_json
from bondlore.clock import utc_now
from bondlore.errors import StoreError, YieldsError
from bondlore.progress import say

if TYPE_CHECKING:
    from bondlore.measure.yields import Yields

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore daily --db /srv/bonds/news.db --feeds my-feeds.opml --out /srv/bonds/reports
  # cron, after the close in New York:  5 17 * * 1-5  bondlore daily ..."""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore daily`."""
    p = builder("daily", "Poll the feeds, refresh yields, tag what is new, write the day's report.", _EXAMPLE)
    p.add_argument(
        "--feeds", metavar="FILE", type=Path, help="a feed list, OPML or YAML (default: the shipped public feeds)"
    )
    p.add_argument("--out", type=Path, metavar="DIR", default=Path("reports"), help="one folder a day goes here")
    p.add_argument("--yields", type=Path, metavar="CSV", default=Path("yields.csv"), help="refreshed in place")
    p.add_argument("--source", choices=("fred", "treasury", "none"), default="treasury", help="of yields")
    p.add_argument("--allow-private", action="store_true", help="allow feeds on this machine or a private network")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_polling(p)
    add_model(p)
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when a feed or the yields failed: the page says which. Safe to run again, and from two crons."""
    from bondlore import chain
    from bondlore.cli.yields import refresh
    from bondlore.ingest.feedlist import read_feeds
    from bondlore.ingest.fetch import Fetcher
    from bondlore.measure.calendar import news_day
    from bondlore.report.data import Feed, Quality
    from bondlore.report.write import write_report
    from bondlore.store import Store
    from bondlore.tag.tagger import Tagger

    feeds = read_feeds(args.feeds or resources.find("corpus/feeds.opml"))
    address = database(args)
    notes: list[str] = []
    with _alone(_lock_of(address)), Store.open(address) as store:
        tagger = Tagger.load(args.model)
        fetcher = Fetcher(allow_private=args.allow_private, user_agent=agent(args))
        every = timedelta(minutes=args.every)
        polled = chain.poll_feeds(store, feeds, fetcher, clock=utc_now, every=every, at_once=args.now)
        chain.read_pages(store, fetcher, clock=utc_now, per_host=args.pages)
        if args.source != "none":
            try:
                refresh(args.yields, source=args.source)
            except YieldsError as error:
                notes.append("Yields could not be refreshed; the last known ones are shown.")
                say(f"daily: {error}")
        yields = _known_yields(args.yields, notes)
        tagged = chain.tag_store(store, tagger)
        table = store.tagged(model=tagger.model, taxonomy=tagger.taxonomy)
        now = utc_now()
        quality = Quality(
            feeds_polled=len(feeds),
            feeds_failing=tuple(Feed(name, problem) for name, problem in polled.failing),
            notes=tuple(notes),
        )
        day = news_day(now)
        data = chain.make_report(
            table,
            tagger.bundle,
            yields,
            day=day,
            quality=quality,
            stamp=now.isoformat(timespec="seconds"),
        )
        paths = write_report(data, args.out / day.isoformat())
    for name, problem in polled.failing:
        say(f"daily: {name}: {problem}")
    if args.json:
        print_json({"new": polled.new, "tagged": tagged.done, "failed": tagged.failed, "report": paths})
    else:
        print(f"{polled.new} new articles, {tagged.done} tagged; report: {paths['html']}")
    return 3 if polled.failing or notes or tagged.failed else 0


def _lock_of(address: str) -> Path:
    """The lock file of a store: beside a file, in the temporary folder for a server. Never shows the address."""
    if "://" not in address:
        return Path(address + ".daily.lock")
    if address.startswith("sqlite:///"):
        return Path(address.removeprefix("sqlite:///") + ".daily.lock")
    key = hashlib.sha256(address.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bondlore-{key}.daily.lock"


def _known_yields(path: Path, notes: list[str]) -> Yields:
    """The desk's own table, or the shipped one with a note when that is missing or damaged."""
    from bondlore.chain import load_yields

    try:
        return load_yields(path if path.exists() else None)
    except YieldsError as error:
        say(f"daily: {error}")
        notes.append(f"{path.name} could not be read; the yields shipped with bondlore are shown.")
        return load_yields()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock file for the run. Raises StoreError when another run holds it."""
    try:
        handle = path.open("w")
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror})", where=str(path), remedy="choose another --db"
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError("another bondlore daily is at work", where=str(path), remedy="wait for it") from error
        yield
