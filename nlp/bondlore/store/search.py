"""Full-text search: FTS5 over titles and texts. The one part (with the pragmas) written for SQLite alone."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import Connection, Integer, Select, column, select, table, text
from sqlalchemy import func as sql

from bondlore.errors import InputError
from bondlore.store import schema

__all__ = ["create", "expression", "matching", "rebuild"]

# External content: the words are indexed, the text stays in `article`. The 'delete' command must be
# given the old values, or the index keeps words of texts that are gone (sqlite.org/fts5.html, 4.4.3).
_TABLE = """CREATE VIRTUAL TABLE article_search USING fts5(
    title, text, content='article', content_rowid='number', tokenize='unicode61 remove_diacritics 2')"""
_INSERT = "INSERT INTO article_search(rowid, title, text) VALUES (new.number, new.title, new.text);"
_DELETE = """INSERT INTO article_search(article_search, rowid, title, text)
    VALUES ('delete', old.number, old.title, old.text);"""
_TRIGGERS = {
    "article_search_insert": f"AFTER INSERT ON article BEGIN {_INSERT} END",
    "article_search_delete": f"AFTER DELETE ON article BEGIN {_DELETE} END",
    "article_search_update": f"AFTER UPDATE OF title, text ON article BEGIN {_DELETE} {_INSERT} END",
}
_TERM = re.compile(r'"([^"]*)"|(\S+)')
_MAX_QUERY = 1000


def create(connection: Connection) -> None:
    """Make the index and the triggers that keep it true."""
    connection.execute(text(_TABLE))
    for name, rule in _TRIGGERS.items():
        connection.execute(text(f"CREATE TRIGGER {name} {rule}"))


def rebuild(connection: Connection) -> None:
    """Index every article again: the repair when the index and the articles disagree."""
    connection.execute(text("INSERT INTO article_search(article_search) VALUES ('rebuild')"))


def expression(query: str) -> str:
    """An FTS5 expression that means: all these words, and "these words" as a phrase.

    FTS5's own operators are taken as plain words, so no input is a syntax error. A word may end in `*`.
    Raises InputError when there is no word in it.

    >>> expression('yields "basis trade" unwind*')
    '"yields" AND "basis trade" AND "unwind"*'
    """
    terms = []
    for phrase, word in _TERM.findall(query[:_MAX_QUERY]):
        star = "*" if word.endswith("*") else ""
        term = (phrase or word.rstrip("*")).replace('"', "").replace("\x00", "")
        if any(c.isalnum() for c in term):
            terms.append(f'"{term}"{star}')
    if not terms:
        raise InputError("there is no word to search for", where=repr(query[:80]), remedy="give at least one word")
    return " AND ".join(terms)


def matching(query: str, *, since: datetime | None = None, limit: int = 50) -> Select[tuple[int]]:
    """SELECT of the numbers of matching articles, best first (BM25, then newest, then id)."""
    index = table("article_search", column("rowid", Integer), column("rank"))
    match = text("article_search MATCH :expression").bindparams(expression=expression(query))
    article = schema.article
    statement = (
        select(article.c.number)
        .join(index, index.c.rowid == article.c.number)
        .where(match)
        .order_by(index.c.rank, article.c.published_at.desc(), article.c.id)
        .limit(limit)
    )
    if since is not None:
        statement = statement.where(sql.coalesce(article.c.published_at, article.c.first_seen_at) >= since)
    return statement
