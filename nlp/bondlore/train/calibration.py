"""From held-out logits to calibrated probabilities, thresholds, the article roll-up and its error counts.

Everything here is fitted on out-of-fold logits of the training labels, never on a dev or test file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bondlore.measure.coding import stance_scores
from bondlore.measure.heldout import HeldOut, histograms
from bondlore.tag.bundle import Calibration
from bondlore.tag.rollup import ArticleCalibration, article_features, article_probability, verdict
from bondlore.tag.subject import SubjectGate
from bondlore.taxonomy import Taxonomy
from bondlore.train.labels import LabelledArticle, digest

__all__ = [
    "NEUTRAL",
    "added",
    "calibrate",
    "carried_over",
    "count_errors",
    "held_out_scores",
    "platt",
    "targets",
]

Floats = NDArray[np.floating]
_FEW = 25  # positives; a rarer narrative borrows the pooled line and threshold
_GRID = np.round(np.arange(0.10, 0.81, 0.02), 2)

NEUTRAL = ArticleCalibration(intercept=0.0, strongest=1.0, second=0.0)


def targets(article: LabelledArticle, taxonomy: Taxonomy) -> tuple[Floats, Floats]:
    """Presence and rejection of each sentence, two [sentences, narratives] arrays of 0 and 1."""
    column = {n: k for k, n in enumerate(taxonomy.ids)}
    presence = np.zeros((len(article.sentences), len(column)))
    reject = np.zeros_like(presence)
    for sentence, carried in article.labels.items():
        for narrative, stance in carried.items():
            presence[sentence, column[narrative]] = 1
            reject[sentence, column[narrative]] = stance == "reject"
    return presence, reject


def platt(logit: Floats, y: Floats) -> tuple[float, float]:
    """Slope and intercept of P(y) = sigmoid(slope * logit + intercept), by maximum likelihood.

    Platt's own targets, (n+ + 1)/(n+ + 2) and 1/(n- + 2), keep it finite when the classes separate
    (Platt 1999, Probabilistic outputs for support vector machines). Newton's method, at most 100 steps.
    """
    positive = float(y.sum())
    high, low = (positive + 1) / (positive + 2), 1 / (len(y) - positive + 2)
    goal = np.where(y > 0, high, low)
    x = np.column_stack([logit, np.ones_like(logit)])
    beta = np.array([1.0, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (p - goal))
        beta -= np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[0]), float(beta[1])


def calibrate(
    logits: Mapping[int, tuple[Any, Any]], articles: Sequence[LabelledArticle], taxonomy: Taxonomy
) -> Calibration:
    """Lines, thresholds and the article roll-up from out-of-fold logits (article number -> presence, stance)."""
    gold = [targets(articles[i], taxonomy) for i in logits]
    read = np.concatenate([_read(articles[i]) for i in logits])
    x = np.concatenate([presence for presence, _ in logits.values()]).astype(float)[read]
    stance = np.concatenate([s for _, s in logits.values()]).astype(float)[read]
    y, reject = (np.concatenate([g[k] for g in gold])[read] for k in (0, 1))
    pooled = platt(x.ravel(), y.ravel())
    lines = [platt(x[:, k], y[:, k]) if y[:, k].sum() >= _FEW else pooled for k in range(len(taxonomy))]
    slope, intercept = np.array([a for a, _ in lines]), np.array([b for _, b in lines])
    p = _sigmoid(slope * x + intercept)
    common = _best_threshold(p.ravel(), y.ravel())
    threshold = [_best_threshold(p[:, k], y[:, k]) if y[:, k].sum() >= _FEW else common for k in range(len(taxonomy))]
    carried = y > 0
    denial = _sigmoid(stance[carried])
    any_reject = bool(reject[carried].any())
    return Calibration(
        slope=tuple(slope.tolist()),
        intercept=tuple(intercept.tolist()),
        threshold=tuple(threshold),
        reject_threshold=_best_threshold(denial, reject[carried]) if any_reject else 0.5,
        article=_article_line(logits, articles, taxonomy, slope, intercept),
    )


def carried_over(
    base: Calibration,
    logits: Mapping[int, tuple[Any, Any]],
    articles: Sequence[LabelledArticle],
    taxonomy: Taxonomy,
) -> Calibration:
    """The lines, thresholds and roll-up of the model this one continues; its reject threshold set anew.

    For a model that keeps a share of its base's weights: a few hundred held-out articles are too few for ten lines and
    thresholds, and moved them more than the weights had. The reject threshold is set on what it decides, which article
    and narrative pairs are not plainly promoted (`rollup.verdict`), among those both labelled and found.
    """
    slope, intercept, threshold = map(np.asarray, (base.slope, base.intercept, base.threshold))
    pairs = []
    for i, (presence, stance) in logits.items():
        p = _read(articles[i])[:, None] * _sigmoid(slope * presence + intercept)
        denial = _sigmoid(np.asarray(stance))
        gold, gold_reject = targets(articles[i], taxonomy)
        for k in np.flatnonzero(gold.any(axis=0) & (p >= threshold).any(axis=0)):
            found = p[:, k] >= threshold[k]
            disputed = verdict(float((gold - gold_reject)[:, k].sum()), float(gold_reject[:, k].sum())) != "promotes"
            pairs.append((p[found, k], denial[found, k], disputed))
    truly: Floats = np.array([disputed for _, _, disputed in pairs], dtype=float)
    if not truly.any():
        return base

    def f1(t: float) -> float:
        said = [verdict(float(w[d < t].sum()), float(w[d >= t].sum())) != "promotes" for w, d, _ in pairs]
        return _f1(np.array(said), truly)

    return replace(base, reject_threshold=_best_on_grid(f1))


def count_errors(
    logits: Mapping[int, tuple[Any, Any]],
    articles: Sequence[LabelledArticle],
    taxonomy: Taxonomy,
    calibration: Calibration,
) -> dict[str, Any]:
    """Article-level out-of-fold confusion of presence, support and rejection, by narrative.

    `measure` corrects counted shares with it. Keys: tp, fp, fn, tn. Only articles on the subject count:
    shares are taken over articles on the subject, and easy negatives would make the false-positive rate too small.
    `sentences` is their mean length: in much longer articles false alarms are more frequent than these counts say.
    """
    counts = {n: {s: dict.fromkeys(("tp", "fp", "fn", "tn"), 0) for s in _SERIES} for n in taxonomy}
    threshold = np.asarray(calibration.threshold)
    about = SubjectGate(taxonomy.subject)
    on_subject = {i: pair for i, pair in logits.items() if _on_subject(articles[i], about)}
    for i, (presence, stance) in on_subject.items():
        p = _read(articles[i])[:, None] * _sigmoid(
            np.asarray(calibration.slope) * presence + np.asarray(calibration.intercept)
        )
        denied = _sigmoid(stance) >= calibration.reject_threshold
        gold, gold_reject = targets(articles[i], taxonomy)
        for k, narrative in enumerate(taxonomy.ids):
            said = _series(p[:, k], p[:, k] >= threshold[k], denied[:, k])
            true = _series(gold[:, k], gold[:, k] > 0, gold_reject[:, k] > 0)
            for series in _SERIES:
                cell = ("t" if said[series] == true[series] else "f") + ("p" if said[series] else "n")
                counts[narrative][series][cell] += 1
    length = sum(len(articles[i].sentences) for i in on_subject) / max(1, len(on_subject))
    return {
        "level": "article",
        "n": len(on_subject),
        "sentences": round(length, 1),
        "source": "out-of-fold training labels",
        "narratives": counts,
    }


def added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Error counts of two sets of articles as those of their union; an empty one adds nothing."""
    if not one or not other:
        return dict(one or other)
    n, here, there = one["n"] + other["n"], one["narratives"], other["narratives"]
    return {
        "level": one["level"],
        "n": n,
        "sentences": round((one["n"] * one["sentences"] + other["n"] * other["sentences"]) / max(1, n), 1),
        "source": " and ".join(dict.fromkeys([one["source"], other["source"]])),
        "narratives": {n: {s: _sum(cells, there[n][s]) for s, cells in by.items()} for n, by in here.items()},
    }


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {cell: count + other[cell] for cell, count in one.items()}


def held_out_scores(
    logits: Mapping[int, tuple[Any, Any]],
    articles: Sequence[LabelledArticle],
    taxonomy: Taxonomy,
    calibration: Calibration,
) -> HeldOut:
    """How articles on the subject score when their labels were not trained on: for EM and the drift test of `measure`.

    Probabilities and verdicts as `Tagger` would give them, of the same articles that `count_errors` counts.
    """
    threshold = np.asarray(calibration.threshold)
    about = SubjectGate(taxonomy.subject)
    used = [i for i in logits if _on_subject(articles[i], about)]
    shape = (len(used), len(taxonomy))
    said, true = np.zeros(shape, np.int8), np.zeros(shape, np.int8)
    probabilities = np.zeros(shape)
    for row, i in enumerate(used):
        presence, stance = logits[i]
        read = _read(articles[i])
        p = _sigmoid(np.asarray(calibration.slope) * presence + np.asarray(calibration.intercept))[read]
        denied = _sigmoid(stance)[read] >= calibration.reject_threshold
        gold, gold_reject = (part[read] for part in targets(articles[i], taxonomy))
        for k in range(len(taxonomy)):
            said[row, k] = _BITS[_verdict(p[:, k], p[:, k] >= threshold[k], denied[:, k])]
            true[row, k] = _BITS[_verdict(gold[:, k], gold[:, k] > 0, gold_reject[:, k] > 0)]
        probabilities[row] = article_probability(p, calibration.article)
    scores = stance_scores(said, probabilities)
    made = {n: histograms(scores[:, k], true[:, k]) for k, n in enumerate(taxonomy.ids)}
    return HeldOut(
        {n: some[0] for n, some in made.items()},
        len(used),
        "out-of-fold training labels",
        digest([articles[i] for i in used])[:12],
        stances={n: dict(zip(_SERIES[1:], some[1:], strict=True)) for n, some in made.items()},
    )


def _read(article: LabelledArticle) -> NDArray[np.bool_]:
    """Which sentences count: an empty one (a missing title) is never read when tagging."""
    return np.array([bool(s) for s in article.sentences])


def _on_subject(article: LabelledArticle, about: SubjectGate) -> bool:
    """As its row says; a row that says nothing (flat ones do not) as tagging would."""
    if article.gate:
        return article.gate in ("causal", "topical")
    return bool(article.labels) or about(article.sentences) == "topical"


_SERIES = ("presence", "support", "rejection")
_BITS = {"": 0, "promotes": 1, "rejects": 2, "contested": 3}


def _verdict(weight: Floats, carried: NDArray[np.bool_], denied: NDArray[np.bool_]) -> str:
    """`rollup.verdict` of one narrative's sentences; "" where none carries it."""
    if not carried.any():
        return ""
    return verdict(float(weight[carried & ~denied].sum()), float(weight[carried & denied].sum()))


def _series(weight: Floats, carried: NDArray[np.bool_], denied: NDArray[np.bool_]) -> dict[str, bool]:
    if not (found := _verdict(weight, carried, denied)):
        return dict.fromkeys(_SERIES, False)
    return {"presence": True, "support": found != "rejects", "rejection": found != "promotes"}


def _article_line(
    logits: Mapping[int, tuple[Any, Any]],
    articles: Sequence[LabelledArticle],
    taxonomy: Taxonomy,
    slope: Floats,
    intercept: Floats,
) -> ArticleCalibration:
    """Logistic regression of "the article carries it" on its two strongest sentences, all narratives pooled."""
    from sklearn.linear_model import LogisticRegression

    rows, goal = [], []
    for i, (presence, _) in logits.items():
        strongest, second = article_features(_sigmoid(slope * presence + intercept)[_read(articles[i])])
        rows.append(np.column_stack([strongest, second]))
        goal.append(targets(articles[i], taxonomy)[0].max(axis=0))
    x, y = np.concatenate(rows), np.concatenate(goal)
    if len(np.unique(y)) < 2:
        return NEUTRAL
    line = LogisticRegression(C=1e3, max_iter=1000).fit(x, y)
    return ArticleCalibration(float(line.intercept_[0]), *(float(c) for c in line.coef_[0]))


def _best_threshold(p: Floats, y: Floats) -> float:
    return _best_on_grid(lambda t: _f1(p >= t, y))


def _best_on_grid(measure: Callable[[float], float]) -> float:
    """The threshold of best F1 on a grid, smoothed over neighbours so that one lucky point does not win."""
    f1 = np.array([measure(float(t)) for t in _GRID])
    smooth = np.convolve(np.pad(f1, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    return float(_GRID[int(smooth.argmax())])


def _f1(said: NDArray[np.bool_], y: Floats) -> float:
    tp = float((said & (y > 0)).sum())
    return 2 * tp / max(1.0, float(said.sum() + (y > 0).sum()))


def _sigmoid(x: Floats) -> Floats:
    out: Floats = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return out
