"""Which articles want their page read, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, case, or_, select, update

from bondlore.article import Article
from bondlore.store import articles, schema
from bondlore.store.articles import AddReport

__all__ = ["record", "wanting"]

_BETTER: Mapping[str, tuple[str, ...]] = {"full": (), "partial": ("full",)}  # status -> those that stand against it
_TRIES = 3  # of a page that failed; one refused or read is not asked again


def wanting(connection: Connection, *, since: datetime, limit: int) -> list[Article]:
    """Articles first seen since then of which there is a taste only, newest first."""
    table = schema.article
    untried = and_(table.c.text_status == "teaser", table.c.page_tries == 0)
    failed = and_(table.c.text_status == "failed", table.c.page_tries < _TRIES)
    rows = connection.execute(
        select(table)
        .where(or_(untried, failed), table.c.first_seen_at >= since, table.c.url != "")
        .order_by(table.c.first_seen_at.desc(), table.c.number.desc())
        .limit(limit)
    )
    return [articles.from_row(row) for row in rows]


def record(connection: Connection, tried: Sequence[Article], *, seen_at: datetime) -> AddReport:
    """Keep the better texts as new versions, and for each article what its page gave.

    Where another run had the page in the meantime, what it found is not undone by a failure that comes late.
    """
    table = schema.article
    added = AddReport()
    for article in tried:
        if article.text_status in ("full", "partial"):
            # The page is no further showing of the article: it stands in for whoever showed it first.
            shown = articles.sightings(connection, article.id)
            added += articles.add(connection, [article], source=shown[0].source, seen_at=seen_at)
        held = table.c.text_status.in_(_BETTER.get(article.text_status, ("partial", "full")))
        connection.execute(
            update(table)
            .where(table.c.id == article.id)
            .values(
                text_status=case((held, table.c.text_status), else_=article.text_status),
                text_reason=case((held, table.c.text_reason), else_=article.text_reason),
                page_tries=table.c.page_tries + 1,
            )
        )
    return added
