"""The figures, by hand-made cases and against the reference scorer."""

from __future__ import annotations

import importlib.util
import random

import pytest

from bondlore.train.figures import score

NAMES, CORE = ("a", "b", "c"), ("a", "b")


def gold(labels, n=4):
    return {"x": {"sentences": ["s"] * n, "labels": labels}}


def values(g, p):
    return score(g, p, narratives=NAMES, core=CORE, draws=0).values


def test_perfect_predictions_score_one():
    g = gold({"1": {"a": "support"}, "2": {"b": "reject"}})
    v = values(g, {"x": {"labels": g["x"]["labels"]}})
    assert (v["detection_f1"], v["micro_f1"], v["core_micro_f1"], v["reject_f1"]) == (1, 1, 1, 1)


def test_a_missing_article_counts_as_empty():
    assert values(gold({"1": {"a": "support"}}), {})["micro_f1"] == 0


def test_one_hit_one_miss_one_false_alarm():
    g = gold({"1": {"a": "support"}, "2": {"a": "support"}})
    v = values(g, {"x": {"labels": {"1": {"a": "support"}, "3": {"a": "support"}}}})
    assert v["micro_f1"] == pytest.approx(0.5)


def test_a_denial_read_as_support():
    g = gold({"1": {"a": "reject"}, "2": {"a": "reject"}})
    v = values(g, {"x": {"labels": {"1": {"a": "support"}, "2": {"a": "reject"}}}})
    assert v["reject_as_support"] == 0.5
    assert v["reject_f1"] == pytest.approx(2 / 3)
    assert v["micro_f1"] == 1


def test_calibration_in_the_large():
    g = gold({"1": {"a": "support"}}, n=2)
    v = values(g, {"x": {"labels": {}, "scores": {"0": {"a": 0.5}, "1": {"a": 0.7}}}})
    assert v["bias_a"] == pytest.approx((1.2 - 1) / 2)


def test_intervals_hold_the_point():
    rng = random.Random(0)
    g = {str(i): {"sentences": ["s"] * 3, "labels": {"1": {rng.choice(NAMES): "support"}}} for i in range(50)}
    p = {i: {"labels": x["labels"] if rng.random() < 0.7 else {}} for i, x in g.items()}
    f = score(g, p, narratives=NAMES, core=CORE, draws=300)
    low, high = f.intervals["micro_f1"]
    assert low < f.values["micro_f1"] < high


def test_figures_agree_with_the_reference_scorer(shared):
    spec = importlib.util.spec_from_file_location("reference", shared / "score.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    rng = random.Random(1)

    def some():
        return {str(i): {rng.choice(NAMES): rng.choice(("support", "reject"))} for i in range(6) if rng.random() < 0.5}

    g = {str(i): {"sentences": ["s"] * 6, "labels": some()} for i in range(60)}
    p = {
        i: {"labels": some(), "scores": {str(k): {n: rng.random() for n in NAMES} for k in range(6)}}
        for i in list(g)[:55]
    }
    counts = sum((reference.counts(x, p.get(i, {}), CORE) for i, x in g.items()), reference.Counter())
    expected = reference.figures(counts, CORE) | reference.calibration(g, p, CORE)
    found = values(g, p)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
