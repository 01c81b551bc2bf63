"""Whose file is it, which version, and can it be written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bondlore.errors import StoreError
from bondlore.store import Store, migrate
from bondlore.store.engine import SCHEMA_VERSION, Database
from bondlore.store.schema import APPLICATION_ID


def pragma(path: Path, name: str) -> object:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_new_store_is_stamped_and_uses_wal(tmp_path: Path) -> None:
    path = tmp_path / "news.db"
    Store.open(path).close()
    stamps = [pragma(path, name) for name in ("application_id", "user_version", "journal_mode")]
    assert stamps == [APPLICATION_ID, SCHEMA_VERSION, "wal"]


def test_every_connection_has_the_pragmas(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "news.db", busy_timeout_s=7)
    with database.read() as one, database.read() as two:
        for connection in (one, two):
            got = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("foreign_keys", "busy_timeout", "synchronous")
            ]
            assert got == [1, 7000, 1]
    database.close()


def test_a_url_names_the_same_file_as_a_path(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/news.db"), Store.open(tmp_path / "news.db", create=False) as again:
        assert again.counts().articles == 0


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "news.db"
    path.touch()
    with Store.open(path) as store:
        assert store.counts().articles == 0


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE entries (id)", "PRAGMA application_id = 1919247981", "PRAGMA user_version = 3"]
)
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "reader.sqlite"
    execute(path, statement)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program") as caught:
        Store.open(path)
    assert caught.value.where == str(path)
    assert path.read_bytes() == before


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "news.db"
    Store.open(path).close()
    execute(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=r"newer bondlore.*upgrade"):
        Store.open(path)


@pytest.mark.parametrize("content", [b"title,text\n", b"\x00" * 64])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "news.csv"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a bondlore store"):
        Store.open(path)
    assert path.read_bytes() == content


def test_a_damaged_database_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "news.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with pytest.raises(StoreError):
        Store.open(path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"directory does not exist; create .*missing first"):
        Store.open(tmp_path / "missing" / "news.db")


def test_a_directory_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a directory"):
        Store.open(tmp_path)


def test_a_path_under_a_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        Store.open(tmp_path / "file" / "news.db")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a directory that nobody can write")
def test_a_directory_that_cannot_be_written_is_a_store_error() -> None:
    with pytest.raises(StoreError, match=r"cannot be opened.*check that the directory"):
        Store.open("/proc/self/news.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "news.db"
    Store.open(path).close()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StoreError, match="permission"):
            Store.open(path)
    finally:
        tmp_path.chmod(0o755)


def test_without_create_a_missing_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such store"):
        Store.open(tmp_path / "news.db", create=False)
    assert not (tmp_path / "news.db").exists()


@pytest.mark.parametrize("name", ["", ":memory:", "sqlite://", "sqlite:///:memory:"])
def test_a_store_is_a_file(name: str) -> None:
    with pytest.raises(StoreError, match="a store is a file"):
        Store.open(name)


def test_another_database_is_refused_without_telling_the_password() -> None:
    with pytest.raises(StoreError, match="only SQLite and PostgreSQL") as caught:
        Store.open("mysql://desk:secret@db/news")
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/news: cannot be reached") as caught:
        Store.open("postgresql://desk:secret@127.0.0.1:1/news")
    assert "secret" not in str(caught.value)


def test_a_failed_creation_leaves_a_file_that_can_still_become_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = migrate.upgrade

    def broken(connection: Connection, found: int) -> None:
        upgrade(connection, found)
        raise StoreError("power cut")

    path = tmp_path / "news.db"
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "upgrade", broken)
        with pytest.raises(StoreError, match="power cut"):
            Store.open(path)
    with Store.open(path) as store:
        assert store.counts().articles == 0


def test_importing_the_room_loads_no_database() -> None:
    code = "import sys, bondlore.store; print(sorted({'sqlalchemy', 'pyarrow', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_room_has_no_other_names() -> None:
    import bondlore.store

    with pytest.raises(AttributeError, match="no attribute 'Shop'"):
        _ = bondlore.store.Shop
