"""Taggings in and out, and which articles still wait for a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bondlore import tagging, taxonomy
from bondlore.article import Article
from bondlore.errors import InputError, StoreError
from bondlore.store import Store
from bondlore.tagging import NarrativeTag, SentenceTag, Tagging

SEEN = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)
TAXONOMY = taxonomy.parse({"narratives": [{"id": "squeeze"}, {"id": "flood"}]}, where="test")
ARTICLES = [
    Article(
        "b", "Later", "Text b.", published_at=SEEN, published_precision="second", publisher="P", url="https://e.org/b"
    ),
    Article("c", "Undated", "Text c."),
    Article("a", "Same time", "Text a.", published_at=SEEN, published_precision="second"),
    Article("d", "Earlier", "Text d.", published_at=SEEN - timedelta(days=1), published_precision="day"),
]


def ticking() -> Iterator[datetime]:
    at = SEEN
    while True:
        yield at
        at += timedelta(seconds=1)


def filled(place: str) -> Store:
    store = Store.open(place, clock=ticking().__next__)
    store.add(ARTICLES, source="a", seen_at=SEEN)
    return store


def read(article: Article, model: str = "m1", p: float = 0.75) -> dict[str, Any]:
    """A row as the tagging room makes it: the second sentence denies `flood`, the first supports `squeeze`."""
    sentences = [
        SentenceTag(article.title, {"squeeze": p, "flood": 0.125}, {"squeeze": "support"}),
        SentenceTag(article.text, {"squeeze": 0.25, "flood": 0.5}, {"flood": "reject"}),
    ]
    narratives = {"squeeze": NarrativeTag(p, "promotes", (0,)), "flood": NarrativeTag(0.5, "rejects", (1,))}
    made = Tagging(article.id, "causal", "squeeze", narratives, {"squeeze": p, "flood": 0.5}, sentences, model)
    return tagging.row(article, made)


def stored(narratives: tuple[str, ...]) -> pa.Schema:
    return tagging.schema(narratives).append(pa.field("published_confidence", pa.string()))


def test_the_table_has_exactly_the_schema(place: str) -> None:
    with filled(place) as store:
        store.save_taggings(map(read, store.untagged("m1")))
        table = store.tagged(taxonomy=TAXONOMY)
    assert table.schema.equals(stored(TAXONOMY.ids), check_metadata=True)
    table.validate(full=True)


def test_the_table_is_what_tagging_row_made(place: str) -> None:
    with filled(place) as store:
        rows = [read(article) for article in store.articles()]
        store.save_taggings(rows)
        table = store.tagged(taxonomy=TAXONOMY)
    order = {"d": 0, "a": 1, "b": 2, "c": 3}
    expected = [row | {"published_confidence": ""} for row in sorted(rows, key=lambda row: order[row["id"]])]
    assert table.equals(pa.Table.from_pylist(expected, schema=stored(TAXONOMY.ids)))


def test_rows_are_ordered_by_time_then_id_with_the_undated_last(place: str) -> None:
    with filled(place) as store:
        store.save_taggings(map(read, store.untagged("m1")))
        assert store.tagged(taxonomy=TAXONOMY)["id"].to_pylist() == ["d", "a", "b", "c"]


def test_near_copies_share_a_cluster_in_the_table(place: str) -> None:
    text = "Treasury yields rose for a fifth day on Tuesday as buyers of the longest bonds stayed away, " * 3
    copies = [
        Article("y", "One", text, publisher="A", published_at=SEEN),
        Article("x", "Two", text, publisher="B", published_at=SEEN + timedelta(hours=1)),
    ]
    with filled(place) as store:
        store.add(copies, source="a", seen_at=SEEN)
        store.cluster()
        store.save_taggings(map(read, store.untagged("m1")))
        table = store.tagged(taxonomy=TAXONOMY)
    clusters = dict(zip(table["id"].to_pylist(), table["cluster"].to_pylist(), strict=True))
    assert clusters == {"a": "a", "b": "b", "c": "c", "d": "d", "x": "y", "y": "y"}


def test_an_empty_store_gives_an_empty_table(place: str) -> None:
    with filled(place) as store:
        table = store.tagged(taxonomy=TAXONOMY)
    assert table.num_rows == 0
    assert table.schema.equals(stored(TAXONOMY.ids))


def test_a_narrative_the_model_did_not_know_is_null(place: str) -> None:
    wider = taxonomy.parse({"narratives": [{"id": "flood"}, {"id": "drought"}]}, where="test")
    with filled(place) as store:
        store.save_taggings(map(read, store.untagged("m1")))
        table = store.tagged(taxonomy=wider)
    assert table.schema.equals(stored(wider.ids))
    assert set(table["p_drought"].to_pylist()) == {None}
    assert set(table["p_flood"].to_pylist()) == {0.5}


def test_saving_again_changes_nothing(place: str) -> None:
    with filled(place) as store:
        rows = [read(article) for article in store.untagged("m1")]
        assert store.save_taggings(rows) == 4
        before = store.tagged(taxonomy=TAXONOMY)
        assert store.save_taggings(rows + rows) == 8
        assert store.tagged(taxonomy=TAXONOMY).equals(before)


def test_a_better_reading_replaces_the_former(place: str) -> None:
    with filled(place) as store:
        store.save_taggings([read(ARTICLES[0], p=0.25)])
        store.save_taggings([read(ARTICLES[0], p=0.5)])
        assert store.tagged(taxonomy=TAXONOMY)["p_squeeze"].to_pylist() == [0.5]


def test_numpy_probabilities_are_kept(place: str) -> None:
    with filled(place) as store:
        store.save_taggings([read(ARTICLES[0], p=np.float32(0.1))])  # type: ignore[arg-type]
        assert store.tagged(taxonomy=TAXONOMY)["p_squeeze"].to_pylist() == [float(np.float32(0.1))]


def test_models_are_kept_apart_and_the_last_used_is_the_default(place: str) -> None:
    with filled(place) as store:
        store.save_taggings(read(a, "m2") for a in store.untagged("m2"))
        store.save_taggings(read(a, "m1") for a in ARTICLES[:2])
        assert store.tagged(taxonomy=TAXONOMY)["model"].to_pylist() == ["m1", "m1"]
        assert store.tagged(model="m2", taxonomy=TAXONOMY).num_rows == 4
        assert list(store.counts().models.items()) == [("m1", 2), ("m2", 4)]


def test_an_unknown_model_is_named_with_the_known_ones(place: str) -> None:
    with filled(place) as store:
        store.save_taggings([read(ARTICLES[0])])
        with pytest.raises(StoreError, match=r"'m9'; known: m1"):
            store.tagged(model="m9", taxonomy=TAXONOMY)


def test_tagged_articles_are_not_given_out_again(place: str) -> None:
    with filled(place) as store:
        assert [a.id for a in store.untagged("m1")] == ["b", "c", "a", "d"]
        store.save_taggings([read(ARTICLES[0])])
        assert [a.id for a in store.untagged("m1")] == ["c", "a", "d"]
        assert len(list(store.untagged("m2"))) == 4
        assert (store.waiting("m1"), store.waiting("m2")) == (3, 4)


def test_failures_are_rows_and_are_tried_again(place: str) -> None:
    with filled(place) as store:
        store.save_taggings([tagging.row(ARTICLES[0], None, error="too long")], model="m1")
        assert "b" in [a.id for a in store.untagged("m1")]
        assert "b" not in [a.id for a in store.untagged("m1", retry_errors=False)]
        assert (store.waiting("m1"), store.waiting("m1", retry_errors=False)) == (4, 3)
        table = store.tagged(taxonomy=TAXONOMY)
        got = [table[name][0].as_py() for name in ("status", "error", "model", "gate", "p_flood", "evidence")]
        assert got == ["error", "too long", "m1", None, None, None]


def test_each_article_is_given_out_once_even_if_all_fail(place: str) -> None:
    with filled(place) as store:
        given = []
        for article in store.untagged("m1"):
            given.append(article.id)
            store.save_taggings([tagging.row(article, None, error="no")], model="m1")
        assert given == ["b", "c", "a", "d"]


def test_a_rewritten_article_waits_again_and_keeps_its_former_tagging(place: str) -> None:
    with filled(place) as store:
        store.save_taggings(map(read, store.untagged("m1")))
        store.add([replace(ARTICLES[0], text="Text b, mended.")], source="a", seen_at=SEEN)
        assert [a.text for a in store.untagged("m1")] == ["Text b, mended."]
        assert store.tagged(taxonomy=TAXONOMY).num_rows == 4


def test_a_text_rewritten_while_it_was_read_still_waits(place: str) -> None:
    with filled(place) as store:
        rows = [read(article) for article in store.untagged("m1")]
        store.add([replace(ARTICLES[0], text="Text b, mended.")], source="a", seen_at=SEEN)
        store.save_taggings(rows)
        assert [a.id for a in store.untagged("m1")] == ["b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ""}, "names no model"),
        ({"status": "fine"}, "has the status 'fine'"),
        ({"gate": "bond"}, "has the gate 'bond'"),
        ({"p_squeeze": float("nan")}, "p_squeeze = nan"),
        ({"p_squeeze": 1.5}, "no probability"),
        ({"v_flood": "maybe"}, "no verdict"),
        ({"evidence": [{"narrative": "flood"}]}, "has evidence without"),
    ],
)
def test_a_malformed_row_is_refused_by_name(place: str, change: dict[str, Any], message: str) -> None:
    with filled(place) as store:
        with pytest.raises(InputError, match=f"tagging of article 'b': .*{message}"):
            store.save_taggings([read(ARTICLES[2]), read(ARTICLES[0]) | change])
        assert store.tagged(taxonomy=TAXONOMY).num_rows == 0


def test_a_tagging_of_an_unknown_article_is_refused(place: str) -> None:
    with filled(place) as store, pytest.raises(StoreError, match="article 'zz': is not in the store"):
        store.save_taggings([read(replace(ARTICLES[0], id="zz"))])
