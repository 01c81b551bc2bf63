"""Writing articles, sightings and versions; reading them back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, case, insert, select, update
from sqlalchemy import func as sql

from bondlore.article import Article
from bondlore.errors import StoreError
from bondlore.store import schema
from bondlore.store.engine import Database, chunks, upsert
from bondlore.store.identity import MAX_REWRITES, Given, Kind, Known, revise, same, wording

__all__ = ["AddReport", "Sighting", "Version", "add", "from_row", "page", "sighting_counts", "sightings", "versions"]

_PAGE = 500


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the articles given: each is counted once.

    `updated` were known and changed their words; `seen_again` were known and did not (or may no longer).
    """

    new: int = 0
    seen_again: int = 0
    updated: int = 0

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(self.new + other.new, self.seen_again + other.seen_again, self.updated + other.updated)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who showed an article, under which URL, first and last when (UTC)."""

    source: str
    url: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """What an article said before it was rewritten: `revision` counts from 0; replaced at, and by which source."""

    revision: int
    title: str
    text: str
    replaced_at: datetime
    replaced_by: str


def add(connection: Connection, articles: Sequence[Article], *, source: str, seen_at: datetime) -> AddReport:
    """Add some hundred articles in the transaction of `connection`. Raises InputError for a time without zone."""
    given = [Given.of(a) for a in articles]
    desk = _Desk(connection, given, source, seen_at)
    counts = {"new": 0, "seen_again": 0, "updated": 0}
    for one in given:
        counts[desk.take(one)] += 1
    desk.write()
    return AddReport(**counts)


class _Desk:
    """The known articles that a batch may meet, and what has to be written after it."""

    def __init__(self, connection: Connection, given: Sequence[Given], source: str, seen_at: datetime) -> None:
        self._connection, self._source, self._seen_at = connection, source, seen_at
        self._index: dict[tuple[Kind, str], list[Known]] = {}
        self._ids: set[str] = set()
        self._new: list[Known] = []
        self._changed: dict[int, Known] = {}
        self._versions: list[tuple[Known, dict[str, Any]]] = []
        self._aliases: list[tuple[Known, Kind, str]] = []
        self._sightings: dict[int, tuple[Known, str]] = {}
        self._load(given)

    def take(self, given: Given) -> str:
        """Decide about one article; returns the counter it belongs to."""
        known = self._find(given)
        if known is None:
            self._admit(given)
            return "new"
        merged, reworded = revise(known, given, seen_at=self._seen_at)
        if reworded:
            self._versions.append((known, _version_row(known, self._seen_at, self._source)))
            known.revision += 1
            known.updated_at = self._seen_at
            known.present = wording(merged)
            known.told.add(known.present)
        if merged != known.article:
            known.article = merged
            self._changed[id(known)] = known
        # A page which never reads the same twice would gain a name at every poll.
        if known.revision < MAX_REWRITES or given.wording in known.told:
            self._name(known, given)
        self._sightings[id(known)] = (known, given.article.url)
        return "updated" if reworded else "seen_again"

    def write(self) -> None:
        """Everything decided, in bulk."""
        run = self._connection
        if self._new:
            rows = [_article_row(k) for k in self._new]
            statement = insert(schema.article).returning(schema.article.c.number, schema.article.c.id)
            numbers = {name: number for number, name in run.execute(statement, rows)}
            for known in self._new:
                known.number = numbers[known.article.id]
        for known in self._changed.values():
            run.execute(update(schema.article).where(schema.article.c.number == known.number), _article_row(known))
        if self._versions:
            run.execute(insert(schema.version), [row | {"article": k.number} for k, row in self._versions])
        if self._aliases:
            rows = [{"kind": kind, "value": value, "article": k.number} for k, kind, value in self._aliases]
            run.execute(upsert(run, schema.alias).on_conflict_do_nothing(), rows)
        self._write_sightings()

    def _load(self, given: Sequence[Given]) -> None:
        """Every known article that shares a name with the batch, and every id the batch could collide with."""
        names = {key for one in given for key in one.keys}
        alias = schema.alias
        found: list[Any] = []
        for kind in ("id", "url", "content"):
            values = sorted(value for k, value in names if k == kind)
            for some in chunks(values):
                where = (alias.c.kind == kind) & alias.c.value.in_(some)
                found += self._connection.execute(
                    select(alias.c.kind, alias.c.value, alias.c.article).where(where)
                ).all()
        known = _known(self._connection, sorted({row.article for row in found}))
        for row in sorted(found, key=lambda r: r.article):
            self._index.setdefault((row.kind, row.value), []).append(known[row.article])
        for some in chunks(sorted({one.article.id for one in given})):
            self._ids |= set(self._connection.scalars(select(schema.article.c.id).where(schema.article.c.id.in_(some))))

    def _find(self, given: Given) -> Known | None:
        for kind, value in given.keys:
            for known in self._index.get((kind, value), ()):
                if same(known.article, given.article, kind):
                    return known
        return None

    def _admit(self, given: Given) -> None:
        first = min(given.article.first_seen_at or self._seen_at, self._seen_at)
        article = replace(given.article, id=self._free_id(given), first_seen_at=first)
        known = Known(article, 0, first, given.wording, told={given.wording})
        self._ids.add(article.id)
        self._new.append(known)
        self._name(known, given)
        self._sightings[id(known)] = (known, given.article.url)

    def _free_id(self, told: Given) -> str:
        """The article's own id; if another article holds it, one made of everything that tells the two apart."""
        given = told.article
        when = given.published_at.isoformat() if given.published_at else given.published_raw
        identity, attempt = given.id, 0
        while identity in self._ids or (attempt and self._taken(identity)):
            attempt += 1
            parts = (given.id, given.url, given.publisher, when, told.wording, str(attempt))
            identity = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
        return identity

    def _taken(self, identity: str) -> bool:
        number = select(schema.article.c.number).where(schema.article.c.id == identity)
        return self._connection.execute(number).first() is not None

    def _name(self, known: Known, given: Given) -> None:
        for key in given.keys:
            bearers = self._index.setdefault(key, [])
            if known not in bearers:
                bearers.append(known)
                self._aliases.append((known, *key))

    def _write_sightings(self) -> None:
        if not self._sightings:
            return
        table, at = schema.sighting, self._seen_at
        rows = [
            {"article": k.number, "source": self._source, "url": url, "first_seen_at": at, "last_seen_at": at}
            for k, url in self._sightings.values()
        ]
        statement = upsert(self._connection, table)
        new = statement.excluded
        first = case((new.first_seen_at < table.c.first_seen_at, new.first_seen_at), else_=table.c.first_seen_at)
        last = case((new.last_seen_at > table.c.last_seen_at, new.last_seen_at), else_=table.c.last_seen_at)
        statement = statement.on_conflict_do_update(
            index_elements=["article", "source"], set_={"first_seen_at": first, "last_seen_at": last}
        )
        self._connection.execute(statement, rows)


def page(database: Database, statement: Select[Any], *, size: int = _PAGE) -> Iterator[Row[Any]]:
    """Rows of a SELECT that has `article.number`, in that order, read `size` at a time.

    No transaction stays open between pages, so the caller may take hours and write to the same store.
    """
    number, last = schema.article.c.number, 0
    while True:
        with database.read() as connection:
            rows = connection.execute(statement.where(number > last).order_by(number).limit(size)).all()
        yield from rows
        if len(rows) < size:
            return
        last = rows[-1].number


def from_row(row: Row[Any]) -> Article:
    """An Article from a row that has the columns of the article table."""
    return Article(
        id=row.id,
        title=row.title,
        text=row.text,
        publisher=row.publisher,
        url=row.url,
        published_at=row.published_at,
        published_raw=row.published_raw,
        published_precision=row.published_precision,
        first_seen_at=row.first_seen_at,
        sentences=None if row.sentences is None else tuple(row.sentences),
        published_source=row.published_source,
        published_confidence=row.published_confidence,
        text_status=row.text_status,
        text_reason=row.text_reason,
    )


def sighting_counts(connection: Connection) -> dict[str, int]:
    """In how many places each article was seen, by its id."""
    table, article = schema.sighting, schema.article
    rows = connection.execute(
        select(article.c.id, sql.count()).join(table, table.c.article == article.c.number).group_by(article.c.id)
    )
    return {identity: int(n) for identity, n in rows}


def sightings(connection: Connection, identity: str) -> tuple[Sighting, ...]:
    """Everyone who showed an article, first first. Raises StoreError for an unknown id."""
    table = schema.sighting
    rows = connection.execute(
        select(table)
        .where(table.c.article == _number(connection, identity))
        .order_by(table.c.first_seen_at, table.c.source)
    )
    return tuple(Sighting(r.source, r.url, r.first_seen_at, r.last_seen_at) for r in rows)


def versions(connection: Connection, identity: str) -> tuple[Version, ...]:
    """What an article said before, oldest first; empty if it never changed. Raises StoreError for an unknown id."""
    table = schema.version
    rows = connection.execute(
        select(table).where(table.c.article == _number(connection, identity)).order_by(table.c.revision)
    )
    return tuple(Version(r.revision, r.title, r.text, r.replaced_at, r.replaced_by) for r in rows)


def _number(connection: Connection, identity: str) -> int:
    number: int | None = connection.scalar(select(schema.article.c.number).where(schema.article.c.id == identity))
    if number is None:
        raise StoreError("there is no such article", where=identity, remedy="list the articles to see their ids")
    return number


def _known(connection: Connection, numbers: Sequence[int]) -> dict[int, Known]:
    known: dict[int, Known] = {}
    for some in chunks(numbers):
        for row in connection.execute(select(schema.article).where(schema.article.c.number.in_(some))):
            known[row.number] = Known(
                from_row(row), row.revision, row.updated_at, row.fingerprint, row.number, {row.fingerprint}
            )
        old = select(schema.version.c.article, schema.version.c.fingerprint).where(schema.version.c.article.in_(some))
        for number, print_ in connection.execute(old):
            known[number].told.add(print_)
    return known


def _article_row(known: Known) -> dict[str, Any]:
    a = known.article
    return {
        "id": a.id,
        "title": a.title,
        "text": a.text,
        "sentences": None if a.sentences is None else list(a.sentences),
        "publisher": a.publisher,
        "url": a.url,
        "published_at": a.published_at,
        "published_raw": a.published_raw,
        "published_precision": a.published_precision,
        "published_source": a.published_source,
        "published_confidence": a.published_confidence,
        "text_status": a.text_status,
        "text_reason": a.text_reason,
        "first_seen_at": a.first_seen_at,
        "updated_at": known.updated_at,
        "fingerprint": known.present,
        "revision": known.revision,
    }


def _version_row(known: Known, at: datetime, source: str) -> dict[str, Any]:
    a = known.article
    return {
        "revision": known.revision,
        "title": a.title,
        "text": a.text,
        "fingerprint": known.present,
        "replaced_at": at,
        "replaced_by": source,
    }
