"""The tables, as SQLAlchemy Core. Only search and pragmas know which database this is.

```
article   one row an article, as last told          alias      every name it is known by (id, URL, content)
sighting  who showed it, first and last             version    what it said before its text changed
feed      where the next poll starts                poll       what each poll met
tagging   one row an article and model              signature  MinHash of its text
band      LSH buckets of the signatures             near_copy  verified pairs; a cluster is a component of these
intake    how far an unfinished import got          apart     pairs a person keeps from being joined
```
A change here needs a revision in `migrations`; a test compares the two.
Times are UTC. Nothing is ever deleted from article, alias, sighting, version, poll or tagging.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

__all__ = [
    "APPLICATION_ID",
    "UtcTime",
    "alias",
    "apart",
    "article",
    "band",
    "feed",
    "intake",
    "metadata",
    "near_copy",
    "poll",
    "sighting",
    "signature",
    "tagging",
    "version",
]

APPLICATION_ID = 0x626C6F72  # "blor": marks a SQLite file as ours


class UtcTime(TypeDecorator[datetime]):
    """A point in time: aware datetimes in and out, UTC on disk (SQLite keeps it as sortable text)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite has no zones, so there the zone is dropped after the conversion."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Back to aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()


def _added(name: str, kind: Text | String) -> Column[str]:
    """A text column that came after schema 1: rows from before have ""."""
    return Column(name, kind, nullable=False, server_default="")


def _counter(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _article_key(*, primary: bool = False) -> Column[int]:
    return Column("article", Integer, ForeignKey("article.number"), nullable=False, primary_key=primary)


article = Table(
    "article",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(400), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("sentences", JSON(none_as_null=True)),
    Column("publisher", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("published_at", UtcTime),
    Column("published_raw", Text, nullable=False),
    Column("published_precision", String(8), nullable=False),
    Column("first_seen_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("cluster", Integer, ForeignKey("article.number")),
    _added("published_source", String(40)),
    _added("published_confidence", String(8)),
    _added("text_status", String(8)),
    _added("text_reason", Text()),
    _counter("page_tries"),
    Index("article_published", "published_at"),
    Index("article_text", "text_status", "first_seen_at"),
    Index("article_cluster", "cluster"),
)

alias = Table(
    "alias",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("value", Text, primary_key=True),
    _article_key(primary=True),
    sqlite_with_rowid=False,
)

sighting = Table(
    "sighting",
    metadata,
    _article_key(primary=True),
    Column("source", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("first_seen_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
    sqlite_with_rowid=False,
)

version = Table(
    "version",
    metadata,
    _article_key(primary=True),
    Column("revision", Integer, primary_key=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("replaced_at", UtcTime, nullable=False),
    Column("replaced_by", Text, nullable=False),
)

feed = Table(
    "feed",
    metadata,
    Column("url", Text, primary_key=True),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    Column("last_success", UtcTime),
    Column("last_error", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retired", Boolean, nullable=False),
    _added("address", Text()),
    _added("moved_to", Text()),
    _counter("moved_seen"),
    _counter("ttl_s"),
    Column("next_poll_at", UtcTime),
)

poll = Table(
    "poll",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("polled_at", UtcTime, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("status", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("problems", JSON, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("new", Integer, nullable=False),
    Column("updated", Integer, nullable=False),
    Index("poll_feed", "feed", "polled_at"),
)

tagging = Table(
    "tagging",
    metadata,
    _article_key(primary=True),
    Column("model", String(200), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    Column("status", String(8), nullable=False),
    Column("error", Text),
    Column("gate", String(16)),
    Column("primary", String(64)),
    Column("probabilities", JSON, nullable=False),
    Column("verdicts", JSON, nullable=False),
    Column("evidence", JSON(none_as_null=True)),
    Index("tagging_recent", "model", "saved_at"),
)

signature = Table(
    "signature",
    metadata,
    _article_key(primary=True),
    Column("scheme", Integer, nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("day", Integer, nullable=False),
    Column("shingles", Integer, nullable=False),
    Column("minhash", LargeBinary, nullable=False),
)

band = Table(
    "band",
    metadata,
    Column("bucket", BigInteger, primary_key=True),
    _article_key(primary=True),
    Column("day", Integer, nullable=False),
    Index("band_article", "article"),
    sqlite_with_rowid=False,
)

near_copy = Table(
    "near_copy",
    metadata,
    Column("low", Integer, ForeignKey("article.number"), primary_key=True),
    Column("high", Integer, ForeignKey("article.number"), primary_key=True),
    Column("jaccard", Float, nullable=False),
    Column("containment", Float, nullable=False),
    Index("near_copy_high", "high"),
    sqlite_with_rowid=False,
)

apart = Table(
    "apart",
    metadata,
    Column("low", Integer, ForeignKey("article.number"), primary_key=True),
    Column("high", Integer, ForeignKey("article.number"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    sqlite_with_rowid=False,
)

intake = Table(
    "intake",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("row", Integer, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
)
