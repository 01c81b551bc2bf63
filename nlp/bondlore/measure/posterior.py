"""One period's presence from the model's probabilities: EM under prior shift, and their plain sum.

Arrays of bins are (units, K, B): the votes of a cluster's articles by the bin their probability falls in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure.confusion import Confusion
from bondlore.measure.correction import unusable
from bondlore.measure.drift import score_drift
from bondlore.measure.estimate import Estimate, Units
from bondlore.measure.heldout import HeldOut
from bondlore.measure.intervals import effective_size, percentiles, wilson
from bondlore.measure.prior_shift import densities, density_draws, mixture_share, probability_bins, ratio_of

__all__ = ["Shift", "drifted", "prepare", "scored", "shifted", "summed"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """What EM needs, narratives padded to B bins.

    `edges`: K arrays; `ratio` (K, B) and `ratio_draws` (draws, K, B) are f1/f0; `hit`, `miss` (draws, K, B) say where
    an article with and without the narrative would score; `reasons` (K,) not to use them.
    """

    edges: tuple[Floats, ...]
    ratio: Floats
    ratio_draws: Floats
    hit: Floats
    miss: Floats
    reasons: tuple[str, ...]


def prepare(
    held_out: HeldOut | None, confusion: Confusion | None, narratives: tuple[str, ...], draws: int, seed: int
) -> Shift:
    """Likelihood ratios from held-out histograms; without them from calibrated probabilities and their own prior.

    Raises InputError when neither is at hand.
    """
    if held_out is None and confusion is None:
        raise InputError(
            "EM needs held-out scores, or at least the model's confusion counts",
            remedy="give --held-out, or use another --method",
        )
    grid, centres = probability_bins()
    edges, reasons, parts = [], [], []
    for k, narrative in enumerate(narratives):
        rng = np.random.default_rng([seed, k, 7])
        scores = held_out.narratives.get(narrative) if held_out else None
        if held_out is not None and (scores is None or scores.unusable):
            reasons.append("no held-out articles" if scores is None else scores.unusable)
        elif held_out is None:
            assert confusion is not None
            reasons.append(unusable(confusion.counts(narrative, "presence")))
        else:
            reasons.append("")
        if reasons[-1]:
            edges.append(np.array([0.5]))
            parts.append((np.ones(2), *(np.ones((draws, 2)),) * 3))
        elif scores is not None:
            edges.append(scores.edges)
            positive, negative = densities(scores)
            hit, miss = density_draws(scores, draws, rng)
            parts.append((positive / negative, hit / miss, hit, miss))
        else:
            assert confusion is not None
            counts = confusion.counts(narrative, "presence")
            assert counts is not None
            edges.append(grid)
            prior = rng.beta(counts.positives + 0.5, counts.negatives + 0.5, draws)
            ends = np.zeros((2, draws, len(centres)))
            ends[0, :, -1] = ends[1, :, 0] = 1
            at = counts.positives / (counts.positives + counts.negatives)
            parts.append((ratio_of(centres, at), ratio_of(centres, prior[:, None]), ends[0], ends[1]))
    widest = max(len(e) for e in edges) + 1

    def pad(values: Floats, fill: float) -> Floats:
        room = [(0, 0)] * (values.ndim - 1) + [(0, widest - values.shape[-1])]
        return np.pad(values, room, constant_values=fill)

    ratio = np.stack([pad(p[0], 1.0) for p in parts])

    def drawn(part: int, fill: float) -> Floats:
        return np.stack([pad(p[part], fill) for p in parts], axis=1)

    return Shift(tuple(edges), ratio, drawn(1, 1.0), drawn(2, 0.0), drawn(3, 0.0), tuple(reasons))


def scored(
    probabilities: NDArray[np.float32], unit: NDArray[np.int64], weight: Floats, edges: tuple[Floats, ...], bins: int
) -> Floats:
    """(units, K, bins) votes by bin. `probabilities` (n, K), `unit` and `weight` (n,)."""
    units, narratives = int(unit[-1]) + 1, len(edges)
    out = np.empty((units, narratives, bins))
    for k, inner in enumerate(edges):
        at = np.searchsorted(inner, probabilities[:, k], side="right")
        out[:, k] = np.bincount(unit * bins + at, weights=weight, minlength=units * bins).reshape(units, bins)
    return out


def shifted(out: Estimate, units: Units, bins: Floats, shift: Shift, draws: int, rng: np.random.Generator) -> None:
    """Replace presence by EM shares; percentile intervals from a joint bootstrap of clusters and labelled articles."""
    usable = np.array([not reason for reason in shift.reasons])
    counted, narratives, widest = len(bins), bins.shape[1], bins.shape[2]
    point = np.nan_to_num(mixture_share(bins.sum(axis=0), shift.ratio))
    point[~usable] = out.uncorrected[~usable, 0]
    weights = rng.standard_exponential((draws, counted))
    sums = (weights @ bins.reshape(counted, -1)).reshape(draws, narratives, widest)
    # half a pseudo-story with the narrative and half a one without: see intervals.bootstrap_shares
    scale = float(np.square(units.sizes).sum() / units.sizes.sum())
    halves = rng.gamma(0.5, scale, (2, draws, narratives, 1))
    drawn = mixture_share(sums + halves[0] * shift.hit + halves[1] * shift.miss, shift.ratio_draws)
    if units.mentions:
        total = point.sum()
        if total <= 0 or not usable.all():
            where = np.zeros_like(out.share, dtype=bool)
            where[:, 0] = True
            out.say(where, "EM cannot place every narrative, so shares of mentions stay as they were")
            return
        point, drawn = point / total, drawn / np.maximum(drawn.sum(axis=1), 1e-9)[:, None]
    low, high = percentiles(drawn)
    edge_low, edge_high = wilson(point, np.full(narratives, float(counted)))
    high, low = (
        np.where(point <= 0, np.maximum(high, edge_high), high),
        np.where(point >= 1, np.minimum(low, edge_low), low),
    )
    where = np.zeros_like(out.share, dtype=bool)
    where[usable, 0] = True
    # what an adjusted count said of itself does not hold of this one
    out.reason[where] = ""
    out.put(where, _wide(point), _wide(low), _wide(high), "em")
    for k, reason in enumerate(shift.reasons):
        if reason:
            out.say(_presence(out, k), f"not by EM: {reason}")


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


def _presence(out: Estimate, k: int) -> NDArray[np.bool_]:
    where = np.zeros(out.share.shape, dtype=bool)
    where[k, 0] = True
    return where
