"""The figures every claim about a model rests on, end to end: "no label" is never a class.

Gold and predictions are mappings from article id to `{"labels": {"<sentence>": {"<narrative>": stance}}}`;
gold also has `sentences`, predictions may have `scores`. A gold article without a prediction counts as
predicted empty. Definitions:

  detection_f1         F1 of "this sentence carries some narrative"
  micro_f1, core_micro_f1   F1 over (sentence, narrative) pairs, all or core narratives
  macro_f1             mean F1 of the narratives with at least ten gold sentences
  article_micro_f1, article_core_micro_f1   the same over (article, narrative) presence
  reject_f1            F1 over (sentence, narrative) pairs labelled `reject`
  reject_as_support    share of gold rejections that were predicted `support`
  ece                  expected calibration error, ten equal-mass bins, core pairs with a score above 0.02
  bias_<narrative>     mean score minus observed rate over all sentences (calibration in the large)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Figures", "counts", "figures_of", "joined", "score"]

_MIN_GOLD = 10
_ECE_FLOOR, _ECE_BINS = 0.02, 10


@dataclass(frozen=True, slots=True)
class Figures:
    """Point figures, their 95% intervals (percentile bootstrap over stories), and what they were counted on."""

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    articles: int
    sentences: int

    def plain(self) -> dict[str, Any]:
        """For JSON: figures that are undefined are left out."""
        keep = {k: round(v, 4) for k, v in self.values.items() if math.isfinite(v)}
        ci = {k: [round(a, 4), round(b, 4)] for k, (a, b) in self.intervals.items() if k in keep}
        return {"figures": keep, "ci95": ci, "articles": self.articles, "sentences": self.sentences}


def score(
    gold: Mapping[str, Mapping[str, Any]],
    predicted: Mapping[str, Mapping[str, Any]],
    *,
    narratives: Sequence[str],
    core: Sequence[str],
    draws: int = 1000,
    seed: int = 0,
    stories: Sequence[int] = (),
) -> Figures:
    """Score predictions. `draws=0` skips the intervals.

    `stories`: a story number for each gold article, in order; the bootstrap draws stories whole, because ten copies of
    a wire report are one piece of evidence. Without it each article is its own.
    """
    each = np.stack([counts(g, predicted.get(i, {}), narratives) for i, g in gold.items()])
    which = np.array([n in core for n in narratives])
    values = figures_of(each.sum(axis=0)[None], narratives, which)
    point = {k: float(v[0]) for k, v in values.items()}
    intervals = {}
    if draws:
        units = joined(each, stories)
        rng = np.random.default_rng(seed)
        weights = rng.multinomial(len(units), np.full(len(units), 1 / len(units)), size=draws)
        sampled = np.tensordot(weights, units, axes=1)
        for name, v in figures_of(sampled, narratives, which).items():
            finite = v[np.isfinite(v)]
            if len(finite) > draws // 50:
                intervals[name] = (float(np.quantile(finite, 0.025)), float(np.quantile(finite, 0.975)))
    point |= _calibration(gold, predicted, core)
    return Figures(point, intervals, len(gold), sum(len(g["sentences"]) for g in gold.values()))


# One article's counts are an array [rows, 4]: tp, fp, fn, gold, with one row a narrative for sentence pairs,
# one a narrative for article presence, then detection, rejection, and rejection read as support.


def counts(gold: Mapping[str, Any], predicted: Mapping[str, Any], narratives: Sequence[str]) -> NDArray[np.int64]:
    """Counts of one article, shape (2 * narratives + 3, 4): summed over articles, `figures_of` takes it."""
    column = {n: k for k, n in enumerate(narratives)}
    size = len(narratives)
    out = np.zeros((2 * size + 3, 4), dtype=np.int64)
    g_labels, p_labels = gold.get("labels", {}), predicted.get("labels", {})
    g_article: set[str] = set()
    p_article: set[str] = set()
    for i in range(len(gold["sentences"])):
        g, p = g_labels.get(str(i), {}), p_labels.get(str(i), {})
        _tally(out[2 * size], bool(g), bool(p))
        for n in (set(g) | set(p)) & set(column):
            _tally(out[column[n]], n in g, n in p)
            _tally(out[2 * size + 1], g.get(n) == "reject", p.get(n) == "reject")
            out[2 * size + 2, 0] += g.get(n) == "reject" and p.get(n) == "support"
            out[2 * size + 2, 3] += g.get(n) == "reject"
        g_article |= set(g)
        p_article |= set(p)
    for n in (g_article | p_article) & set(column):
        _tally(out[size + column[n]], n in g_article, n in p_article)
    return out


def joined(each: NDArray[np.int64], stories: Sequence[int]) -> NDArray[np.int64]:
    """Counts [articles, …] summed by story, in order of their first article; as they are without `stories`."""
    if not len(stories):
        return each
    first: dict[int, int] = {}
    rows = [first.setdefault(s, len(first)) for s in stories]
    out = np.zeros((len(first), *each.shape[1:]), dtype=each.dtype)
    np.add.at(out, rows, each)
    return out


def _tally(cell: NDArray[np.int64], gold: bool, said: bool) -> None:
    cell += (gold and said, said and not gold, gold and not said, gold)


def figures_of(
    counts: NDArray[Any], narratives: Sequence[str], core: NDArray[np.bool_]
) -> dict[str, NDArray[np.floating]]:
    """Figures of each draw from counts [draws, rows, 4]; `core` (narratives,) tells which are core ones."""
    size = len(narratives)

    def f1(rows: NDArray[Any]) -> NDArray[np.floating]:
        tp, fp, fn = (rows[..., k].astype(float) for k in range(3))
        with np.errstate(invalid="ignore"):
            out: NDArray[np.floating] = 2 * tp / (2 * tp + fp + fn)
        return out

    pairs, articles = counts[:, :size], counts[:, size : 2 * size]
    each = f1(pairs)
    frequent = pairs[..., 3] >= _MIN_GOLD
    with np.errstate(invalid="ignore"):
        macro = np.where(frequent, np.nan_to_num(each), 0).sum(axis=1) / frequent.sum(axis=1)
        as_support = counts[:, 2 * size + 2, 0] / counts[:, 2 * size + 2, 3].astype(float)
    return {
        "detection_f1": f1(counts[:, 2 * size]),
        "micro_f1": f1(pairs.sum(axis=1)),
        "core_micro_f1": f1(pairs[:, core].sum(axis=1)),
        "macro_f1": macro,
        "article_micro_f1": f1(articles.sum(axis=1)),
        "article_core_micro_f1": f1(articles[:, core].sum(axis=1)),
        "reject_f1": f1(counts[:, 2 * size + 1]),
        "reject_as_support": as_support,
        **{f"f1_{n}": each[:, k] for k, n in enumerate(narratives)},
    }


def _calibration(
    gold: Mapping[str, Mapping[str, Any]], predicted: Mapping[str, Mapping[str, Any]], core: Sequence[str]
) -> dict[str, float]:
    pairs: list[tuple[float, bool]] = []
    sums: dict[str, list[float]] = {}
    total = 0
    for key, g in gold.items():
        scores = predicted.get(key, {}).get("scores") or {}
        for i, sentence in enumerate(g["sentences"]):
            total += bool(sentence)  # an empty title is no sentence, and is given no probability
            for n, v in scores.get(str(i), {}).items():
                y = n in g.get("labels", {}).get(str(i), {})
                cell = sums.setdefault(n, [0.0, 0.0])
                cell[0] += v
                cell[1] += y
                if n in core and v > _ECE_FLOOR:
                    pairs.append((v, y))
    if not pairs:
        return {}
    pairs.sort()
    m = len(pairs)
    bins = [pairs[m * b // _ECE_BINS : m * (b + 1) // _ECE_BINS] for b in range(_ECE_BINS)]
    ece = sum(abs(sum(v for v, _ in b) - sum(y for _, y in b)) for b in bins) / m
    return {"ece": ece} | {f"bias_{n}": (v - y) / total for n, (v, y) in sorted(sums.items())}
