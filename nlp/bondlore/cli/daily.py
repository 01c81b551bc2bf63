"""`bondlore daily`: ingest, yields, tag, report, for cron."""

from __future__ import annotations

import argparse
import hashlib
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from bondlore import __version__, resources
from bondlore.cli.options import (
    add_db,
    add_in_sample,
    add_model,
    add_polling,
    agent,
    builder,
    count,
    database,
    print_json,
)
from bondlore.clock import utc_now
from bondlore.progress import say

if TYPE_CHECKING:
    from bondlore.daily import Job, Outcome
    from bondlore.runlog import RunLog

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore daily --db /srv/bonds/news.db --feeds my-feeds.opml --out /srv/bonds/reports
  # cron, when the day's yields are out in New York:  5 18 * * 1-5  bondlore daily ...

exit codes:
  0  done
  1  nothing was written: a bad argument or file, no usable store or model, or another run is at work (it says which)
  2  wrong usage
  3  the page is written, but a feed, the yields or an article failed, or a missed day could not be written:
     the page and the log say which
  130  interrupted; nothing half-written is kept, the next run goes on"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore daily`."""
    p = builder("daily", "Poll the feeds, refresh yields, tag what is new, write the day's report.", _EXAMPLE)
    p.add_argument(
        "--feeds", metavar="FILE", type=Path, help="a feed list, OPML or YAML (default: the shipped public feeds)"
    )
    p.add_argument("--out", type=Path, metavar="DIR", default=Path("reports"), help="one folder a day goes here")
    p.add_argument("--yields", type=Path, metavar="CSV", default=Path("yields.csv"), help="refreshed in place")
    p.add_argument("--source", choices=("fred", "treasury", "none"), default="treasury", help="of yields")
    p.add_argument(
        "--catch-up",
        type=count,
        default=5,
        metavar="N",
        help="also write the pages missed on the last N business days, since the first page (default 5; 0: none)",
    )
    p.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="a line a step, at most 1 MB and 3 older files (default: daily.log in --out)",
    )
    add_in_sample(p)
    p.add_argument("--allow-private", action="store_true", help="allow feeds on this machine or a private network")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_polling(p)
    add_model(p)
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when a feed, the yields or an article failed: the page says which. Safe to run again and twice."""
    from bondlore import runlog
    from bondlore.ingest.feedlist import read_feeds
    from bondlore.lock import holding

    address, path = database(args), args.log or args.out / "daily.log"
    # the lock first: a second run writes nothing at all, its refusal goes to stderr
    held = holding(_lock_of(address), "bondlore daily", now=utc_now())
    with _stoppable(), held, runlog.opened(path, utc_now) as log, _told(log):
        feeds = read_feeds(args.feeds or resources.find("corpus/feeds.opml"))
        outcome = _work(address, _job(args, feeds), args, log)
        code = 0 if outcome.whole else 3
        log(f"end: exit {code}")
    for name, problem in outcome.failing:
        say(f"daily: {name}: {problem}")
    for problem in outcome.problems:
        say(f"daily: {problem}")
    _print(outcome, path, as_json=args.json)
    return code


def _job(args: argparse.Namespace, feeds: Any) -> Job:
    from bondlore.cli.yields import refresh
    from bondlore.daily import Job

    return Job(
        feeds,
        args.out,
        args.yields,
        None if args.source == "none" else lambda: refresh(args.yields, source=args.source),
        every=timedelta(minutes=args.every),
        at_once=args.now,
        pages=args.pages,
        catch_up=args.catch_up,
        in_sample=args.in_sample,
    )


def _work(address: str, job: Job, args: argparse.Namespace, log: RunLog) -> Outcome:
    from bondlore import daily
    from bondlore.ingest.fetch import Fetcher
    from bondlore.store import Store
    from bondlore.tag.tagger import Tagger

    with Store.open(address) as store:
        log(f"start: bondlore {__version__}, store {store.where}, {len(job.feeds)} feeds")
        return daily.run(
            store,
            job,
            fetcher=Fetcher(allow_private=args.allow_private, user_agent=agent(args)),
            tagger=lambda: Tagger.load(args.model),
            clock=utc_now,
            log=log,
        )


def _print(outcome: Outcome, log: Path, *, as_json: bool) -> None:
    (day, paths), *late = outcome.pages.items()
    if as_json:
        print_json(
            {
                "day": day,
                "new": outcome.new,
                "tagged": outcome.tagged,
                "failed": outcome.failed,
                "failing": [{"feed": name, "problem": problem} for name, problem in outcome.failing],
                "problems": outcome.problems,
                "report": paths,
                "caught_up": {d.isoformat(): p for d, p in late},
                "left_out": outcome.left_out,
                "log": log,
            }
        )
        return
    print(f"{outcome.new} new articles, {outcome.tagged} tagged; report: {paths['html']}")
    if late:
        print(f"caught up: {', '.join(sorted(d.isoformat() for d, _ in late))}")
    if outcome.left_out:
        print(f"{outcome.left_out} older days without a page were left out (--catch-up)")


@contextmanager
def _told(log: RunLog) -> Iterator[None]:
    """A run that ends early says so in its log."""
    began = time.monotonic()
    try:
        yield
    except KeyboardInterrupt:
        log(f"end: exit 130, interrupted after {time.monotonic() - began:.0f} s")
        raise
    except Exception as error:
        log(f"end: exit 1, {type(error).__name__}: {error}")
        raise


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM (systemd, a container, a shutdown) ends the run as Ctrl-C does, with what it had open closed."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: the caller minds signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _lock_of(address: str) -> Path:
    """The lock file of a store: beside a file, in the temporary folder for a server. Never shows the address."""
    if "://" not in address:
        return Path(address + ".daily.lock")
    if address.startswith("sqlite:///"):
        return Path(address.removeprefix("sqlite:///") + ".daily.lock")
    key = hashlib.sha256(address.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bondlore-{key}.daily.lock"
