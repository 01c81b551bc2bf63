"""Two models on the same articles: a paired bootstrap, and no winner inside the noise.

Every draw resamples stories (articles that share a sentence) once and scores both models on them, so that what makes an
article hard for both cancels (Efron and Tibshirani 1993, ch. 16; for such figures Berg-Kirkpatrick, Burkett and Klein
2012). The verdict rests on one figure, named before looking: among twenty figures one differs by chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bondlore.errors import InputError
from bondlore.train.figures import counts, figures_of, joined

__all__ = ["Comparison", "Difference", "compare"]

_FEWEST = 20  # stories, below which a bootstrap interval is too narrow to trust


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both models; `difference` is b - a with its 95% interval, `p` the two-sided bootstrap p-value."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences by figure; `winner` is "a", "b" or "" (inside the noise, or too few articles: `reason` says)."""

    articles: int
    deciding: str
    winner: str
    reason: str
    figures: dict[str, Difference]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare(
    gold: Mapping[str, Mapping[str, Any]],
    a: Mapping[str, Mapping[str, Any]],
    b: Mapping[str, Mapping[str, Any]],
    *,
    narratives: Sequence[str],
    core: Sequence[str],
    deciding: str = "",
    draws: int = 2000,
    seed: int = 0,
    stories: Sequence[int] = (),
) -> Comparison:
    """Compare predictions `a` and `b`, in the form of `figures.score`, on every article of `gold`.

    `deciding` is the figure the verdict rests on (default core_micro_f1, or micro_f1 without core narratives).
    `stories` as in `figures.score`.
    Figures undefined for either model, or in half the draws, are left out. Raises InputError for predictions of other
    articles, and for a deciding figure that is unknown or undefined here.
    """
    deciding = deciding or ("core_micro_f1" if core else "micro_f1")
    for name, predicted in (("first", a), ("second", b)):
        if missing := [key for key in gold if key not in predicted]:
            raise InputError(
                f"the {name} model has no prediction of {missing[0]!r} ({len(missing)} missing)",
                remedy="compare on the same articles",
            )
    which = np.array([n in core for n in narratives])
    each = [
        joined(np.stack([counts(g, predicted[key], narratives) for key, g in gold.items()]), stories)
        for predicted in (a, b)
    ]
    n = len(each[0])
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    point = [figures_of(e.sum(axis=0)[None], narratives, which) for e in each]
    drawn = [figures_of(np.tensordot(weights, e, axes=1), narratives, which) for e in each]
    found: dict[str, Difference] = {}
    for figure in point[0]:
        x, y = (float(p[figure][0]) for p in point)
        apart = drawn[1][figure] - drawn[0][figure]
        apart = apart[np.isfinite(apart)]
        if not (math.isfinite(x) and math.isfinite(y)) or len(apart) < draws / 2:
            continue
        low, high = (float(q) for q in np.quantile(apart, [0.025, 0.975]))
        # plus one: a p-value of 0 would claim more than the draws can show (Davison and Hinkley 1997)
        tail = min(int((apart <= 0).sum()), int((apart >= 0).sum()))
        p = min(1.0, 2 * (tail + 1) / (len(apart) + 1))
        found[figure] = Difference(*(round(v, 4) for v in (x, y, y - x, low, high, p)))
    if deciding not in found:
        known = ", ".join(found)
        raise InputError(f"the figure {deciding!r} is not defined here", where="--figure", remedy=f"use one of {known}")
    winner, reason = _verdict(found[deciding], deciding, n)
    return Comparison(len(gold), deciding, winner, reason, found)


def _verdict(d: Difference, figure: str, stories: int) -> tuple[str, str]:
    span = f"{figure} differs by {d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f})"
    if stories < _FEWEST:
        return "", f"{span}, on {stories} stories: too few to tell, {_FEWEST} are needed"
    if d.low <= 0 <= d.high:
        return "", f"{span}: inside the noise"
    better = d.low > 0
    if figure == "reject_as_support":  # the one figure where less is better
        better = not better
    return ("b" if better else "a"), span
