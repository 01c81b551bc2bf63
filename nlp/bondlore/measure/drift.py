"""Is a window still a mixture of the held-out positives and negatives? Only then may a corrected count be believed.

Adjusted counts and EM assume that articles with a narrative score as the held-out ones with it, and those without as
those without. Both then make the window's score distribution w = p f1 + (1 - p) f0 for some p. The test is the
likelihood ratio of that mixture (f1, f0, p fitted together to held-out and window counts by EM) against a free w: G2 is
chi-squared with B - 2 degrees of freedom under the assumption, held-out articles' own sampling included. It cannot see
a drift that stays within the span of f1 and f0 (one that looks exactly like another share); that takes an audit.

Where only confusion counts are known, a weaker sign remains: the counted share must lie between fpr and tpr.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bondlore.measure.heldout import Scores

__all__ = ["ALPHA", "Fit", "chi2_tail", "edge_drift", "mixture_fit", "score_drift"]

Floats = NDArray[np.float64]

ALPHA = 0.01  # for all narratives of a period together
_LEAST = 5.0  # expected articles of the window in a bin; neighbours are joined below it
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted mixture: share, G2, degrees of freedom and the chance of so bad a fit; `degrees` 0: no test."""

    share: float
    statistic: float
    degrees: int
    p_value: float


def chi2_tail(x: float, degrees: int) -> float:
    """P(chi-squared > x), by the finite sums for whole degrees (Abramowitz & Stegun 26.4.4 and 26.4.5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if degrees % 2 == 0:
        term = total = math.exp(-half)
        for k in range(1, degrees // 2):
            term *= half / k
            total += term
        return min(total, 1.0)
    total = math.erfc(math.sqrt(half))
    term = math.sqrt(x) * math.exp(-half) * math.sqrt(2 / math.pi)
    for k in range(1, (degrees - 1) // 2 + 1):
        total += term
        term *= x / (2 * k + 1)
    return min(total, 1.0)


def mixture_fit(window: Floats, scores: Scores) -> Fit:
    """Test the (B,) window counts (independent articles, fractions allowed) against the held-out mixture."""
    counts = _joined(window, scores)
    w, pos, neg = counts
    bins = w.shape[0]
    if bins < 3 or w.sum() <= 0:
        return Fit(math.nan, 0.0, 0, 1.0)
    f1, f0 = ((c + 0.5) / (c + 0.5).sum() for c in (pos, neg))
    share = 0.5
    for _ in range(_STEPS):
        mixed = share * f1 + (1 - share) * f0
        mine = w * share * f1 / np.maximum(mixed, 1e-300)
        after = float(mine.sum() / w.sum())
        f1, f0 = pos + mine, neg + (w - mine)
        f1, f0 = f1 / f1.sum(), f0 / f0.sum()
        if abs(after - share) < 1e-9:
            break
        share = after
    fitted = share * f1 + (1 - share) * f0
    statistic = 2 * sum(_deviance(c, f) for c, f in ((w, fitted), (pos, f1), (neg, f0)))
    return Fit(share, statistic, bins - 2, chi2_tail(statistic, bins - 2))


def _deviance(counts: Floats, fitted: Floats) -> float:
    """Log-likelihood that the counts' own frequencies gain over the fitted ones."""
    seen = counts > 0
    own = counts[seen] / counts.sum()
    return float((counts[seen] * np.log(own / np.maximum(fitted[seen], 1e-300))).sum())


def _joined(window: Floats, scores: Scores) -> tuple[Floats, Floats, Floats]:
    """Neighbouring bins joined until each expects enough articles of the window, pooled with the held-out ones."""
    window = np.asarray(window, dtype=float)
    expected = window.sum() * (window + scores.positive + scores.negative)
    expected /= (window + scores.positive + scores.negative).sum()
    groups: list[list[int]] = []
    held = 0.0
    for b, e in enumerate(expected):
        if not groups or held >= _LEAST:
            groups.append([])
            held = 0.0
        groups[-1].append(b)
        held += float(e)
    if len(groups) > 1 and held < _LEAST:
        last = groups.pop()
        groups[-1].extend(last)
    joined = [np.array([c[g].sum() for g in groups]) for c in (window, scores.positive, scores.negative)]
    return joined[0], joined[1], joined[2]


def score_drift(window: Floats, scores: Scores, tests: int) -> str:
    """The reason not to believe a corrected count of this window, or "". `tests` narratives share the level."""
    if scores.unusable:
        return ""
    fit = mixture_fit(window, scores)
    if fit.p_value >= ALPHA / tests:
        return ""
    return (
        f"drift: scores are no mixture of the held-out articles' (G2 {fit.statistic:.1f}, {fit.degrees} degrees of "
        f"freedom, p {fit.p_value:.1g})"
    )


def edge_drift(counted: Floats, tpr: Floats, fpr: Floats, tests: int) -> list[str]:
    """Reasons where draws of counted shares lie surely below those of fpr, or above those of tpr; else "".

    All (draws, K); K reasons. `tests` narratives share the level.
    """
    z = NormalDist().inv_cdf(1 - ALPHA / tests / 2)  # a few hundred draws have no such quantile of their own
    below, above = counted - fpr, counted - tpr
    few = below.mean(axis=0) + z * below.std(axis=0) < 0
    many = above.mean(axis=0) - z * above.std(axis=0) > 0
    return [
        "drift: fewer articles are counted than false alarms alone should give"
        if f
        else "drift: more articles are counted than the narrative everywhere should give"
        if m
        else ""
        for f, m in zip(few.tolist(), many.tolist(), strict=True)
    ]
