"""Sentence splitting on wild input: nothing lost, nothing invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bondlore.article import Article
from bondlore.tag.sentences import split, split_text


def article(title="", text="", sentences=None):
    return Article("x", title, text, sentences=sentences)


def test_the_title_comes_first():
    assert split(article("Bonds fall", "Yields rose. Stocks fell.")) == ["Bonds fall", "Yields rose.", "Stocks fell."]


def test_a_missing_title_keeps_its_place():
    assert split(article(text="Yields rose."))[0] == ""


def test_sentences_of_the_caller_are_kept():
    given_ = ("t", "a. b.", "", "c")
    assert split(article(sentences=given_)) == list(given_)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S. sold notes. Mr. Smith bought.", ["The U.S. sold notes.", "Mr. Smith bought."]),
        ("The 10-year rose to 4.5%. Funds sold.", ["The 10-year rose to 4.5%.", "Funds sold."]),
        ("first line\ngoes on here.\n\nSecond paragraph", ["first line goes on here.", "Second paragraph"]),
        ("<p>Yields &amp; prices fell.</p><script>alert(1)</script>", ["Yields & prices fell."]),
        ("", []),
        ("\x00\x07 \u202e", []),
    ],
)
def test_splitting(text, expected):
    assert split_text(text) == expected


@given(st.text(max_size=500))
def test_any_text_gives_sentences_without_control_characters(text):
    for sentence in split_text(text):
        assert sentence == sentence.strip() != ""
        assert not any(ord(c) < 32 for c in sentence)


def test_unpunctuated_text_is_cut_and_kept_whole():
    words = [f"w{i}" for i in range(1000)]
    pieces = split_text(" ".join(words))
    assert len(pieces) > 10
    assert " ".join(pieces).split() == words
