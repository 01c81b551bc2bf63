"""Bring a store's schema up to date with Alembic, inside the caller's transaction: all of it or nothing.

SQLite also carries the version as `user_version`, so that opening an up-to-date file needs no Alembic at all.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from bondlore.errors import StoreError

__all__ = ["SCHEMA_VERSION", "known", "upgrade", "version_of"]

SCHEMA_VERSION = 3  # the newest revision in `migrations`
_FOLDER = Path(__file__).with_name("migrations")


def version_of(connection: Connection) -> int:
    """The schema version Alembic recorded, 0 where it recorded none."""
    if not inspect(connection).has_table("alembic_version"):
        return 0
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return int(found) if found else 0


def known(found: int, where: str) -> int:
    """`found` again. Raises StoreError when it is newer than this bondlore."""
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"was written by a newer bondlore (schema {found}, this one knows {SCHEMA_VERSION})",
            where=where,
            remedy="upgrade bondlore",
        )
    return found


def upgrade(connection: Connection, found: int, *, to: int = SCHEMA_VERSION) -> None:
    """Run the revisions after `found` up to `to`. A file from before Alembic is stamped with its version first."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(_FOLDER), version_locations=[str(_FOLDER)])
    context = MigrationContext.configure(
        connection, opts={"fn": lambda revision, _context: scripts._upgrade_revs(f"{to:04}", revision)}
    )
    if found and not version_of(connection):
        context.stamp(scripts, f"{found:04}")
    with Operations.context(context):
        context.run_migrations()
