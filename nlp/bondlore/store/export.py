"""The store's articles as Parquet, one file a month: an archive that any tool reads, and `bondlore import` too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Select, select
from sqlalchemy import func as sql

from bondlore import atomic
from bondlore.store import schema
from bondlore.store.engine import Database, chunks

__all__ = ["SCHEMA", "export"]

_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("publisher", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("published_at", _TIME),
        ("published_raw", pa.string()),
        ("published_precision", pa.string()),
        ("published_source", pa.string()),
        ("published_confidence", pa.string()),
        ("first_seen_at", _TIME),
        ("updated_at", _TIME),
        ("revision", pa.int32()),
        ("text_status", pa.string()),
        ("text_reason", pa.string()),
        ("cluster", pa.string()),
    ]
)
_ROWS = 2_000  # held at a time


def export(
    database: Database, folder: Path, *, since: datetime | None = None, until: datetime | None = None
) -> dict[str, int]:
    """Write `articles-YYYY-MM.parquet` for every month (UTC) with articles in [since, until), each replaced in one
    step; returns the articles of each file. An undated article belongs to the month in which it was first seen.
    """
    table = schema.article
    at = sql.coalesce(table.c.published_at, table.c.first_seen_at)
    statement = select(sql.min(at), sql.max(at))
    if since is not None:
        statement = statement.where(at >= since)
    if until is not None:
        statement = statement.where(at < until)
    with database.read() as connection:
        first, last = connection.execute(statement).one()
    written: dict[str, int] = {}
    for start, end in _months(_aware(first), _aware(last)) if first is not None else ():
        low, high = max(start, since or start), min(end, until or end)
        count = _write(database, folder / f"articles-{start:%Y-%m}.parquet", _articles(low, high))
        if count:
            written[f"articles-{start:%Y-%m}.parquet"] = count
    return written


def _aware(at: datetime | None) -> datetime:
    """`coalesce` and `min` keep the type of the column, so this is UTC already; None cannot be met here."""
    assert at is not None
    return at


def _months(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    start = first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while start <= last:
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        yield start, end
        start = end


def _articles(low: datetime, high: datetime) -> Select[Any]:
    article = schema.article
    leader = article.alias("leader")
    at = sql.coalesce(article.c.published_at, article.c.first_seen_at)
    names = [name for name in SCHEMA.names if name != "cluster"]
    return (
        select(*(article.c[name] for name in names), sql.coalesce(leader.c.id, article.c.id).label("cluster"))
        .outerjoin(leader, leader.c.number == article.c.cluster)
        .where(at >= low, at < high)
        .order_by(at, article.c.id)
    )


def _write(database: Database, path: Path, statement: Select[Any]) -> int:
    """Write one month; nothing for an empty one."""
    count = 0
    with database.read() as connection:
        rows = connection.execution_options(yield_per=_ROWS).execute(statement)
        batches = chunks(rows, _ROWS)
        if (some := next(batches, None)) is None:
            return 0
        with atomic.replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
            while some:
                writer.write_batch(pa.RecordBatch.from_pylist([dict(row._mapping) for row in some], schema=SCHEMA))
                count += len(some)
                some = next(batches, ())
    return count
