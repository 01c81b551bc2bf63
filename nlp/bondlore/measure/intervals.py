"""Intervals for shares of clustered articles: Wilson with an effective sample size, and a smoothed cluster bootstrap.

Sources: Wilson 1927; Kish 1965 (design effect of unequal cluster sizes); Rubin 1981 (Bayesian bootstrap);
Newcombe 1998 and Zou & Donner 2008 (MOVER, an interval for a difference from two intervals).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Z95", "bootstrap_apart", "bootstrap_shares", "difference", "effective_size", "percentiles", "wilson"]

Floats = NDArray[np.float64]

Z95 = 1.959963984540054
_CHUNK = 16_384  # clusters drawn at a time: 500 draws of float32 keep within 32 MB
_ONE_THREAD = 200_000  # multiplications; OpenBLAS starts threads at 2**18


def wilson(share: Floats, n: Floats, z: float = Z95) -> tuple[Floats, Floats]:
    """Wilson score interval; `share` and the (effective) size `n` broadcast. NaN where n is 0."""
    share, n = np.asarray(share, dtype=float), np.asarray(n, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 + z * z / n
        centre = (share + z * z / (2 * n)) / scale
        half = z * np.sqrt(np.maximum(share * (1 - share), 0) / n + z * z / (4 * n * n)) / scale
    return np.clip(np.minimum(centre - half, share), 0, 1), np.clip(np.maximum(centre + half, share), 0, 1)


def effective_size(hits: Floats, sizes: Floats, share: Floats) -> Floats:
    """How many independent articles the clusters are worth, for each share.

    `hits`: (units, m) numerators of each cluster; `sizes`: (units, m) or (units, 1) denominators; `share`: (m,).
    The smaller of two figures: Kish's (copies count as one, weights as they are) and the one the clusters' own
    scatter implies, p(1-p)/Var, with Var the linearised variance of the ratio between clusters. 0 where empty.
    """
    total, squares = sizes.sum(axis=0), np.square(sizes).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        kish = np.where(squares > 0, total * total / squares, 0.0)
        scatter = np.square(hits - share * sizes).sum(axis=0)
        implied = share * (1 - share) * total * total / scatter
    return np.where(np.isfinite(implied) & (implied > 0), np.minimum(kish, implied), kish) + np.zeros_like(share)


def bootstrap_shares(hits: Floats, sizes: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Bayesian bootstrap over clusters, all columns with the same weights so that their dependence is kept.

    `hits`: (units, m); `sizes`: (units,), with 0 <= hits <= sizes and some size. Returns (draws, m) shares.
    Every cluster gets a standard exponential weight; half a pseudo-cluster of hits and half a one of misses is added
    in each column. For unclustered articles the draws are then exactly Beta(x + 1/2, n - x + 1/2), the Jeffreys
    posterior, so nothing collapses at no hits or all hits; a pseudo-cluster has Kish's mean cluster size, so copies
    do not sharpen the interval.
    """
    columns = hits.shape[1]
    values = np.concatenate([hits, sizes[:, None]], axis=1).astype(np.float32)
    sums = np.zeros((draws, columns + 1))
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        sums += _product(rng.standard_exponential((draws, len(part)), dtype=np.float32), part)
    scale = float(np.square(sizes).sum() / sizes.sum())
    # Half a squared normal is Gamma(1/2), drawn several times faster.
    halves = np.square(rng.standard_normal((2, draws, columns), dtype=np.float32)) * np.float32(scale / 2)
    pseudo_hits, pseudo_misses = halves[0], halves[1]
    shares: Floats = (sums[:, :-1] + pseudo_hits) / (sums[:, -1:] + pseudo_hits + pseudo_misses)
    return shares


def bootstrap_apart(hits: Floats, sizes: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """`bootstrap_shares` of each narrative by itself: the dependence within a narrative is kept, between them not.

    `hits`: (units, K, m); `sizes`: (units,). Returns (draws, K, m). The exponential weights of single articles that say
    the same add up to a gamma weight, so a draw costs what the patterns cost, not what the articles do.
    """
    _, narratives, columns = hits.shape
    patterns = 1 << columns
    single = (sizes == 1) & ((hits == 0) | (hits == 1)).all(axis=(1, 2))
    codes = (hits[single] @ (1 << np.arange(columns))).astype(np.int64) + patterns * np.arange(narratives)
    counts = np.bincount(codes.ravel(), minlength=patterns * narratives)
    weights = np.zeros((draws, patterns * narratives))
    seen = np.flatnonzero(counts)
    weights[:, seen] = rng.standard_gamma(counts[seen], (draws, len(seen)))
    weights = weights.reshape(draws, narratives, patterns)
    bits = (np.arange(patterns)[:, None] >> np.arange(columns)) & 1
    sums, totals = weights @ bits, weights.sum(axis=2, keepdims=True)
    rest = np.flatnonzero(~single)
    for start in range(0, len(rest), _CHUNK):
        some = rest[start : start + _CHUNK]
        values = np.concatenate([hits[some].reshape(len(some), -1), sizes[some, None]], axis=1).astype(np.float32)
        drawn = _product(rng.standard_exponential((draws, len(some)), dtype=np.float32), values)
        sums += drawn[:, :-1].reshape(sums.shape)
        totals += drawn[:, -1][:, None, None]
    scale = float(np.square(sizes).sum() / sizes.sum())
    halves = np.square(rng.standard_normal((2, *sums.shape))) * (scale / 2)
    shares: Floats = (sums + halves[0]) / (totals + halves[0] + halves[1])
    return shares


def _product(weights: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """`weights @ values`, small products in slices that a linear-algebra library does not spread over threads.

    Thousands of small products that wait for a second core on a busy machine took five times as long.
    """
    each = values.size
    if len(weights) * each > 100 * _ONE_THREAD:
        return weights @ values
    step = max(_ONE_THREAD // max(each, 1), 1)
    return np.concatenate([weights[i : i + step] @ values for i in range(0, len(weights), step)])


def percentiles(draws: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Central interval over axis 0."""
    tail = (1 - level) / 2
    ordered = np.sort(np.moveaxis(draws, 0, -1), axis=-1)  # contiguous: several times faster than np.quantile here
    last = ordered.shape[-1] - 1
    low, high = (_at(ordered, tail * last), _at(ordered, (1 - tail) * last))
    return low, high


def _at(ordered: Floats, position: float) -> Floats:
    """Linear interpolation in the last axis."""
    below = int(position)
    above = min(below + 1, ordered.shape[-1] - 1)
    value: Floats = ordered[..., below] + (position - below) * (ordered[..., above] - ordered[..., below])
    return value


def difference(now: tuple[float, float, float], before: tuple[float, float, float]) -> tuple[float, float, float]:
    """MOVER: (estimate, low, high) of now - before from two independent (estimate, low, high)."""
    (p, l1, u1), (q, l2, u2) = now, before
    d = p - q
    return d, d - math.hypot(p - l1, u2 - q), d + math.hypot(u1 - p, q - l2)
