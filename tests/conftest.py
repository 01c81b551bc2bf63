"""Fixtures several test files share: the shipped model (once), and the folder of material that may be absent."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import postgres_server

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("BONDLORE_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real news and labels that may not enter the repository; tests of them skip where it is absent."""
    if not (SHARED / "news").is_dir():
        pytest.skip(f"no shared material at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def tagger():
    """The shipped model."""
    from bondlore import Tagger

    return Tagger.load()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started once; tests of it skip where Debian's package is missing."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'bondlore[postgres]'")
    if (folder := postgres_server.binaries()) is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with postgres_server.running(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Gives the address of another empty store at every call: once files, once schemas of a server."""
    numbers = itertools.count()
    if request.param == "sqlite":
        yield lambda: str(tmp_path / f"news{next(numbers)}.db")
        return
    import psycopg

    url = request.getfixturevalue("postgres")
    prefix = f"t{secrets.token_hex(6)}"
    made: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:

        def place() -> str:
            made.append(f"{prefix}_{next(numbers)}")
            connection.execute(f"CREATE SCHEMA {made[-1]}")
            return f"{url}?options=-csearch_path%3D{made[-1]}"

        yield place
        for name in made:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def place(new_place: Callable[[], str]) -> str:
    """The address of an empty store, in a file and on a server."""
    return new_place()
