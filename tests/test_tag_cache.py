"""Copies are read once: the same answers as without, bounded memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bondlore.article import Article
from bondlore.tag.cache import Remembering
from tiny_model import TinyLoader, rows

TAGGER = TinyLoader()(1)


class Counted:
    """A tagger that counts what it reads."""

    def __init__(self):
        self.bundle, self.read = TAGGER.bundle, []

    def tag_one(self, article):
        self.read.append(article.id)
        return TAGGER.tag_one(article)


def articles(n, **options):
    return [Article(r["id"], r["title"], r["text"]) for r in rows(n, **options)]


def test_a_copy_gets_the_answer_under_its_own_id_without_being_read():
    counted = Counted()
    tagger = Remembering(counted)
    (first,) = articles(1)
    copy = replace(first, id="copy", publisher="Another", url="https://example.org")
    assert tagger.tag_one(first) == TAGGER.tag_one(first)
    assert tagger.tag_one(copy) == TAGGER.tag_one(copy)
    assert (counted.read, tagger.copies) == (["a0"], 1)


def test_of_several_copies_the_first_is_expected_for_it_is_the_one_read():
    told = []
    counted = Counted()
    counted.expect = told.extend
    (first,) = articles(1)
    copies = [first, replace(first, id="copy"), replace(first, id="another")]
    tagger = Remembering(counted)
    tagger.expect(copies)
    for article in copies:
        tagger.tag_one(article)
    assert [article.id for article in told] == counted.read == ["a0"]


words = st.lists(st.sampled_from(["w1", "w2", " ", ". ", "\n", "\ud800", "é"]), max_size=4).map("".join)
wild = st.builds(
    Article, id=st.sampled_from("abc"), title=words, text=words, sentences=st.none() | st.lists(words).map(tuple)
)


@settings(deadline=None, max_examples=40)
@given(st.lists(wild, max_size=12), st.sampled_from([0, 3_000, 1 << 20]))
def test_answers_are_those_of_the_tagger_whatever_comes(items, budget):
    tagger = Remembering(TAGGER, budget=budget)
    for article in items:
        try:
            expected = TAGGER.tag_one(article)
        except (UnicodeError, TypeError) as error:  # lone surrogates are not for the tokenizer
            with pytest.raises(type(error)):
                tagger.tag_one(article)
        else:
            assert tagger.tag_one(article) == expected


@pytest.mark.parametrize(
    "other",
    [
        Article("b", "w1", "w2 w3"),
        Article("b", "w1 w2", "w3."),
        Article("b", "w1", "w2 w3. "),
        Article("b", "", "", sentences=("w1", "w2 w3.")),
        Article("b", "w1", "w2 w3.", sentences=()),
    ],
)
def test_nothing_but_the_very_words_is_a_copy(other):
    tagger = Remembering(Counted())
    tagger.tag_one(Article("a", "w1", "w2 w3."))
    tagger.tag_one(other)
    assert tagger.copies == 0


def test_with_sentences_of_their_own_two_articles_are_copies_whatever_their_text():
    tagger = Remembering(Counted())
    for text in ("one", "two"):
        tagger.tag_one(Article("a", "w1", text, sentences=("w1", "w2 w3.")))
    assert tagger.copies == 1


def test_what_fails_is_tried_again():
    tagger = Remembering(TAGGER)
    for _ in range(2):
        with pytest.raises(ValueError, match="poisoned"):
            tagger.tag_one(Article("a", "", "w1 poison."))
    assert tagger.copies == 0


def test_the_answer_longest_unused_goes_first():
    a, b, c = articles(3)
    counted = Counted()
    tagger = Remembering(counted, budget=3_500)  # two such articles
    for article in (a, b, a, c, a, b):
        tagger.tag_one(article)
    assert counted.read == ["a0", "a1", "a2", "a1"]


def test_memory_stays_within_the_budget():
    budget = 1 << 19
    tagger = Remembering(TAGGER, budget=budget)
    items = articles(120, words=250)
    tracemalloc.start()
    try:
        for article in items:
            tagger.tag_one(article)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert budget / 4 < used < 1.25 * budget


def test_off_the_subject_nothing_is_kept(tagger):
    """The shipped model's gate answers sooner than the memory would be worth."""
    reader = Remembering(tagger)
    for _ in range(2):
        reader.tag_one(Article("a", "Cup final", "The home side won by two goals."))
    assert reader.copies == 0


def test_the_store_reads_copies_once(tmp_path):
    from datetime import UTC, datetime

    from bondlore.chain import tag_store
    from bondlore.store import Store

    with Store.open(tmp_path / "n.db") as store:
        items = [replace(a, publisher=name, url=f"https://{name}.example/{a.id}") for name in "xy" for a in articles(3)]
        store.add([replace(a, id=f"{a.publisher}{a.id}") for a in items], source="test", seen_at=datetime.now(UTC))
        done = tag_store(store, TAGGER)
    assert (done.done, done.failed, done.copies) == (6, 0, 3)
