"""Two processes, one store: they write in turn, and nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from bondlore.article import Article
from bondlore.errors import StoreError
from bondlore.store import Store, schema

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
    errors = [process.communicate(timeout=300)[1] for process in running]
    assert errors == ["", ""]
    with Store.open(place) as store:
        store.cluster()
        counts = store.counts()
        assert (counts.articles, counts.sightings, counts.clusters) == (120, 160, 120)
        assert {s.source for s in store.sightings("s0")} == {"a", "b"}


# Rewrites every article again and again, as feeds do, and adds new ones.
INGESTER = """
import sys
from datetime import UTC, datetime, timedelta
from bondlore.article import Article
from bondlore.store import Store
seen = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)
with Store.open(sys.argv[1]) as store:
    for turn in range(6):
        for n in range(0, 40 + 10 * turn, 10):
            some = [Article(str(i), f"Headline {i}", f"Told {turn} times: {i}") for i in range(n, n + 10)]
            store.add(some, source="feed", seen_at=seen + timedelta(minutes=turn))
"""

# Tags whatever is untagged, with what it read as its evidence, until told that nobody writes any more; then once more.
TAGGER = """
import select, sys
from bondlore.store import Store
with Store.open(sys.argv[1]) as store:
    last = False
    while True:
        for article in store.untagged("m"):
            said = {"narrative": "n", "stance": "support", "sentence": 1, "text": article.text, "probability": 1.0}
            row = {"id": article.id, "status": "ok", "gate": "causal", "evidence": [said], "p_n": 1.0}
            store.save_taggings([row], model="m")
        if last:
            break
        last = bool(select.select([sys.stdin], [], [], 0.01)[0])
"""


def test_ingest_and_tag_at_once_lose_no_write(place: str) -> None:
    """What is tagged at the end is the present text of every article, whatever was rewritten while it was read."""

    def start(code: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", code, place]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    tagger, ingester = start(TAGGER), start(INGESTER)
    assert ingester.communicate(timeout=300)[1] == ""
    assert tagger.communicate(timeout=300)[1] == ""  # the end of its input tells it
    with Store.open(place) as store:
        articles = list(store.articles())
        assert len(articles) == 90
        assert {a.text for a in articles} == {f"Told 5 times: {a.id}" for a in articles}
        assert not list(store.untagged("m"))
        with store._database.read() as connection:
            found = connection.execute(select(schema.tagging.c.evidence, schema.tagging.c.revision)).all()
        assert sorted(row.evidence[0]["text"] for row in found) == sorted(a.text for a in articles)
        versions = {a.id: len(store.versions(a.id)) for a in articles}
        assert (versions["0"], versions["89"]) == (5, 0)


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
