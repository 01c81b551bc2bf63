"""From sentences to the article: which narratives, pushed or denied, and which is the main one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bondlore.tagging import NarrativeTag, SentenceTag, Verdict

__all__ = ["ArticleCalibration", "article_features", "article_probability", "narrative_tags", "primary", "verdict"]

Floats = NDArray[np.floating]

# A side of the argument outweighs the other when it has four times its weight: one denial in a passage of
# four claims is a nuance, one in two is a dispute (codebook: "or support clearly outweighs").
_OUTWEIGHS = 4.0
_FLOORS = np.array([1e-3, 0.03])
_TITLE_WEIGHT, _LEAD_WEIGHT, _LEAD = 2.0, 1.5, 3
_MAX_EVIDENCE = 8  # sentences a side, so that a much-told story cannot crowd out its denials


@dataclass(frozen=True, slots=True)
class ArticleCalibration:
    """Logistic regression from `article_features` to "the article carries it", fitted on held-out folds."""

    intercept: float
    strongest: float
    second: float


def article_features(scores: Floats) -> Floats:
    """[sentences, narratives] probabilities -> [2, narratives] logits of the strongest and second sentence.

    The second sentence says whether the claim is made in passing or kept up; a noisy-or over
    all sentences is over-confident in long articles, because neighbours are not independent.
    It is floored well above zero: that a one-sentence text has no second sentence says nothing.
    """
    top = np.sort(np.vstack([np.zeros((2, scores.shape[1])), scores]), axis=0)[-2:][::-1]
    clipped = np.clip(top, _FLOORS[:, None], 1 - 1e-4)
    out: Floats = np.log(clipped / (1 - clipped))
    return out


def article_probability(scores: Floats, calibration: ArticleCalibration) -> Floats:
    """Calibrated probability [narratives] that the article carries each narrative, either stance."""
    strongest, second = article_features(scores)
    z = calibration.intercept + calibration.strongest * strongest + calibration.second * second
    out: Floats = 1.0 / (1.0 + np.exp(-z))
    return out


def verdict(support: float, reject: float) -> Verdict:
    """Promotes, rejects or contested, from the summed probability of each side's sentences."""
    if reject <= 0 or support >= _OUTWEIGHS * reject:
        return "promotes"
    if support <= 0 or reject >= _OUTWEIGHS * support:
        return "rejects"
    return "contested"


def narrative_tags(sentences: Sequence[SentenceTag], probabilities: dict[str, float]) -> dict[str, NarrativeTag]:
    """Every narrative at least one sentence carries past its threshold, with evidence strongest first."""
    out: dict[str, NarrativeTag] = {}
    for narrative, probability in probabilities.items():
        carriers = [i for i, s in enumerate(sentences) if narrative in s.labels]
        if not carriers:
            continue
        sides = {"support": 0.0, "reject": 0.0}
        for i in carriers:
            sides[sentences[i].labels[narrative]] += sentences[i].scores[narrative]
        carriers.sort(key=lambda i: (-sentences[i].scores[narrative], i))
        kept = {
            i for side in sides for i in [c for c in carriers if sentences[c].labels[narrative] == side][:_MAX_EVIDENCE]
        }
        evidence = tuple(i for i in carriers if i in kept)
        out[narrative] = NarrativeTag(probability, verdict(sides["support"], sides["reject"]), evidence)
    return out


def primary(sentences: Sequence[SentenceTag], tags: dict[str, NarrativeTag]) -> str:
    """The narrative with most weight: probability over its sentences, title and lead counting more; "none" if none."""

    def weight(narrative: str) -> float:
        return math.fsum(
            s.scores[narrative] * (_TITLE_WEIGHT if i == 0 else _LEAD_WEIGHT if i <= _LEAD else 1.0)
            for i, s in enumerate(sentences)
            if narrative in s.labels
        )

    return max(tags, key=weight) if tags else "none"
