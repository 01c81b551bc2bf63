"""The one place that makes outside text harmless: for HTML, Markdown and links (cells: `bondlore.spreadsheet`)."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

from bondlore.article import normalise
from bondlore.ingest.urls import safe_link

__all__ = ["clean", "html", "markdown", "markdown_link", "safe_link"]

_MAX_MARKS = 2
_MARKDOWN = re.compile(r"([\\`*_\[\]{}|~@$!])")
_LINE_START = re.compile(r"^(\d{1,9})([.)])|^([#+\-=])")
_PARENTHESES = str.maketrans({"(": "%28", ")": "%29"})


def clean(text: str, limit: int = 600) -> str:
    """One line of visible characters, at most `limit` long, ending in an ellipsis when cut.

    Control, bidi and zero-width characters become spaces (`article.normalise`); lone
    surrogates and private-use characters are dropped, and piles of combining marks are thinned.
    """
    kept: list[str] = []
    marks = 0
    for char in normalise(text[: limit * 4 + 1000]):
        category = unicodedata.category(char)
        if category in ("Cs", "Co", "Cn"):
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MAX_MARKS:
            kept.append(char)
    out = normalise("".join(kept))
    return out if len(out) <= limit else out[: limit - 1].rstrip() + "…"


def html(text: str) -> Markup:
    """`text` for HTML or XML, in content or in a quoted attribute."""
    return escape(text)


def markdown(text: str) -> str:
    """`text` as literal Markdown: no emphasis, link, mention, table cell or raw HTML can start in it."""
    out = _MARKDOWN.sub(r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINE_START.sub(lambda m: rf"{m[1]}\{m[2]}" if m[1] else rf"\{m[3]}", out)


def markdown_link(text: str, url: str) -> str:
    """A Markdown link, or the plain text when the address is not safe."""
    target = safe_link(url)
    return f"[{markdown(text)}]({target.translate(_PARENTHESES)})" if target else markdown(text)
