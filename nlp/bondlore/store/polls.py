"""Where each feed's next poll starts, and what every poll met."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, insert, select
from sqlalchemy import func as sql

from bondlore.ingest.poll import FeedState, Outcome, PollResult
from bondlore.store import schema
from bondlore.store.articles import AddReport
from bondlore.store.engine import upsert

__all__ = ["FeedHealth", "PollEntry", "health", "log", "record", "states"]

_MAX_PROBLEMS = 20
_HEALTH_DAYS = 14
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PollEntry:
    """One line of the log: of `entries` articles, how many were new and updated; `status` is HTTP's, or 0."""

    feed: str
    polled_at: datetime
    outcome: Outcome
    status: int
    error: str
    problems: tuple[str, ...]
    entries: int
    new: int
    updated: int


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How a feed is doing. Times are UTC; `articles_a_day` counts new articles of the last 14 days (or since the first
    poll, one day at least); `polls` and `failed` count these days' polls; `state` is active, failing or retired.
    """

    url: str
    state: str
    address: str
    last_success: datetime | None
    last_error: str
    failures: int
    articles_a_day: float
    polls: int
    failed: int
    next_poll_at: datetime | None


def health(connection: Connection, *, now: datetime) -> tuple[FeedHealth, ...]:
    """The health of every feed ever polled, by URL."""
    poll = schema.poll
    since = now - timedelta(days=_HEALTH_DAYS)
    began = connection.execute(select(poll.c.feed, sql.min(poll.c.polled_at)).group_by(poll.c.feed))
    first = {row[0]: row[1] for row in began}
    bad = case((poll.c.outcome.in_(("failed", "gone")), 1), else_=0)
    lately = select(poll.c.feed, sql.count().label("polls"), sql.sum(bad).label("failed"), sql.sum(poll.c.new))
    rows = connection.execute(lately.where(poll.c.polled_at >= since).group_by(poll.c.feed))
    counted = {feed: (int(polls), int(failed), int(new)) for feed, polls, failed, new in rows}
    found = []
    for url, state in states(connection).items():
        polls, failed, new = counted.get(url, (0, 0, 0))
        days = max((now - max(first.get(url, now), since)) / timedelta(days=1), 1.0)
        word = "retired" if state.retired else "failing" if state.failures else "active"
        found.append(
            FeedHealth(
                url,
                word,
                state.address,
                state.last_success,
                state.last_error,
                state.failures,
                round(new / days, 2),
                polls,
                failed,
                state.next_poll_at,
            )
        )
    return tuple(found)


def states(connection: Connection) -> dict[str, FeedState]:
    """The state of every feed ever polled, by URL."""
    rows = connection.execute(select(schema.feed).order_by(schema.feed.c.url)).mappings()
    return {row["url"]: FeedState(**row) for row in rows}


def record(connection: Connection, result: PollResult, added: AddReport) -> None:
    """Keep the feed's new state and a line in the log."""
    state = asdict(result.state) | {"url": result.feed.url}
    state["last_error"] = _UNSTORABLE.sub("\ufffd", state["last_error"])
    statement = upsert(connection, schema.feed).values(state)
    changes = {name: statement.excluded[name] for name in state if name != "url"}
    connection.execute(statement.on_conflict_do_update(index_elements=["url"], set_=changes))
    row = {
        "feed": result.feed.url,
        "polled_at": result.polled_at,
        "outcome": result.outcome,
        "status": result.status,
        "error": "" if result.outcome in ("ok", "not_modified") else state["last_error"],
        "problems": [_UNSTORABLE.sub("\ufffd", problem) for problem in result.problems[:_MAX_PROBLEMS]],
        "entries": len(result.articles),
        "new": added.new,
        "updated": added.updated,
    }
    connection.execute(insert(schema.poll), row)


def log(connection: Connection, *, limit: int) -> Sequence[PollEntry]:
    """The last polls, newest first."""
    table = schema.poll
    rows = connection.execute(select(table).order_by(table.c.polled_at.desc(), table.c.number.desc()).limit(limit))
    return tuple(
        PollEntry(r.feed, r.polled_at, r.outcome, r.status, r.error, tuple(r.problems), r.entries, r.new, r.updated)
        for r in rows
    )
