"""The steps of the main job, in order: poll or import, tag what is new, measure, write the report.

Commands and the demo are thin callers of these. Each step takes what it needs, the clock included.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore import resources
from bondlore.clock import Clock
from bondlore.progress import Progress
from bondlore.reading import (
    LOOK_BACK,
    edge,
    frequency,
    last_day,
    open_tagged,
    page_rows,
    page_table,
    read_tagged,
    since_day,
    tagged_by,
    voters,
)
from bondlore.tagging import row

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

    from bondlore.ingest.archive import Reject
    from bondlore.ingest.poll import Feed, Getter, ReadFeed
    from bondlore.ingest.rejects import RejectsFile
    from bondlore.ingest.sources import Source
    from bondlore.measure.confusion import Confusion
    from bondlore.measure.heldout import HeldOut
    from bondlore.measure.yields import Yields
    from bondlore.report.data import Quality, ReportData
    from bondlore.store.store import Store
    from bondlore.tag.bundle import Bundle
    from bondlore.tag.tagger import Tagger

__all__ = [
    "Imported",
    "PagesRead",
    "Polled",
    "Tagged",
    "add_archive",
    "interrupted",
    "label_version",
    "last_day",
    "load_yields",
    "make_report",
    "open_tagged",
    "page_rows",
    "page_table",
    "poll_feeds",
    "read_pages",
    "read_tagged",
    "tag_store",
    "usable_confusion",
    "usable_scores",
    "voters",
]

_TAG_CHUNK = 50
_FEW_FEEDS = 20
_PAGE_DAYS = timedelta(days=7)  # an article first seen before is past its day


@dataclass(frozen=True, slots=True)
class Polled:
    """One poll of every feed: articles new to the store, feeds that answered, feeds that did not and why.

    `waiting` feeds were not due and not asked; those of them whose last poll failed are among the failing.
    """

    new: int
    updated: int
    answered: int
    failing: tuple[tuple[str, str], ...]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class PagesRead:
    """Article pages tried: `better` gave a text, in `statuses` how many ended how."""

    tried: int
    better: int
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Imported:
    """Articles read now, those new to the store, the first rows refused and how many there were."""

    read: int
    new: int
    updated: int
    rejects: tuple[Reject, ...]
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Tagged:
    """Articles tagged now, and those that failed (kept with their reason, tried again next time).

    `copies` of them have the very words of another and were given its answer.
    """

    done: int
    failed: int
    copies: int = 0


def poll_feeds(
    store: Store,
    feeds: Sequence[Feed],
    fetcher: Getter,
    *,
    clock: Clock,
    pause_s: float = 1.0,
    every: timedelta = timedelta(hours=1),
    at_once: bool = False,
) -> Polled:
    """Poll every feed that is due (with `at_once`, every feed) and keep what is new. One bad feed costs one feed."""
    from bondlore.ingest.feeds import read_feed
    from bondlore.ingest.poll import due, poll
    from bondlore.ingest.worker import FeedReader
    from bondlore.tag.runtime import available_cores

    new = updated = answered = 0
    states = store.feed_states()
    asked = feeds if at_once else due(feeds, states, now=clock())
    urls = {feed.url for feed in asked}
    failing = [
        (feed.title or feed.publisher or feed.url, states[feed.url].last_error)
        for feed in feeds
        if feed.url not in urls and states[feed.url].failures
    ]
    with (
        Progress("poll", total=len(asked), unit="feeds") as progress,
        FeedReader(children=available_cores()) as others,
    ):
        # A few feeds are read sooner than a process that reads them starts.
        read: ReadFeed = others if len(asked) > _FEW_FEEDS else read_feed
        results = poll(asked, fetcher, states, clock=clock, every=every, pause_s=pause_s, read=read)
        with closing(results):  # its threads end before the processes they use
            for result in results:
                added = store.save_poll(result)
                new, updated = new + added.new, updated + added.updated
                bad = result.outcome in ("failed", "gone")
                if bad:
                    name = result.feed.title or result.feed.publisher or result.feed.url
                    failing.append((name, result.state.last_error or "; ".join(result.problems)))
                answered += not bad
                progress.step(failed=int(bad))
    store.cluster()
    return Polled(new, updated, answered, tuple(failing), len(feeds) - len(asked))


def read_pages(
    store: Store, fetcher: Getter, *, clock: Clock, per_host: int, pause_s: float = 1.0, timeout_s: float = 20.0
) -> PagesRead:
    """Fetch the pages of recent articles whose feed gave a teaser, `per_host` at most of each host."""
    from bondlore.ingest.fulltext import complete
    from bondlore.ingest.worker import Extractor
    from bondlore.tag.runtime import available_cores

    wanting = store.wanting_text(since=clock() - _PAGE_DAYS) if per_host else []
    if not wanting:
        return PagesRead(0, 0, {})
    statuses: Counter[str] = Counter()
    better = 0
    with (
        Progress("pages", unit="pages") as progress,
        Extractor(timeout_s=timeout_s, children=available_cores()) as read,
    ):
        pages = complete(wanting, fetcher, read, clock=clock, pause_s=pause_s, per_host=per_host)
        with closing(pages):  # its threads end before the processes they use
            for article in pages:
                store.save_texts([article], seen_at=clock())
                statuses[article.text_status] += 1
                got = article.text_status in ("full", "partial")
                better += got
                progress.step(failed=int(article.text_status == "failed"))
    store.cluster()
    return PagesRead(statuses.total(), better, dict(statuses))


def add_archive(
    store: Store,
    paths: Sequence[Path],
    *,
    clock: Clock,
    mapping: Mapping[str, str] | None = None,
    limit: int | None = None,
    zone: str = "",
    rejects: RejectsFile | None = None,
) -> Imported:
    """Read an archive into the store. Idempotent: the same rows again change nothing.

    Interrupted, it goes on at the next call where it stopped, if the files are the same; with a `limit` it always
    begins at the first row. Pages are read in a process with limits.
    """
    from bondlore.ingest.archive import read_placed
    from bondlore.ingest.rejects import RejectsFile
    from bondlore.ingest.worker import Extractor
    from bondlore.store.articles import AddReport
    from bondlore.store.engine import chunks
    from bondlore.store.intake import Mark

    rejects = rejects or RejectsFile()
    source = ", ".join(p.name for p in paths)
    known, added = {} if limit else store.marks(), AddReport()
    keys = {source.key: mark for source, mark in _intake_marks(paths, mapping, zone).items()}
    done = {key: known[mark] for key, mark in keys.items() if mark in known}
    with Progress("import", unit="articles") as progress, Extractor() as extract:
        placed = read_placed(
            paths, mapping=mapping, rejects=rejects, zone=zone, clock=clock, done=done, extract=extract
        )
        for some in chunks(islice(placed, limit)):
            marks = {one.source.key: Mark(keys[one.source.key], one.source.name, one.row) for one in some if not limit}
            rejects.flush()
            added += store.add_marked([one.article for one in some], marks, source=source, seen_at=clock())
            progress.step(len(some))
    if limit is None:
        store.forget_marks(keys.values())
    store.cluster()
    return Imported(progress.done, added.new, added.updated, tuple(rejects.first), rejects.count)


def interrupted(
    store: Store, paths: Sequence[Path], *, mapping: Mapping[str, str] | None = None, zone: str = ""
) -> dict[str, int]:
    """The last row dealt with, by file name, of an import of these files, read this way, that did not end."""
    known = store.marks()
    return {source.name: known[mark] for source, mark in _intake_marks(paths, mapping, zone).items() if mark in known}


def _intake_marks(paths: Sequence[Path], mapping: Mapping[str, str] | None, zone: str) -> dict[Source, str]:
    """Each source -> the key of its mark: columns read otherwise are another import."""
    from bondlore.ingest.sources import sources

    how = repr((sorted((mapping or {}).items()), zone))
    return {s: hashlib.sha256(f"{s.key}{how}".encode()).hexdigest() for s in sources([Path(p) for p in paths])}


def tag_store(store: Store, tagger: Tagger) -> Tagged:
    """Tag whatever in the store this model has not read. Kept every few dozen articles: interrupt it freely."""
    from bondlore.tag.cache import Remembering

    reader = Remembering(tagger)
    failed = 0
    with Progress("tag", total=store.waiting(tagger.model), unit="articles") as progress:
        articles = iter(store.untagged(tagger.model))
        while some := list(islice(articles, _TAG_CHUNK)):
            reader.expect(some)
            rows: list[dict[str, object]] = []
            for article in some:
                try:
                    rows.append(row(article, reader.tag_one(article)))
                except Exception as error:  # one poison article must not stop the day; its row keeps the reason
                    failed += 1
                    rows.append(row(article, None, error=f"{type(error).__name__}: {error}"))
                    progress.step(0, failed=1)
                progress.step()
            store.save_taggings(rows, model=tagger.model)
    return Tagged(progress.done - failed, failed, reader.copies)


def load_yields(path: Path | None = None, *, mapping: Mapping[str, str] | None = None) -> Yields:
    """Yields of a file, by `mapping` (`{"date": "day", "10Y": "ten"}`) of any CSV; without one, the shipped table."""
    from bondlore.measure import yields

    return yields.load_yields(path or resources.find("corpus/yields/treasury.csv"), mapping=mapping)


def make_report(
    table: pa.Table,
    bundle: Bundle,
    yields: Yields | None,
    *,
    day: date | None = None,
    since: date | None = None,
    freq: str = "auto",
    by: str = "cluster",
    denominator: str = "bond",
    quality: Quality | None = None,
    stamp: str = "",
    in_sample: Sequence[tuple[date, date]] = (),
) -> ReportData:
    """Measure the tagged table up to `day` (by default its last dated article) and build the page's data.

    The page looks back to `since`, by default a quarter of days, half a year of weeks or two years of months. `freq`
    "auto" takes the finest of the three whose periods mostly hold enough articles for a share. `in_sample` are the days
    from which the model's training texts come. Shares are corrected with the model's own held-out error counts. Raises
    InputError for a table without a dated article.
    """
    from bondlore.measure.shares import shares
    from bondlore.report.build import build_report
    from bondlore.report.data import Quality
    from bondlore.report.rows import up_to

    day = day or last_day(table)
    known = up_to(table, day)
    if freq == "auto":
        freq = frequency(known, bundle.taxonomy, day)
    # a period cut by the page's edge would show a share of part of it
    first = edge(since or day - timedelta(days=LOOK_BACK[freq]), freq)
    known = since_day(known, first)
    quality = replace(quality or Quality(), notes=(*(quality.notes if quality else ()), *_cautions(bundle, by)))
    confusion = usable_confusion(table, bundle)
    series = shares(
        known,
        bundle.taxonomy,
        freq=freq,
        by=by,
        denominator=denominator,
        confusion=confusion,
        labels=label_version(bundle),
    )
    if yields is not None:
        yields = yields.between(min(first, day - timedelta(days=LOOK_BACK["M"])), day)
    return build_report(
        known,
        series,
        yields,
        bundle.taxonomy,
        date=day,
        model=bundle.id,
        quality=quality,
        stamp=stamp,
        in_sample=in_sample,
    )


def _cautions(bundle: Bundle, by: str) -> tuple[str, ...]:
    """What a reader of these shares must know of how they were corrected and counted."""
    out = []
    if length := bundle.confusion.get("sentences"):
        out.append(
            f"Error counts come from passages of about {length:.0f} sentences; in much longer articles false alarms"
            " are more frequent, and corrected shares too high."
        )
    if by == "article":
        out.append(
            "Near-copies are not joined here, every copy has a vote: import the archive into a store to join them."
        )
    return tuple(out)


def usable_confusion(table: pa.Table | ds.Dataset, bundle: Bundle) -> Confusion | None:
    """The model's held-out error counts if it tagged every row; else None, and shares stay plain counts."""
    from bondlore.measure.confusion import parse_confusion

    if not bundle.confusion or tagged_by(table) != [bundle.id]:
        return None
    return parse_confusion(bundle.confusion, where=str(bundle.folder))


def usable_scores(table: pa.Table | ds.Dataset, bundle: Bundle) -> HeldOut | None:
    """How held-out labelled articles scored, if the model says so and tagged every row: for EM and the drift test."""
    from bondlore.measure.confusion import parse_confusion
    from bondlore.measure.heldout import parse_held_out

    if not bundle.scores or tagged_by(table) != [bundle.id]:
        return None
    where = str(bundle.folder)
    confusion = parse_confusion(bundle.confusion, where=where) if bundle.confusion else None
    return replace(parse_held_out(bundle.scores, where=where), confusion=confusion)


def label_version(bundle: Bundle) -> str:
    """Which labels are behind the model, by the first digits of their SHA-256: `train:<12 hex>`; "" if it says none."""
    digest = str((bundle.training.get("labels") or {}).get("sha256", ""))
    return f"train:{digest[:12]}" if digest else ""
