"""From sentences to the article."""

from __future__ import annotations

import numpy as np
import pytest

from bondlore.tag.rollup import ArticleCalibration, article_probability, narrative_tags, primary, verdict
from bondlore.tagging import SentenceTag


def sentence(scores, labels):
    return SentenceTag("s", scores, labels)


@pytest.mark.parametrize(
    ("support", "reject", "expected"),
    [(0.9, 0, "promotes"), (0, 0.7, "rejects"), (0.9, 0.8, "contested"), (4.0, 0.9, "promotes"), (0.5, 2.5, "rejects")],
)
def test_verdict(support, reject, expected):
    assert verdict(support, reject) == expected


def test_evidence_is_strongest_first():
    tags = narrative_tags(
        [sentence({"a": 0.5}, {"a": "support"}), sentence({"a": 0.9}, {"a": "support"}), sentence({"a": 0.1}, {})],
        {"a": 0.8},
    )
    assert tags["a"].evidence == (1, 0)


def test_a_narrative_without_a_sentence_is_absent():
    assert narrative_tags([sentence({"a": 0.9}, {})], {"a": 0.9}) == {}


def test_the_title_decides_between_equals():
    sentences = [sentence({"a": 0.0, "b": 0.6}, {"b": "support"}), sentence({"a": 0.9, "b": 0.0}, {"a": "support"})]
    sentences += [sentence({"a": 0.0, "b": 0.0}, {})] * 5
    sentences[1], sentences[6] = sentences[6], sentences[1]
    assert primary(sentences, narrative_tags(sentences, {"a": 0.9, "b": 0.9})) == "b"


def test_article_probability_rises_with_a_second_sentence():
    line = ArticleCalibration(0.0, 1.0, 0.5)
    one = article_probability(np.array([[0.6], [0.01]]), line)[0]
    two = article_probability(np.array([[0.6], [0.6]]), line)[0]
    assert one < two < 1


def test_article_probability_does_not_depend_on_order():
    line = ArticleCalibration(0.1, 1.0, 0.3)
    scores = np.random.default_rng(0).random((7, 3))
    assert np.allclose(article_probability(scores, line), article_probability(scores[::-1], line))
