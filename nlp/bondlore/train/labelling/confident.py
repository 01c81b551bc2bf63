"""Likely label errors from predictions made without the labels they judge: confident learning.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", one narrative at a
time: the threshold of a class is the mean probability of that class where it was given; an item whose probability
of the other class reaches that class's threshold, and exceeds a half, is likely labelled wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bondlore.errors import MissingExtraError
from bondlore.taxonomy import Taxonomy
from bondlore.train.labels import LabelledArticle
from bondlore.train.split import folds

__all__ = ["Suspect", "out_of_fold", "suspects"]

_FEWEST = 5  # sentences that carry a narrative, below which its mean probability says nothing


@dataclass(frozen=True, slots=True)
class Suspect:
    """A sentence whose label of `narrative` is likely wrong: `given` (carried or not), and the model's probability."""

    article: LabelledArticle
    sentence: int
    narrative: str
    given: bool
    probability: float


def suspects(
    articles: Sequence[LabelledArticle], predictions: Mapping[str, Mapping[str, Any]], narratives: Sequence[str]
) -> list[Suspect]:
    """Suspects, the most doubtful first. `predictions`: article id -> {"scores": {"<sentence>": {narrative: p}}}.

    The scores must be out of fold: a model asked about its own training data agrees with it.
    """
    out: list[tuple[float, Suspect]] = []
    for narrative in narratives:
        items = [
            Suspect(a, i, narrative, narrative in a.labels.get(i, {}), float(scores[narrative]))
            for a in articles
            for i in range(len(a.sentences))
            if narrative in (scores := (predictions.get(a.id, {}).get("scores") or {}).get(str(i), {}))
        ]
        carried = [s.probability for s in items if s.given]
        not_carried = [1 - s.probability for s in items if not s.given]
        if len(carried) < _FEWEST or not not_carried:
            continue
        yes, no = sum(carried) / len(carried), sum(not_carried) / len(not_carried)
        for s in items:
            other, bar = (1 - s.probability, no) if s.given else (s.probability, yes)
            if other > 0.5 and other >= bar:
                out.append((other, s))
    return [s for _, s in sorted(out, key=lambda pair: (-pair[0], pair[1].article.id, pair[1].sentence))]


def out_of_fold(
    articles: Sequence[LabelledArticle], taxonomy: Taxonomy, *, k: int = 5, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Predictions of every article by the TF-IDF baseline trained on the folds without its story.

    Cheap, and enough to find labels that their words contradict: of 111 labels changed at random among the 2,156 of
    passages.jsonl and wire.jsonl, 95 were among its 1,318 suspects, and 21 among the first 50. Ids must be unique.
    Raises MissingExtraError without scikit-learn.
    """
    try:
        from bondlore.train.evaluate import baseline_predictions

        found: dict[str, dict[str, Any]] = {}
        for part in folds(articles, k, seed=seed):
            held = set(part)
            others = [a for i, a in enumerate(articles) if i not in held]
            if held and others:
                found |= baseline_predictions(others, [articles[i] for i in part], taxonomy)
    except ImportError as error:
        raise MissingExtraError("train", "scikit-learn") from error
    return found
