"""The daily job: poll, read pages, refresh yields, tag what is new, write the page of the day and those missed.

What fails is told in the log and on the page; only what leaves nothing to write (no store, no model) ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bondlore import chain
from bondlore.clock import Clock
from bondlore.errors import BondloreError, StoreError, YieldsError
from bondlore.progress import say

if TYPE_CHECKING:
    from bondlore.ingest.poll import Feed, Getter
    from bondlore.measure.yields import Yields
    from bondlore.store.store import Store
    from bondlore.tag.tagger import Tagger

__all__ = ["LATE", "Job", "Outcome", "run"]

LATE = "This page was written after its day: it counts articles found since, and feeds are as they were then."
_RUNNING = "This news day is not over: it ends at 15:30 New York, and its page is written again after that."
_SHOWN = 5  # feeds named in a line of the log
_LENGTH = 100  # characters of a feed's problem in the log


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is asked to do. `refresh` fetches and merges yields, None to leave them; `catch_up` bounds the days
    written late; `in_sample` are the days from which the model's training texts come.
    """

    feeds: Sequence[Feed]
    out: Path
    yields: Path
    refresh: Callable[[], Yields] | None
    every: timedelta = timedelta(hours=1)
    at_once: bool = False
    pages: int = 10
    catch_up: int = 5
    pause_s: float = 1.0
    in_sample: Sequence[tuple[date, date]] = ()


@dataclass(slots=True)
class Outcome:
    """What came of it. `pages`: day -> format -> path, the page of the day first; `problems` are for people."""

    new: int = 0
    tagged: int = 0
    failed: int = 0
    failing: tuple[tuple[str, str], ...] = ()
    problems: list[str] = field(default_factory=list)
    pages: dict[date, dict[str, Path]] = field(default_factory=dict)
    left_out: int = 0

    @property
    def whole(self) -> bool:
        """Whether everything that was asked was done."""
        return not (self.failing or self.problems or self.failed)


def run(
    store: Store,
    job: Job,
    *,
    fetcher: Getter,
    tagger: Callable[[], Tagger],
    clock: Clock,
    log: Callable[[str], None],
) -> Outcome:
    """The whole job, a line of `log` a step. The model is loaded after polling: articles in feeds do not wait for it.

    Raises StoreError when the store fails and ModelError without a usable model; all else is told and gone past.
    """
    out = Outcome()
    _poll(store, job, fetcher, clock, log, out)
    _read_pages(store, job, fetcher, clock, log, out)
    yields = _yields(job, log, out)
    reader = tagger()
    tagged = chain.tag_store(store, reader)
    out.tagged, out.failed = tagged.done, tagged.failed
    log(f"tag: {tagged.done} tagged, {tagged.failed} failed")
    _report(store, job, reader, yields, clock, log, out)
    return out


def _poll(store: Store, job: Job, fetcher: Getter, clock: Clock, log: Callable[[str], None], out: Outcome) -> None:
    polled = chain.poll_feeds(
        store, job.feeds, fetcher, clock=clock, every=job.every, at_once=job.at_once, pause_s=job.pause_s
    )
    out.new, out.failing = polled.new, polled.failing
    named = "; ".join(f"{name} ({problem[:_LENGTH]})" for name, problem in polled.failing[:_SHOWN])
    more = f" and {len(polled.failing) - _SHOWN} more" if len(polled.failing) > _SHOWN else ""
    asked = len(job.feeds) - polled.waiting
    log(
        f"poll: {polled.new} new articles, {polled.updated} updated; {polled.answered} of {asked} feeds answered,"
        f" {polled.waiting} not due" + (f"; failing: {named}{more}" if named else "")
    )


def _read_pages(
    store: Store, job: Job, fetcher: Getter, clock: Clock, log: Callable[[str], None], out: Outcome
) -> None:
    try:
        read = chain.read_pages(store, fetcher, clock=clock, per_host=job.pages, pause_s=job.pause_s)
    except StoreError:
        raise
    except Exception as error:  # a teaser is an article too: the day goes on without the pages
        out.problems.append("The pages of some articles could not be read; their teasers stand.")
        log(f"pages: failed: {type(error).__name__}: {error}")
        return
    log(f"pages: {read.better} of {read.tried} gave a fuller text")


def _yields(job: Job, log: Callable[[str], None], out: Outcome) -> Yields:
    """The desk's own table, refreshed if that can be; the shipped one with a note when it is missing or damaged."""
    told = "left as they are"
    if job.refresh is not None:
        try:
            job.refresh()
            told = "refreshed"
        except (YieldsError, OSError) as error:
            out.problems.append("Yields could not be refreshed; the last known ones are shown.")
            told = f"not refreshed: {error}"
    try:
        found = chain.load_yields(job.yields if job.yields.exists() else None)
    except YieldsError as error:
        out.problems.append(f"{job.yields.name} could not be read; the yields shipped with bondlore are shown.")
        told = f"{told}; {error}"
        found = chain.load_yields()
    log(f"yields: {told}; the last day is {found.dates[-1].item()}")
    return found


def _report(
    store: Store,
    job: Job,
    tagger: Tagger,
    yields: Yields,
    clock: Clock,
    log: Callable[[str], None],
    out: Outcome,
) -> None:
    """The page of the day first, then the missed ones, each by itself: one that fails costs itself."""
    from bondlore.report import folders

    now = clock()
    today = folders.page_day(now)
    late = folders.missed(job.out, today, limit=job.catch_up, quoted=_quoted(yields, today))
    out.left_out = late.left_out
    if late.left_out:
        log(f"catch-up: {late.left_out} older days without a page are left out (--catch-up {job.catch_up})")
    folders.sweep(job.out, now=now)
    for day in (today, *reversed(late.days)):
        notes = list(out.problems)
        if day != today:
            notes.append(LATE)
        elif now < folders.closing(day):
            notes.append(_RUNNING)
        try:
            out.pages[day] = _page(store, job, tagger, yields, day, notes, out, now.isoformat(timespec="seconds"))
        except (BondloreError, OSError) as error:
            if day == today:
                raise
            out.problems.append(f"The page of {day} could not be written.")
            log(f"report {day}: failed: {error}")
            continue
        log(f"report {day}: {job.out / day.isoformat()}" + (" (caught up)" if day != today else ""))


def _page(
    store: Store,
    job: Job,
    tagger: Tagger,
    yields: Yields,
    day: date,
    notes: Sequence[str],
    out: Outcome,
    stamp: str,
) -> dict[str, Path]:
    from bondlore.report.data import Feed as Failing
    from bondlore.report.data import Quality
    from bondlore.report.write import write_report

    quality = Quality(
        feeds_polled=len(job.feeds),
        feeds_failing=tuple(Failing(name, problem) for name, problem in out.failing),
        notes=tuple(notes),
    )
    table, freq = chain.page_rows(store, tagger.bundle, day=day)
    data = chain.make_report(
        table,
        tagger.bundle,
        yields,
        day=day,
        freq=freq,
        quality=quality,
        stamp=stamp,
        in_sample=job.in_sample,
    )
    paths = write_report(data, job.out / day.isoformat())
    say(f"report: {paths['json'].parent}")
    return paths


def _quoted(yields: Yields, today: date) -> frozenset[date]:
    """The days of the last weeks with a yield that the page shows."""
    from bondlore.report.build import TENORS

    lately = yields.between(today - timedelta(days=60), today)
    shown = [k for k, tenor in enumerate(lately.tenors) if tenor in TENORS]
    return frozenset(lately.dates[~np.isnan(lately.percent[:, shown]).all(axis=1)].tolist())
