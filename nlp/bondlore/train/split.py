"""Folds that keep a story whole: articles that share a sentence, or nearly one, never meet across a split."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence, Set

from bondlore.train.labels import LabelledArticle

__all__ = ["folds", "stories", "unrelated"]

_WORD = re.compile(r"\w+")
_SHORTEST = 6  # words; shorter sentences ("Here are the details:") are shared by strangers


def stories(articles: Sequence[LabelledArticle]) -> list[int]:
    """A story number for each article: connected components of "shares a sentence of six words or more".

    Sentences are compared by their words alone, numbers dropped, so that the third update of a wire
    story stays with the first.
    """
    parent = list(range(len(articles)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, article in enumerate(articles):
        for sentence in article.sentences:
            words = [w for w in _WORD.findall(sentence.casefold()) if not w.isdigit()]
            if len(words) >= _SHORTEST:
                j = first.setdefault(" ".join(words), i)
                parent[root(i)] = root(j)
    return [root(i) for i in range(len(articles))]


def folds(articles: Sequence[LabelledArticle], k: int, *, seed: int = 0) -> list[list[int]]:
    """`k` lists of article indices, disjoint and complete, stories kept whole, label counts balanced.

    Stories are dealt in order of size to the fold with least of their rarest narrative so far.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for i, story in enumerate(stories(articles)):
        groups[story].append(i)
    counts = {s: _label_counts([articles[i] for i in members]) for s, members in groups.items()}
    total: dict[str, int] = defaultdict(int)
    for c in counts.values():
        for narrative, n in c.items():
            total[narrative] += n
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda s: -len(groups[s]))
    out: list[list[int]] = [[] for _ in range(k)]
    held: list[dict[str, int]] = [defaultdict(int) for _ in range(k)]
    for story in order:
        rarest = min(counts[story], key=lambda n: total[n], default="")
        best = min(range(k), key=lambda f: (held[f][rarest] if rarest else 0, len(out[f])))
        out[best] += groups[story]
        for narrative, n in counts[story].items():
            held[best][narrative] += n
    return [sorted(f) for f in out]


def unrelated(articles: Sequence[LabelledArticle], part: Sequence[int], known: Set[int]) -> list[int]:
    """Those of `part` that share no story with a `known` article: what a model that read the known ones has not met."""
    story = stories(articles)
    met = {story[i] for i in known}
    return [i for i in part if story[i] not in met]


def _label_counts(articles: Sequence[LabelledArticle]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for article in articles:
        for carried in article.labels.values():
            for narrative, stance in carried.items():
                counts[narrative if stance == "support" else f"not {narrative}"] += 1
    return counts
