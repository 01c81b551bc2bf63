"""Split an article into sentences: index 0 is the title, the body follows. sentencex does the splitting."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from bondlore.article import Article, normalise

__all__ = ["MAX_CHARACTERS", "split", "split_text"]

MAX_CHARACTERS = 1_000_000  # an article of 150,000 words; the rest of a longer one is dropped
_LONGEST = 70  # words; a longer "sentence" is a table or unpunctuated text, cut so that the model reads most of it
_BREAK = re.compile(r"\n\s*\n")
_MARKUP = re.compile(
    r"<!--.{0,5000}?-->|<(?:script|style)\b.{0,20000}?</(?:script|style)\s*>|</?[a-zA-Z][^<>]{0,500}>", re.S
)


def split(article: Article) -> list[str]:
    """The article's sentences, title first ("" if none). Sentences the caller gave are kept as they are, normalised."""
    if article.sentences is not None:
        return [normalise(s) for s in article.sentences] or [""]
    return [normalise(_plain(article.title)), *split_text(article.text)]


def split_text(text: str) -> list[str]:
    """Body text to sentences. Blank lines end a sentence; single line ends do not (hard-wrapped copy)."""
    # Imported here: a person who brings sentences of their own needs no splitter.
    from sentencex import segment

    out: list[str] = []
    for paragraph in _BREAK.split(_plain(text[:MAX_CHARACTERS])):
        flat = normalise(paragraph)
        if flat:
            out += [piece for s in segment("en", flat) for piece in _pieces(s.strip()) if piece]
    return out


def _plain(text: str) -> str:
    """Text without markup, if it has any: feeds and archives often carry fragments of HTML."""
    if "<" in text:
        text = _MARKUP.sub(" ", text)
    return html.unescape(text) if "&" in text else text


def _pieces(sentence: str) -> Iterator[str]:
    words = sentence.split(" ")
    for start in range(0, len(words), _LONGEST):
        yield " ".join(words[start : start + _LONGEST])
