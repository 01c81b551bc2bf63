"""Full-text search over titles and texts: FTS5 in SQLite, tsvector in PostgreSQL; the indexes are made in `migrations`.

Both find whole words in any case. FTS5 also ignores accents; PostgreSQL looks at the first 100,000 characters of a
text and gives the title more weight.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, column, select, table, text
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

from bondlore.errors import InputError
from bondlore.store import schema

__all__ = ["expression", "matching", "rebuild", "terms"]

_TERM = re.compile(r'"([^"]*)"|(\S+)')
_MAX_QUERY = 1000


def rebuild(connection: Connection) -> None:
    """Index every article again: the repair when the index and the articles disagree."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("INSERT INTO article_search(article_search) VALUES ('rebuild')"))
    else:  # the words are a generated column; only the index over them can be damaged
        connection.execute(text("REINDEX INDEX article_words"))


def terms(query: str) -> list[tuple[str, bool]]:
    """The words and phrases of a query, each with whether it is a beginning (`unwind*`).

    Operators are taken as plain words, so no input is a syntax error. Raises InputError when there is no word in it.
    """
    found = []
    for phrase, word in _TERM.findall(query[:_MAX_QUERY]):
        term = (phrase or word.rstrip("*")).replace('"', "").replace("\x00", "")
        if any(c.isalnum() for c in term):
            found.append((term, word.endswith("*")))
    if not found:
        raise InputError("there is no word to search for", where=repr(query[:80]), remedy="give at least one word")
    return found


def expression(query: str) -> str:
    """An FTS5 expression that means: all these words, and "these words" as a phrase. Raises InputError.

    >>> expression('yields "basis trade" unwind*')
    '"yields" AND "basis trade" AND "unwind"*'
    """
    return " AND ".join(f'"{term}"{"*" if begins else ""}' for term, begins in terms(query))


def matching(
    query: str, *, since: datetime | None = None, limit: int = 50, dialect: str = "sqlite"
) -> Select[tuple[int]]:
    """SELECT of the numbers of matching articles, best first, then newest, then id."""
    article = schema.article
    statement = select(article.c.number)
    rank: ColumnElement[Any]
    if dialect == "sqlite":
        index = table("article_search", column("rowid", Integer), column("rank"))
        match = text("article_search MATCH :expression").bindparams(expression=expression(query))
        statement = statement.join(index, index.c.rowid == article.c.number).where(match)
        rank = index.c.rank  # BM25, the less the better
    else:
        words, wanted = column("words", TSVECTOR), _tsquery(query)
        statement = statement.where(words.op("@@")(wanted))
        rank = sql.ts_rank_cd(words, wanted).desc()
    if since is not None:
        statement = statement.where(sql.coalesce(article.c.published_at, article.c.first_seen_at) >= since)
    return statement.order_by(rank, article.c.published_at.desc().nulls_last(), article.c.id).limit(limit)


def _tsquery(query: str) -> ColumnElement[Any]:
    """The query for tsvector; words are never parsed as its operators."""
    parts: list[ColumnElement[Any]] = []
    for term, begins in terms(query):
        if begins:
            pieces = re.findall(r"\w+", term)
            words = " <-> ".join(f"'{piece}'" for piece in pieces)
            parts.append(sql.to_tsquery("simple", f"{words}:*", type_=TSQUERY))
        else:
            parts.append(sql.phraseto_tsquery("simple", term, type_=TSQUERY))
    wanted = parts[0]
    for part in parts[1:]:
        wanted = wanted.op("&&", return_type=TSQUERY())(part)
    return wanted
