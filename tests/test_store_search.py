"""Full-text search keeps up with the articles and takes any input."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bondlore.article import Article
from bondlore.errors import InputError
from bondlore.store import Store
from bondlore.store.search import expression

SEEN = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)
ARTICLES = [
    Article("basis", "Hedge funds unwind the basis trade", "Leverage came down.", published_at=SEEN),
    Article("tariff", "Tariffs lift inflation fears", "A trade dispute, on the basis of duties.", published_at=SEEN),
    Article("old", "The basis trade grows", "Regulators look on.", published_at=SEEN - timedelta(days=400)),
]


def filled(place: str) -> Store:
    store = Store.open(place)
    store.add(ARTICLES, source="a", seen_at=SEEN)
    return store


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("basis trade", {"basis", "tariff", "old"}),
        ('"basis trade"', {"basis", "old"}),
        ("regul*", {"old"}),
        ("TARIFFS inflation", {"tariff"}),
        ("basis tariffs unwind", set()),
    ],
)
def test_words_phrases_and_beginnings(place: str, query: str, ids: set[str]) -> None:
    with filled(place) as store:
        assert {a.id for a in store.search(query)} == ids


def test_since_and_limit(place: str) -> None:
    with filled(place) as store:
        assert {a.id for a in store.search("basis", since=SEEN)} == {"basis", "tariff"}
        assert len(store.search("basis", limit=1)) == 1


@pytest.mark.parametrize("query", ['zz AND OR NOT "', "title:x", "NEAR(a b)", "a-b^c", "x' OR 1 --", "(((zz", "\x00zz"])
def test_no_query_is_a_syntax_error(place: str, query: str) -> None:
    with filled(place) as store:
        assert store.search(query) == []


def test_a_query_without_words_is_refused(place: str) -> None:
    with filled(place) as store, pytest.raises(InputError, match="no word to search for"):
        store.search(' "" ** ')


def test_the_index_follows_a_rewrite(place: str) -> None:
    with filled(place) as store:
        new = Article("basis", "Hedge funds unwind the swap trade", "Leverage came down.", published_at=SEEN)
        assert store.add([new], source="a", seen_at=SEEN).updated == 1
        assert [a.id for a in store.search('"swap trade"')] == ["basis"]
        assert [a.id for a in store.search('"basis trade"')] == ["old"]


def test_the_index_can_be_rebuilt(place: str) -> None:
    with filled(place) as store:
        store.rebuild_search()
        assert len(store.search("basis")) == 3


def test_a_lost_index_is_mended(tmp_path: Path) -> None:
    check = "INSERT INTO article_search(article_search, rank) VALUES ('integrity-check', 1)"
    with filled(str(tmp_path / "news.db")) as store:
        with store._database.write() as connection:
            connection.exec_driver_sql(check)
            connection.exec_driver_sql("INSERT INTO article_search(article_search) VALUES ('delete-all')")
        assert store.search("basis") == []
        store.rebuild_search()
        assert len(store.search("basis")) == 3


def test_a_text_too_long_for_the_index_is_stored(place: str) -> None:
    words = " ".join(f"w{number}é" for number in range(120_000))
    with Store.open(place) as store:
        store.add([Article("long", "A long list", words)], source="a", seen_at=SEEN)
        assert [a.id for a in store.search("w77é list")] == ["long"]


def test_operators_are_plain_words() -> None:
    assert expression("yields AND bunds") == '"yields" AND "AND" AND "bunds"'
