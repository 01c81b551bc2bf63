"""Taking the classifier's errors out of a share: the adjusted count and prediction-powered inference.

Adjusted count (Rogan & Gladen 1978; "adjusted classify and count"): with q the share of positive verdicts,
p = (q - fpr) / (tpr - fpr). Needs rates that hold in the counted articles; their own uncertainty enters as Beta draws.

PPI++ (Angelopoulos, Duchi & Zrnic 2023) with inclusion probabilities, as a Hajek difference estimator: for audited
articles with weights h = 1/pi, p = mean_h(Y) + lambda * (mean(f) - mean_h(f)), lambda chosen to minimise the
estimated variance and kept in [0, 1]. The audited articles are part of the counted ones, which the variance knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bondlore.measure.confusion import Confusion, Counts

__all__ = ["MEASURES", "Audited", "PpiResult", "Rates", "error_rates", "ppi", "ppi_ratio", "rogan_gladen", "unusable"]

Floats = NDArray[np.float64]

MEASURES = ("presence", "support", "rejection")

MIN_POSITIVES, MIN_NEGATIVES = 10, 20
MIN_SEPARATION = 0.1  # the lower 2.5% bound of tpr - fpr must exceed this, or the quotient explodes
_FLOOR = 0.05  # no draw divides by less


def rogan_gladen(share: Floats, tpr: Floats, fpr: Floats) -> Floats:
    """(share - fpr) / (tpr - fpr), unclipped; arguments broadcast. Separations below 0.05 count as 0.05."""
    corrected: Floats = (share - fpr) / np.maximum(tpr - fpr, _FLOOR)
    return corrected


def unusable(counts: Counts | None, separation: Floats | None = None) -> str:
    """Why these counts cannot correct a share; "" when they can. `separation`: draws of tpr - fpr."""
    if counts is None:
        return "the model states no error counts for it"
    if counts.positives < MIN_POSITIVES or counts.negatives < MIN_NEGATIVES:
        return (
            f"only {counts.positives:g} positive and {counts.negatives:g} negative test articles "
            f"(needs {MIN_POSITIVES} and {MIN_NEGATIVES})"
        )
    if separation is not None and float(np.quantile(separation, 0.025)) <= MIN_SEPARATION:
        return f"true and false positive rates too close ({counts.tpr:.2f} and {counts.fpr:.2f})"
    return ""


@dataclass(frozen=True)
class Rates:
    """Error rates of every (narrative, measure): points (K, 3), draws (draws, K, 3), reasons not to use them (K, 3)."""

    tpr: Floats
    fpr: Floats
    tpr_draws: Floats
    fpr_draws: Floats
    reasons: tuple[tuple[str, ...], ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(K, 3)."""
        return np.array([[not reason for reason in row] for row in self.reasons], dtype=bool)


def error_rates(
    confusion: Confusion, narratives: tuple[str, ...], draws: int, seed: int, *, known: bool = False
) -> Rates:
    """Points and Jeffreys-Beta draws of tpr and fpr. Unusable ones become the identity (tpr 1, fpr 0).

    The same draws serve every period: the classifier's rates are unknown once, not anew each day. `known` takes them
    for certain: the error left is then independent between periods, as a regression on a series needs it.
    """
    shape = (len(narratives), len(MEASURES))
    tpr, fpr = np.ones(shape), np.zeros(shape)
    tpr_draws, fpr_draws = np.ones((draws, *shape)), np.zeros((draws, *shape))
    reasons = [["" for _ in MEASURES] for _ in narratives]
    for k, narrative in enumerate(narratives):
        for m, measure in enumerate(MEASURES):
            counts = confusion.counts(narrative, measure)
            reasons[k][m] = unusable(counts)
            if counts is None or reasons[k][m]:
                continue
            rng = np.random.default_rng([seed, k, m])
            true = rng.beta(counts.tp + 0.5, counts.fn + 0.5, draws)
            false = rng.beta(counts.fp + 0.5, counts.tn + 0.5, draws)
            reasons[k][m] = unusable(counts, true - false)
            if not reasons[k][m]:
                tpr[k, m], fpr[k, m] = counts.tpr, counts.fpr
                points = (counts.tpr, counts.fpr)
                tpr_draws[:, k, m], fpr_draws[:, k, m] = points if known else (true, false)
    return Rates(tpr, fpr, tpr_draws, fpr_draws, tuple(map(tuple, reasons)))


@dataclass(frozen=True)
class Audited:
    """The audited articles of one period.

    `unit`: (a,) index of their cluster; `weight`: (a,) their vote (1, or 1/copies); `inverse`: (a,) 1/inclusion
    probability; `verdicts`, `gold`: (a, m) the model's and the hand-made indicators.
    """

    unit: NDArray[np.int64]
    weight: Floats
    inverse: Floats
    verdicts: Floats
    gold: Floats

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def effective(self) -> float:
        """Kish's size of the weighted audit sample."""
        weights = self.weight * self.inverse
        return float(weights.sum() ** 2 / np.square(weights).sum())


@dataclass(frozen=True)
class PpiResult:
    """Means (m,), influence of every cluster (units, m), tuning (m,) and the least variance to believe (m,)."""

    mean: Floats
    influence: Floats
    tuning: Floats
    least: Floats

    @property
    def variance(self) -> Floats:
        """(m,) cluster-robust variance of each mean."""
        return np.maximum(_spread(self.influence), self.least)


def ppi(hits: Floats, sizes: Floats, audited: Audited) -> PpiResult:
    """PPI++ means of indicators over clustered articles.

    `hits`: (units, m) the model's verdicts summed by cluster; `sizes`: (units,). Where the audit shows no
    disagreement at all, the variance still allows for one it could have missed (1/effective size, squared).
    """
    total = sizes.sum()
    weights = audited.weight * audited.inverse
    weights = weights * (total / weights.sum())
    gold = weights @ audited.gold / total
    seen = weights @ audited.verdicts / total
    everywhere = hits.sum(axis=0) / total
    label, model = np.zeros_like(hits), hits - everywhere * sizes[:, None]
    sampling = _spread(model / total)
    np.add.at(label, audited.unit, weights[:, None] * (audited.gold - gold))
    np.add.at(model, audited.unit, -weights[:, None] * (audited.verdicts - seen))
    power = np.square(model).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        tuning = np.where(power > 1e-9, np.clip(-(label * model).sum(axis=0) / power, 0, 1), 0.0)
    mean = gold + tuning * (everywhere - seen)
    least = np.square(tuning) * sampling + 1 / audited.effective**2
    return PpiResult(mean, (label + tuning * model) / total, tuning, least)


def ppi_ratio(numerator: PpiResult, denominator: PpiResult) -> tuple[Floats, Floats]:
    """Ratios of PPI means and their linearised variances by column; NaN where the denominator is not positive."""
    below = np.where(denominator.mean > 0, denominator.mean, np.nan)
    ratio = numerator.mean / below
    influence = (numerator.influence - ratio * denominator.influence) / below
    return ratio, np.maximum(_spread(influence), numerator.least / np.square(below))


def _spread(influence: Floats) -> Floats:
    units = len(influence)
    spread: Floats = np.square(influence).sum(axis=0) * (units / max(units - 1, 1))
    return spread
