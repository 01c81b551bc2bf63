"""Lead-lag profiles by local projections (Jorda 2005): yield changes at t + h on the change of a share at t.

For every h from -5 to +10, d_y(t + h) = a + b_h d_s(t) + lags of d_s and of d_y + e. Yields in basis points, shares in
percentage points, so b_h is basis points a point of share. For h < 0 the lags of d_y end before t + h: a lag must not
be the outcome. HAC errors reach at least |h| lags. A share that jumped tends to fall back: with a link at h = 0
alone, a slope of the other sign at h = 1 is its echo.

The share is an estimate. Its sampling variances v_t make the error of a change, v_t + v_(t-1), and of neighbouring
changes, -v_t, known, and `hac.least_squares` takes them out of slope and interval. The uncertainty of the
classifier's rates scales every change alike: it widens the interval (`scale`), and has no part in a test of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bondlore.measure.hac import bandwidth, least_squares, reliability
from bondlore.measure.intervals import Z95

__all__ = ["HORIZONS", "LEAST_PERIODS", "Projection", "project"]

Floats = NDArray[np.float64]

HORIZONS = tuple(range(-5, 11))
LEAST_PERIODS = 40  # beyond the coefficients; with fewer HAC errors are fiction
LEAST_RELIABLE = 0.2  # of the variance of the change in share that is not error of the estimate


@dataclass(frozen=True, slots=True)
class Projection:
    """One horizon. `slope`, `low`, `high`: basis points a percentage point; `observed`: without taking the error out.

    None with a `reason` where there are too few periods or the change in share is mostly error.
    """

    horizon: int
    n: int
    slope: float | None
    low: float | None
    high: float | None
    p: float | None
    observed: float | None
    reliability: float | None
    lags: int
    reason: str


def project(
    shares: Floats,
    variances: Floats,
    yields: Floats,
    *,
    horizons: Sequence[int] = HORIZONS,
    lags: int = 2,
    scale: float = 0.0,
) -> list[Projection]:
    """Profile of one share against one yield. All (periods,), in time order, NaN = gap: points, points^2, percent.

    `scale`: relative variance of the common factor of all changes in share.
    """
    moved, change = np.diff(yields, prepend=np.nan) * 100, np.diff(shares, prepend=np.nan)
    return [_one(change, variances, moved, h, lags, scale) for h in horizons]


def _one(change: Floats, variances: Floats, moved: Floats, h: int, lags: int, scale: float) -> Projection:
    outcome = _shift(moved, h)
    own = [_shift(moved, min(h, 0) - j) for j in range(1, lags + 1)]
    x = np.column_stack([np.ones_like(change), *(_shift(change, -j) for j in range(lags + 1)), *own])
    errors = _errors(variances, lags, x.shape[1])
    rows = np.isfinite(x).all(axis=1) & np.isfinite(outcome) & np.isfinite(errors).all(axis=(1, 2))
    x, y, errors = x[rows], outcome[rows], errors[rows]
    n, used = len(y), bandwidth(len(y), h)
    if n < LEAST_PERIODS + x.shape[1]:
        why = f"{n} periods with all changes known, fewer than {LEAST_PERIODS + x.shape[1]}"
        return Projection(h, n, None, None, None, None, None, None, used, why)
    try:
        observed = float(least_squares(x, y, used).beta[1])
    except np.linalg.LinAlgError:
        return Projection(h, n, None, None, None, None, None, None, used, "the share does not move")
    kept = reliability(x, errors, 1)
    why = f"{100 * max(1 - kept, 0):.0f}% of the change in share is error of its estimate"
    if not kept >= LEAST_RELIABLE:
        return Projection(h, n, None, None, None, None, observed, kept, used, why)
    try:
        fit = least_squares(x, y, used, errors)
    except np.linalg.LinAlgError:
        return Projection(h, n, None, None, None, None, observed, kept, used, "its lags are mostly error")
    slope, error = float(fit.beta[1]), float(fit.error[1])
    half = Z95 * (error**2 + scale * slope**2) ** 0.5
    p = 2 * NormalDist().cdf(-abs(slope) / error) if error > 0 else 1.0
    return Projection(h, n, slope, slope - half, slope + half, p, observed, kept, used, "")


def _errors(variances: Floats, lags: int, columns: int) -> Floats:
    """(n, columns, columns) error covariances of [1, d_s(t), .., d_s(t - lags), ..]."""
    v = [_shift(variances, -j) for j in range(lags + 2)]
    out = np.zeros((len(variances), columns, columns))
    for j in range(lags + 1):
        out[:, 1 + j, 1 + j] = v[j] + v[j + 1]
        if j < lags:
            out[:, 1 + j, 2 + j] = out[:, 2 + j, 1 + j] = -v[j + 1]
    return out


def _shift(values: Floats, by: int) -> Floats:
    """values[t + by] at t; NaN beyond the ends."""
    out = np.full(len(values), np.nan)
    if abs(by) < len(values):
        out[max(-by, 0) : len(values) - max(by, 0)] = values[max(by, 0) : len(values) - max(-by, 0)]
    return out
