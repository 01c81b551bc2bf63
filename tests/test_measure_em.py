"""EM under prior shift and the sum of probabilities, as methods of a share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bondlore.errors import InputError, ModelError
from bondlore.measure.confusion import Confusion, Counts
from bondlore.measure.heldout import HeldOut, Scores, load_held_out, make_held_out, parse_held_out
from bondlore.measure.prior_shift import densities, density_draws, mixture_share, mixture_with, ratio_of, saerens
from bondlore.measure.series import ShareSeries
from bondlore.measure.shares import shares
from bondlore.tagging import schema
from bondlore.taxonomy import Narrative, Taxonomy

TAXONOMY = Taxonomy("test", "1", (Narrative("a", "a", "core", "a"),))
WEDNESDAY = datetime(2025, 4, 9, 15, tzinfo=UTC)
PRIOR = 0.3


def scored(rng: np.random.Generator, n: int, share: float, separation: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and probabilities calibrated at PRIOR: log-odds are normal, `separation` apart, of variance 1 each."""
    truth = rng.random(n) < share
    x = rng.normal(np.where(truth, separation, 0.0))
    odds = np.exp(separation * x - separation**2 / 2) * PRIOR / (1 - PRIOR)
    return truth, odds / (1 + odds)


def table(p: np.ndarray, start: int = 0, **more: Any) -> pa.Table:
    rows = [
        {
            "id": f"x{start + i}",
            "published_at": WEDNESDAY,
            "published_precision": "second",
            "gate": "causal",
            "model": "m1",
            "status": "ok",
            "p_a": float(value),
            "v_a": "promotes" if value > 0.5 else None,
        }
        | more
        for i, value in enumerate(p)
    ]
    return pa.Table.from_pylist(rows, schema=schema(TAXONOMY.ids))


def labels(truth: np.ndarray, start: int = 0) -> pa.Table:
    ids = [f"x{start + i}" for i in range(len(truth))]
    return pa.table({"id": ids, "v_a": pa.array(["promotes" if t else None for t in truth], pa.string())})


def held_out(rng: np.random.Generator, n: int = 1500, separation: float = 2.0) -> HeldOut:
    truth, p = scored(rng, n, PRIOR, separation)
    return make_held_out(table(p), labels(truth), TAXONOMY)


def presence(series: ShareSeries) -> dict[str, Any]:
    return next(r for r in series.rows() if r["series"] == "presence")


def test_the_fixed_point_of_em_is_found_without_iterating() -> None:
    _, p = scored(np.random.default_rng(0), 400, 0.6)
    exact = float(mixture_share(np.ones(400), ratio_of(p, PRIOR)))
    assert exact == pytest.approx(saerens(np.clip(p, 1e-4, 1 - 1e-4), PRIOR), abs=1e-6)
    assert exact == pytest.approx(0.6, abs=0.06)


def test_a_perfect_score_gives_the_count() -> None:
    weights, ratio = np.array([30.0, 70.0]), np.array([1e9, 1e-9])
    assert mixture_share(weights, ratio) == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize(("ratio", "share"), [([0.5, 0.9], 0.0), ([2.0, 1.1], 1.0)])
def test_one_sided_evidence_ends_at_the_edge(ratio: list[float], share: float) -> None:
    assert mixture_share(np.ones(2), np.array(ratio)) == share


def test_with_a_third_kind_of_article_the_likelihood_is_largest_there() -> None:
    """Against a grid of both shares."""
    rng = np.random.default_rng(0)
    f1, f2, f0 = rng.dirichlet(np.ones(8), 3)
    weights = rng.multinomial(400, 0.2 * f1 + 0.3 * f2 + 0.5 * f0).astype(float)
    p, q = np.meshgrid(np.linspace(0, 1, 201), np.linspace(0, 1, 201), indexing="ij")
    mixed = 1 + p[..., None] * (f1 / f0 - 1) + q[..., None] * (f2 / f0 - 1)
    value = np.where(p + q <= 1, (weights * np.log(np.maximum(mixed, 1e-12))).sum(axis=-1), -np.inf)
    best = np.unravel_index(int(value.argmax()), value.shape)[0] / 200
    assert mixture_with(weights, f1 / f0, f2 / f0) == pytest.approx(best, abs=0.004)
    alone = mixture_with(weights, f1 / f0, np.full(8, 1e-9))
    assert alone == pytest.approx(mixture_share(weights, f1 / f0), abs=1e-3)


def test_no_articles_no_share() -> None:
    assert np.isnan(mixture_share(np.zeros(2), np.array([0.5, 2.0])))


def test_draws_of_densities_spread_as_the_counts_allow() -> None:
    scores = Scores(np.array([0.3, 0.6]), np.array([5.0, 10, 85]), np.array([160.0, 30, 10]))
    f1, f0 = densities(scores)
    hit, miss = density_draws(scores, 4_000, np.random.default_rng(0))
    assert hit.mean(axis=0) == pytest.approx(f1, abs=0.005)
    assert miss[:, 0].std() == pytest.approx(np.sqrt(0.8 * 0.2 / 201), rel=0.1)
    assert f0.sum() == pytest.approx(1)


def test_em_is_named_and_nearer_than_counting() -> None:
    rng = np.random.default_rng(2)
    known = held_out(rng)
    errors = {"em": 0.0, "uncorrected": 0.0, "probability_sum": 0.0}
    for _ in range(8):
        _, p = scored(rng, 500, 0.06)
        for method in errors:
            row = presence(shares(table(p), TAXONOMY, method=method, held_out=known))
            assert row["method"] == method
            errors[method] += abs(row["share"] - 0.06) / 8
    assert errors["em"] < 0.5 * errors["uncorrected"]
    assert errors["em"] < 0.5 * errors["probability_sum"]


def stanced(rng: np.random.Generator, n: int, support: float, reject: float, start: int = 0) -> tuple[pa.Table, Any]:
    """Articles that support, reject or pass over a story; the model takes some denials for support, and the reverse."""
    kind = rng.choice(3, n, p=[1 - support - reject, support, reject])  # silent, supporting, rejecting
    p = 1 / (1 + np.exp(-rng.normal(np.where(kind > 0, 1.0, -2.5), 1.2)))
    said = np.where(rng.random(n) < 0.85, kind == 2, kind == 1) & (p > 0.4)
    rows = table(p, start).to_pylist()
    for row, no, value in zip(rows, said.tolist(), p.tolist(), strict=True):
        row["v_a"] = "rejects" if no else "promotes" if value > 0.4 else None
    gold = pa.array([(None, "promotes", "rejects")[k] for k in kind.tolist()], pa.string())
    ids = [row["id"] for row in rows]
    return pa.Table.from_pylist(rows, schema=schema(TAXONOMY.ids)), pa.table({"id": ids, "v_a": gold})


def test_em_covers_support_and_rejection_and_is_nearer_than_counting() -> None:
    rng = np.random.default_rng(5)
    known = make_held_out(*stanced(rng, 2000, 0.3, 0.2), TAXONOMY)
    true = {"presence": 0.2, "support": 0.05, "rejection": 0.15}
    off, counted, inside = dict.fromkeys(true, 0.0), dict.fromkeys(true, 0.0), 0
    for trial in range(10):
        window, _ = stanced(rng, 600, true["support"], true["rejection"], 10_000 * (trial + 1))
        got = shares(window, TAXONOMY, method="em", held_out=known, drift="off", draws=200, series=tuple(true))
        for row in got.rows():
            assert row["method"] == "em"
            off[row["series"]] += abs(row["share"] - true[row["series"]]) / 10
            counted[row["series"]] += abs(row["uncorrected"] - true[row["series"]]) / 10
            inside += row["low"] <= true[row["series"]] <= row["high"]
    assert all(off[kind] < counted[kind] for kind in true)
    assert off["support"] < 0.5 * counted["support"]
    assert inside >= 26  # of 30


def test_shares_of_mentions_by_em_add_to_one() -> None:
    rng = np.random.default_rng(5)
    known = make_held_out(*stanced(rng, 1000, 0.3, 0.2), TAXONOMY)
    window, _ = stanced(rng, 300, 0.1, 0.2, 10_000)
    got = shares(window, TAXONOMY, method="em", held_out=known, drift="off", denominator="mentions")
    share = {r["series"]: r["share"] for r in got.rows()}
    assert share["presence"] == pytest.approx(1)
    assert share["support"] + share["rejection"] == pytest.approx(1, abs=0.15)


def test_a_stance_without_labels_is_no_em_and_says_so() -> None:
    rng = np.random.default_rng(2)
    _, p = scored(rng, 300, 0.4)
    got = shares(table(p), TAXONOMY, method="em", held_out=held_out(rng))
    rows = {r["series"]: r for r in got.rows()}
    assert {kind: r["method"] for kind, r in rows.items()} == {
        "presence": "em",
        "support": "em",
        "rejection": "uncorrected",
        "contested": "uncorrected",
    }
    assert "not by EM: only 0 positive" in rows["rejection"]["reason"]


def test_histograms_of_presence_alone_leave_stances_to_the_adjusted_count() -> None:
    """A file of scores as they were written before stances had any."""
    rng = np.random.default_rng(2)
    known, (_, p) = held_out(rng), scored(rng, 300, 0.4)
    old = parse_held_out(replace(known, stances={}).to_dict(), where="x")
    got = shares(table(p), TAXONOMY, method="em", held_out=old, confusion=known.confusion)
    assert [r["method"] for r in got.rows()][:2] == ["em", "adjusted_count"]


def test_em_with_known_rates_leaves_the_labels_error_out() -> None:
    """As a regression on the series needs it: the labelled sample errs alike in every period."""
    rng = np.random.default_rng(4)
    known, (_, p) = held_out(rng, 200), scored(rng, 3000, 0.3)
    width = {}
    for certain in (False, True):
        row = presence(shares(table(p), TAXONOMY, method="em", held_out=known, drift="off", rates_known=certain))
        width[certain] = row["high"] - row["low"]
    assert width[True] < 0.7 * width[False]


def test_em_works_from_the_models_own_calibration() -> None:
    """Without held-out scores the probabilities are trusted, at the prior that the confusion counts state."""
    confusion = Confusion({"a": {"presence": Counts(tp=400, fp=100, fn=200, tn=1300)}})
    truth, p = scored(np.random.default_rng(0), 2000, 0.1)
    row = presence(shares(table(p), TAXONOMY, method="em", confusion=confusion, drift="off"))
    assert (row["method"], row["share"]) == ("em", pytest.approx(truth.mean(), abs=0.025))
    assert row["low"] < truth.mean() < row["high"]


def test_the_em_interval_covers() -> None:
    """Labelled articles and the window both vary: 95% intervals hold the truth at least 91% of 250 times."""
    rng, covered, trials = np.random.default_rng(11), 0, 250
    for trial in range(trials):
        known = held_out(rng, 400)
        _, p = scored(rng, 200, 0.15)
        row = presence(shares(table(p), TAXONOMY, method="em", held_out=known, drift="off", draws=200, seed=trial))
        covered += bool(row["low"] <= 0.15 <= row["high"])
    assert covered / trials >= 0.91


def test_more_labels_narrow_the_em_interval() -> None:
    rng = np.random.default_rng(4)
    _, p = scored(rng, 4000, 0.2)
    few, many = (
        presence(shares(table(p), TAXONOMY, method="em", held_out=held_out(rng, n), drift="off")) for n in (150, 6000)
    )
    assert many["high"] - many["low"] < 0.7 * (few["high"] - few["low"])


def test_no_positive_in_sight_is_not_certainty() -> None:
    rng = np.random.default_rng(3)
    row = presence(shares(table(np.full(30, 0.001)), TAXONOMY, method="em", held_out=held_out(rng), drift="off"))
    assert row["share"] == 0
    assert 0.03 < row["high"] < 0.25


def test_the_sum_of_probabilities_is_their_mean() -> None:
    p = np.linspace(0.1, 0.5, 40)
    row = presence(shares(table(p), TAXONOMY, method="probability_sum"))
    assert (row["share"], row["method"]) == (pytest.approx(0.3), "probability_sum")
    assert row["low"] < 0.3 < row["high"]


def test_a_missing_probability_is_not_taken_for_zero() -> None:
    with pytest.raises(InputError, match="column p_a: a probability is missing"):
        shares(table(np.array([0.5, np.nan])), TAXONOMY, method="probability_sum", floor=1)


def test_probabilities_make_an_audit_go_further() -> None:
    """PPI++ with probabilities against verdicts alone: both hold the truth, the first in a narrower interval."""
    truth, p = scored(np.random.default_rng(5), 3000, PRIOR, separation=1.5)
    sharp, audit = table(p), labels(truth).take(np.arange(0, 3000, 10))
    blind = sharp.set_column(sharp.column_names.index("p_a"), "p_a", pa.nulls(3000, pa.float32()))
    first, second = (presence(shares(t, TAXONOMY, audit=audit)) for t in (sharp, blind))
    assert first["method"] == second["method"] == "ppi"
    assert all(row["low"] < truth.mean() < row["high"] for row in (first, second))
    assert first["high"] - first["low"] < 0.97 * (second["high"] - second["low"])


def test_too_few_labels_leave_the_count_and_say_so() -> None:
    rng = np.random.default_rng(0)
    truth, p = scored(rng, 25, PRIOR)
    thin = make_held_out(table(p), labels(truth), TAXONOMY)
    row = presence(shares(table(scored(rng, 100, 0.3)[1]), TAXONOMY, method="em", held_out=thin))
    assert row["method"] == "uncorrected"
    assert "not by EM: only" in row["reason"]


def test_held_out_articles_are_counted_by_verdict_and_by_score() -> None:
    rng = np.random.default_rng(1)
    truth, p = scored(rng, 600, PRIOR)
    got = make_held_out(table(p), labels(truth), TAXONOMY)
    assert got.confusion is not None
    counts = got.confusion.counts("a", "presence")
    assert counts is not None
    assert (counts.tp, counts.fp) == (np.sum(truth & (p > 0.5)), np.sum(~truth & (p > 0.5)))
    assert counts.tp + counts.fp + counts.fn + counts.tn == got.n == 600
    assert got.narratives["a"].positive.sum() == truth.sum()
    assert got.narratives["a"].negative.sum() == (~truth).sum()
    assert len(got.narratives["a"].positive) == 10


def test_articles_off_the_subject_are_no_negatives() -> None:
    rng = np.random.default_rng(1)
    truth, p = scored(rng, 100, PRIOR)
    assert make_held_out(table(p, gate="off_topic"), labels(truth), TAXONOMY).n == 0


def test_scores_go_through_json_unchanged(tmp_path: Path) -> None:
    import json

    made = held_out(np.random.default_rng(0))
    (tmp_path / "s.json").write_text(json.dumps(made.to_dict()))
    assert load_held_out(tmp_path / "s.json").to_dict() == made.to_dict()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no mapping 'narratives'"),
        ({"narratives": {"a": {"edges": [0.5]}}}, "'a' needs lists"),
        ({"narratives": {"a": {"edges": [0.5], "positive": [1], "negative": [1, 2]}}}, "do not fit"),
        ({"narratives": {"a": {"edges": [0.5, 0.2], "positive": [1] * 3, "negative": [1] * 3}}}, "do not fit"),
        ({"narratives": {"a": {"edges": [0.5], "positive": [1, 2], "negative": [1, 2], "support": 3}}}, "'a, support'"),
        ({"narratives": {"a": {"edges": [0.5], "positive": [-1, 2], "negative": [1, 2]}}}, "'a' needs lists"),
    ],
)
def test_scores_that_cannot_be_used(data: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_held_out(data, where="x")
