"""Least squares with Newey-West errors, also where regressors are estimates with a known error.

Ordinary: b = (X'X)^-1 X'y, and V = (X'X)^-1 S (X'X)^-1 with S the Bartlett-weighted sum of autocovariances of X_t e_t
(Newey & West 1987), times n/(n - k).
With errors in X (Fuller 1987, Measurement Error Models, 2.2 and 3.1; moment correction): each row's error has the known
covariance O_t, so X'X overstates by sum O_t, and b = (X'X - sum O)^-1 X'y is consistent where least squares is pulled
to zero. Its scores are X_t (y_t - X_t b) + O_t b, and the same sandwich gives an error that holds the regressors' own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "bandwidth", "benjamini_hochberg", "holm", "least_squares", "reliability"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Coefficients (k,), their covariance (k, k), rows and lags used."""

    beta: Floats
    covariance: Floats
    n: int
    lags: int

    @property
    def error(self) -> Floats:
        """(k,) standard errors."""
        out: Floats = np.sqrt(np.diag(self.covariance))
        return out


def bandwidth(n: int, horizon: int = 0) -> int:
    """Newey & West's rule, 4 (n/100)^(2/9), and never less than the horizon."""
    return min(max(int(4 * (n / 100) ** (2 / 9)), abs(horizon)), max(n - 2, 0))


def least_squares(x: Floats, y: Floats, lags: int, errors: Floats | None = None) -> Fit:
    """Fit y (n,) on x (n, k), rows in time order. `errors`: (n, k, k) covariances of the rows' errors, or None.

    Raises numpy's LinAlgError where x, less its errors, has no inverse or is not positive definite.
    """
    n, k = x.shape
    moments = x.T @ x
    if errors is not None:
        moments = moments - errors.sum(axis=0)
        np.linalg.cholesky(moments)  # more error than signal: refuse rather than divide by a difference of either sign
    inverse = np.linalg.inv(moments)
    beta = inverse @ (x.T @ y)
    scores = x * (y - x @ beta)[:, None]
    if errors is not None:
        scores = scores + errors @ beta
    spread = scores.T @ scores
    for lag in range(1, lags + 1):
        gamma = scores[lag:].T @ scores[:-lag]
        spread += (1 - lag / (lags + 1)) * (gamma + gamma.T)
    return Fit(beta, inverse @ spread @ inverse * (n / (n - k)), n, lags)


def reliability(x: Floats, errors: Floats, column: int) -> float:
    """Of what is left of a regressor beside the others, the part that is no error; 0 or less where all of it is."""
    raw = x.T @ x
    try:
        left = 1 / np.linalg.inv(raw - errors.sum(axis=0))[column, column]
        return float(left * np.linalg.inv(raw)[column, column])
    except np.linalg.LinAlgError:
        return 0.0


def holm(p: Floats) -> Floats:
    """Holm's (1979) adjusted p-values: the chance of any false alarm among all tests. NaN stay NaN and do not count."""
    out, order = _ordered(p)
    steps = p[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return out


def benjamini_hochberg(p: Floats) -> Floats:
    """Benjamini & Hochberg's (1995) adjusted p-values: the expected part of false alarms among those called."""
    out, order = _ordered(p)
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)
    out[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return out


def _ordered(p: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """A row of NaN, and where the known p-values stand, smallest first."""
    known = np.flatnonzero(~np.isnan(p))
    return np.full(len(p), np.nan), known[np.argsort(p[known], kind="stable")]
