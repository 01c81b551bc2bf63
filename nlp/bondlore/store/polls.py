"""Where each feed's next poll starts, and what every poll met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from bondlore.ingest.poll import FeedState, Outcome, PollResult
from bondlore.store import schema
from bondlore.store.articles import AddReport
from bondlore.store.engine import upsert

__all__ = ["PollEntry", "log", "record", "states"]

_MAX_PROBLEMS = 20


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


def states(connection: Connection) -> dict[str, FeedState]:
    """The state of every feed ever polled, by URL."""
    rows = connection.execute(select(schema.feed).order_by(schema.feed.c.url)).mappings()
    return {row["url"]: FeedState(**row) for row in rows}


def record(connection: Connection, result: PollResult, added: AddReport) -> None:
    """Keep the feed's new state and a line in the log."""
    state = asdict(result.state) | {"url": result.feed.url}
    statement = upsert(connection, schema.feed).values(state)
    changes = {name: statement.excluded[name] for name in state if name != "url"}
    connection.execute(statement.on_conflict_do_update(index_elements=["url"], set_=changes))
    row = {
        "feed": result.feed.url,
        "polled_at": result.polled_at,
        "outcome": result.outcome,
        "status": result.status,
        "error": "" if result.outcome in ("ok", "not_modified") else result.state.last_error,
        "problems": list(result.problems[:_MAX_PROBLEMS]),
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
