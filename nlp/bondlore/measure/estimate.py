"""One period's shares with intervals, from the period's clusters: plain counting, adjusted count or PPI++.

Arrays are (K narratives, 4 series) in the order of `SERIES`. `hits` are sums over a cluster's articles (by article)
or their mean (by cluster); `sizes` the matching denominators.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bondlore.measure.correction import Audited, PpiResult, Rates, ppi, ppi_ratio, rogan_gladen
from bondlore.measure.intervals import Z95, bootstrap_apart, bootstrap_shares, effective_size, percentiles, wilson

__all__ = [
    "MIN_AUDITED",
    "SERIES",
    "Estimate",
    "Units",
    "adjusted",
    "blank",
    "cell",
    "empty",
    "plain",
    "powered",
    "refuse",
    "widen",
    "within",
]

Floats = NDArray[np.float64]

SERIES = ("presence", "support", "rejection", "contested")
MIN_AUDITED = 30
_MANY = 1000
_MIN_CONTESTED = 5  # audited articles that carry the narrative, before its contested ratio is estimated


@dataclass(frozen=True)
class Units:
    """The clusters of one period.

    `hits`: (units, K, 4); `sizes`: (units,), all positive; `mentions`: whether mentions are the denominator.
    """

    hits: Floats
    sizes: Floats
    mentions: bool

    @property
    def denominators(self) -> Floats:
        """(units, K, 4): what each series is a share of. For `contested` that is the narrative's own presence."""
        presence = self.hits[:, :, 0]
        base = presence.sum(axis=1) if self.mentions else self.sizes
        out = np.empty_like(self.hits)
        out[:, :, :3] = base[:, None, None]
        out[:, :, 3] = presence
        return out


@dataclass
class Estimate:
    """Shares of one period; all arrays (K, 4)."""

    share: Floats
    low: Floats
    high: Floats
    uncorrected: Floats
    n: NDArray[np.int64]
    stories: NDArray[np.int64]
    n_audited: NDArray[np.int64] = field(init=False)
    method: NDArray[np.object_] = field(init=False)
    reason: NDArray[np.object_] = field(init=False)
    smoothed: Floats = field(init=False)  # these four by `smoothing.smooth`, else NaN
    smoothed_low: Floats = field(init=False)
    smoothed_high: Floats = field(init=False)
    step: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.smoothed, self.smoothed_low, self.smoothed_high, self.step = (
            np.full(self.share.shape, np.nan) for _ in range(4)
        )
        self.n_audited = np.zeros(self.share.shape, dtype=np.int64)
        self.method = np.full(self.share.shape, "uncorrected", dtype=object)
        self.reason = np.full(self.share.shape, "", dtype=object)

    def put(self, where: NDArray[np.bool_], share: Floats, low: Floats, high: Floats, method: str) -> None:
        """Replace the estimates `where`; clip to [0, 1] and say so."""
        clipped = np.clip(share, 0, 1)
        outside = where & (np.abs(clipped - share) > 1e-12)
        self.share[where] = clipped[where]
        self.low[where] = np.clip(np.minimum(low, clipped), 0, 1)[where]
        self.high[where] = np.clip(np.maximum(high, clipped), 0, 1)[where]
        self.method[where] = method
        self.say(outside & (share < 0), "the correction fell below 0 and was clipped")
        self.say(outside & (share > 1), "the correction rose above 1 and was clipped")

    def say(self, where: NDArray[np.bool_], reason: str) -> None:
        """Add a reason."""
        for at in zip(*np.nonzero(where), strict=True):
            self.reason[at] = f"{self.reason[at]}; {reason}" if self.reason[at] else reason


def empty(narratives: int) -> Estimate:
    """A period without articles."""
    nan = np.full((narratives, len(SERIES)), np.nan)
    none = np.zeros(nan.shape, dtype=np.int64)
    return Estimate(nan.copy(), nan.copy(), nan.copy(), nan.copy(), none.copy(), none.copy())


def plain(units: Units) -> Estimate:
    """Counting, with Wilson intervals at the effective number of independent articles."""
    shape = units.hits.shape[1:]
    below = units.denominators
    hits, sizes = units.hits.reshape(len(below), -1), below.reshape(len(below), -1)
    total = sizes.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total > 0, hits.sum(axis=0) / total, np.nan)
    known = np.nan_to_num(share)
    low, high = wilson(known, effective_size(hits, sizes, known))
    return Estimate(
        share.reshape(shape),
        np.where(total > 0, low, np.nan).reshape(shape),
        np.where(total > 0, high, np.nan).reshape(shape),
        share.reshape(shape).copy(),
        np.rint(total).astype(np.int64).reshape(shape),
        np.count_nonzero(sizes > 0, axis=0).reshape(shape),
    )


def adjusted(out: Estimate, units: Units, rates: Rates, draws: int, rng: np.random.Generator) -> Floats:
    """Replace presence, support and rejection by adjusted counts; percentile intervals from the joint bootstrap.

    Returns the (draws, K, 3) counted shares behind them, over articles.
    """
    narratives = units.hits.shape[1]
    verdicts = units.hits[:, :, :3]
    counted = verdicts.sum(axis=0) / units.sizes.sum()
    # one narrative's mentions are in everybody's denominator; and few articles are drawn faster than their patterns
    if units.mentions or len(units.sizes) < _MANY:
        flat = verdicts.reshape(len(units.sizes), -1)
        sampled = bootstrap_shares(flat, units.sizes, draws, rng).reshape(draws, narratives, 3)
    else:
        sampled = bootstrap_apart(verdicts, units.sizes, draws, rng)
    usable = rates.usable
    raw = rogan_gladen(counted, rates.tpr, rates.fpr)
    point = within(raw, usable, clip=units.mentions)
    drawn = within(rogan_gladen(sampled, rates.tpr_draws, rates.fpr_draws), usable, clip=True)
    if units.mentions:
        point_total = point[:, 0].sum()
        if point_total <= 0:
            out.say(
                np.ones_like(out.share, dtype=bool), "no mention is left after the correction; counted as they stand"
            )
            return sampled
        point = point / point_total
        drawn = drawn / np.maximum(drawn[:, :, 0].sum(axis=1), 1e-9)[:, None, None]
    low, high = percentiles(drawn)
    if not units.mentions:
        # At an edge every draw is clipped to the same value, and the percentiles would claim a certainty that no
        # sample of this size gives: there the interval is at least as wide as sampling alone makes it.
        edge_low, edge_high = wilson(np.clip(point, 0, 1), np.full(point.shape, float(len(units.sizes))))
        high = np.where(point <= 0, np.maximum(high, edge_high), high)
        low = np.where(point >= 1, np.minimum(low, edge_low), low)
    # Shares of mentions stand or fall together: one corrected count changes everybody's denominator.
    where = np.full(usable.shape, bool(usable.any())) if units.mentions else usable
    out.put(widen(where, False), widen(point), widen(low), widen(high), "adjusted_count")
    held = usable[:, :1] & usable & (raw > np.maximum(raw[:, :1], 0))
    out.say(widen(held, False), "the correction exceeded presence and was held at presence")
    for k, row in enumerate(rates.reasons):
        for m, reason in enumerate(row):
            if reason:
                out.say(cell(out, k, m), f"its own count is not corrected: {reason}")
    contested = np.zeros_like(out.share, dtype=bool)
    contested[:, 3] = True
    out.say(contested, "the adjusted count does not cover this ratio")
    return sampled


def powered(out: Estimate, units: Units, audited: Audited) -> None:
    """Replace everything by PPI++ estimates; Wilson intervals at the size the variance is worth, t-widened."""
    narratives = units.hits.shape[1]
    result = ppi(units.hits.reshape(len(units.sizes), -1), units.sizes, audited)
    below = ppi_denominators(units, audited)
    presence = _columns(result, np.arange(narratives) * 4)
    share, variance = result.mean.copy(), result.variance.copy()
    if below is not None:
        share, variance = ppi_ratio(result, below)
    contested = np.arange(narratives) * 4 + 3
    share[contested], variance[contested] = ppi_ratio(_columns(result, contested), presence)
    inside = np.clip(share, 0, 1)
    spread = inside * (1 - inside)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.where(spread > 0, spread / variance, audited.effective)
    degrees = max(audited.effective - 1, 1)
    low, high = wilson(inside, size, Z95 + (Z95**3 + Z95) / (4 * degrees))  # Cornish-Fisher: z to Student's t
    shape = out.share.shape
    where = np.isfinite(share).reshape(shape)
    seen = np.count_nonzero(audited.gold.reshape(len(audited), narratives, 4)[:, :, 0], axis=0)
    where[:, 3] &= seen >= _MIN_CONTESTED
    thin = np.zeros_like(where)
    thin[:, 3] = ~where[:, 3]
    out.put(where, share.reshape(shape), low.reshape(shape), high.reshape(shape), "ppi")
    out.n_audited[where] = len(audited)
    out.say(thin, f"fewer than {_MIN_CONTESTED} audited articles carry the narrative")


def ppi_denominators(units: Units, audited: Audited) -> PpiResult | None:
    """The PPI++ mean number of mentions an article, or None when articles are the denominator."""
    if not units.mentions:
        return None
    narratives = units.hits.shape[1]

    def mentions(indicators: Floats) -> Floats:
        total: Floats = indicators.reshape(-1, narratives, 4)[:, :, 0].sum(axis=1, keepdims=True)
        return total

    counts = Audited(audited.unit, audited.weight, audited.inverse, mentions(audited.verdicts), mentions(audited.gold))
    return ppi(mentions(units.hits.reshape(len(units.sizes), -1)), units.sizes, counts)


def blank(out: Estimate, where: NDArray[np.bool_], reason: str) -> None:
    """Refuse what stands `where`: the estimate goes, its reason stays."""
    out.share[where] = out.low[where] = out.high[where] = np.nan
    out.say(where, reason)


def refuse(out: Estimate, floor: int) -> None:
    """Blank what stands on fewer than `floor` independent stories, and say why."""
    for at in zip(*np.nonzero(out.stories < floor), strict=True):
        out.share[at] = out.low[at] = out.high[at] = np.nan
        stories = int(out.stories[at])
        what = "no article" if stories == 0 else f"{stories} independent {'story' if stories == 1 else 'stories'}"
        out.reason[at] = what if stories == 0 else f"{what}, fewer than {floor}"
        out.method[at], out.n_audited[at] = "uncorrected", 0


def within(shares: Floats, usable: NDArray[np.bool_], *, clip: bool) -> Floats:
    """Support and rejection are parts of presence: keep them below it where both are corrected."""
    out = np.clip(shares, 0, 1) if clip else shares.copy()
    both = usable[:, :1] & usable[:, 1:]
    parts = out[..., 1:]
    out[..., 1:] = np.where(both & (parts > 0), np.minimum(parts, np.maximum(out[..., :1], 0)), parts)
    return out


def widen(values: NDArray[Any], fill: float | bool = np.nan) -> NDArray[Any]:
    """(K, 3) to (K, 4) with `fill` for the contested ratio."""
    out = np.full((len(values), 4), fill, dtype=values.dtype)
    out[:, :3] = values
    return out


def cell(out: Estimate, k: int, m: int) -> NDArray[np.bool_]:
    """(K, 4), true at one narrative and series."""
    where = np.zeros(out.share.shape, dtype=bool)
    where[k, m] = True
    return where


def _columns(result: PpiResult, columns: NDArray[np.int64]) -> PpiResult:
    return PpiResult(result.mean[columns], result.influence[:, columns], result.tuning[columns], result.least[columns])
