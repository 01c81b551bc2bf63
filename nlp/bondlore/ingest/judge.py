"""How much of an article a text holds. Pure: words in, a status and its reason out; nothing is fetched here."""

from __future__ import annotations

import re

from bondlore.article import TextStatus
from bondlore.ingest.signals import refusal, signals

__all__ = ["feed_text", "http_refusal", "page_text"]

_FULL = 150  # words: a feed that gives this much, uncut, gives the article
_SHORT = 60  # words of a page below which it is a notice or a teaser
_CUT = re.compile(
    r"(?:…|\.\.\.|\[\s?(?:…|\.\.\.|&hellip;)\s?\]|\(more\)|"
    r"(?:read|continue|see)\s+(?:more|reading|full\s\w+|the\s(?:full|rest)[^.]{0,40}))[\s.»>]*$",
    re.IGNORECASE,
)
_WALL = re.compile(
    r"(?:subscribe|sign\sup|log\sin|register|become\sa\s(?:member|subscriber)|start\syour\s(?:free\s)?trial)\s+"
    r"(?:now\s)?(?:to|for|and)\s+(?:continue|read|unlock|keep|access|full|get)|"
    r"(?:this\s(?:article|content|story)\sis\s(?:for|available\sto|reserved\sfor)\s(?:our\s)?(?:paying\s)?(?:subscribers|members))|"
    r"already\sa\s(?:subscriber|member)\?",
    re.IGNORECASE,
)
_CONSENT = re.compile(
    r"(?:we|our\spartners)[^.]{0,60}\buse\s(?:of\s)?cookies|accept\s(?:all\s)?cookies|cookie\s(?:policy|settings)|"
    r"enable\s(?:javascript|cookies)|are\syou\sa\s(?:robot|human)|verify\s(?:that\s)?you\sare\s(?:a\s)?human",
    re.IGNORECASE,
)


def feed_text(text: str) -> tuple[TextStatus, str]:
    """Whether a feed's own text is the article or a taste of it."""
    words = len(text.split())
    if not words:
        return "teaser", "the feed gives a headline only"
    if _CUT.search(text[-120:]):
        return "teaser", f"the feed's text is cut off after {words} words"
    if words >= _FULL:
        return "full", f"the feed gives {words} words"
    return "teaser", f"the feed gives {words} words"


def page_text(text: str, *, title: str = "", free: bool = True) -> tuple[TextStatus, str]:
    """How much of the article a page's extracted text is; `free` is what its JSON-LD says of access."""
    words = len(text.split())
    if words < _FULL and _CONSENT.search(text):
        return "blocked", "the page shows a consent or robot notice"
    if _WALL.search(text[-600:]) or not free:
        how = "says it is not free" if not free else "asks for a subscription"
        return ("partial" if words >= _FULL else "teaser"), f"the page {how}; it shows {words} words"
    if words < _SHORT:
        return "teaser", f"the page shows {words} words" + (" beside its title" if title else "")
    if _CUT.search(text[-120:]):
        return "partial", f"the page's text is cut off after {words} words"
    return "full", f"the page shows {words} words"


def http_refusal(status: int, headers: dict[str, str]) -> tuple[TextStatus, str]:
    """What an answer without an article means; `("", "")` for a 200. `headers` have lower-case names."""
    if headers.get("cf-mitigated", "").lower() == "challenge":
        return "blocked", "the page is behind a browser challenge"
    if status in (401, 402, 403, 407, 429, 451):
        return "blocked", f"the page answered {status}"
    if status != 200:
        return "failed", f"the page answered {status}"
    if headers.get("tdm-reservation", "").strip() == "1":
        return "blocked", "the page reserves text and data mining (TDM-Reservation: 1)"
    if reason := refusal(signals(headers.get("content-signal", ""))):
        return "blocked", reason
    kind = headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    if kind not in ("text/html", "application/xhtml+xml", ""):
        return "failed", f"the page is {kind[:60]}, not HTML"
    return "", ""
