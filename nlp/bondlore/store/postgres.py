"""What PostgreSQL needs: a snapshot for readers, one writer at a time, and whose schema this is.

Writers take turns by an advisory lock of the transaction. Row locks would not do: two processes that both look for an
article and do not find it would both add it, as SQLite's write lock forbids.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from bondlore.errors import MissingExtraError, StoreError
from bondlore.store import migrate, schema

__all__ = ["FAILURES", "READING", "WRITING", "engine", "recognise", "take_turn"]

_CONNECT_S = 10  # to reach the server
READING: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITING: dict[str, Any] = {"isolation_level": "READ COMMITTED", "postgresql_readonly": False}
FAILURES = (
    ("lock timeout", "another process has held the write lock for too long", "wait for it to end, then run again"),
    ("connection failed", "cannot be reached", "check that the server runs, its address and your rights"),
    ("failed to resolve host", "cannot be reached", "check the server's name"),
    ("connection timeout", "cannot be reached", "check that the server runs, its address and your rights"),
    ("read-only transaction", "cannot be written", "ask for write rights"),
    ("permission denied", "cannot be written", "ask for rights on the schema"),
    ("No space left", "has no room left on the disk", "free some space"),
)


def engine(url: URL, busy_timeout_s: float) -> Engine:
    """An engine for `url`; waiting for the write lock ends after `busy_timeout_s`. Raises MissingExtraError."""
    if find_spec("psycopg") is None:
        raise MissingExtraError("postgres", "psycopg")
    options = f"-c lock_timeout={max(round(busy_timeout_s * 1000), 1)} -c timezone=UTC"
    given = url.query.get("options", "")
    options = f"{given if isinstance(given, str) else ' '.join(given)} {options}".strip()
    return create_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        connect_args={"connect_timeout": _CONNECT_S, "options": options, "application_name": "bondlore"},
        pool_pre_ping=True,
    )


def take_turn(connection: Connection) -> None:
    """Hold the store's write lock until the transaction ends."""
    lock = text("SELECT pg_advisory_xact_lock(:ours, hashtext(current_schema()))")
    connection.execute(lock, {"ours": schema.APPLICATION_ID})


def recognise(connection: Connection, where: str) -> int:
    """The version of the store in the current schema, 0 for none. Raises StoreError for other people's tables."""
    tables = set(inspect(connection).get_table_names())
    ours = set(schema.metadata.tables) & tables
    try:
        found = migrate.version_of(connection) if "alembic_version" in tables else 0
    except (ValueError, SQLAlchemyError):
        found = -1
    if found < 0 or bool(ours) != bool(found) or (found and "near_copy" not in ours):
        raise StoreError(
            "its schema holds tables of another program", where=where, remedy="make a database or schema for bondlore"
        )
    return migrate.known(found, where)
