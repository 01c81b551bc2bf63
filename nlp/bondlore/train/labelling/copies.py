"""Copies and near-copies among labelled articles, and across the line between training and held-out files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from bondlore.store.minhash import buckets, compare, minhash, shingles
from bondlore.train.labels import LabelledArticle

__all__ = ["Copy", "copies"]

NEAR = 0.5  # Jaccard of five-word runs
_CROWDED = 200  # articles in one bucket, beyond which only neighbours are compared


@dataclass(frozen=True, slots=True)
class Copy:
    """Articles `a` < `b` (indices), their resemblance (1.0: the same words), and whether the text is the same."""

    a: int
    b: int
    resemblance: float
    same: bool


def copies(articles: Sequence[LabelledArticle]) -> list[Copy]:
    """Pairs at a resemblance of 0.5 or more, most alike first; of a text many times over, each with the first one."""
    first: dict[tuple[str, ...], int] = {}
    out: list[Copy] = []
    for i, article in enumerate(articles):
        key = tuple(s.casefold() for s in article.sentences if s)
        if key in first:
            out.append(Copy(first[key], i, 1.0, same=True))
        else:
            first[key] = i
    alone = list(first.values())
    hashes = {i: shingles(articles[i].sentences[0], " ".join(articles[i].sentences[1:])) for i in alone}
    alone = [i for i in alone if len(hashes[i])]
    for a, b in _candidates(alone, hashes):
        jaccard, _, _ = compare(hashes[a], hashes[b])
        if jaccard >= NEAR:
            out.append(Copy(a, b, jaccard, same=False))
    return sorted(out, key=lambda c: (-c.resemblance, c.a, c.b))


def _candidates(alone: Sequence[int], hashes: dict[int, np.ndarray]) -> Iterator[tuple[int, int]]:
    if not alone:
        return
    bucketed = buckets(np.stack([minhash(hashes[i]) for i in alone]))
    seen: set[tuple[int, int]] = set()
    for band in bucketed.T:
        members: dict[int, list[int]] = defaultdict(list)
        for i, bucket in zip(alone, band.tolist(), strict=True):
            members[bucket].append(i)
        for together in members.values():
            pairs = combinations(together, 2) if len(together) <= _CROWDED else pairwise(together)
            for pair in pairs:
                if pair not in seen:
                    seen.add(pair)
                    yield pair
