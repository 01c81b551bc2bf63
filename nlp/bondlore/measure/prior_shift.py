"""Shares under prior shift: the fixed point of Saerens, Latinne & Decaestecker's EM (2002), found without iterating.

Under prior shift articles with (f1) and without (f0) a narrative score as they always did and only their mix p has
changed. With L = f1/f0 at each article, EM's fixed point is the maximum of sum log(1 + p (L - 1)), which is concave in
p: bisection of its slope finds it to 1e-9, every draw of a bootstrap at once. L comes from held-out histograms, or
from calibrated probabilities c at the prior p0 they were calibrated at: L = c / (1 - c) * (1 - p0) / p0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bondlore.measure.heldout import Scores

__all__ = [
    "densities",
    "density_draws",
    "mixture_share",
    "mixture_with",
    "probability_bins",
    "ratio_of",
    "saerens",
    "smoothed",
]

Floats = NDArray[np.float64]

_STEPS = 30
_ROUNDS = 200  # of EM with three kinds: the share moves by less than 1e-4 after it
_CLIP = 1e-4
_LARGEST = 1e6  # of a likelihood ratio: beyond it one article would decide the share


def mixture_share(weights: Floats, ratio: Floats) -> Floats:
    """The mixing share that maximises sum_b weights_b log(1 + p (ratio_b - 1)); axes but the last broadcast.

    0 or 1 where the maximum lies at the edge, NaN where all weights are 0.
    """
    excess = np.minimum(ratio, _LARGEST) - 1
    weights, excess = np.broadcast_arrays(weights, excess)

    def slope(p: Floats) -> Floats:
        out: Floats = (weights * excess / (1 + p[..., None] * excess)).sum(axis=-1)
        return out

    low = np.zeros(weights.shape[:-1])
    high = np.full_like(low, 1.0)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        up = slope(middle) > 0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a ratio of 0 makes the slope infinite at 1, which then is no maximum
        out = np.where(slope(np.zeros_like(low)) <= 0, 0.0, np.where(slope(np.ones_like(low)) >= 0, 1.0, low))
    return np.where(weights.sum(axis=-1) > 0, out, np.nan)


def mixture_with(weights: Floats, ratio: Floats, other: Floats) -> Floats:
    """`mixture_share` with a third kind: p of the largest sum_b w_b log(1 + p (ratio_b - 1) + q (other_b - 1)).

    p and q, not negative and at most 1 together, by EM; axes but the last broadcast.
    """
    weights, ratio, other = np.broadcast_arrays(weights, np.minimum(ratio, _LARGEST), np.minimum(other, _LARGEST))
    total = weights.sum(axis=-1)
    first = second = np.full(total.shape, 1 / 3)
    for _ in range(_ROUNDS):
        mine, theirs = first[..., None] * ratio, second[..., None] * other
        with np.errstate(divide="ignore", invalid="ignore"):
            each = weights / (mine + theirs + (1 - first - second)[..., None])
            first, second = ((each * part).sum(axis=-1) / total for part in (mine, theirs))
    return first


def saerens(posteriors: Floats, prior: float, *, steps: int = 1000, tolerance: float = 1e-10) -> float:
    """EM by iterating, for one narrative: (n,) calibrated probabilities at `prior`. The definition, kept as a check."""
    share = prior
    for _ in range(steps):
        up, down = posteriors * share / prior, (1 - posteriors) * (1 - share) / (1 - prior)
        after = float(np.mean(up / (up + down)))
        if abs(after - share) < tolerance:
            return after
        share = after
    return share


def ratio_of(probability: Floats, prior: float | Floats) -> Floats:
    """Likelihood ratio behind a probability that is calibrated at `prior`."""
    inside = np.clip(probability, _CLIP, 1 - _CLIP)
    out: Floats = inside / (1 - inside) * ((1 - np.asarray(prior)) / np.asarray(prior))
    return out


def probability_bins() -> tuple[Floats, Floats]:
    """Inner edges (B-1,) and centres (B,) of a fixed grid, even in log-odds: 40 bins from 0.0025 to 0.9975."""
    odds = np.linspace(-6, 6, 41)
    return 1 / (1 + np.exp(-odds[1:-1])), 1 / (1 + np.exp(-(odds[:-1] + odds[1:]) / 2))


def densities(scores: Scores) -> tuple[Floats, Floats]:
    """(B,) f1 and f0; one pseudo-article is spread over the bins, so that no bin is impossible."""
    positive, negative = (smoothed(c) for c in (scores.positive, scores.negative))
    return positive, negative


def smoothed(counts: Floats) -> Floats:
    """(B,) density of counts with one pseudo-article."""
    out: Floats = (counts + 1 / len(counts)) / (counts.sum() + 1)
    return out


def density_draws(scores: Scores, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(draws, B) f1 and f0 from their Dirichlet posteriors: the labelled articles might have been others."""
    positive, negative = (rng.dirichlet(c + 1 / len(c), draws) for c in (scores.positive, scores.negative))
    return np.maximum(positive, 1e-9), np.maximum(negative, 1e-9)
