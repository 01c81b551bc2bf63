"""A store's database, SQLite or PostgreSQL: transactions, failures told as StoreError, and what differs in SQL.

Both engines keep the same promises: a reader sees one moment and never waits for a writer; writers take turns, so
that what a transaction read is still true when it writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, Table, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bondlore.errors import StoreError
from bondlore.store import migrate, postgres
from bondlore.store import sqlite as files

__all__ = ["BUSY_TIMEOUT_S", "SCHEMA_VERSION", "Database", "chunks", "upsert"]

BUSY_TIMEOUT_S = 30.0
SCHEMA_VERSION = migrate.SCHEMA_VERSION
_SERVERS = ("postgresql", "postgres")
T = TypeVar("T")


class Database:
    """One opened store. `read` and `write` give a connection in a transaction and turn every failure of the
    database into a StoreError that names the file or server, never a password.
    """

    def __init__(self, where: str, engine: Engine) -> None:
        self.where, self.engine = where, engine
        self._files = engine.dialect.name == "sqlite"

    @classmethod
    def open(cls, url_or_path: str | Path, *, create: bool = True, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
        """Open a store, making a new one where there is none (unless `create` is false).

        Raises StoreError when the place cannot be reached or written, is not a bondlore store, or was written by a
        newer bondlore; MissingExtraError for a PostgreSQL URL without psycopg.
        """
        place = _place(url_or_path)
        if isinstance(place, Path):
            files.check_place(place, create=create)
            database = cls(str(place), files.engine(place, busy_timeout_s))
        else:
            where = place.render_as_string(hide_password=True)
            database = cls(where, postgres.engine(place, busy_timeout_s))
        try:
            database._take_possession(busy_timeout_s, create=create)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the store."""
        options = {} if self._files else postgres.READING
        with self._guard(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection that holds the write lock; commits at the end, rolls back on an error."""
        options = files.WRITING if self._files else postgres.WRITING
        with self._guard(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            if not self._files:
                postgres.take_turn(connection)
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
        for sign, message, remedy in files.FAILURES if self._files else postgres.FAILURES:
            if sign in reason:
                return StoreError(f"{message} ({reason})", where=self.where, remedy=remedy)
        return StoreError(f"the database refused ({reason})", where=self.where, remedy="report this as a bug")

    def _take_possession(self, timeout_s: float, *, create: bool) -> None:
        """Check whose database this is, create or migrate: safe when two processes do it at once."""
        recognise = files.recognise if self._files else postgres.recognise
        with self.read() as connection:
            found = recognise(connection, self.where)
        if not found and not self._files and not create:
            raise StoreError("there is no such store", where=self.where, remedy="import or ingest some articles first")
        if self._files:
            files.use_wal(self.engine, self._guard, timeout_s)
        elif found == SCHEMA_VERSION:
            return
        with self.write() as connection:
            found = recognise(connection, self.where)
            if found < SCHEMA_VERSION:
                migrate.upgrade(connection, found)
                if self._files:
                    files.stamp(connection, SCHEMA_VERSION)


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


def _place(url_or_path: str | Path) -> Path | URL:
    """The file, or the URL of a PostgreSQL database."""
    given = str(url_or_path)
    if "://" not in given:
        if not given or given == ":memory:":
            raise StoreError("a store is a file", where=repr(given), remedy="give a path such as bondlore.db")
        return Path(given).expanduser()
    try:
        url = make_url(given)
    except ArgumentError as error:
        scheme = given.partition("://")[0][:20]
        raise StoreError(
            "is not a database URL", where=f"{scheme}://…", remedy="use a path, sqlite:///PATH or postgresql://…"
        ) from error
    where = url.render_as_string(hide_password=True)
    kind = url.drivername.partition("+")[0]
    if kind in _SERVERS:
        if not url.database:
            raise StoreError("names no database", where=where, remedy="write postgresql://user@host/database")
        return url.set(drivername="postgresql")
    if kind != "sqlite":
        raise StoreError(
            "only SQLite and PostgreSQL stores can be opened",
            where=where,
            remedy="use a path, sqlite:///PATH or postgresql://…",
        )
    if not url.database or url.database == ":memory:":
        raise StoreError("a store is a file", where=where, remedy="use sqlite:///bondlore.db")
    return Path(url.database)
