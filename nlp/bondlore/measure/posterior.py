"""One period's shares from the model's scores: EM under prior shift, and the plain sum of probabilities.

EM covers presence, support and rejection, each from its own `coding.stance_scores`: K narratives make J = 3K columns,
a narrative's three beside each other. A stance has three kinds of articles, for, silent and solely against: were those
against one kind with the silent, that kind would score otherwise wherever their part of it has changed. Arrays of bins
are (units, J, B): the votes of a cluster's articles by the bin their score falls in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure.confusion import Confusion
from bondlore.measure.correction import MEASURES, unusable
from bondlore.measure.drift import score_drift
from bondlore.measure.estimate import Estimate, Units, cell, widen, within
from bondlore.measure.heldout import HeldOut, Scores
from bondlore.measure.intervals import effective_size, percentiles, wilson
from bondlore.measure.prior_shift import (
    densities,
    density_draws,
    mixture_share,
    mixture_with,
    probability_bins,
    ratio_of,
    smoothed,
)

__all__ = ["Shift", "drifted", "prepare", "scored", "shifted", "summed"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """What EM needs, columns padded to B bins.

    `edges`: J arrays; `ratio` (J, B) and `ratio_draws` (draws, J, B) are f1/f0; `hit`, `miss` (draws, J, B) say where
    an article with and without the narrative (or stance) would score; `reasons` (J,) not to use them. `other`,
    `other_draws` are f2/f0 of articles solely against, of the columns `three` (the others have no such articles).
    """

    edges: tuple[Floats, ...]
    ratio: Floats
    ratio_draws: Floats
    hit: Floats
    miss: Floats
    reasons: tuple[str, ...]
    three: NDArray[np.int64]
    other: Floats
    other_draws: Floats


def prepare(
    held_out: HeldOut | None,
    confusion: Confusion | None,
    narratives: tuple[str, ...],
    draws: int,
    seed: int,
    *,
    known: bool = False,
) -> Shift:
    """Likelihood ratios from held-out histograms; without them from calibrated probabilities and their own prior.

    The latter cover presence alone. `known` takes the ratios for certain: the error left is then independent between
    periods. Raises InputError when neither is at hand.
    """
    if held_out is None and confusion is None:
        raise InputError(
            "EM needs held-out scores, or at least the model's confusion counts",
            remedy="give --held-out, or use another --method",
        )
    edges, reasons, parts = [], [], []
    for k, narrative in enumerate(narratives):
        for m, measure in enumerate(MEASURES):
            rng = np.random.default_rng([seed, k, 7 + m])
            if held_out is not None:
                found = _from_scores(held_out.scores(narrative, measure), draws, rng)
            else:
                assert confusion is not None
                found = _from_calibration(confusion, narrative, measure, draws, rng)
            reasons.append(found[0])
            edges.append(found[1])
            parts.append(found[2])
    widest = max(len(e) for e in edges) + 1

    def pad(values: Floats, fill: float) -> Floats:
        room = [(0, 0)] * (values.ndim - 1) + [(0, widest - values.shape[-1])]
        return np.pad(values, room, constant_values=fill)

    def drawn(part: int, fill: float) -> Floats:
        return np.stack([pad(p[part], fill) for p in parts], axis=1)

    ratio = np.stack([pad(p[0], 1.0) for p in parts])
    ratios = np.broadcast_to(ratio, (draws, *ratio.shape)) if known else drawn(1, 1.0)
    three = [at for at, p in enumerate(parts) if len(p) > 4]
    other, others = np.ones((len(three), widest)), np.ones((draws, len(three), widest))
    for row, at in enumerate(three):
        other[row], others[:, row] = pad(parts[at][4], 1.0), pad(parts[at][4 if known else 5], 1.0)
    hit, miss = drawn(2, 0.0), drawn(3, 0.0)
    return Shift(tuple(edges), ratio, ratios, hit, miss, tuple(reasons), np.array(three, dtype=np.int64), other, others)


_Found = tuple[str, Floats, tuple[Floats, ...]]


def _not(reason: str, draws: int) -> _Found:
    return reason, np.array([0.5]), (np.ones(2), np.ones((draws, 2)), np.ones((draws, 2)), np.ones((draws, 2)))


def _from_scores(scores: Scores | None, draws: int, rng: np.random.Generator) -> _Found:
    if scores is None or scores.unusable:
        return _not("no held-out articles" if scores is None else scores.unusable, draws)
    positive, negative = densities(scores)
    hit, miss = density_draws(scores, draws, rng)
    parts: tuple[Floats, ...] = (positive / negative, hit / miss, hit, miss)
    if scores.opposite is not None:
        against = np.maximum(rng.dirichlet(scores.opposite + 1 / len(scores.opposite), draws), 1e-9)
        parts += (smoothed(scores.opposite) / negative, against / miss)
    return "", scores.edges, parts


def _from_calibration(
    confusion: Confusion, narrative: str, measure: str, draws: int, rng: np.random.Generator
) -> _Found:
    counts = confusion.counts(narrative, "presence")
    if measure != "presence":
        return _not("stances need held-out scores", draws)
    if counts is None or (reason := unusable(counts)):
        return _not(reason if counts else unusable(None), draws)
    grid, centres = probability_bins()
    prior = rng.beta(counts.positives + 0.5, counts.negatives + 0.5, draws)
    ends = np.zeros((2, draws, len(centres)))
    ends[0, :, -1] = ends[1, :, 0] = 1
    at = counts.positives / (counts.positives + counts.negatives)
    return "", grid, (ratio_of(centres, at), ratio_of(centres, prior[:, None]), ends[0], ends[1])


def scored(scores: Floats, unit: NDArray[np.int64], weight: Floats, edges: tuple[Floats, ...], bins: int) -> Floats:
    """(units, J, bins) votes by bin. `scores` (n, J), `unit` and `weight` (n,)."""
    units = int(unit[-1]) + 1
    out = np.empty((units, len(edges), bins))
    for j, inner in enumerate(edges):
        at = np.searchsorted(inner, scores[:, j], side="right")
        out[:, j] = np.bincount(unit * bins + at, weights=weight, minlength=units * bins).reshape(units, bins)
    return out


def shifted(out: Estimate, units: Units, bins: Floats, shift: Shift, draws: int, rng: np.random.Generator) -> None:
    """Replace presence, support and rejection by EM shares.

    Percentile intervals from a joint bootstrap of clusters and labelled articles: all columns of a draw share the
    clusters' weights.
    """
    counted, columns, widest = bins.shape
    usable = np.array([not reason for reason in shift.reasons]).reshape(-1, len(MEASURES))
    three, whole = shift.three, bins.sum(axis=0)
    found = mixture_share(whole, shift.ratio)
    found[three] = mixture_with(whole[three], shift.ratio[three], shift.other)
    point = np.nan_to_num(found).reshape(usable.shape)
    point[~usable] = out.uncorrected[:, : len(MEASURES)][~usable]
    weights = rng.standard_exponential((draws, counted))
    sums = (weights @ bins.reshape(counted, -1)).reshape(draws, columns, widest)
    # half a pseudo-story with the narrative and half a one without: see intervals.bootstrap_shares
    scale = float(np.square(units.sizes).sum() / units.sizes.sum())
    halves = rng.gamma(0.5, scale, (2, draws, columns, 1))
    sums = sums + halves[0] * shift.hit + halves[1] * shift.miss
    drawn = mixture_share(sums, shift.ratio_draws)
    drawn[:, three] = mixture_with(sums[:, three], shift.ratio_draws[:, three], shift.other_draws)
    raw, point = point, within(point, usable, clip=False)
    drawn = within(drawn.reshape(draws, *usable.shape), usable, clip=False)
    if units.mentions:
        total = point[:, 0].sum()
        if total <= 0 or not usable[:, 0].all():
            out.say(
                widen(np.ones_like(usable), False),
                "EM cannot place every narrative, so shares of mentions stay as they were",
            )
            return
        point, drawn = point / total, drawn / np.maximum(drawn[:, :, 0].sum(axis=1), 1e-9)[:, None, None]
    low, high = percentiles(drawn)
    edge_low, edge_high = wilson(point, np.full(usable.shape, float(counted)))
    high, low = (
        np.where(point <= 0, np.maximum(high, edge_high), high),
        np.where(point >= 1, np.minimum(low, edge_low), low),
    )
    where = widen(usable, False)
    # what an adjusted count said of itself does not hold of this one
    out.reason[where] = ""
    out.put(where, widen(point), widen(low), widen(high), "em")
    held = usable[:, :1] & usable & (raw > raw[:, :1])
    out.say(widen(held, False), "the correction exceeded presence and was held at presence")
    for at, reason in enumerate(shift.reasons):
        if reason:
            out.say(cell(out, *divmod(at, len(MEASURES))), f"not by EM: {reason}")


def summed(out: Estimate, units: Units, probabilities: Floats) -> None:
    """Replace presence by the mean probability. `probabilities` (units, K), summed by cluster with its votes."""
    if units.mentions:
        below = probabilities.sum(axis=1, keepdims=True)
        share = probabilities.sum(axis=0) / below.sum()
    else:
        below = units.sizes[:, None]
        share = probabilities.sum(axis=0) / units.sizes.sum()
    below = np.broadcast_to(below, probabilities.shape)
    low, high = wilson(share, effective_size(probabilities, below, share))
    where = np.zeros_like(out.share, dtype=bool)
    where[:, 0] = True
    out.put(where, _wide(share), _wide(low), _wide(high), "probability_sum")


def drifted(probabilities: NDArray[np.float32], story: Floats, held_out: HeldOut, names: tuple[str, ...]) -> list[str]:
    """(K,) reasons not to believe a corrected presence. `story` (n,): weights that give every cluster one vote."""
    reasons = []
    for k, name in enumerate(names):
        scores = held_out.narratives.get(name)
        if scores is None:
            reasons.append("")
            continue
        bins = scores.bins(probabilities[:, k])
        window = np.bincount(bins, weights=story, minlength=len(scores.edges) + 1).astype(float)
        reasons.append(score_drift(window, scores, len(names)))
    return reasons


def _wide(values: Floats) -> Floats:
    """(K,) to (K, 4): `put` takes presence alone."""
    return np.repeat(values[:, None], 4, axis=1)
