"""Near-copies in the store: one story told several times is one cluster, named by its earliest article.

Articles whose text is new or changed get a signature and LSH buckets (`minhash`); those that share a bucket
within `WINDOW_DAYS` are compared on their shingles; pairs that pass are kept in `near_copy`, with the reason.
A cluster is a connected component of these pairs, so it depends on the articles and not on the order in which they
came, and a pair that a rewrite dissolves dissolves its cluster too. A person's word keeps two apart (`copies`). Cost
grows with the articles, not with their square: in a bucket that hundreds share (a table, a boilerplate) each is
compared only with the nearest in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, delete, or_, select, update
from sqlalchemy import func as sql

from bondlore.store import minhash
from bondlore.store.engine import Database, chunks, upsert
from bondlore.store.schema import apart, article, band, near_copy, signature

__all__ = ["CONTAINMENT", "JACCARD", "WINDOW_DAYS", "ClusterReport", "cluster", "is_near_copy", "name"]

# Read off pairs among 20,000 real articles: with containment from 0.6 to 0.75 most share only a site's furniture or
# the words of a form, from 0.75 (or Jaccard 0.6) most are one story retold. Forms whose every copy reads alike (law
# firms' notices, buyback returns) do pass; only their meaning tells them apart.
JACCARD = 0.6
CONTAINMENT = 0.75
_MIN_SHARED = 15  # shingles, for containment: less is a stock phrase
WINDOW_DAYS = 5  # less than a week: a weekly table never meets its next issue
_HOT = 64  # members of one bucket compared with each on either side
_BATCH = 1000  # articles a transaction
_INSERT_BANDS = {
    "sqlite": "INSERT INTO band (bucket, article, day) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    "postgresql": "INSERT INTO band (bucket, article, day) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
}


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """Articles placed (new or reworded) and near-copy pairs found among them and with older ones."""

    articles: int = 0
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class _Signed:
    number: int
    fingerprint: str
    day: int
    shingles: minhash.Hashes
    minhash: bytes


def cluster(database: Database) -> ClusterReport:
    """Place every article that is new or reworded since the last time. Idempotent; several processes may run it."""
    articles = pairs = 0
    while True:
        with database.read() as connection:
            rows = connection.execute(_pending().limit(_BATCH)).all()
        if not rows:
            return ClusterReport(articles, pairs)
        signed = [_sign(row) for row in rows]  # outside the write lock
        with database.write() as connection:
            placed, found = _place(connection, signed)
        articles, pairs = articles + placed, pairs + found


def is_near_copy(jaccard: float, containment: float, shared: int) -> bool:
    """The verdict on a pair, from `minhash.compare`."""
    return jaccard >= JACCARD or (containment >= CONTAINMENT and shared >= _MIN_SHARED)


def _pending() -> Any:
    stale = or_(
        signature.c.article.is_(None),
        signature.c.fingerprint != article.c.fingerprint,
        signature.c.scheme != minhash.SCHEME,
    )
    return select(article).outerjoin(signature).where(stale).order_by(article.c.number)


def _sign(row: Row[Any]) -> _Signed:
    hashes = minhash.shingles(row.title, row.text)
    sketch = minhash.minhash(hashes).astype("<u4").tobytes() if len(hashes) else b""
    day = (row.published_at or row.first_seen_at).toordinal()
    return _Signed(row.number, row.fingerprint, day, hashes, sketch)


def _place(connection: Connection, signed: Sequence[_Signed]) -> tuple[int, int]:
    """Store signatures, find pairs, name clusters. Returns (articles, pairs)."""
    current = _fingerprints(connection, [s.number for s in signed])
    docs = {s.number: s for s in signed if current.get(s.number) == s.fingerprint}
    parted = _forget(connection, list(docs))
    _store_signatures(connection, list(docs.values()))
    pairs = _verified(connection, _candidates(connection, list(docs)), docs)
    if pairs:
        connection.execute(upsert(connection, near_copy).on_conflict_do_nothing(), pairs)
    name(connection, set(docs) | parted | {p["low"] for p in pairs} | {p["high"] for p in pairs})
    return len(docs), len(pairs)


def _fingerprints(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in chunks(numbers):
        rows = connection.execute(select(article.c.number, article.c.fingerprint).where(article.c.number.in_(some)))
        found.update((row.number, row.fingerprint) for row in rows)
    return found


def _forget(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Drop buckets and pairs made from former texts. Returns the articles these pairs led to."""
    parted: set[int] = set()
    for some in chunks(numbers):
        old = or_(near_copy.c.low.in_(some), near_copy.c.high.in_(some))
        for low, high in connection.execute(select(near_copy.c.low, near_copy.c.high).where(old)):
            parted |= {low, high}
        connection.execute(delete(near_copy).where(old))
        connection.execute(delete(band).where(band.c.article.in_(some)))
    return parted


def _store_signatures(connection: Connection, docs: Sequence[_Signed]) -> None:
    if not docs:
        return
    signatures = [
        {
            "article": d.number,
            "scheme": minhash.SCHEME,
            "fingerprint": d.fingerprint,
            "day": d.day,
            "shingles": len(d.shingles),
            "minhash": d.minhash,
        }
        for d in docs
    ]
    statement = upsert(connection, signature)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["article"], set_={k: statement.excluded[k] for k in signatures[0] if k != "article"}
        ),
        signatures,
    )
    worded = [d for d in docs if d.minhash]
    if not worded:
        return
    # Thirty-two rows an article: straight to the driver, in the order of the index, or this is most of the work.
    table = minhash.buckets(minhash.stack([d.minhash for d in worded]))
    owner = np.repeat(np.array([(d.number, d.day) for d in worded], dtype=np.int64), minhash.BANDS, axis=0)
    order = np.argsort(table, axis=None, kind="stable")
    rows = np.column_stack([table.ravel(), owner])[order]
    # The driver knows no types of numpy's.
    triples = list(map(tuple, rows.tolist()))
    connection.exec_driver_sql(_INSERT_BANDS[connection.dialect.name], triples)


def _candidates(connection: Connection, numbers: Sequence[int]) -> set[tuple[int, int]]:
    """Pairs (low, high) that share a bucket within the window, one of them in `numbers`."""
    ours = set(numbers)
    pairs: set[tuple[int, int]] = set()
    for some in chunks(numbers):
        mine = select(band.c.bucket).where(band.c.article.in_(some))
        # Most buckets have one member; these never leave the database.
        shared = select(band.c.bucket).where(band.c.bucket.in_(mine)).group_by(band.c.bucket).having(sql.count() > 1)
        rows = connection.execute(
            select(band.c.bucket, band.c.day, band.c.article)
            .where(band.c.bucket.in_(shared))
            .order_by(*band.c["bucket", "day", "article"])
        ).all()
        if not rows:
            continue
        table = np.array(list(map(tuple, rows)), dtype=np.int64)
        starts = np.flatnonzero(np.r_[True, table[1:, 0] != table[:-1, 0]])
        ends = np.r_[starts[1:], len(table)]
        for start, end in zip(starts, ends, strict=True):
            if end - start > 1:
                pairs.update(_near(table[start:end, 1:].tolist(), ours))
    return pairs


def _near(members: Sequence[Sequence[int]], ours: set[int]) -> Iterable[tuple[int, int]]:
    """Pairs of one bucket; `members` are (day, number) in order."""
    for i, (day, number) in enumerate(members):
        for other_day, other in members[i + 1 : i + 1 + _HOT]:
            if other_day - day > WINDOW_DAYS:
                break
            if number in ours or other in ours:
                yield min(number, other), max(number, other)


def _verified(connection: Connection, pairs: set[tuple[int, int]], docs: dict[int, _Signed]) -> list[dict[str, Any]]:
    """The pairs that are near-copies: first by signature, then on the shingles themselves."""
    pairs -= _kept_apart(connection, pairs)
    if not pairs:
        return []
    strangers = sorted({n for pair in pairs for n in pair} - set(docs))
    sketches = {d.number: (len(d.shingles), d.minhash) for d in docs.values()}
    for some in chunks(strangers):
        columns = (signature.c.article, signature.c.shingles, signature.c.minhash)
        for number, size, sketch in connection.execute(select(*columns).where(signature.c.article.in_(some))):
            sketches[number] = (size, sketch)
    likely = _likely(sorted(pairs), sketches)
    hashes = {n: d.shingles for n, d in docs.items()}
    for some in chunks(sorted({n for pair in likely for n in pair} - set(docs))):
        texts = select(article.c.number, article.c.title, article.c.text).where(article.c.number.in_(some))
        hashes |= {number: minhash.shingles(title, text) for number, title, text in connection.execute(texts)}
    found = []
    for low, high in likely:
        jaccard, containment, shared = minhash.compare(hashes[low], hashes[high])
        if is_near_copy(jaccard, containment, shared):
            found.append({"low": low, "high": high, "jaccard": jaccard, "containment": containment})
    return found


def _kept_apart(connection: Connection, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The pairs a person's word keeps from being joined; such words are few."""
    if not pairs:
        return set()
    return {(low, high) for low, high in connection.execute(select(apart.c.low, apart.c.high))} & pairs


def _likely(pairs: Sequence[tuple[int, int]], sketches: dict[int, tuple[int, bytes]]) -> list[tuple[int, int]]:
    """Pairs whose estimated containment is not far (two standard errors and more) below the threshold."""
    likely: list[tuple[int, int]] = []
    for some in chunks(pairs, 4096):
        a, b = ([sketches[pair[side]] for pair in some] for side in (0, 1))
        jaccard = minhash.resemblance(minhash.stack([s for _, s in a]), minhash.stack([s for _, s in b]))
        sizes = np.array([[x[0], y[0]] for x, y in zip(a, b, strict=True)], dtype=np.float64)
        shared = jaccard / (1 + jaccard) * sizes.sum(axis=1)
        keep = shared / sizes.min(axis=1) >= 0.35
        likely += [pair for pair, kept in zip(some, keep, strict=True) if kept]
    return likely


def name(connection: Connection, touched: set[int]) -> None:
    """Give every article in the clusters of `touched` the number of its component's earliest article."""
    columns = (article.c.number, article.c.id, article.c.published_at, article.c.first_seen_at, article.c.cluster)
    labels: set[int] = set()
    members: dict[int, Any] = {}
    for some in chunks(sorted(touched)):
        for row in connection.execute(select(*columns).where(article.c.number.in_(some))):
            members[row.number] = row
            if row.cluster is not None:
                labels.add(row.cluster)
    for some in chunks(sorted(labels)):
        rows = connection.execute(select(*columns).where(article.c.cluster.in_(some)))
        members.update((row.number, row) for row in rows)
    leader = {number: number for number in members}

    def find(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    def age(number: int) -> tuple[Any, str]:
        return members[number].published_at or members[number].first_seen_at, members[number].id

    for some in chunks(sorted(members)):
        for low, high in connection.execute(select(near_copy.c.low, near_copy.c.high).where(near_copy.c.low.in_(some))):
            first, second = sorted((find(low), find(high)), key=age)
            leader[second] = first
    moves = [{"n": n, "c": find(n)} for n, row in members.items() if row.cluster != find(n)]
    if moves:
        statement = update(article).where(article.c.number == bindparam("n")).values(cluster=bindparam("c"))
        connection.execute(statement, moves)
