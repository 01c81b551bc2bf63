"""The store: articles, who showed them, what they said before, which are copies, and what models read in them.

>>> from datetime import UTC, datetime
>>> import tempfile; from pathlib import Path
>>> from bondlore.article import Article
>>> when = datetime(2025, 4, 8, tzinfo=UTC)
>>> with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "news.db") as store:
...     store.add([Article("a1", "Yields jump")], source="example", seen_at=when)
...     store.add([Article("a1", "Yields jump")], source="example", seen_at=when)
AddReport(new=1, seen_again=0, updated=0)
AddReport(new=0, seen_again=1, updated=0)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
from sqlalchemy import func as sql
from sqlalchemy import select

from bondlore.article import Article
from bondlore.clock import Clock, utc_now
from bondlore.errors import InputError
from bondlore.ingest.poll import FeedState, PollResult
from bondlore.store import articles, clusters, copies, export, intake, polls, schema, search, taggings, texts
from bondlore.store.articles import AddReport, Sighting, Version
from bondlore.store.clusters import ClusterReport
from bondlore.store.copies import NearCopy
from bondlore.store.engine import BUSY_TIMEOUT_S, Database, chunks
from bondlore.store.intake import Mark
from bondlore.store.polls import FeedHealth, PollEntry
from bondlore.taxonomy import Taxonomy

__all__ = ["Counts", "Store"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a store holds. `clusters` counts articles not yet placed as their own; `models` counts taggings by
    model, the most recently used first; the times are those of the earliest and latest dated article (UTC).
    """

    articles: int
    sightings: int
    versions: int
    clusters: int
    feeds: int
    polls: int
    models: Mapping[str, int]
    earliest: datetime | None
    latest: datetime | None


class Store:
    """One store file, for one process; other processes may open the same file and write in turn.

    Methods raise StoreError when the database fails, naming the file and what to do.
    """

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        self._database, self._clock = database, clock
        self._handed: dict[str, int] = {}

    @classmethod
    def open(
        cls,
        url_or_path: str | Path,
        *,
        create: bool = True,
        clock: Clock = utc_now,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> Store:
        """Open a file or `sqlite:///` URL; without a file make one, unless `create` is false.

        Raises StoreError for a directory that is missing or cannot be written, a file that is not ours, and one
        written by a newer bondlore.
        """
        return cls(Database.open(url_or_path, create=create, busy_timeout_s=busy_timeout_s), clock=clock)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def where(self) -> str:
        """The path of the store, for messages."""
        return self._database.where

    # Articles

    def add(self, given: Iterable[Article], *, source: str, seen_at: datetime) -> AddReport:
        """Add articles shown by `source` (a feed URL, an archive's name) at `seen_at`. The same again changes nothing.

        Written some hundred at a time: if `given` fails half-way, run it again. Raises InputError for a time
        without a zone.
        """
        if seen_at.tzinfo is None:
            raise InputError("seen_at has no zone", where=source, remedy="give times in UTC")
        total = AddReport()
        for some in chunks(given):
            with self._database.write() as connection:
                total += articles.add(connection, some, source=source, seen_at=seen_at)
        return total

    def add_marked(
        self, given: Sequence[Article], marks: Mapping[str, Mark], *, source: str, seen_at: datetime
    ) -> AddReport:
        """Add some hundred articles and say, in the same transaction, how far their files are dealt with."""
        with self._database.write() as connection:
            added = articles.add(connection, given, source=source, seen_at=seen_at)
            intake.save(connection, marks, saved_at=seen_at)
        return added

    def marks(self) -> dict[str, int]:
        """The last row dealt with of files whose import did not end, by key."""
        with self._database.read() as connection:
            return intake.known(connection)

    def forget_marks(self, keys: Iterable[str]) -> None:
        """Let files be read from their first row again."""
        with self._database.write() as connection:
            intake.forget(connection, keys)

    def articles(
        self, *, since: datetime | None = None, until: datetime | None = None, publisher: str | None = None
    ) -> Iterator[Article]:
        """Articles in the order in which they came, dated (or else first seen) in [since, until)."""
        table = schema.article
        at = sql.coalesce(table.c.published_at, table.c.first_seen_at)
        statement = select(table)
        if since is not None:
            statement = statement.where(at >= since)
        if until is not None:
            statement = statement.where(at < until)
        if publisher is not None:
            statement = statement.where(table.c.publisher == publisher)
        return map(articles.from_row, articles.page(self._database, statement))

    def sighting_counts(self) -> dict[str, int]:
        """In how many places (feeds, archives) each article was seen, by its id."""
        with self._database.read() as connection:
            return articles.sighting_counts(connection)

    def sightings(self, identity: str) -> tuple[Sighting, ...]:
        """Who showed an article, first first."""
        with self._database.read() as connection:
            return articles.sightings(connection, identity)

    def versions(self, identity: str) -> tuple[Version, ...]:
        """What an article said before its words changed, oldest first."""
        with self._database.read() as connection:
            return articles.versions(connection, identity)

    def search(self, text: str, since: datetime | None = None, *, limit: int = 50) -> list[Article]:
        """Articles with all these words (or "these as a phrase", or beginnings*), best match first."""
        with self._database.read() as connection:
            dialect = connection.dialect.name
            numbers = list(connection.scalars(search.matching(text, since=since, limit=limit, dialect=dialect)))
            rows = connection.execute(select(schema.article).where(schema.article.c.number.in_(numbers)))
            found = {row.number: articles.from_row(row) for row in rows}
        return [found[number] for number in numbers]

    def rebuild_search(self) -> None:
        """Index every article for search again."""
        with self._database.write() as connection:
            search.rebuild(connection)

    def export(self, folder: Path, *, since: datetime | None = None, until: datetime | None = None) -> dict[str, int]:
        """Write the articles dated in [since, until) to Parquet files by month; returns the articles of each file."""
        return export.export(self._database, folder, since=since, until=until)

    def cluster(self) -> ClusterReport:
        """Place new and reworded articles among the near-copies."""
        return clusters.cluster(self._database)

    def near_copies(self, identity: str) -> tuple[NearCopy, ...]:
        """The articles that are one story with this one and why, the likest first; then those kept apart from it."""
        with self._database.read() as connection:
            return copies.near_copies(connection, identity)

    def keep_apart(self, one: str, other: str, *, reason: str = "") -> bool:
        """Never join these two directly again; returns whether they still are one cluster, through others."""
        with self._database.write() as connection:
            return copies.keep_apart(connection, one, other, reason=reason, at=self._clock())

    def join_again(self, one: str, other: str) -> bool:
        """Take back `keep_apart`; returns whether the two read alike enough to be joined."""
        with self._database.write() as connection:
            return copies.join_again(connection, one, other)

    # Feeds

    def feed_states(self) -> dict[str, FeedState]:
        """Where the next poll of each feed starts, by feed URL."""
        with self._database.read() as connection:
            return polls.states(connection)

    def save_poll(self, result: PollResult) -> AddReport:
        """Add the articles of one poll, then its state and log line: all of it or none."""
        added = AddReport()
        with self._database.write() as connection:
            for some in chunks(result.articles):
                added += articles.add(connection, some, source=result.feed.url, seen_at=result.polled_at)
            polls.record(connection, result, added)
        return added

    def poll_log(self, limit: int = 100) -> Sequence[PollEntry]:
        """The last polls, newest first."""
        with self._database.read() as connection:
            return polls.log(connection, limit=limit)

    def feed_health(self) -> Sequence[FeedHealth]:
        """How each feed ever polled is doing, by URL."""
        with self._database.read() as connection:
            return polls.health(connection, now=self._clock())

    # Full text

    def wanting_text(self, *, since: datetime, limit: int = 500) -> list[Article]:
        """Articles first seen since then of which only a teaser is known and whose page was not tried, newest first."""
        with self._database.read() as connection:
            return texts.wanting(connection, since=since, limit=limit)

    def save_texts(self, tried: Sequence[Article], *, seen_at: datetime) -> AddReport:
        """Keep what the pages of these articles gave; the former text stays as a version."""
        with self._database.write() as connection:
            return texts.record(connection, tried, seen_at=seen_at)

    # Taggings

    def untagged(self, model: str, *, retry_errors: bool = True) -> Iterator[Article]:
        """Articles whose present text `model` has not read, each once; save taggings while iterating if you like."""
        for row in articles.page(self._database, taggings.untagged(model, retry_errors=retry_errors)):
            self._handed[row.id] = row.revision
            yield articles.from_row(row)

    def waiting(self, model: str, *, retry_errors: bool = True) -> int:
        """How many articles `untagged` would give."""
        with self._database.read() as connection:
            return taggings.waiting(connection, model, retry_errors=retry_errors)

    def save_taggings(self, rows: Iterable[Mapping[str, Any]], *, model: str = "") -> int:
        """Keep rows of `tagging.row`, replacing those of the same article and model; returns how many.

        `model` names the model of rows that name none (failures). A text rewritten since `untagged` gave it out
        stays untagged. Raises InputError for a malformed row, StoreError for an unknown article.
        """
        saved = 0
        for some in chunks(rows):
            with self._database.write() as connection:
                at = self._clock()
                taggings.save(connection, some, model=model, saved_at=at, revisions=self._handed)
            for row in some:
                self._handed.pop(str(row["id"]), None)
            saved += len(some)
        return saved

    def tagged(self, *, model: str | None = None, taxonomy: Taxonomy, since: datetime | None = None) -> pa.Table:
        """The taggings of one model (by default the most recently used) as a table of `tagging.schema`,
        ordered by (published_at with nulls last, id). With `since`, of articles published from then on, and undated.
        """
        return taggings.tagged(self._database, model=model, taxonomy=taxonomy, since=since)

    def models(self) -> dict[str, int]:
        """Articles tagged (failures included) by model, the most recently used first."""
        with self._database.read() as connection:
            return taggings.models(connection)

    def last_published(self, model: str) -> datetime | None:
        """When the last dated article that `model` read was published (UTC); None without one."""
        with self._database.read() as connection:
            return taggings.last_published(connection, model)

    def tagging_times(self, model: str) -> dict[str, datetime]:
        """When this model's tagging of each article was kept, by the article's id."""
        with self._database.read() as connection:
            return taggings.saved_times(connection, model)

    def counts(self) -> Counts:
        """What the store holds."""
        with self._database.read() as connection:

            def count(table: Any) -> int:
                return int(connection.execute(select(sql.count()).select_from(table)).scalar_one())

            at = schema.article.c.published_at
            earliest, latest = connection.execute(select(sql.min(at), sql.max(at))).one()
            own = sql.coalesce(schema.article.c.cluster, schema.article.c.number)
            return Counts(
                articles=count(schema.article),
                sightings=count(schema.sighting),
                versions=count(schema.version),
                clusters=int(connection.execute(select(sql.count(own.distinct()))).scalar_one()),
                feeds=count(schema.feed),
                polls=count(schema.poll),
                models=taggings.models(connection),
                earliest=earliest,
                latest=latest,
            )
