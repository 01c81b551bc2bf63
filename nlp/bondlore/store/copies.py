"""Why articles are taken for one story, and a person's word that two are not (or may be again)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select
from sqlalchemy import func as sql

from bondlore.errors import InputError, StoreError
from bondlore.store import clusters, minhash
from bondlore.store.engine import upsert
from bondlore.store.schema import apart, article, near_copy

__all__ = ["NearCopy", "join_again", "keep_apart", "near_copies"]

_UNSTORABLE = dict.fromkeys([0, *range(0xD800, 0xE000)], "\ufffd")


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Another article of the same cluster, or one kept apart from it, and why.

    `jaccard` and `containment` are of the two texts' runs of five words; both are None for an article that is in the
    cluster through others only. `apart` pairs are never joined directly, for `reason`.
    """

    id: str
    title: str
    publisher: str
    published_at: datetime | None
    jaccard: float | None
    containment: float | None
    apart: bool = False
    reason: str = ""


def near_copies(connection: Connection, identity: str) -> tuple[NearCopy, ...]:
    """Every article joined with this one, the likest first, then those kept apart. Raises StoreError if unknown."""
    number, cluster = _find(connection, identity)
    pairs = select(near_copy).where(or_(near_copy.c.low == number, near_copy.c.high == number))
    like = {r.low + r.high - number: (r.jaccard, r.containment) for r in connection.execute(pairs)}
    words = select(apart).where(or_(apart.c.low == number, apart.c.high == number))
    parted = {r.low + r.high - number: r.reason for r in connection.execute(words)}
    wanted: ColumnElement[bool] = article.c.number.in_([*like, *parted])
    if cluster is not None:  # not placed yet
        wanted = or_(wanted, article.c.cluster == cluster)
    found = []
    for row in connection.execute(select(article).where(wanted, article.c.number != number)):
        jaccard, containment = like.get(row.number, (None, None))
        known = (row.id, row.title, row.publisher, row.published_at, jaccard, containment)
        found.append(NearCopy(*known, apart=row.number in parted, reason=parted.get(row.number, "")))
    return tuple(sorted(found, key=lambda copy: (copy.apart, -(copy.jaccard or 0.0), copy.id)))


def keep_apart(connection: Connection, one: str, other: str, *, reason: str, at: datetime) -> bool:
    """Never join these two directly again. Returns whether they still are one cluster, through others.

    Raises StoreError for an unknown article, InputError for one and the same.
    """
    low, high = _pair(connection, one, other)
    statement = upsert(connection, apart).values(
        low=low, high=high, reason=reason.translate(_UNSTORABLE)[:1_000], decided_at=at
    )
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["low", "high"], set_={"reason": new.reason, "decided_at": new.decided_at}
        )
    )
    connection.execute(delete(near_copy).where(and_(near_copy.c.low == low, near_copy.c.high == high)))
    clusters.name(connection, {low, high})
    labels = select(sql.count(article.c.cluster.distinct())).where(article.c.number.in_((low, high)))
    return int(connection.execute(labels).scalar_one()) == 1


def join_again(connection: Connection, one: str, other: str) -> bool:
    """Take back `keep_apart`. Returns whether the two read alike enough to be joined, and so are."""
    low, high = _pair(connection, one, other)
    connection.execute(delete(apart).where(and_(apart.c.low == low, apart.c.high == high)))
    rows = connection.execute(select(article.c.title, article.c.text).where(article.c.number.in_((low, high))))
    first, second = (minhash.shingles(row.title, row.text) for row in rows)
    jaccard, containment, shared = minhash.compare(first, second)
    alike = clusters.is_near_copy(jaccard, containment, shared)
    known = select(near_copy.c.low).where(and_(near_copy.c.low == low, near_copy.c.high == high))
    if alike and connection.execute(known).first() is None:
        row = {"low": low, "high": high, "jaccard": jaccard, "containment": containment}
        connection.execute(insert(near_copy), row)
        clusters.name(connection, {low, high})
    return alike


def _pair(connection: Connection, one: str, other: str) -> tuple[int, int]:
    numbers = sorted(_find(connection, identity)[0] for identity in (one, other))
    if numbers[0] == numbers[1]:
        raise InputError("is one article, not two", where=one, remedy="give the id of another article")
    return numbers[0], numbers[1]


def _find(connection: Connection, identity: str) -> tuple[int, int | None]:
    """The article's number and its cluster."""
    row = connection.execute(select(article.c.number, article.c.cluster).where(article.c.id == identity)).first()
    if row is None:
        raise StoreError("there is no such article", where=identity, remedy="bondlore search --json shows ids")
    return row.number, row.cluster
