"""Opening a store: whose file it is, which version, and how its connections behave.

SQLite runs in WAL mode, so one process may write while others read. Every write transaction
begins with `BEGIN IMMEDIATE`: a transaction that starts as a reader and then writes fails at once
when another process wrote in between, whatever the busy timeout; one that asks for the write lock
first waits its turn. Foreign keys are a property of a connection, so they are set on each.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bondlore.errors import StoreError
from bondlore.store import schema, search

__all__ = ["BUSY_TIMEOUT_S", "SCHEMA_VERSION", "Database", "chunks", "upsert"]

BUSY_TIMEOUT_S = 30.0
_MAGIC = b"SQLite format 3\x00"
T = TypeVar("T")


def _create(connection: Connection) -> None:
    schema.metadata.create_all(connection, checkfirst=False)
    search.create(connection)


# Migration k brings a store from version k to k + 1, inside the transaction that records it. Never edit one
# that was released: append.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create,)
SCHEMA_VERSION = len(MIGRATIONS)


class Database:
    """One opened store file. `read` and `write` give a connection in a transaction and turn every failure
    of the database into a StoreError that names the file.
    """

    def __init__(self, where: str, engine: Engine) -> None:
        self.where, self.engine = where, engine

    @classmethod
    def open(cls, url_or_path: str | Path, *, create: bool = True, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
        """Open a store, making a new one where there is no file (unless `create` is false).

        Raises StoreError when the place cannot be written, the file is not a bondlore store, or it was
        written by a newer bondlore.
        """
        path = _path(url_or_path)
        _check_place(path, create=create)
        engine = create_engine(
            URL.create("sqlite", database=str(path)), connect_args={"timeout": busy_timeout_s}, pool_pre_ping=False
        )
        event.listen(engine, "connect", _set_up_connection(busy_timeout_s))
        event.listen(engine, "begin", _begin)
        database = cls(str(path), engine)
        try:
            database._take_possession(busy_timeout_s)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the store."""
        with self._guard(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection that holds the write lock; commits at the end, rolls back on an error."""
        with self._guard(), self.engine.connect().execution_options(immediate=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        reason = " ".join(str(cause).split())[:300]
        for sign, message, remedy in (
            ("locked", "another process has held the write lock for too long", "wait for it to end, then run again"),
            ("readonly", "cannot be written", "give write permission on the file and its directory"),
            ("unable to open", "cannot be opened", "check that the directory exists and can be written"),
            ("not a database", "is not a bondlore store", "give another file name"),
            ("malformed", "is damaged", "restore it from a copy"),
            ("disk is full", "has no room left on the disk", "free some space"),
        ):
            if sign in reason:
                return StoreError(f"{message} ({reason})", where=self.where, remedy=remedy)
        return StoreError(f"the database refused ({reason})", where=self.where, remedy="report this as a bug")

    def _take_possession(self, timeout_s: float) -> None:
        """Check whose file this is, switch to WAL, create or migrate: safe when two processes do it at once."""
        with self.read() as connection:
            self._recognise(connection)
        self._use_wal(timeout_s)
        with self.write() as connection:
            found = self._recognise(connection)
            for migrate in MIGRATIONS[found:]:
                migrate(connection)
            if found < SCHEMA_VERSION:
                connection.execute(text(f"PRAGMA application_id = {schema.APPLICATION_ID}"))
                connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))

    def _recognise(self, connection: Connection) -> int:
        """The schema version of the file, 0 for an empty one. Raises StoreError for somebody else's."""
        owner = int(connection.execute(text("PRAGMA application_id")).scalar_one())
        found = int(connection.execute(text("PRAGMA user_version")).scalar_one())
        tables = int(connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one())
        if owner != schema.APPLICATION_ID and (owner or found or tables):
            raise StoreError(
                "is a database of another program, not a bondlore store", where=self.where, remedy="give another name"
            )
        if found > SCHEMA_VERSION:
            raise StoreError(
                f"was written by a newer bondlore (schema {found}, this one knows {SCHEMA_VERSION})",
                where=self.where,
                remedy="upgrade bondlore",
            )
        return found

    def _use_wal(self, timeout_s: float) -> None:
        # Changing the journal mode takes an exclusive lock for which SQLite does not always wait.
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with self._guard():
                    connection = self.engine.raw_connection()
                    try:
                        connection.cursor().execute("PRAGMA journal_mode = WAL").close()
                        return
                    finally:
                        connection.close()
            except StoreError as error:
                if "write lock" not in error.message or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of this dialect that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def chunks(items: Iterable[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Lists of at most `size` items: IN clauses have a limit, and write transactions must be short."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _path(url_or_path: str | Path) -> Path:
    given = str(url_or_path)
    if "://" not in given:
        if not given or given == ":memory:":
            raise StoreError("a store is a file", where=repr(given), remedy="give a path such as bondlore.db")
        return Path(given).expanduser()
    try:
        url = make_url(given)
    except ArgumentError as error:
        raise StoreError("is not a database URL", where=given[:200], remedy="use sqlite:///PATH or a path") from error
    where = url.render_as_string(hide_password=True)
    if url.get_backend_name() != "sqlite":
        raise StoreError("only SQLite stores can be opened so far", where=where, remedy="use sqlite:///PATH or a path")
    if not url.database or url.database == ":memory:":
        raise StoreError("a store is a file", where=where, remedy="use sqlite:///bondlore.db")
    return Path(url.database)


def _check_place(path: Path, *, create: bool) -> None:
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
