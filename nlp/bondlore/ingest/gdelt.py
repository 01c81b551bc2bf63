"""GDELT's Global Knowledge Graph 2.1 (`*.gkg.csv`): titles and addresses of the world's press, no texts.

Its own date is that of the quarter hour in which GDELT met the article; the page's time is used where GDELT found it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from bondlore.article import Article, Confidence
from bondlore.ingest.dates import ParsedDate, parse_date
from bondlore.ingest.text import one_line
from bondlore.ingest.urls import safe_link

__all__ = ["article"]

_FIELDS = 27
_TITLE = re.compile(r"<PAGE_TITLE>(.*?)</PAGE_TITLE>", re.DOTALL)
_PRECISE = re.compile(r"<PAGE_PRECISEPUBTIMESTAMP>(\d{14})</PAGE_PRECISEPUBTIMESTAMP>")


def article(line: bytes, *, now: datetime) -> Article:
    """The Article of one GKG line. Raises ValueError with the reason when it has none."""
    fields = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    if len(fields) != _FIELDS:
        raise ValueError(f"{len(fields)} fields where GDELT's GKG has {_FIELDS}")
    if not (url := safe_link(fields[4])):
        raise ValueError("no web address")
    found = _TITLE.search(fields[26])
    title = one_line(found[1]) if found else ""
    if not title:
        raise ValueError("no title")
    precise = _PRECISE.search(fields[26])
    raw, source, confidence = (precise[1], "gdelt:page", "high") if precise else (fields[1], "gdelt:seen", "low")
    date = _date(raw, now)
    sure: Confidence = "" if date.at is None else "high" if confidence == "high" else "low"
    return Article(
        id=url,
        title=title,
        publisher=one_line(fields[3], limit=200),
        url=url,
        published_at=date.at,
        published_raw=raw,
        published_precision=date.precision,
        published_source=source,
        published_confidence=sure,
        first_seen_at=_date(fields[1], now).at,
        text_status="teaser",
        text_reason="GDELT gives a title only",
    )


def _date(raw: str, now: datetime) -> ParsedDate:
    try:
        at = datetime.strptime(raw, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return ParsedDate(None, "none", "no date")
    return parse_date(at.isoformat(), now=now)
