"""Shares smoothed over time: against closed forms, statsmodels and simulation."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from bondlore.errors import InputError
from bondlore.measure.calendar import business_days
from bondlore.measure.estimate import Estimate
from bondlore.measure.intervals import wilson
from bondlore.measure.shares import shares
from bondlore.measure.smoothing import STEPS, binomial_level, local_level, pooled, smooth
from test_measure_shares import TAXONOMY, article, many, table


def test_the_level_is_the_posterior_mean_of_a_random_walk() -> None:
    """With the walk's precision D'D/q and the shares' 1/s, the posterior is a linear system: solved densely."""
    rng = np.random.default_rng(0)
    y, s = rng.normal(size=12), rng.uniform(0.1, 2, 12)
    y[[3, 7, 8]] = np.nan
    step = 0.4
    seen = np.isfinite(y)
    walk = np.diff(np.eye(12), axis=0)
    precision = walk.T @ walk / step**2 + np.diag(np.where(seen, 1 / s, 0))
    mean = np.linalg.solve(precision, np.where(seen, np.nan_to_num(y) / s, 0))
    found = local_level(y[None, None], s[None, None], np.array([step]))
    assert found.mean[0, 0] == pytest.approx(mean, abs=1e-4)
    assert found.variance[0, 0] == pytest.approx(np.diag(np.linalg.inv(precision)), abs=1e-4)


def test_statsmodels_gives_the_same_level_and_likelihood() -> None:
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    y = np.cumsum(np.random.default_rng(1).normal(size=40)) * 0.3
    model = UnobservedComponents(y, "llevel", use_exact_diffuse=True)
    theirs = model.smooth([0.25, 0.04])  # variances of the shares and of the walk
    ours = local_level(y[None, None], np.full((1, 1, 40), 0.25), np.array([0.2]))
    assert ours.mean[0, 0] == pytest.approx(theirs.smoothed_state[0], abs=1e-4)
    assert ours.variance[0, 0] == pytest.approx(theirs.smoothed_state_cov[0, 0], abs=1e-4)
    steady = local_level(y[None, None], np.full((1, 1, 40), 0.25), np.array([0.4]))
    gain = float(ours.likelihood[0, 0] - steady.likelihood[0, 0])
    assert gain == pytest.approx(theirs.llf - model.smooth([0.25, 0.16]).llf, abs=1e-4)


def test_a_series_with_little_to_say_borrows_its_step() -> None:
    rng = np.random.default_rng(2)
    calm = np.cumsum(rng.normal(0, 0.03, (6, 250)), axis=1)
    y = calm + rng.normal(0, 0.5, calm.shape)
    y[5, 8:] = np.nan
    weights = pooled(local_level(y[:, None], np.full(y[:, None].shape, 0.25), STEPS).likelihood)
    alone = pooled(local_level(y[5:, None], np.full((1, 1, 250), 0.25), STEPS).likelihood)
    assert weights.sum(axis=1) == pytest.approx(np.ones(6))
    assert weights[5] @ STEPS < 0.1 < alone[0] @ STEPS


def test_without_a_walk_the_level_is_the_pooled_share() -> None:
    """Closed form: one share for all days, with the variance of its log-odds."""
    hits, size = np.array([[0.0, 3.0, 1.0, 0.0, 2.0]]), np.array([[9.0, 20.0, 11.0, 8.0, 12.0]])
    found = binomial_level(hits, size, np.array([1e-5]))
    p = 6 / 60
    assert 1 / (1 + np.exp(-found.mean[0, 0])) == pytest.approx(np.full(5, p), abs=1e-5)
    assert found.variance[0, 0] == pytest.approx(np.full(5, 1 / (60 * p * (1 - p))), rel=1e-3)


def walks(rng: np.random.Generator, days: int, a_day: int, bias: float = 0.0) -> tuple[np.ndarray, list[Estimate]]:
    """True shares (days, K) that walk, and the day's counted shares."""
    odds = -2 + np.cumsum(rng.normal(0, 0.08, (days, 4)), axis=0)
    true = 1 / (1 + np.exp(-odds))
    estimates = []
    for p in true:
        n = np.full((4, 4), float(a_day))
        share = np.repeat(rng.binomial(a_day, p)[:, None] / a_day, 4, axis=1)
        low, high = wilson(share, n)
        estimates.append(Estimate(share, low, high, share.copy(), n.astype(int), n.astype(int)))
    return true, estimates


def test_smoothing_is_nearer_narrower_and_covers() -> None:
    rng = np.random.default_rng(3)
    covered, off, raw, width, wide = [], [], [], [], []
    for _ in range(6):
        true, estimates = walks(rng, 120, 30)
        smooth(estimates, estimates)
        for p, e in zip(true, estimates, strict=True):
            covered.append((e.smoothed_low[:, 0] <= p) & (p <= e.smoothed_high[:, 0]))
            off.append(np.abs(e.smoothed[:, 0] - p))
            raw.append(np.abs(e.share[:, 0] - p))
            width.append(e.smoothed_high[:, 0] - e.smoothed_low[:, 0])
            wide.append(e.high[:, 0] - e.low[:, 0])
    assert np.mean(off) < 0.6 * np.mean(raw)
    assert np.mean(width) < 0.6 * np.mean(wide)
    assert 0.91 < np.mean(covered) < 0.98


def test_an_error_common_to_all_days_is_not_averaged_away() -> None:
    """Twice as wide intervals for the error of the rates: the smoothed interval keeps what is not sampling."""
    _, sampled = walks(np.random.default_rng(4), 200, 200)
    _, whole = walks(np.random.default_rng(4), 200, 200)
    for e in whole:
        e.low, e.high = e.share - 3 * (e.share - e.low), e.share + 3 * (e.high - e.share)
    smooth(sampled, sampled)
    smooth(whole, walks(np.random.default_rng(4), 200, 200)[1])
    apart = np.mean([w.smoothed_high - w.smoothed_low for w in whole])
    assert apart > 2 * np.mean([s.smoothed_high - s.smoothed_low for s in sampled])
    assert np.mean([np.abs(w.smoothed - s.smoothed) for w, s in zip(whole, sampled, strict=True)]) < 1e-9


def days(counts: list[int], **more: Any) -> list[dict[str, Any]]:
    """`counts` articles on each business day of April 2025, one in four carrying the first narrative."""
    out: list[dict[str, Any]] = []
    start = business_days(date(2025, 4, 1), date(2025, 5, 30))
    for day, n in zip(start.tolist(), counts, strict=False):
        at = datetime(day.year, day.month, day.day, 15, tzinfo=UTC)
        out += [article(len(out) + i, at=at, v_a="promotes" if i % 4 == 0 else None, **more) for i in range(n)]
    return out


def test_a_smoothed_series_says_so_and_keeps_its_gaps() -> None:
    got = shares(table(days([20, 24, 0, 3, 20, 28])), TAXONOMY, smooth=True, series=("presence",))
    rows = got.select(narrative="a").to_pylist()
    assert [r["smoothed"] is None for r in rows] == [r["share"] is None for r in rows]
    assert [r["share"] is None for r in rows] == [False, False, True, True, False, False]
    assert rows[0]["smoothing"].startswith("local level on the logit scale, a random walk of step 0.")
    assert rows[2]["smoothing"] == ""
    assert rows[0]["smoothed_low"] < rows[0]["smoothed"] < rows[0]["smoothed_high"]


def test_without_smoothing_there_are_no_smoothed_shares() -> None:
    got = shares(table(days([20, 24, 20])), TAXONOMY, series=("presence",))
    assert got.table["smoothed"].null_count == len(got)
    assert set(got.table["smoothing"].to_pylist()) == {""}


def test_two_periods_are_not_smoothed() -> None:
    got = shares(table(days([20, 24])), TAXONOMY, smooth=True, series=("presence",))
    assert got.table["smoothed"].null_count == len(got)


def test_smoothing_leaves_the_shares_alone() -> None:
    rows, _ = many(120, 0.3)
    moved = [r | {"published_at": r["published_at"] + timedelta(days=7 * (i % 4))} for i, r in enumerate(rows)]
    plain, smoothed = (shares(table(moved), TAXONOMY, freq="W", smooth=s).table for s in (False, True))
    same = ["share", "low", "high", "method", "reason"]
    assert plain.select(same) == smoothed.select(same)


def test_rolling_windows_are_not_smoothed_again() -> None:
    with pytest.raises(InputError, match="rolling windows overlap"):
        shares(table(days([20])), TAXONOMY, freq="rolling", smooth=True)
