"""Text from outside made plain: control characters and lone surrogates out, markup turned into paragraphs."""

from __future__ import annotations

import html
import re

__all__ = ["MAX_TEXT", "MAX_TITLE", "html_to_text", "one_line", "plain"]

MAX_TEXT = 1_000_000  # characters of one article's text
MAX_TITLE = 2_000  # characters of one title

# C0 and C1 controls except tab and line feed; surrogates cannot be stored as UTF-8.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# Only real element names, so that "yields <4%" and "a <b" in prose stay as they are.
_MARKUP = re.compile(
    r"</?(?:a|abbr|article|aside|b|blockquote|body|br|center|cite|code|div|em|figure|figcaption|font|h[1-6]|head|hr|html|"
    r"i|iframe|img|li|link|meta|noscript|object|ol|p|pre|q|s|script|section|small|span|strong|style|sub|sup|svg|table|"
    r"tbody|td|tfoot|th|thead|title|tr|tt|u|ul|video)(?:\s[^<>]*)?/?>|<!--|<!\[CDATA\[",
    re.IGNORECASE,
)
_DROPPED = frozenset({"script", "style", "noscript", "iframe", "object", "svg", "template", "head"})
_BLOCK_NAMES = (
    "address article aside blockquote br center dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr "
    "li main nav ol p pre section table tbody td tfoot th thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_PASSES = 2  # publishers escape markup once or twice


def plain(text: str) -> str:
    """`text` with line ends as LF, without control characters, lone surrogates and outer space."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isprintable():
        text = _CONTROLS.sub("", text)
    return text.strip()


def one_line(text: str, *, limit: int = MAX_TITLE) -> str:
    """Markup removed, white space collapsed, cut to `limit` characters: for titles and names."""
    return " ".join(html_to_text(text).split())[:limit].rstrip()


def html_to_text(markup: str) -> str:
    """The visible text of an HTML fragment, one block element a line; scripts and styles are dropped.

    Text without markup passes through with its character references resolved. Never raises.
    """
    text = plain(markup)
    for _ in range(_PASSES):
        if _MARKUP.search(text):
            text = _visible(text)
        elif "&" in text:
            text = html.unescape(text)
        else:
            break
    return plain(text)


def _visible(markup: str) -> str:
    from lxml import etree  # type: ignore[import-untyped]
    from lxml import html as lxml_html

    try:
        root = lxml_html.fragment_fromstring(markup, create_parent="div")
    except (etree.LxmlError, ValueError, AssertionError):
        return html.unescape(re.sub(r"<[^<>]*>", " ", markup))
    parts: list[str] = []
    skipping: object = None
    for event, node in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        name = node.tag if isinstance(node.tag, str) else ""
        if skipping is None:
            if name in _BLOCKS:
                parts.append("\n")
            if event == "start" and name in _DROPPED:
                skipping = node
            elif event == "start" and node.text:
                parts.append(node.text)
        elif event == "end" and node is skipping:
            skipping = None
        if event != "start" and skipping is None and node.tail and node is not root:
            parts.append(node.tail)
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)
