"""Tagger: articles in, taggings out."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bondlore.article import Article, content_id
from bondlore.errors import InputError, ModelError
from bondlore.tag import bundle as bundles
from bondlore.tag.bundle import Bundle
from bondlore.tag.rollup import article_probability, narrative_tags, primary
from bondlore.tag.sentences import split
from bondlore.tag.subject import Aboutness, SubjectGate
from bondlore.tag.windows import Window, cut
from bondlore.tagging import Gate, SentenceTag, Stance, Tagging

if TYPE_CHECKING:
    from bondlore.tag.runtime import Precision

__all__ = ["Runtime", "Tagger", "as_article"]

Floats = NDArray[np.floating]


class Runtime(Protocol):
    """Whatever runs the network over one window; called from several threads at once."""

    def logits(self, window: Window) -> tuple[Any, Any]:
        """Presence and stance logits, each [sentences, narratives]."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """An article on its way: its sentences, and the windows over them with what the network says of each."""

    article: Article
    texts: list[str]
    about: Aboutness
    empty: list[int]
    windows: list[tuple[Window, Future[tuple[Any, Any]]]]

    def cancel(self) -> None:
        for _, logits in self.windows:
            logits.cancel()


class Tagger:
    """Reads articles with one model. The same article always gets the same answer.

    >>> tagger = Tagger.load()
    >>> t = tagger.tag([{"title": "", "text": "Treasuries sank as hedge funds met margin calls."}])[0]
    >>> sorted(t.narratives)
    ['deleveraging']
    """

    def __init__(self, bundle: Bundle, runtime: Runtime, tokenizer: Any, *, threads: int = 1) -> None:
        self.bundle, self.taxonomy = bundle, bundle.taxonomy
        self._pool = ThreadPoolExecutor(threads, "bondlore-window")
        self._ahead = 2 * threads  # articles begun before one is finished: no thread waits, and few wait in memory
        self._coming: deque[Article] = deque()
        self._begun: dict[int, _Reading] = {}  # by id()
        self._runtime, self._tokenizer = runtime, tokenizer
        self._gate = SubjectGate(bundle.taxonomy.subject)
        c = bundle.calibration
        self._slope, self._intercept = np.asarray(c.slope), np.asarray(c.intercept)
        self._threshold = np.asarray(c.threshold)

    @classmethod
    def load(
        cls, model: str | Path | None = None, *, threads: int | None = None, precision: Precision | None = None
    ) -> Tagger:
        """Load the shipped model, or a folder, or a hub name such as `owner/model` (needs `bondlore[train]`).

        `threads`: windows read at the same time (default: the cores of this process). `precision`: `int8` or `fp32`
        (default: the faster one on this processor); their probabilities differ by 0.01 on average at most.

        Raises ModelError when the folder is missing, incomplete, altered or unsafe.
        """
        from tokenizers import Tokenizer

        from bondlore.tag.runtime import OnnxRuntime, available_cores

        bundle = bundles.read(model)
        try:
            tokenizer = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
        except Exception as error:  # the Rust side raises a bare Exception
            raise ModelError(
                f"cannot be read ({error})",
                where=str(bundle.folder / "tokenizer.json"),
                remedy="train or download the model again",
            ) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        runtime = OnnxRuntime(bundle.folder / "model.onnx", precision=precision)
        return cls(bundle, runtime, tokenizer, threads=threads or available_cores())

    @property
    def model(self) -> str:
        """`name@fingerprint`, as in the `model` column of a tagged table."""
        return self.bundle.id

    def tag(self, articles: Iterable[Article | Mapping[str, Any]]) -> list[Tagging]:
        """Tag articles, in order. Mappings have `title` and `text`, or `sentences` ([0] the title, kept as given)."""
        return list(self.iter_tag(articles))

    def iter_tag(self, articles: Iterable[Article | Mapping[str, Any]]) -> Iterator[Tagging]:
        """As `tag`, one by one. Raises InputError for a mapping of another form."""
        items = iter(articles)
        while some := list(islice(items, self._ahead)):
            batch = [item if isinstance(item, Article) else as_article(item) for item in some]
            self.expect(batch)
            yield from map(self.tag_one, batch)

    def expect(self, articles: Iterable[Article]) -> None:
        """Tell which articles `tag_one` will be asked for, and in which order: a few ahead are begun on other threads.

        A hint and no promise: the answers are the same without it. What was expected before is forgotten.
        """
        for reading in self._begun.values():
            reading.cancel()
        self._begun, self._coming = {}, deque(articles)

    def tag_one(self, article: Article) -> Tagging:
        """Tag one article. An article off the subject is not read by the model: its scores are all 0."""
        reading = self._begun.pop(id(article), None)
        if reading is None:  # one that is there holds its article, so that no other can have its id()
            if self._coming and self._coming[0] is article:
                self._coming.popleft()
            reading = self._begin(article)
        while self._coming and len(self._begun) < self._ahead:
            coming = self._coming.popleft()
            with contextlib.suppress(Exception):  # it will be raised when this article is asked for
                self._begun[id(coming)] = self._begin(coming)
        return self._end(reading)

    def _begin(self, article: Article) -> _Reading:
        """Split, judge the subject, cut into windows, and hand these to the threads."""
        texts = split(article)
        about = self._gate(texts)
        if about == "off_topic":
            return _Reading(article, texts, about, [], [])
        tokens = [e.ids for e in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        special = self.bundle.special
        windows = cut(tokens, self.bundle.window, cls=special["cls"], sep=special["sep"])
        # an empty sentence (a missing title) carries nothing, whatever its context says
        empty = [i for i, t in enumerate(tokens) if not t]
        return _Reading(
            article, texts, about, empty, [(w, self._pool.submit(self._runtime.logits, w)) for w in windows]
        )

    def _end(self, reading: _Reading) -> Tagging:
        """Wait for the windows; calibrate, label, roll up."""
        article, texts, about = reading.article, reading.texts, reading.about
        scores: Floats
        reject: Floats
        if about == "off_topic":
            scores = reject = np.zeros((len(texts), len(self.taxonomy)))
            overall: Floats = np.zeros(len(self.taxonomy))
        else:
            scores, reject = self._read(reading)
            overall = article_probability(scores, self.bundle.calibration.article)
        sentences = [self._sentence(*parts) for parts in zip(texts, scores, reject, strict=True)]
        probabilities = dict(zip(self.taxonomy.ids, overall.tolist(), strict=True))
        tags = narrative_tags(sentences, probabilities)
        gate: Gate = "causal" if tags else "topical" if about == "topical" else "off_topic"
        return Tagging(article.id, gate, primary(sentences, tags), tags, probabilities, sentences, self.model)

    def _read(self, reading: _Reading) -> tuple[Floats, Floats]:
        """Calibrated presence and stance probabilities, each [sentences, narratives]."""
        presence = np.full((len(reading.texts), len(self.taxonomy)), -20.0)
        stance = np.full_like(presence, -20.0)
        for window, logits in reading.windows:
            rows = list(window.sentences)
            presence[rows], stance[rows] = logits.result()
        scores = _sigmoid(self._slope * presence + self._intercept)
        scores[reading.empty] = 0.0
        return scores, _sigmoid(stance)

    def _sentence(self, text: str, scores: Floats, reject: Floats) -> SentenceTag:
        ids, cut_at = self.taxonomy.ids, self.bundle.calibration.reject_threshold
        labels: dict[str, Stance] = {
            ids[k]: "reject" if reject[k] >= cut_at else "support" for k in np.flatnonzero(scores >= self._threshold)
        }
        return SentenceTag(text, dict(zip(ids, np.round(scores, 4).tolist(), strict=True)), labels)


def as_article(item: Mapping[str, Any]) -> Article:
    """An Article from a mapping with `title` and `text`, or `sentences`. Raises InputError."""
    if not {"title", "text", "sentences"} & set(item):
        keys = ", ".join(map(str, item)) or "nothing"
        raise InputError(
            f"an article has neither 'title', 'text' nor 'sentences' (it has {keys})", remedy="rename them"
        )
    given, title, text = item.get("sentences"), item.get("title") or "", item.get("text") or ""
    if given is not None and (not isinstance(given, (list, tuple)) or not all(isinstance(s, str) for s in given)):
        raise InputError("'sentences' is not a list of strings", remedy="pass [title, sentence, …]")
    if not isinstance(title, str) or not isinstance(text, str):
        raise InputError("'title' and 'text' must be strings", remedy="decode bytes and drop numbers")
    sentences = tuple(given) if given is not None else None
    if sentences:
        title, text = sentences[0], "\n".join(sentences[1:])
    key = str(item.get("id") or content_id(title, text))
    return Article(key, title, text, str(item.get("publisher") or ""), str(item.get("url") or ""), sentences=sentences)


def _sigmoid(x: Floats) -> Floats:
    out: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -30, 30)))
    return out
