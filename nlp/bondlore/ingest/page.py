"""One HTML page -> one Article. trafilatura extracts; it never downloads. Dates are read by us, with their time."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bondlore.article import Article, content_id
from bondlore.clock import utc_now
from bondlore.errors import InputError
from bondlore.ingest.dates import ParsedDate, parse_date
from bondlore.ingest.judge import page_text
from bondlore.ingest.text import MAX_TEXT, one_line, plain
from bondlore.ingest.urls import canonical_url, host_of, safe_link
from bondlore.ingest.xml import decode

__all__ = ["extract_page"]

_MAX_BYTES = 10_000_000
_MAX_NODES = 200
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9._-]{1,40})""", re.IGNORECASE)
_DATE_METAS = (
    "article:published_time",
    "og:article:published_time",
    "datepublished",
    "parsely-pub-date",
    "sailthru.date",
    "pubdate",
    "publish-date",
    "publish_date",
    "publication_date",
    "dc.date.issued",
    "dc.date",
    "dcterms.created",
    "dcterms.date",
    "date",
)
_ARTICLE_TYPE = re.compile(r"article|posting|report$", re.IGNORECASE)


def extract_page(
    html: bytes, *, url: str = "", content_type: str = "", zone: str = "", now: datetime | None = None
) -> Article:
    """Title, text, publisher and date of an HTML page fetched from `url` ("" for a file).

    The date is the most exact of the page's own statements (JSON-LD, meta, <time>), else trafilatura's day.
    Raises InputError when there is no text to read.
    """
    where = url or "page"
    if len(html) > _MAX_BYTES:
        raise InputError(f"is larger than {_MAX_BYTES} bytes", where=where, remedy="give the article alone")
    now = now or utc_now()
    text = _decoded(html, content_type)
    found = _extract(text, url, where)
    tree_dates, linked = _statements(text)
    ld = next((item for item in linked if _ARTICLE_TYPE.search(str(item.get("@type", "")))), {})
    body = plain(str(found.get("text") or ""))
    if len(spare := plain(str(ld.get("articleBody") or ""))) > 2 * len(body):
        body = spare
    title = one_line(str(ld.get("headline") or found.get("title") or ""))
    if not body:
        raise InputError("has no article text", where=where, remedy="give the article's own page, or its text")
    body = body[:MAX_TEXT]
    stated = [("json-ld", str(ld.get("datePublished") or "")), *tree_dates, ("text", str(found.get("date") or ""))]
    source, raw, date = _best_date(stated, zone, now)
    free = str(ld.get("isAccessibleForFree", "")).strip().lower() not in ("false", "no", "0")
    status, reason = page_text(body, title=title, free=free)
    link = safe_link(url) or safe_link(str(found.get("url") or ""))
    publisher = one_line(_name(ld.get("publisher")) or str(found.get("sitename") or ""), limit=200) or host_of(link)
    return Article(
        id=canonical_url(link) or content_id(title, body, publisher=publisher, published=raw),
        title=title,
        text=body,
        publisher=publisher,
        url=link,
        published_at=date.at,
        published_raw=raw,
        published_precision=date.precision,
        published_source=f"page:{source}"[:40] if raw else "",
        # trafilatura infers its day from the text and the address
        published_confidence="low" if date.at is not None and source == "text" else date.confidence,
        text_status=status,
        text_reason=reason,
    )


def _decoded(html: bytes, content_type: str) -> str:
    if "charset" not in content_type.lower() and (meta := _META_CHARSET.search(html[:4_096])):
        content_type = f"text/html; charset={meta[1].decode('ascii')}"
    return decode(html, content_type)[0]


def _extract(text: str, url: str, where: str) -> dict[str, Any]:
    import trafilatura

    # Its warnings about a page are said by us; without a handler they would go to stderr.
    logging.getLogger("trafilatura").addHandler(logging.NullHandler())
    try:
        found = trafilatura.bare_extraction(
            text,
            url=url or None,
            with_metadata=True,
            include_comments=False,
            include_tables=False,
            favor_precision=True,
        )
    except Exception as error:  # a hostile page may provoke anything in the extractor
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"cannot be extracted ({reason})", where=where, remedy="give its text instead") from error
    if found is None:
        return {}
    return {name: getattr(found, name, None) for name in ("title", "text", "date", "sitename", "url")}


def _statements(text: str) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """(place, raw date) of the page's meta elements and <time>, best first, and its JSON-LD objects."""
    from lxml import etree  # type: ignore[import-untyped]
    from lxml import html as lxml_html

    try:
        tree = lxml_html.document_fromstring(text)
    except (etree.LxmlError, ValueError, AssertionError):
        return [], []
    metas: dict[str, str] = {}
    for node in tree.xpath("//meta[@content]")[:_MAX_NODES]:
        name = (node.get("property") or node.get("name") or node.get("itemprop") or "").lower()
        metas.setdefault(name, node.get("content"))
    dates = [(f"meta {name}", metas[name]) for name in _DATE_METAS if metas.get(name)]
    times = tree.xpath("//article//time[@datetime]/@datetime") or tree.xpath("//time[@datetime]/@datetime")
    dates += [("time", str(value)) for value in times[:1]]
    scripts = tree.xpath("//script[@type='application/ld+json']/text()")[:20]
    return dates, [item for script in scripts for item in _objects(str(script))]


def _objects(script: str) -> Iterator[dict[str, Any]]:
    try:
        data = json.loads(script, strict=False)
    except (ValueError, RecursionError):
        return
    queue, seen = [data], 0
    while queue and seen < _MAX_NODES:
        item, seen = queue.pop(0), seen + 1
        if isinstance(item, list):
            queue += item[:_MAX_NODES]
        elif isinstance(item, dict):
            yield item
            queue.append(item.get("@graph"))


def _best_date(stated: list[tuple[str, str]], zone: str, now: datetime) -> tuple[str, str, ParsedDate]:
    """The first statement exact to the second, else the first that is a day, else none: (place, raw, date)."""
    best: tuple[str, str, ParsedDate] = ("", "", ParsedDate(None, "none", "no date"))
    for place, given in stated:
        if not (raw := plain(given)[:200]):
            continue
        date = parse_date(raw, default_zone=zone, now=now)
        if date.precision == "second":
            return place, raw, date
        if best[2].at is None and (date.at is not None or not best[1]):
            best = place, raw, date
    return best


def _name(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    return str(value.get("name") or "") if isinstance(value, dict) else str(value or "")
