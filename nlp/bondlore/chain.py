"""The steps of the main job, in order: poll or import, tag what is new, measure, write the report.

Commands and the demo are thin callers of these. Each step takes what it needs, the clock included.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore import resources
from bondlore.clock import Clock
from bondlore.errors import InputError
from bondlore.progress import Progress
from bondlore.tagging import row

if TYPE_CHECKING:
    import pyarrow as pa

    from bondlore.ingest.archive import Reject
    from bondlore.ingest.poll import Feed, Getter
    from bondlore.ingest.rejects import RejectsFile
    from bondlore.measure.confusion import Confusion
    from bondlore.measure.yields import Yields
    from bondlore.report.data import Quality, ReportData
    from bondlore.store.store import Store
    from bondlore.tag.bundle import Bundle
    from bondlore.tag.tagger import Tagger
    from bondlore.taxonomy import Taxonomy

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
    "poll_feeds",
    "read_pages",
    "read_tagged",
    "tag_store",
    "usable_confusion",
    "voters",
]

_TAG_CHUNK = 50
_PAGE_DAYS = timedelta(days=7)  # an article first seen before is past its day
_LOOK_BACK = {"D": 92, "W": 183, "M": 731}  # days a page looks back, by its period


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
    """Articles tagged now, and those that failed (kept with their reason, tried again next time)."""

    done: int
    failed: int


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
    from bondlore.ingest.poll import due, poll

    new = updated = answered = 0
    states = store.feed_states()
    asked = feeds if at_once else due(feeds, states, now=clock())
    urls = {feed.url for feed in asked}
    failing = [
        (feed.title or feed.publisher or feed.url, states[feed.url].last_error)
        for feed in feeds
        if feed.url not in urls and states[feed.url].failures
    ]
    with Progress("poll", total=len(asked), unit="feeds") as progress:
        for result in poll(asked, fetcher, states, clock=clock, every=every, pause_s=pause_s):
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

    wanting = store.wanting_text(since=clock() - _PAGE_DAYS) if per_host else []
    if not wanting:
        return PagesRead(0, 0, {})
    statuses: Counter[str] = Counter()
    better = 0
    with Progress("pages", unit="pages") as progress, Extractor(timeout_s=timeout_s) as read:
        for article in complete(wanting, fetcher, read, clock=clock, pause_s=pause_s, per_host=per_host):
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

    Interrupted, it goes on at the next call where it stopped, if the files are the same. Pages are read in a process
    with limits.
    """
    from bondlore.ingest.archive import read_placed
    from bondlore.ingest.rejects import RejectsFile
    from bondlore.ingest.worker import Extractor
    from bondlore.store.articles import AddReport
    from bondlore.store.engine import chunks
    from bondlore.store.intake import Mark

    rejects = rejects or RejectsFile()
    source = ", ".join(p.name for p in paths)
    known, added, keys = store.marks(), AddReport(), _intake_keys(paths, mapping, zone)
    done = {key: known[mark] for key, mark in keys.items() if mark in known}
    with Progress("import", unit="articles") as progress, Extractor() as extract:
        placed = read_placed(
            paths, mapping=mapping, rejects=rejects, zone=zone, clock=clock, done=done, extract=extract
        )
        for some in chunks(islice(placed, limit)):
            marks = {one.source.key: Mark(keys[one.source.key], one.source.name, one.row) for one in some}
            rejects.flush()
            added += store.add_marked([one.article for one in some], marks, source=source, seen_at=clock())
            progress.step(len(some))
    if limit is None:
        store.forget_marks(keys.values())
    store.cluster()
    return Imported(progress.done, added.new, added.updated, tuple(rejects.first), rejects.count)


def interrupted(
    store: Store, paths: Sequence[Path], *, mapping: Mapping[str, str] | None = None, zone: str = ""
) -> bool:
    """Whether an import of these files, read this way, was begun and not ended."""
    return not store.marks().keys().isdisjoint(_intake_keys(paths, mapping, zone).values())


def _intake_keys(paths: Sequence[Path], mapping: Mapping[str, str] | None, zone: str) -> dict[str, str]:
    """The key of each source -> that of its mark: columns read otherwise are another import."""
    from bondlore.ingest.sources import sources

    how = repr((sorted((mapping or {}).items()), zone))
    return {s.key: hashlib.sha256(f"{s.key}{how}".encode()).hexdigest() for s in sources([Path(p) for p in paths])}


def tag_store(store: Store, tagger: Tagger) -> Tagged:
    """Tag whatever in the store this model has not read. Kept every few dozen articles: interrupt it freely."""
    waiting = sum(1 for _ in store.untagged(tagger.model))
    rows: list[dict[str, object]] = []
    failed = 0
    with Progress("tag", total=waiting, unit="articles") as progress:
        for article in store.untagged(tagger.model):
            try:
                rows.append(row(article, tagger.tag_one(article)))
            except Exception as error:  # one poison article must not stop the day; its row keeps the reason
                failed += 1
                rows.append(row(article, None, error=f"{type(error).__name__}: {error}"))
                progress.step(0, failed=1)
            if len(rows) >= _TAG_CHUNK:
                store.save_taggings(rows, model=tagger.model)
                rows = []
            progress.step()
        if rows:
            store.save_taggings(rows, model=tagger.model)
    return Tagged(progress.done - failed, failed)


def load_yields(path: Path | None = None) -> Yields:
    """Yields of a file; without one, the shipped table."""
    from bondlore.measure import yields

    return yields.load_yields(path or resources.find("corpus/yields/treasury.csv"))


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
    from which the model's training texts come. Shares are corrected
    with the model's own held-out error counts. Raises InputError for a table without a dated article.
    """
    from bondlore.measure.calendar import period_edges
    from bondlore.measure.shares import shares
    from bondlore.report.build import build_report
    from bondlore.report.data import Quality
    from bondlore.report.rows import up_to

    day = day or last_day(table)
    known = up_to(table, day)
    if freq == "auto":
        freq = _frequency(known, bundle.taxonomy, day)
    first = since or day - timedelta(days=_LOOK_BACK[freq])
    # a period cut by the page's edge would show a share of part of it
    known = _from(known, period_edges(first, first, freq)[0][0].item())
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
        yields = yields.between(day - timedelta(days=_LOOK_BACK["M"]), day)
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


def _frequency(table: pa.Table, taxonomy: Taxonomy, day: date) -> str:
    """The finest period that mostly holds enough articles; months if none does."""
    from bondlore.measure.shares import shares

    for freq in ("D", "W"):
        window = _from(table, day - timedelta(days=_LOOK_BACK[freq]))
        stated = shares(window, taxonomy, freq=freq, by="cluster", series=("presence",), draws=100).table["share"]
        if len(stated) and stated.null_count < len(stated) / 3:
            return freq
    return "M"


def _from(table: pa.Table, start: date) -> pa.Table:
    """Rows published on or after `start` (UTC), and the undated ones, which the page counts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = pa.scalar(datetime.combine(start, time(), UTC), table["published_at"].type)
    return table.filter(pc.or_kleene(pc.is_null(table["published_at"]), pc.greater_equal(table["published_at"], first)))


def usable_confusion(table: pa.Table, bundle: Bundle) -> Confusion | None:
    """The model's held-out error counts if it tagged every row; else None, and shares stay plain counts."""
    import pyarrow.compute as pc

    from bondlore.measure.confusion import parse_confusion

    models = [m for m in pc.unique(table["model"]).to_pylist() if m]
    if not bundle.confusion or models != [bundle.id]:
        return None
    return parse_confusion(bundle.confusion, where=str(bundle.folder))


def read_tagged(source: str | Path, bundle: Bundle, *, sightings: bool = False) -> pa.Table:
    """The tagged table behind `source`: a folder that `bondlore tag --out` committed, or a store.

    With `sightings` a store's table says in a column of that name in how many places an article was seen.
    Raises InputError when another model tagged it.
    """
    path = Path(source)
    if path.is_dir():
        import pyarrow.compute as pc

        from bondlore.tag.batch import read_tagged as read_folder

        table = read_folder(path)
        models = [m for m in pc.unique(table["model"]).to_pylist() if m] if table.num_rows else []
        _same_model(models, bundle, str(path))
        return table
    from bondlore.store import Store

    with Store.open(source, create=False) as store:
        models = list(store.counts().models)
        if models and bundle.id not in models:
            _same_model(models, bundle, store.where)
        table = store.tagged(model=bundle.id, taxonomy=bundle.taxonomy)
        if not sightings:
            return table
        import pyarrow as pa

        counts = store.sighting_counts()
        return table.append_column("sightings", pa.array([counts.get(i, 1) for i in table["id"].to_pylist()]))


def label_version(bundle: Bundle) -> str:
    """Which labels are behind the model, by the first digits of their SHA-256: `train:<12 hex>`; "" if it says none."""
    digest = str((bundle.training.get("labels") or {}).get("sha256", ""))
    return f"train:{digest[:12]}" if digest else ""


def _same_model(models: Sequence[str], bundle: Bundle, where: str) -> None:
    """Shares are a model's: numbers of one may not go out under the name of another."""
    if [m for m in models if m != bundle.id]:
        raise InputError(
            f"was tagged by {', '.join(models)}, not by {bundle.id}",
            where=where,
            remedy="pass the --model it was tagged with, or tag it again",
        )


def voters(source: str | Path) -> str:
    """What has one vote: `cluster` in a store, where near-copies have been joined, `article` in a tagged folder."""
    return "article" if Path(source).is_dir() else "cluster"


def last_day(table: pa.Table) -> date:
    """The news day of the last dated article. Raises InputError when no article is dated."""
    import pyarrow.compute as pc

    from bondlore.measure.calendar import news_day

    latest = pc.max(table["published_at"]).as_py()
    if latest is None:
        raise InputError(
            "no article has a date, so there is no series to draw",
            remedy="import dates with --map published=<column>",
        )
    return news_day(latest)
