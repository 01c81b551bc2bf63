"""Every schema that ever was becomes today's, and its articles are still there."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from bondlore.errors import StoreError
from bondlore.store import Store, migrate, schema
from bondlore.store.engine import Database

DATA = Path(__file__).parent / "data" / "schemas"
OLD = sorted(int(path.stem) for path in DATA.glob("*.sql"))
ON_A_SERVER = pytest.mark.parametrize("new_place", ["postgresql"], indirect=True)


def old_store(path: Path, version: int) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((DATA / f"{version}.sql").read_text())
    connection.close()
    return path


def differences(database: Database) -> list[Any]:
    """What stands between the database's tables and `store.schema`, by Alembic's own comparison."""
    # Search is made by hand on either engine and is no part of the common tables.
    apart = re.compile(r"article_search|^words$|^article_words$|^alembic_version$")
    with database.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": lambda _object, name, *_rest: not apart.search(name or ""), "compare_type": False},
        )
        return list(compare_metadata(context, schema.metadata))


def test_every_former_schema_is_kept_here() -> None:
    assert list(range(1, migrate.SCHEMA_VERSION)) == OLD
    names = sorted(path.name[:5] for path in Path(migrate.__file__).with_name("migrations").glob("v*.py"))
    assert names == [f"v{number:04}" for number in range(1, migrate.SCHEMA_VERSION + 1)]


@pytest.mark.parametrize("version", OLD)
def test_a_historic_store_upgrades_with_all_it_holds(tmp_path: Path, version: int) -> None:
    path = old_store(tmp_path / "news.db", version)
    with Store.open(path) as store:
        assert differences(store._database) == []
        counts = store.counts()
        assert (counts.articles, counts.versions, counts.sightings, counts.feeds) == (1, 1, 2, 1)
        assert [a.id for a in store.search("basis trade")] == ["a1"]
        assert store.feed_states()["https://example.org/rss"].etag == '"1"'
        assert counts.models == {"m": 1}
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (migrate.SCHEMA_VERSION,)
    connection.close()


def test_a_new_store_has_exactly_the_tables_of_the_code(place: str) -> None:
    with Store.open(place) as store:
        assert differences(store._database) == []


def test_the_comparison_sees_a_forgotten_column(place: str) -> None:
    with Store.open(place) as store:
        with store._database.write() as connection:
            connection.execute(text("ALTER TABLE feed DROP COLUMN ttl_s"))
        assert differences(store._database) != []


@ON_A_SERVER
def test_a_server_store_of_schema_1_upgrades(new_place: Callable[[], str]) -> None:
    place = new_place()
    database = Database.open(place)
    with database.write() as connection:
        for name in ("intake", "poll", "feed", "band", "near_copy", "signature", "tagging", "version", "sighting"):
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text("DROP TABLE alias, apart, article, alembic_version"))
        migrate.upgrade(connection, 0, to=1)
    database.close()
    with Store.open(place) as store:
        assert differences(store._database) == []


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_store(tmp_path / "news.db", 1)
    upgrade = migrate.upgrade

    def broken(connection: Any, found: int) -> None:
        upgrade(connection, found)
        raise StoreError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "upgrade", broken)
        with pytest.raises(StoreError, match="power cut"):
            Store.open(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "ttl_s" not in {row[1] for row in connection.execute("PRAGMA table_info(feed)")}
    connection.close()
    with Store.open(path) as store:
        assert store.counts().articles == 1


@ON_A_SERVER
def test_tables_of_another_program_on_a_server_are_left_alone(new_place: Callable[[], str]) -> None:
    place = new_place()
    database = Database.open(place)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'ae1027a6acf'"))
    database.close()
    with pytest.raises(StoreError, match="another program"):
        Store.open(place)
