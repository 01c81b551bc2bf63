"""Chance-corrected agreement of any number of annotators, with missing answers, from counts.

Everything is a ratio of sums over units, so units are first summed by article; a bootstrap over articles is then a
product with weights. Sources: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; Gwet 2008, "Computing
inter-rater reliability and its variance in the presence of high agreement" (AC1); Spitzer and Fleiss 1974 (specific
agreement); Passonneau 2006 (MASI).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sums", "ac1", "agreement", "alpha", "masi", "nominal", "positive", "prevalence", "summed"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the units of each group, or of each bootstrap draw; the first axis is groups or draws.

    `disagreed` (g,): distances between the answers of a unit, each weighted 1 / (answers - 1). `pairable` (g, K):
    answers a category, of units with two or more. `agreed` (g, K): per category, the share of a unit's ordered pairs
    of answers that both name it. `hits` (g, K): agreed pairs weighted 1 / (answers - 1). `shares` (g, K): shares of
    a unit's answers. `paired`, `answered` (g,): units with two or more answers, with one or more.
    """

    disagreed: Floats
    pairable: Floats
    agreed: Floats
    hits: Floats
    shares: Floats
    paired: Floats
    answered: Floats

    def weighted(self, weights: Floats) -> Sums:
        """Sums under weights (draws, groups): one row a draw."""
        return Sums(*(weights @ getattr(self, name) for name in self.__slots__))

    def total(self) -> Sums:
        """Sums over all groups: one row."""
        return self.weighted(np.ones((1, len(self.paired))))


def summed(counts: Floats, distance: Floats, groups: NDArray[np.int64], size: int) -> Sums:
    """Sum units into `size` groups. `counts` (units, K): how many annotators gave each category; `groups` (units,).

    `distance` (K, K) is 0 on the diagonal and symmetric; `nominal(K)` for plain categories.
    """
    answers = counts.sum(axis=1)
    two = answers >= 2
    others = np.where(two, answers - 1, 1.0)
    apart = np.einsum("uk,kl,ul->u", counts, distance, counts) / others
    same = counts * (counts - 1)
    columns = (
        np.where(two, apart, 0.0),
        np.where(two[:, None], counts, 0.0),
        np.where(two[:, None], same / (answers * others).clip(1)[:, None], 0.0),
        np.where(two[:, None], same / others[:, None], 0.0),
        counts / answers.clip(1)[:, None],
        two.astype(float),
        (answers > 0).astype(float),
    )

    def fold(values: Floats) -> Floats:
        out = np.zeros((size, *values.shape[1:]))
        np.add.at(out, groups, values)
        return out

    return Sums(*map(fold, columns))


def nominal(size: int) -> Floats:
    """The distance of plain categories: 1 between any two."""
    return 1.0 - np.eye(size)


def masi(a: Set[str], b: Set[str]) -> float:
    """MASI distance of two label sets (Passonneau 2006): 1 - Jaccard * monotonicity.

    Monotonicity is 1 for equal sets, 2/3 for a subset, 1/3 where they overlap, 0 where they are disjoint; two empty
    sets are equal.

    >>> masi({"a"}, {"a", "b"})
    0.6666666666666667
    """
    if a == b:
        return 0.0
    shared = len(a & b)
    if not shared:
        return 1.0
    return 1 - shared / len(a | b) * (2 / 3 if a <= b or b <= a else 1 / 3)


def alpha(sums: Sums, distance: Floats) -> Floats:
    """Krippendorff's alpha of each row; NaN where nobody was paired or only one category was ever used."""
    n = sums.pairable.sum(axis=1)
    expected = np.einsum("gk,kl,gl->g", sums.pairable, distance, sums.pairable)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (n - 1) * sums.disagreed / expected, np.nan)


def agreement(sums: Sums) -> Floats:
    """Raw agreement: the mean share of agreeing pairs of answers over units with two or more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = sums.agreed.sum(axis=1) / sums.paired
    return out


def ac1(sums: Sums) -> Floats:
    """Gwet's AC1 of each row over K >= 2 plain categories, used or not; NaN where nobody was paired."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = sums.shares / sums.answered[:, None]
        chance = (share * (1 - share)).sum(axis=1) / (share.shape[1] - 1)
        out: Floats = (agreement(sums) - chance) / (1 - chance)
    return out


def positive(sums: Sums, category: int = 1) -> Floats:
    """Agreement specific to a category: of the answers that name it, how many a random other annotator shares.

    With two annotators it is 2 both / (A + B), the F1 of one against the other. NaN where it was never named.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = sums.hits[:, category] / sums.pairable[:, category]
    return out


def prevalence(sums: Sums, category: int = 1) -> Floats:
    """The mean share of a unit's answers that name the category."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = sums.shares[:, category] / sums.answered
    return out
