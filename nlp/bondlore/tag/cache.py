"""Copies are read once: a wire story in fifty papers costs what it costs in one.

Whole articles are remembered, not sentences or windows: a sentence is read in its context, and the title opens every
window, so that nothing smaller has the same answer wherever it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from bondlore.article import Article
from bondlore.tag.bundle import Bundle
from bondlore.tagging import Tagging

__all__ = ["BUDGET", "Remembering", "TaggerLike"]

BUDGET = 48 << 20  # bytes: some thousand articles that the model has read; those off its subject are not kept
# What CPython 3.11 takes for a sentence's records, and for one narrative's number in them
_SENTENCE, _SCORE = 600, 60


class TaggerLike(Protocol):
    """What tagging one article after another needs of a `bondlore.Tagger`."""

    @property
    def bundle(self) -> Bundle:
        """The model but for its weights."""

    def tag_one(self, article: Article) -> Tagging:
        """Tag one article."""


class Remembering:
    """A tagger that gives an article with the very words of an earlier one that one's answer, under its own id.

    Answers are those of `tagger`, which must depend on the words alone. At most about `budget` bytes are kept, the
    answers longest unused go first. An article off the model's subject is not remembered: it costs next to nothing.
    """

    def __init__(self, tagger: TaggerLike, *, budget: int = BUDGET) -> None:
        self._tagger, self._budget, self._used = tagger, budget, 0
        self._known: OrderedDict[bytes, tuple[int, Tagging]] = OrderedDict()
        self.copies = 0

    @property
    def bundle(self) -> Bundle:
        """The model but for its weights."""
        return self._tagger.bundle

    def expect(self, articles: Sequence[Article]) -> None:
        """Tell a tagger that reads many articles at once which ones will come. Raises what it raises."""
        expect = getattr(self._tagger, "expect", None)
        if expect is not None:
            new: dict[bytes, Article] = {}
            for article in articles:
                if (key := _key(article)) not in self._known:
                    new.setdefault(key, article)  # the first of several copies is the one that will be read
            expect(new.values())

    def tag_one(self, article: Article) -> Tagging:
        """As the tagger's own; `copies` counts the articles it was spared. Raises what the tagger raises."""
        key = _key(article)
        if key in self._known:
            self._known.move_to_end(key)
            self.copies += 1
            return replace(self._known[key][1], id=article.id)
        tagging = self._tagger.tag_one(article)
        if any(tagging.probabilities.values()):  # off the subject they are 0, every one
            self._keep(key, tagging)
        return tagging

    def _keep(self, key: bytes, tagging: Tagging) -> None:
        size = sum(_SENTENCE + _SCORE * len(s.scores) + len(s.text) for s in tagging.sentences)
        if size > self._budget:
            return
        self._known[key] = size, tagging
        self._used += size
        while self._used > self._budget:
            self._used -= self._known.popitem(last=False)[1][0]


def _key(article: Article) -> bytes:
    """16 bytes over all of an article that `sentences.split` looks at."""
    words = [article.title, article.text] if article.sentences is None else {"sentences": article.sentences}
    return hashlib.blake2b(json.dumps(words).encode(), digest_size=16).digest()
