from __future__ import annotations

import numpy as np
import pytest

from bondlore.measure.confusion import Confusion, Counts
from bondlore.measure.correction import Audited, error_rates, ppi, ppi_ratio, rogan_gladen, unusable
from bondlore.measure.estimate import Units, adjusted, plain, powered

SEEN = Counts(tp=75, fp=10, fn=25, tn=190)


def confusion(counts: Counts = SEEN) -> Confusion:
    return Confusion({"a": dict.fromkeys(("presence", "support", "rejection"), counts)})


def units(hits: np.ndarray) -> Units:
    """Single-article clusters, one narrative, `hits` (n,) supported."""
    spread = np.zeros((len(hits), 1, 4))
    spread[:, 0, 0] = spread[:, 0, 1] = hits
    return Units(spread, np.ones(len(hits)), mentions=False)


def test_rogan_gladen_closed_form() -> None:
    assert rogan_gladen(np.array(0.19), np.array(0.75), np.array(0.05)) == pytest.approx(0.2)


def test_rogan_gladen_of_a_perfect_classifier_changes_nothing() -> None:
    assert rogan_gladen(np.array(0.37), np.array(1.0), np.array(0.0)) == 0.37


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (None, "states no error counts"),
        (Counts(5, 3, 2, 300), "only 7 positive"),
        (Counts(30, 1, 10, 9), "10 negative"),
    ],
)
def test_counts_too_few_to_use(counts: Counts | None, reason: str) -> None:
    assert reason in unusable(counts)


def test_rates_too_close_to_use() -> None:
    rates = error_rates(confusion(Counts(12, 60, 28, 140)), ("a",), 500, 0)
    assert "too close (0.30 and 0.30)" in rates.reasons[0][0]
    assert not rates.usable.any()


def test_rates_are_drawn_around_their_points() -> None:
    rates = error_rates(confusion(), ("a",), 4_000, 0)
    assert rates.tpr_draws[:, 0, 0].mean() == pytest.approx(0.75, abs=0.01)
    assert rates.fpr_draws[:, 0, 0].std() == pytest.approx(np.sqrt(0.05 * 0.95 / 200), rel=0.1)


def test_support_stays_within_presence() -> None:
    tables = {"presence": Counts(90, 20, 10, 180), "support": Counts(60, 2, 40, 198), "rejection": SEEN}
    rates = error_rates(Confusion({"a": tables}), ("a",), 500, 0)
    out = plain(u := units(np.r_[np.ones(20), np.zeros(80)]))
    adjusted(out, u, rates, 500, np.random.default_rng(0))
    assert out.share[0, 1] <= out.share[0, 0]


def test_the_adjusted_interval_covers() -> None:
    """Errors of the rates and of the sample both vary: truth .20, sensitivity .75, specificity .95."""
    rng, covered, trials = np.random.default_rng(1), 0, 800
    for trial in range(trials):
        tp, fp = rng.binomial(100, 0.75), rng.binomial(300, 0.05)
        rates = error_rates(confusion(Counts(tp, fp, 100 - tp, 300 - fp)), ("a",), 300, trial)
        truth = rng.random(150) < 0.2
        u = units(np.where(truth, rng.random(150) < 0.75, rng.random(150) < 0.05).astype(float))
        out = plain(u)
        adjusted(out, u, rates, 300, rng)
        covered += bool(out.low[0, 0] <= 0.2 <= out.high[0, 0])
    assert covered / trials >= 0.93


def test_plain_counting_does_not_cover_where_the_adjusted_count_does() -> None:
    rng = np.random.default_rng(8)
    truth = rng.random(3_000) < 0.05
    u = units(np.where(truth, rng.random(3_000) < 0.75, rng.random(3_000) < 0.06).astype(float))
    out = plain(u)
    assert out.low[0, 0] > 0.05
    counts = Counts(tp=75, fp=60, fn=25, tn=940)
    adjusted(out, u, error_rates(confusion(counts), ("a",), 500, 0), 500, rng)
    assert out.low[0, 0] <= 0.05 <= out.high[0, 0]


def audit(rng: np.random.Generator, verdicts: np.ndarray, truth: np.ndarray, chance: np.ndarray) -> Audited:
    at = np.flatnonzero(rng.random(len(truth)) < chance)
    return Audited(
        at, np.ones(len(at)), 1 / chance[at], verdicts[at, None].astype(float), truth[at, None].astype(float)
    )


def test_a_complete_audit_gives_the_true_mean() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.2
    verdicts = rng.random(200) < 0.3
    got = ppi(verdicts[:, None].astype(float), np.ones(200), audit(rng, verdicts, truth, np.ones(200)))
    assert got.mean == pytest.approx([truth.mean()])


def test_useless_verdicts_leave_the_hand_count() -> None:
    rng = np.random.default_rng(0)
    truth, verdicts = rng.random(300) < 0.2, np.ones(300)
    sample = audit(rng, verdicts, truth, np.full(300, 0.3))
    got = ppi(verdicts[:, None], np.ones(300), sample)
    assert (got.tuning, got.mean) == (pytest.approx([0]), pytest.approx([sample.gold.mean()]))


def test_an_audit_without_disagreement_does_not_prove_there_is_none() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(5_000) < 0.2
    got = ppi(truth[:, None].astype(float), np.ones(5_000), audit(rng, truth, truth, np.full(5_000, 0.02)))
    assert np.sqrt(got.variance[0]) > 0.009


def ppi_trials(stratified: bool) -> tuple[float, float, float]:
    """Coverage, mean width and the hand count's mean width; sensitivity .75, specificity .95, truth .20."""
    rng, covered, widths, by_hand = np.random.default_rng(5), 0, [], []
    for _ in range(600):
        truth = rng.random(300) < 0.2
        verdicts = np.where(truth, rng.random(300) < 0.75, rng.random(300) < 0.05)
        chance = np.where(verdicts, 0.6, 0.27) if stratified else np.full(300, 1 / 3)
        u, out = units(verdicts.astype(float)), plain(units(verdicts.astype(float)))
        sample = audit(rng, verdicts, truth, chance)
        full = Audited(
            sample.unit,
            sample.weight,
            sample.inverse,
            u.hits[sample.unit].reshape(-1, 4),
            units(truth.astype(float)).hits[sample.unit].reshape(-1, 4),
        )
        powered(out, u, full)
        covered += bool(out.low[0, 0] <= 0.2 <= out.high[0, 0])
        widths.append(out.high[0, 0] - out.low[0, 0])
        by_hand.append(2 * 1.96 * np.sqrt(0.16 / len(sample)))
    return covered / 600, float(np.mean(widths)), float(np.mean(by_hand))


@pytest.mark.parametrize("stratified", [False, True])
def test_ppi_covers_and_beats_the_hand_count(stratified: bool) -> None:
    covered, width, by_hand = ppi_trials(stratified)
    assert covered >= 0.93
    assert width < 0.92 * by_hand


def test_a_ratio_of_equal_means_is_one_without_error() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.4
    result = ppi(truth[:, None].astype(float), np.ones(200), audit(rng, truth, truth, np.full(200, 0.5)))
    ratio, _ = ppi_ratio(result, result)
    assert ratio == pytest.approx([1])
