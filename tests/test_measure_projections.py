"""Least squares with Newey-West errors, local projections of a share with error, adjustment for many tests."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest

from bondlore.measure.hac import bandwidth, benjamini_hochberg, holm, least_squares, reliability
from bondlore.measure.projections import HORIZONS, project


def oracle(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("statsmodels")
        return importlib.import_module(name)


def autocorrelated(rng: np.random.Generator, n: int, rho: float = 0.6) -> np.ndarray:
    out = rng.normal(size=n)
    for t in range(1, n):
        out[t] += rho * out[t - 1]
    return out


@pytest.mark.parametrize("lags", [0, 1, 6])
def test_statsmodels_gives_the_same_fit(lags: int) -> None:
    api = oracle("statsmodels.api")
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(150), autocorrelated(rng, 150), rng.normal(size=150)])
    y = x @ [1.0, 0.5, 0.0] + autocorrelated(rng, 150)
    ours = least_squares(x, y, lags)
    theirs = api.OLS(y, x).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    assert ours.beta == pytest.approx(theirs.params, rel=1e-9)
    assert ours.covariance == pytest.approx(theirs.cov_params(), rel=1e-9)


@pytest.mark.parametrize(("name", "ours"), [("holm", holm), ("fdr_bh", benjamini_hochberg)])
def test_statsmodels_gives_the_same_adjusted_p(name: str, ours: Any) -> None:
    multi = oracle("statsmodels.stats.multitest")
    p = np.random.default_rng(0).random(40) ** 3
    assert ours(p) == pytest.approx(multi.multipletests(p, method=name)[1], rel=1e-12)


def test_adjustment_by_hand() -> None:
    p = np.array([0.04, np.nan, 0.01, 0.03])
    assert holm(p) == pytest.approx([0.06, np.nan, 0.03, 0.06], nan_ok=True)
    assert benjamini_hochberg(p) == pytest.approx([0.04, np.nan, 0.03, 0.04], nan_ok=True)


def test_the_bandwidth_reaches_the_horizon() -> None:
    assert (bandwidth(100), bandwidth(100, 10), bandwidth(100, -5), bandwidth(2000)) == (4, 10, 5, 7)


def test_known_error_is_taken_out_of_a_slope() -> None:
    """x has variance 1, its error variance 1: least squares halves the slope, the correction restores it."""
    rng = np.random.default_rng(0)
    n = 20_000
    true = rng.normal(size=n)
    x = np.column_stack([np.ones(n), true + rng.normal(size=n)])
    errors = np.zeros((n, 2, 2))
    errors[:, 1, 1] = 1
    y = 3 * true + rng.normal(size=n)
    assert least_squares(x, y, 0).beta[1] == pytest.approx(1.5, abs=0.06)
    assert least_squares(x, y, 0, errors).beta[1] == pytest.approx(3, abs=0.15)
    assert reliability(x, errors, 1) == pytest.approx(0.5, abs=0.02)


def test_more_error_than_signal_is_refused() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    with pytest.raises(np.linalg.LinAlgError):
        least_squares(x, rng.normal(size=200), 0, np.full((200, 1, 1), 2.0))


def market(
    rng: np.random.Generator, n: int, slope: float, lead: int, noise: float = 3.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed shares (points), their variances, yields (percent): d_y(t + lead) = slope d_s(t) + noise."""
    true = 30 + 4 * autocorrelated(rng, n, 0.5)
    variances = rng.uniform(0.3, 1.7, n) * noise**2
    moved = rng.normal(0, 5, n)
    change = np.diff(true, prepend=true[0])
    moved += slope * np.roll(change, lead)
    return true + rng.normal(0, np.sqrt(variances)), variances, 4 + np.cumsum(moved) / 100


@pytest.mark.parametrize("lead", [-3, 0, 2])
def test_the_profile_peaks_where_the_link_is(lead: int) -> None:
    s, v, y = market(np.random.default_rng(1), 900, 1.2, lead)
    got = {r.horizon: r for r in project(s, v, y)}
    assert tuple(got) == HORIZONS
    slopes = {h: r.slope or 0.0 for h, r in got.items()}
    assert max(slopes, key=lambda h: abs(slopes[h])) == lead
    assert got[lead].low is not None
    assert got[lead].low < 1.2 < (got[lead].high or 0)


def test_the_interval_covers_the_true_slope_and_least_squares_does_not_reach_it() -> None:
    rng, covered, observed, trials = np.random.default_rng(2), 0, [], 200
    for _ in range(trials):
        (r,) = project(*market(rng, 400, 1.0, 0), horizons=[0])
        assert r.slope is not None
        covered += bool((r.low or 0) <= 1.0 <= (r.high or 0))
        observed.append(r.observed)
    assert 0.9 <= covered / trials <= 0.99
    assert np.mean(observed) < 0.75


def test_nothing_is_found_where_nothing_is() -> None:
    """Ninety lead-lag profiles without a link: 5% of the tests by themselves, next to none after Holm."""
    rng, raw, any_holm = np.random.default_rng(3), [], []
    for _ in range(90):
        p = np.array([r.p for r in project(*market(rng, 300, 0.0, 0))], dtype=float)
        raw.append((p < 0.05).mean())
        any_holm.append(bool((holm(p) < 0.05).any()))
    assert 0.03 <= np.mean(raw) <= 0.09
    assert np.mean(any_holm) <= 0.16


def test_the_scale_of_the_rates_widens_the_interval_but_not_the_test() -> None:
    s, v, y = market(np.random.default_rng(1), 500, 1.2, 0)
    (plain,), (scaled,) = (project(s, v, y, horizons=[0], scale=c) for c in (0.0, 0.04))
    assert scaled.p == plain.p
    assert scaled.high is not None
    assert plain.high is not None
    assert scaled.slope is not None
    assert scaled.high - scaled.slope > plain.high - scaled.slope


def test_too_few_periods_are_refused() -> None:
    s, v, y = market(np.random.default_rng(1), 44, 1.2, 0)
    (r,) = project(s, v, y, horizons=[0])
    assert (r.slope, r.p, r.n) == (None, None, 41)
    assert r.reason == "41 periods with all changes known, fewer than 46"


def test_a_share_that_is_mostly_error_is_refused() -> None:
    s, v, y = market(np.random.default_rng(1), 400, 1.2, 0, noise=30)
    (r,) = project(s, v, y, horizons=[0])
    assert r.slope is None
    assert "of the change in share is error" in r.reason
    assert r.observed is not None


def test_a_share_that_does_not_move_is_refused() -> None:
    _, _, y = market(np.random.default_rng(1), 400, 1.2, 0)
    (r,) = project(np.zeros(400), np.zeros(400), y, horizons=[0])
    assert (r.slope, r.reason) == (None, "the share does not move")


def test_gaps_are_left_out_with_the_changes_that_need_them() -> None:
    s, v, y = market(np.random.default_rng(1), 300, 1.2, 0)
    s[100] = np.nan
    (whole,), (gap,) = (project(a, v, y, horizons=[0]) for a in (np.nan_to_num(s, nan=30), s))
    assert whole.n - gap.n == 4  # two changes, each also a lag of two later periods
