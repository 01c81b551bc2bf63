"""How far an unfinished import got: the last row of each file, written with the articles of that row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from bondlore.store import schema
from bondlore.store.engine import chunks, upsert

__all__ = ["Mark", "forget", "known", "save"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A file (`key`, and `path` for a person) is dealt with up to `row`."""

    key: str
    path: str
    row: int


def known(connection: Connection) -> dict[str, int]:
    """The last row dealt with, by file key."""
    table = schema.intake
    return {row.key: row.row for row in connection.execute(select(table.c.key, table.c.row))}


def save(connection: Connection, marks: Mapping[str, Mark], *, saved_at: datetime) -> None:
    """Move marks on."""
    if not marks:
        return
    statement = upsert(connection, schema.intake)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["key"], set_={"row": new.row, "path": new.path, "saved_at": new.saved_at}
    )
    rows = [{"key": m.key, "path": m.path, "row": m.row, "saved_at": saved_at} for m in marks.values()]
    connection.execute(statement, rows)


def forget(connection: Connection, keys: Iterable[str]) -> None:
    """Drop the marks of an import that came to its end: the same files may be read again."""
    for some in chunks(sorted(keys)):
        connection.execute(delete(schema.intake).where(schema.intake.c.key.in_(some)))
