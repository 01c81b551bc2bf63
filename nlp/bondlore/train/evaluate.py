"""Score a model on labelled articles, as it ships: its own thresholds, its own runtime, beside a plain baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bondlore.tag.tagger import Tagger
from bondlore.taxonomy import Taxonomy
from bondlore.train.figures import Figures, score
from bondlore.train.labels import LabelledArticle
from bondlore.train.split import stories

__all__ = ["baseline", "baseline_predictions", "figures", "gold_rows", "predictions"]


def gold_rows(articles: Sequence[LabelledArticle]) -> dict[str, dict[str, Any]]:
    """Gold in the form `figures.score` takes."""
    return {
        a.id: {"sentences": a.sentences, "labels": {str(k): dict(v) for k, v in a.labels.items()}} for a in articles
    }


def predictions(
    tagger: Tagger, articles: Sequence[LabelledArticle], *, each: Callable[[], None] | None = None
) -> dict[str, dict[str, Any]]:
    """The tagger's labels and scores for every sentence, by article id."""
    out = {}
    for article in articles:
        tagging = tagger.tag([{"id": article.id, "sentences": list(article.sentences)}])[0]
        out[article.id] = {
            "labels": {str(i): dict(s.labels) for i, s in enumerate(tagging.sentences) if s.labels},
            "scores": {str(i): dict(s.scores) for i, s in enumerate(tagging.sentences)},
        }
        if each:
            each()
    return out


def figures(
    found: Mapping[str, Mapping[str, Any]],
    articles: Sequence[LabelledArticle],
    taxonomy: Taxonomy,
    *,
    draws: int = 1000,
) -> Figures:
    """All figures of `train.figures` for predictions by article id, with bootstrap intervals."""
    return score(
        gold_rows(articles), found, narratives=taxonomy.ids, core=taxonomy.core, draws=draws, stories=stories(articles)
    )


def baseline(
    train: Sequence[LabelledArticle], articles: Sequence[LabelledArticle], taxonomy: Taxonomy, *, draws: int = 1000
) -> Figures:
    """Figures of `baseline_predictions`: the plain rival."""
    return figures(baseline_predictions(train, articles, taxonomy), articles, taxonomy, draws=draws)


def baseline_predictions(
    train: Sequence[LabelledArticle], articles: Sequence[LabelledArticle], taxonomy: Taxonomy
) -> dict[str, dict[str, Any]]:
    """TF-IDF of the sentence, logistic regression a narrative, threshold 0.5 on balanced classes, by article id.

    What it cannot learn (no word occurs twice, or a narrative never) it never finds, and gives no score.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    goal = [a.labels.get(i, {}) for a in train for i in range(len(a.sentences))]
    columns: dict[str, Any] = {}
    try:
        x = vectoriser.fit_transform([s for a in train for s in a.sentences])
        z = vectoriser.transform([s for a in articles for s in a.sentences])
    except ValueError:  # no word occurs twice
        x = z = None
    for narrative in taxonomy if x is not None else ():
        y = np.array([narrative in g for g in goal])
        if y.any() and not y.all():
            model = LogisticRegression(C=10, class_weight="balanced", max_iter=500).fit(x, y)
            columns[narrative] = model.predict_proba(z)[:, 1]
    found: dict[str, dict[str, Any]] = {}
    row = 0
    for article in articles:
        labels, scores = {}, {}
        for i in range(len(article.sentences)):
            scores[str(i)] = {n: float(p[row]) for n, p in columns.items()}
            if carried := {n: "support" for n, p in scores[str(i)].items() if p >= 0.5}:
                labels[str(i)] = carried
            row += 1
        found[article.id] = {"labels": labels, "scores": scores}
    return found
