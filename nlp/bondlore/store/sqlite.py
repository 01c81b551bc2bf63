"""What SQLite needs: WAL mode, pragmas on every connection, and marks that say whose file this is.

In WAL mode one process may write while others read. Every write transaction begins with `BEGIN IMMEDIATE`: a
transaction that starts as a reader and then writes fails at once when another process wrote in between, whatever the
busy timeout; one that asks for the write lock first waits its turn. Foreign keys are a property of a connection, so
they are set on each.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from bondlore.errors import StoreError
from bondlore.store import migrate, schema

__all__ = ["FAILURES", "WRITING", "check_place", "engine", "recognise", "stamp", "use_wal"]

_MAGIC = b"SQLite format 3\x00"
WRITING: dict[str, Any] = {"immediate": True}
# Sign in the driver's message -> what happened, what to do.
FAILURES = (
    ("locked", "another process has held the write lock for too long", "wait for it to end, then run again"),
    ("readonly", "cannot be written", "give write permission on the file and its directory"),
    ("unable to open", "cannot be opened", "check that the directory exists and can be written"),
    ("not a database", "is not a bondlore store", "give another file name"),
    ("malformed", "is damaged", "restore it from a copy"),
    ("disk is full", "has no room left on the disk", "free some space"),
)


def engine(path: Path, busy_timeout_s: float) -> Engine:
    """An engine whose every connection waits `busy_timeout_s` for the write lock and checks foreign keys."""
    made = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": busy_timeout_s}, pool_pre_ping=False
    )
    event.listen(made, "connect", _set_up_connection(busy_timeout_s))
    event.listen(made, "begin", _begin)
    return made


def check_place(path: Path, *, create: bool) -> None:
    """Raise StoreError for a path where no store can be."""
    where = str(path)
    try:
        if path.is_dir():
            raise StoreError("is a directory", where=where, remedy="give the name of a file in it")
        if path.exists():
            with path.open("rb") as file:
                head = file.read(len(_MAGIC))
            if head and head != _MAGIC:
                raise StoreError("is not a bondlore store", where=where, remedy="give another file name")
            return
        if not path.parent.is_dir():
            raise StoreError("its directory does not exist", where=where, remedy=f"create {path.parent} first")
    except OSError as error:
        raise StoreError(f"cannot be read ({error.strerror})", where=where, remedy="check its permissions") from error
    if not create:
        raise StoreError("there is no such store", where=where, remedy="import or ingest some articles first")


def recognise(connection: Connection, where: str) -> int:
    """The schema version of the file, 0 for an empty one. Raises StoreError for somebody else's or a newer one."""
    owner = int(connection.execute(text("PRAGMA application_id")).scalar_one())
    found = int(connection.execute(text("PRAGMA user_version")).scalar_one())
    tables = int(connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one())
    if owner != schema.APPLICATION_ID and (owner or found or tables):
        raise StoreError(
            "is a database of another program, not a bondlore store", where=where, remedy="give another name"
        )
    return migrate.known(found, where)


def stamp(connection: Connection, version: int) -> None:
    """Mark the file as ours, of this schema version."""
    connection.execute(text(f"PRAGMA application_id = {schema.APPLICATION_ID}"))
    connection.execute(text(f"PRAGMA user_version = {version}"))


def use_wal(engine: Engine, guard: Callable[[], AbstractContextManager[None]], timeout_s: float) -> None:
    """Switch the file to WAL mode. `guard` turns the driver's errors into StoreError."""
    # Changing the journal mode takes an exclusive lock for which SQLite does not always wait.
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with guard():
                connection = engine.raw_connection()
                try:
                    connection.cursor().execute("PRAGMA journal_mode = WAL").close()
                    return
                finally:
                    connection.close()
        except StoreError as error:
            if "write lock" not in error.message or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _set_up_connection(timeout_s: float) -> Callable[[Any, Any], None]:
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # `_begin` says when a transaction starts, not the driver
        cursor = connection.cursor()
        for pragma in (f"busy_timeout = {round(timeout_s * 1000)}", "foreign_keys = ON", "synchronous = NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return set_up


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
