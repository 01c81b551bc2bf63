"""Schema 1: articles, sightings, versions, feeds, polls, taggings, near-copies and the search index."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
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

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None

# A copy, frozen: `store.schema` moves on, this does not.
metadata = MetaData()


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
    Column("published_at", DateTime(timezone=True)),
    Column("published_raw", Text, nullable=False),
    Column("published_precision", String(8), nullable=False),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("cluster", Integer, ForeignKey("article.number")),
    Index("article_published", "published_at"),
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
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True), nullable=False),
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
    Column("replaced_at", DateTime(timezone=True), nullable=False),
    Column("replaced_by", Text, nullable=False),
)

feed = Table(
    "feed",
    metadata,
    Column("url", Text, primary_key=True),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    Column("last_success", DateTime(timezone=True)),
    Column("last_error", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retired", Boolean, nullable=False),
)

poll = Table(
    "poll",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("polled_at", DateTime(timezone=True), nullable=False),
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
    Column("saved_at", DateTime(timezone=True), nullable=False),
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


_SQLITE_SEARCH = (
    """CREATE VIRTUAL TABLE article_search USING fts5(
    title, text, content='article', content_rowid='number', tokenize='unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER article_search_insert AFTER INSERT ON article BEGIN
    INSERT INTO article_search(rowid, title, text) VALUES (new.number, new.title, new.text); END""",
    """CREATE TRIGGER article_search_delete AFTER DELETE ON article BEGIN
    INSERT INTO article_search(article_search, rowid, title, text)
    VALUES ('delete', old.number, old.title, old.text); END""",
    """CREATE TRIGGER article_search_update AFTER UPDATE OF title, text ON article BEGIN
    INSERT INTO article_search(article_search, rowid, title, text)
    VALUES ('delete', old.number, old.title, old.text);
    INSERT INTO article_search(rowid, title, text) VALUES (new.number, new.title, new.text); END""",
)
# A tsvector holds at most 1 MB: of a longer text the first 100,000 characters are searched.
_POSTGRESQL_SEARCH = (
    """ALTER TABLE article ADD COLUMN words tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('simple', title), 'A') ||
    setweight(to_tsvector('simple', left(text, 100000)), 'B')) STORED""",
    "CREATE INDEX article_words ON article USING gin (words)",
)


def upgrade() -> None:
    """Make every table of schema 1."""
    connection = op.get_bind()
    metadata.create_all(connection, checkfirst=False)
    for statement in _SQLITE_SEARCH if connection.dialect.name == "sqlite" else _POSTGRESQL_SEARCH:
        op.execute(statement)
