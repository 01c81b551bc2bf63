"""Calibration on made logits whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from bondlore import taxonomy
from bondlore.measure.heldout import parse_held_out
from bondlore.tag.bundle import Calibration
from bondlore.tag.rollup import article_probability
from bondlore.train.calibration import (
    NEUTRAL,
    added,
    calibrate,
    carried_over,
    count_errors,
    held_out_scores,
    platt,
)
from bondlore.train.labels import LabelledArticle

TAXONOMY = taxonomy.parse({"narratives": [{"id": "a"}, {"id": "b"}]}, where="t")


def made(n=400, seed=0):
    """Articles whose true probability is sigmoid(2 * logit - 1)."""
    rng = np.random.default_rng(seed)
    articles, logits = [], {}
    for i in range(n):
        x = rng.normal(-1, 1.5, size=(6, 2))
        y = rng.random(x.shape) < 1 / (1 + np.exp(-(2 * x - 1)))
        denied = rng.random(x.shape) < 0.3
        labels = {
            s: {("a", "b")[k]: "reject" if denied[s, k] else "support" for k in range(2) if y[s, k]} for s in range(6)
        }
        articles.append(LabelledArticle(str(i), ("s",) * 6, {s: m for s, m in labels.items() if m}, gate="causal"))
        logits[i] = (x, np.where(denied, 2.0, -2.0))
    return logits, articles


def test_platt_recovers_slope_and_intercept():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-(1.7 * x - 0.8)))).astype(float)
    slope, intercept = platt(x, y)
    assert slope == pytest.approx(1.7, abs=0.08)
    assert intercept == pytest.approx(-0.8, abs=0.05)


def test_platt_stays_finite_on_separable_classes():
    slope, intercept = platt(np.array([-2.0, -1, 1, 2]), np.array([0.0, 0, 1, 1]))
    assert np.isfinite([slope, intercept]).all()


def test_calibration_recovers_the_line_and_finds_denials():
    logits, articles = made()
    found = calibrate(logits, articles, TAXONOMY)
    assert np.allclose(found.slope, 2, atol=0.3)
    assert np.allclose(found.intercept, -1, atol=0.3)
    assert 0.12 < found.reject_threshold < 0.88
    assert all(0.25 <= t <= 0.6 for t in found.threshold)


def test_what_the_network_says_of_a_missing_title_counts_for_nothing():
    logits, articles = made(100)
    untitled = [LabelledArticle(a.id, ("", *a.sentences), {s + 1: m for s, m in a.labels.items()}) for a in articles]
    title = np.full((1, 2), 9.0)
    odd = {i: tuple(np.vstack([title, part]) for part in pair) for i, pair in logits.items()}
    settled = calibrate(logits, articles, TAXONOMY)
    assert calibrate(odd, untitled, TAXONOMY) == settled
    assert carried_over(settled, odd, untitled, TAXONOMY) == carried_over(settled, logits, articles, TAXONOMY)


def test_error_counts_add_up_and_leave_off_topic_articles_out():
    logits, articles = made(100)
    articles[0] = LabelledArticle("0", articles[0].sentences, {}, gate="off_topic")
    settled = calibrate(logits, articles, TAXONOMY)
    counts = count_errors(logits, articles, TAXONOMY, settled)
    assert counts["n"] == 99
    for cells in counts["narratives"]["a"].values():
        assert sum(cells.values()) == 99


# a model that continues another


def continued(stance):
    """One narrative, carried by the first of two sentences in each of 40 articles; every fourth article denies it."""
    narratives = taxonomy.parse({"name": "t", "narratives": [{"id": "a", "definition": "x"}]}, where="t")
    articles = [
        LabelledArticle(str(i), ("", "one", "two"), {1: {"a": "reject" if i % 4 == 0 else "support"}}, gate="causal")
        for i in range(40)
    ]
    logits = {
        i: (np.array([[-9.0], [4.0], [-9.0]]), np.full((3, 1), stance["reject" if i % 4 == 0 else "support"]))
        for i in range(40)
    }
    base = Calibration((1.0,), (0.0,), (0.3,), 0.5, NEUTRAL)
    return base, logits, articles, narratives


def test_a_continued_model_keeps_the_lines_and_sets_the_reject_threshold_between_the_stances():
    base, logits, articles, narratives = continued({"reject": 0.4, "support": -1.5})  # 0.60 and 0.18
    made = carried_over(base, logits, articles, narratives)
    assert (made.slope, made.intercept, made.threshold) == (base.slope, base.intercept, base.threshold)
    assert 0.18 < made.reject_threshold <= 0.60


def test_without_a_denial_among_the_held_out_the_reject_threshold_stays():
    base, logits, articles, narratives = continued({"reject": 0.4, "support": -1.5})
    pushed = {i: pair for i, pair in logits.items() if i % 4}
    assert carried_over(base, pushed, articles, narratives) == base


def test_error_counts_of_two_sets_are_those_of_their_union():
    base, logits, articles, narratives = continued({"reject": 0.4, "support": -1.5})
    halves = [{i: pair for i, pair in logits.items() if i % 2 == k} for k in (0, 1)]
    one, other = (count_errors(half, articles, narratives, base) for half in halves)
    assert added(one, other) == count_errors(logits, articles, narratives, base)
    assert added(one, {}) == one


def test_held_out_scores_are_of_the_articles_whose_errors_are_counted():
    logits, articles = made(300)
    articles[0] = LabelledArticle("0", articles[0].sentences, {}, gate="off_topic")
    settled = calibrate(logits, articles, TAXONOMY)
    counts = count_errors(logits, articles, TAXONOMY, settled)
    found = parse_held_out(held_out_scores(logits, articles, TAXONOMY, settled).to_dict(), where="x")
    assert found.n == counts["n"] == 299
    for measure, cells in counts["narratives"]["a"].items():
        scores = found.scores("a", measure)
        others = scores.negative.sum() + (0 if scores.opposite is None else scores.opposite.sum())
        assert (scores.positive.sum(), others) == (cells["tp"] + cells["fn"], cells["fp"] + cells["tn"])
        assert not scores.unusable


def test_held_out_scores_are_those_that_a_tagger_gives():
    logits, articles = made(300)
    settled = calibrate(logits, articles, TAXONOMY)
    found = held_out_scores(logits, articles, TAXONOMY, settled).narratives["a"]
    p = [
        article_probability(1 / (1 + np.exp(-(np.array(settled.slope) * x + settled.intercept))), settled.article)[0]
        for x, _ in logits.values()
    ]
    assert np.bincount(found.bins(np.array(p))).tolist() == (found.positive + found.negative).tolist()
