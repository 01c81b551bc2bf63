"""Two processes, one store: they write in turn, and nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from bondlore.article import Article
from bondlore.errors import StoreError
from bondlore.store import Store

SEEN = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)

# Opens the store (which may not exist yet), then writes many small transactions, half of them the other's articles.
WRITER = """
import sys
from datetime import UTC, datetime
from bondlore.article import Article
from bondlore.store import Store
place, name = sys.argv[1:]
seen = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)
with Store.open(place) as store:
    for i in range(40):
        own, shared = Article(f"{name}{i}", f"Headline {name} {i}"), Article(f"s{i}", f"Shared headline {i}")
        store.add([own, shared], source=name, seen_at=seen)
    store.cluster()
"""


def test_two_processes_open_a_new_store_and_write_at_once(place: str) -> None:
    command = [sys.executable, "-W", "error", "-c", WRITER, place]
    running = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("a", "b")]
    errors = [process.communicate(timeout=60)[1] for process in running]
    assert errors == ["", ""]
    with Store.open(place) as store:
        store.cluster()
        counts = store.counts()
        assert (counts.articles, counts.sightings, counts.clusters) == (120, 160, 120)
        assert {s.source for s in store.sightings("s0")} == {"a", "b"}


def test_a_reader_does_not_wait_for_a_writer(place: str) -> None:
    with Store.open(place) as writer, Store.open(place, busy_timeout_s=0) as reader:
        writer.add([Article("a", "A")], source="s", seen_at=SEEN)
        with writer._database.write():
            assert [a.id for a in reader.articles()] == ["a"]


def test_a_writer_that_waited_too_long_says_so(place: str) -> None:
    with Store.open(place) as one, Store.open(place, busy_timeout_s=0.05) as two, one._database.write():
        with pytest.raises(StoreError, match="held the write lock for too long") as caught:
            two.add([Article("a", "A")], source="s", seen_at=SEEN)
        assert caught.value.where == place
        assert "run again" in caught.value.remedy


def test_a_failed_write_leaves_nothing(place: str) -> None:
    def write(store: Store) -> None:
        with store._database.write() as connection:
            connection.exec_driver_sql("INSERT INTO intake VALUES ('k', 'p', 0, '2025-01-01')")
            connection.exec_driver_sql("INSERT INTO sighting VALUES (99, 's', '', '2025-01-01', '2025-01-01')")

    with Store.open(place) as store:
        with pytest.raises(StoreError, match=r"(?i)foreign key"):
            write(store)
        with store._database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM intake").scalar_one() == 0
