"""Shares smoothed over time by a hierarchical local-level model on the logit scale.

A period's share enters as k hits of m, m the number of articles its interval is worth, so a thin day counts for little.
The log-odds are a random walk, mu_t = mu_(t-1) + u_t, u_t ~ N(0, step^2) (Durbin & Koopman 2012, ch. 2), diffuse at the
start; a period without a share is bridged, and stays a gap in the output. The binomial likelihood is replaced by the
normal one that has the same mode and curvature, found by iterating (ch. 10.6): y_t = mu + (k/m - p)/(p(1 - p)) with
variance 1/(m p (1 - p)), p the smoothed share. (Taking p from the day itself would trust days with many hits more, and
raise the level.) The step of a narrative is not known: its posterior runs over a grid of steps, with a prior that is
fitted to all narratives of the series together (empirical Bayes; Efron 2010), so a narrative with little to say borrows
its step from the others. The smoothed share averages over that posterior.

Errors of the classifier's rates are common to all periods and do not average out: m is that of sampling error alone,
and the common part is added to the smoothed variance afterwards. A share that was clipped at 0 enters as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bondlore.measure.estimate import SERIES, Estimate
from bondlore.measure.intervals import Z95

__all__ = ["STEPS", "Levels", "binomial_level", "local_level", "pooled", "smooth"]

Floats = NDArray[np.float64]

STEPS = np.geomspace(0.01, 1.0, 21)  # standard deviations of a period's step, in log-odds
_DIFFUSE = 1e6
_ROUNDS = 50
_NEWTON = 8
_FAR = 8.0  # log-odds beyond which a share is as good as 0 or 1
_FEWEST = 3  # stated periods, below which there is nothing to smooth


@dataclass(frozen=True)
class Levels:
    """`likelihood` (n, G), and the level's `mean` and `variance` (n, G, T), of every series at every step."""

    likelihood: Floats
    mean: Floats
    variance: Floats


def binomial_level(hits: Floats, size: Floats, steps: Floats) -> Levels:
    """`local_level` of n series of `hits` in `size` (n, T), not whole numbers, NaN = no share."""
    known = np.isfinite(hits) & np.isfinite(size)
    k, m = np.where(known, hits, 0.0)[:, None], np.where(known, size, 0.0)[:, None]
    start = (k.sum(axis=-1) + 0.5) / (m.sum(axis=-1) + 1)
    level = np.broadcast_to(np.log(start / (1 - start))[..., None], (len(k), len(steps), k.shape[-1]))
    for _ in range(_NEWTON):
        share = _share(level)
        curvature = np.maximum(m * share * (1 - share), 1e-12)
        y = np.where(known[:, None], level + (k - m * share) / curvature, np.nan)
        found = local_level(y, 1 / curvature, steps)
        level = np.clip(found.mean, -_FAR, _FAR)
    # Laplace: the likelihood of the normal stand-in, times what the binomial one gains over it at the mode
    with np.errstate(invalid="ignore"):
        stand_in = -(np.log(2 * np.pi / curvature) + np.square(y - level) * curvature) / 2
    gained = np.where(known[:, None], k * level - m * np.logaddexp(0, level) - stand_in, 0.0)
    return Levels(found.likelihood + gained.sum(axis=-1), level, found.variance)


def local_level(y: Floats, variance: Floats, steps: Floats) -> Levels:
    """Kalman filter and Rauch-Tung-Striebel smoother of n series. `y`, `variance` (n, G or 1, T), NaN = no share.

    `steps`: (G,) standard deviations of the walk. The log-likelihood leaves out each series' first share, which the
    diffuse start takes up.
    """
    n, _, periods = y.shape
    known = np.isfinite(y[:, 0])
    filled, noise = np.nan_to_num(y), np.where(known[:, None], variance, 1.0)
    grid, q = len(steps), np.square(steps)
    level, spread = np.zeros((n, grid)), np.full((n, grid), _DIFFUSE)
    likelihood, begun = np.zeros((n, grid)), np.zeros(n, dtype=bool)
    means, spreads = np.empty((n, grid, periods)), np.empty((n, grid, periods))
    for t in range(periods):
        if t:
            spread = spread + q
        here = known[:, t, None]
        total = spread + noise[:, :, t]
        miss = filled[:, :, t] - level
        gain = np.where(here, spread / total, 0.0)
        counts = here & begun[:, None]
        likelihood -= np.where(counts, (np.log(2 * np.pi * total) + np.square(miss) / total) / 2, 0.0)
        level, spread = level + gain * miss, spread * (1 - gain)
        begun |= known[:, t]
        means[:, :, t], spreads[:, :, t] = level, spread
    for t in range(periods - 2, -1, -1):
        ahead = spreads[:, :, t] + q
        back = spreads[:, :, t] / ahead
        means[:, :, t] += back * (means[:, :, t + 1] - means[:, :, t])
        spreads[:, :, t] += np.square(back) * (spreads[:, :, t + 1] - ahead)
    return Levels(likelihood, means, spreads)


def pooled(likelihood: Floats) -> Floats:
    """(n, G) posterior weights of each series' step, under one prior over the grid fitted to all by EM.

    The prior keeps one series' worth of evenness: with few series it must not fall onto one point.
    """
    series, grid = likelihood.shape
    relative = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    prior = np.full(grid, 1 / grid)
    weights: Floats = relative * prior
    for _ in range(_ROUNDS):
        weights = relative * prior
        weights /= weights.sum(axis=1, keepdims=True)
        prior = (weights.sum(axis=0) + 1 / grid) / (series + 1)
    return weights


def smooth(estimates: Sequence[Estimate], sampled: Sequence[Estimate]) -> None:
    """Write smoothed shares, intervals and the step into `estimates`, one a period in time order.

    `sampled`: the same with intervals of sampling error alone. Series with fewer than three stated shares, and periods
    without one, stay without.
    """
    if not estimates:
        return
    share, worth = _stack(estimates)  # (T, K, 4)
    _, sampling = _stack(sampled)
    for kind in range(len(SERIES)):
        p, size = share[:, :, kind].T, sampling[:, :, kind].T  # (K, T)
        stated = np.isfinite(p) & np.isfinite(size)
        rows = np.flatnonzero(stated.sum(axis=1) >= _FEWEST)
        if not len(rows):
            continue
        stated, size = stated[rows], size[rows]
        found = binomial_level(np.where(stated, p[rows] * size, np.nan), size, STEPS)
        weights = pooled(found.likelihood)[:, :, None]
        mean = (weights * found.mean).sum(axis=1)
        variance = (weights * (found.variance + np.square(found.mean - mean[:, None]))).sum(axis=1)
        spread = _share(mean) * (1 - _share(mean))
        common = np.maximum(1 / worth[:, :, kind].T[rows] - 1 / size, 0) / spread
        half = Z95 * np.sqrt(variance + np.nan_to_num(common))
        step = (weights[:, :, 0] * STEPS).sum(axis=1)
        for t, out in enumerate(estimates):
            here = stated[:, t]
            at = rows[here]
            out.smoothed[at, kind], out.step[at, kind] = _share(mean[here, t]), step[here]
            out.smoothed_low[at, kind] = _share(mean[here, t] - half[here, t])
            out.smoothed_high[at, kind] = _share(mean[here, t] + half[here, t])


def _stack(estimates: Sequence[Estimate]) -> tuple[Floats, Floats]:
    """(T, K, 4) shares, and how many independent articles their intervals are worth, at most the stories there are.

    The worth is that of a Wilson interval: p(1 - p)(2 z / width)^2 at its centre, and z^2 (1 - high)/high at no hits.
    """
    share, low, high = (np.stack([getattr(e, name) for e in estimates]) for name in ("share", "low", "high"))
    stories = np.stack([e.stories for e in estimates]).astype(float)
    centre = (low + high) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = np.fmin(centre * (1 - centre) * np.square(2 * Z95 / (high - low)), stories)
        worth = np.where(low <= 0, np.fmin(worth, Z95**2 * (1 - high) / high), worth)
        worth = np.where(high >= 1, np.fmin(worth, Z95**2 * low / (1 - low)), worth)
    return share, np.where(np.isfinite(low) & (worth > 0), worth, np.nan)


def _share(odds: Floats) -> Floats:
    out: Floats = 1 / (1 + np.exp(-odds))
    return out
