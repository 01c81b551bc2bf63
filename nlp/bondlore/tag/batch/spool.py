"""A shard's articles on disk: gzip JSON Lines, one article a line.

Articles are spooled when the job is planned, rather than found again by (file, row): a worker then reads its shard
alone instead of streaming a gzip archive up to it, dates are judged once, and the input may go away after the plan.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bondlore import atomic
from bondlore.article import Article
from bondlore.errors import BatchError

__all__ = ["content_digest", "parse_articles", "read_articles", "write_articles"]

_FIELDS = ("id", "title", "text", "publisher", "url", "published_raw", "published_precision")
_DATES = ("published_at", "first_seen_at")


def write_articles(path: Path, articles: Sequence[Article]) -> None:
    """Replace `path` with the articles; the same articles always make the same bytes."""
    body = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=body, mode="wb", compresslevel=3, mtime=0) as stream:
        stream.writelines(map(_line, articles))
    atomic.write_bytes(path, body.getvalue())


def content_digest(articles: Sequence[Article]) -> str:
    """16 hex digits of SHA-256 over the articles, in order: all that is tagged or goes into the table."""
    digest = hashlib.sha256()
    for article in articles:
        digest.update(_line(article))
    return digest.hexdigest()[:16]


def read_articles(path: Path, *, digest: str) -> list[Article]:
    """The articles of one shard. Raises BatchError unless their content is the one planned."""
    return parse_articles(path.read_bytes(), digest=digest, where=str(path))


def parse_articles(data: bytes, *, digest: str, where: str) -> list[Article]:
    """As `read_articles`, from the file's bytes; `where` names it."""
    remedy = "delete this file and run the same command again: it is made anew from the input"
    try:
        with gzip.open(io.BytesIO(data), "rb") as stream:
            articles = [_article(json.loads(line)) for line in stream]
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError, KeyError, TypeError) as error:
        raise BatchError(f"is damaged ({error})", where=where, remedy=remedy) from error
    if content_digest(articles) != digest:
        raise BatchError("does not hold the articles that were planned", where=where, remedy=remedy)
    return articles


def _line(article: Article) -> bytes:
    row: dict[str, Any] = {name: getattr(article, name) for name in _FIELDS}
    for name in _DATES:
        at: datetime | None = getattr(article, name)
        row[name] = at.isoformat() if at else None
    row["sentences"] = article.sentences
    # ASCII escapes carry even lone surrogates through unharmed
    return json.dumps(row, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def _article(row: dict[str, Any]) -> Article:
    fields = {name: row[name] for name in _FIELDS}
    fields |= {name: datetime.fromisoformat(row[name]) if row[name] else None for name in _DATES}
    fields["sentences"] = None if row["sentences"] is None else tuple(row["sentences"])
    return Article(**fields)
