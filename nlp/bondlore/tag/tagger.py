"""Tagger: articles in, taggings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bondlore.article import Article, content_id
from bondlore.errors import InputError, ModelError
from bondlore.tag import bundle as bundles
from bondlore.tag.bundle import Bundle
from bondlore.tag.rollup import article_probability, narrative_tags, primary
from bondlore.tag.sentences import split
from bondlore.tag.subject import SubjectGate
from bondlore.tag.windows import Window, cut
from bondlore.tagging import Gate, SentenceTag, Stance, Tagging

__all__ = ["Runtime", "Tagger", "as_article"]

Floats = NDArray[np.floating]


class Runtime(Protocol):
    """Whatever runs the network over one window."""

    def logits(self, window: Window) -> tuple[Any, Any]:
        """Presence and stance logits, each [sentences, narratives]."""


class Tagger:
    """Reads articles with one model. The same article always gets the same answer.

    >>> tagger = Tagger.load()
    >>> t = tagger.tag([{"title": "", "text": "Treasuries sank as hedge funds met margin calls."}])[0]
    >>> sorted(t.narratives)
    ['deleveraging']
    """

    def __init__(self, bundle: Bundle, runtime: Runtime, tokenizer: Any) -> None:
        self.bundle, self.taxonomy = bundle, bundle.taxonomy
        self._runtime, self._tokenizer = runtime, tokenizer
        self._gate = SubjectGate(bundle.taxonomy.subject)
        c = bundle.calibration
        self._slope, self._intercept = np.asarray(c.slope), np.asarray(c.intercept)
        self._threshold = np.asarray(c.threshold)

    @classmethod
    def load(cls, model: str | Path | None = None, *, threads: int | None = None) -> Tagger:
        """Load the shipped model, or a folder, or a hub name such as `owner/model` (needs `bondlore[train]`).

        Raises ModelError when the folder is missing, incomplete, altered or unsafe.
        """
        from tokenizers import Tokenizer

        from bondlore.tag.runtime import OnnxRuntime

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
        return cls(bundle, OnnxRuntime(bundle.folder / "model.onnx", threads=threads), tokenizer)

    @property
    def model(self) -> str:
        """`name@fingerprint`, as in the `model` column of a tagged table."""
        return self.bundle.id

    def tag(self, articles: Iterable[Article | Mapping[str, Any]]) -> list[Tagging]:
        """Tag articles, in order. Mappings have `title` and `text`, or `sentences` ([0] the title, kept as given)."""
        return list(self.iter_tag(articles))

    def iter_tag(self, articles: Iterable[Article | Mapping[str, Any]]) -> Iterator[Tagging]:
        """As `tag`, one by one. Raises InputError for a mapping of another form."""
        for item in articles:
            yield self.tag_one(item if isinstance(item, Article) else as_article(item))

    def tag_one(self, article: Article) -> Tagging:
        """Tag one article. An article off the subject is not read by the model: its scores are all 0."""
        texts = split(article)
        about = self._gate(texts)
        scores: Floats
        reject: Floats
        if about == "off_topic":
            scores = reject = np.zeros((len(texts), len(self.taxonomy)))
            overall: Floats = np.zeros(len(self.taxonomy))
        else:
            scores, reject = self._read(texts)
            overall = article_probability(scores, self.bundle.calibration.article)
        sentences = [self._sentence(*parts) for parts in zip(texts, scores, reject, strict=True)]
        probabilities = dict(zip(self.taxonomy.ids, overall.tolist(), strict=True))
        tags = narrative_tags(sentences, probabilities)
        gate: Gate = "causal" if tags else "topical" if about == "topical" else "off_topic"
        return Tagging(article.id, gate, primary(sentences, tags), tags, probabilities, sentences, self.model)

    def _read(self, texts: list[str]) -> tuple[Floats, Floats]:
        """Calibrated presence and stance probabilities, each [sentences, narratives]."""
        tokens = [e.ids for e in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        presence = np.full((len(texts), len(self.taxonomy)), -20.0)
        stance = np.full_like(presence, -20.0)
        special = self.bundle.special
        for window in cut(tokens, self.bundle.window, cls=special["cls"], sep=special["sep"]):
            rows = list(window.sentences)
            presence[rows], stance[rows] = self._runtime.logits(window)
        scores = _sigmoid(self._slope * presence + self._intercept)
        # an empty sentence (a missing title) carries nothing, whatever its context says
        scores[[i for i, t in enumerate(tokens) if not t]] = 0.0
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
