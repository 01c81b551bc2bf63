"""Feed bytes -> entries -> articles. Whatever can be saved from a broken document is; what was lost is said.

feedparser gets bytes only (a string may be opened as a file or URL), decoded here and freed of its DTD.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import urljoin

from bondlore.article import Article, content_id
from bondlore.errors import FeedError
from bondlore.ingest.dates import parse_date
from bondlore.ingest.judge import feed_text
from bondlore.ingest.text import MAX_TEXT, html_to_text, one_line
from bondlore.ingest.urls import canonical_url, host_of, safe_link
from bondlore.ingest.xml import decode, mended, without_dtd

__all__ = ["MAX_ENTRIES", "Entry", "FeedDocument", "Reading", "entry_article", "parse_feed", "read_feed"]

MAX_ENTRIES = 2_000
_MAX_BYTES = 10_000_000
_MAX_ID = 500
_MAX_PIECES = 300
_MAX_HEAD = 20_000
_PERIODS = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000, "yearly": 31_536_000}
_DATES = ("published", "date", "updated", "created", "modified")
_GLOBAL_ID = re.compile(r"(?:https?://|tag:|urn:|[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{32,}$)", re.IGNORECASE)
_IS_HTML = re.compile(r"<!doctype html|<html[\s>]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One item as the feed gave it: `title` and `text` without markup, `link` safe or "", dates as written, with the
    name of the field (feedparser's) they stood in.

    `identity` is the guid while it is one, else the canonical link, else "": the title and text decide then.
    """

    identity: str
    title: str
    text: str = ""
    link: str = ""
    published_raw: str = ""
    source: str = ""
    published_field: str = ""


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A parsed feed, entries in document order. `problems` are one line each; `ttl_s` is how many seconds the
    document says it stays fresh (RSS `ttl`, syndication `updatePeriod`), 0 when it does not.
    """

    title: str
    entries: tuple[Entry, ...]
    problems: tuple[str, ...] = ()
    ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one feed document gives: its articles, oldest first; `problems` and `ttl_s` as in `FeedDocument`."""

    articles: tuple[Article, ...]
    problems: tuple[str, ...] = ()
    ttl_s: int = 0


def read_feed(
    body: bytes, *, url: str, content_type: str = "", publisher: str = "", zone: str = "", at: datetime
) -> Reading:
    """The articles of feed bytes seen at `at` (UTC). `publisher` is by default the document's title, `zone` is for
    dates that name none. Raises FeedError as `parse_feed` does, DateError for an unknown zone.
    """
    document = parse_feed(body, url=url, content_type=content_type)
    publisher = publisher or document.title
    articles = [entry_article(entry, publisher=publisher, first_seen=at, zone=zone) for entry in document.entries]
    articles.reverse()  # feeds list the newest first; the sort is stable and undated items keep their place
    articles.sort(key=lambda article: article.published_at or at)
    undated = sum(article.published_at is None for article in articles)
    problems = document.problems + ((f"{undated} entries without a usable date",) if undated else ())
    return Reading(tuple(articles), problems, document.ttl_s)


def parse_feed(body: bytes, *, url: str, content_type: str = "") -> FeedDocument:
    """Parse RSS, Atom or RDF bytes. Raises FeedError naming `url` when it is no feed or an entity bomb."""
    if len(body) > _MAX_BYTES:
        raise FeedError(f"is larger than {_MAX_BYTES} bytes", where=url, remedy="ask the publisher for a shorter feed")
    text, problems = decode(body, content_type)
    text, bare = mended(without_dtd(text, where=url))
    if bare:
        problems.append(f"{bare} bare ampersands escaped")
    parsed = _feedparser(text, url)
    raw_entries = list(parsed.get("entries") or ())
    if not parsed.get("version") and not raw_entries:
        what = "is an HTML page, not a feed" if _IS_HTML.search(text[:2_000]) else "is not a feed"
        raise FeedError(what, where=url, remedy="look for the feed's own address on the publisher's site")
    if parsed.get("bozo"):
        if len(pieces := _pieces(text)) - 1 > len(raw_entries):
            apart = [
                entry for piece in pieces[1:] for entry in _feedparser(pieces[0] + piece, url).get("entries") or ()
            ]
            raw_entries = max(raw_entries, apart, key=len)
        problems.append(f"broken XML, {len(raw_entries)} entries saved: {_line(parsed.get('bozo_exception'))}")
    if len(raw_entries) > MAX_ENTRIES:
        problems.append(f"{len(raw_entries) - MAX_ENTRIES} entries past the first {MAX_ENTRIES} dropped")
    entries = []
    for number, raw in enumerate(raw_entries[:MAX_ENTRIES], 1):
        try:
            entries.append(_entry(raw, url))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            problems.append(f"entry {number} dropped: {_line(error)}")
    if raw_entries and not entries:
        raise FeedError("has no usable entry", where=url, remedy=problems[-1])
    head = parsed.get("feed") or {}
    title = one_line(str(_own(head, "title") or ""))
    return FeedDocument(title, _identified(entries, host_of(url), problems), tuple(problems), _ttl(head))


def entry_article(entry: Entry, *, publisher: str, first_seen: datetime, zone: str = "") -> Article:
    """The entry as an Article seen at `first_seen` (UTC). `zone` is for dates that name none.

    An entry that names its own source (an aggregator's) keeps that as the publisher.
    """
    date = parse_date(entry.published_raw, default_zone=zone, now=first_seen)
    publisher = entry.source or publisher
    status, reason = feed_text(entry.text)
    # An update's date is no publication's, and a date ahead of us is some clock's error.
    doubtful = entry.published_field in ("updated", "modified") or (date.at is not None and date.at > first_seen)
    return Article(
        id=entry.identity or content_id(entry.title, entry.text, publisher=publisher, published=entry.published_raw),
        title=entry.title,
        text=entry.text,
        publisher=publisher,
        url=entry.link,
        published_at=date.at,
        published_raw=entry.published_raw,
        published_precision=date.precision,
        first_seen_at=first_seen,
        published_source=f"feed:{entry.published_field}" if entry.published_raw else "",
        published_confidence="low" if date.at is not None and doubtful else date.confidence,
        text_status=status,
        text_reason=reason,
    )


def _ttl(head: Mapping[str, Any]) -> int:
    """Seconds the channel asks to be left alone, 0 for no or no readable wish."""
    if (minutes := str(_own(head, "ttl") or "").strip()).isascii() and minutes.isdigit():
        return int(minutes[:6]) * 60
    if (period := str(_own(head, "sy_updateperiod") or "").strip().lower()) in _PERIODS:
        times = str(_own(head, "sy_updatefrequency") or "1").strip()
        return _PERIODS[period] // max(int(times[:6]) if times.isascii() and times.isdigit() else 1, 1)
    return 0


def _feedparser(text: str, url: str) -> Mapping[str, Any]:
    import feedparser

    headers = {"content-type": "application/xml; charset=utf-8"}
    try:
        parsed: Mapping[str, Any] = feedparser.parse(
            io.BytesIO(text.encode()),
            response_headers=headers,
            # Markup becomes plain text here: mending it first would be half of the work of parsing.
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    except Exception as error:  # feedparser's loose parser raises whatever the document provokes
        raise FeedError(f"cannot be parsed ({_line(error)})", where=url, remedy="report it to the publisher") from error
    return parsed


def _pieces(text: str) -> list[str]:
    """The head of a feed and each of its items apart, so that markup broken in one item cannot swallow the next."""
    tag = "item" if text.count("</item>") >= text.count("</entry>") else "entry"
    starts = [match.start() for match in islice(re.finditer(rf"<{tag}[\s>]", text), _MAX_PIECES + 1)]
    if not starts or starts[0] > _MAX_HEAD:
        return [text]
    ends = [*starts[1:], len(text)]
    return [text[: starts[0]], *(text[a:b] for a, b in zip(starts, ends, strict=True))]


def _own(raw: Mapping[str, Any], name: str) -> Any:
    """`raw[name]` or None. `dict.get` skips feedparser's stand-ins of one date for another."""
    return dict.get(raw, name) if isinstance(raw, dict) else None


def _get(raw: Mapping[str, Any], *names: str) -> str:
    """The first non-empty string under `names`."""
    for name in names:
        if isinstance(value := _own(raw, name), str) and value.strip():
            return value
    return ""


def _entry(raw: Mapping[str, Any], base: str) -> Entry:
    """`base` is what relative links are relative to. Raises ValueError when there is nothing to read."""
    bodies = [_get(content, "value") for content in raw.get("content") or ()]
    bodies.append(_get(raw, "summary", "description"))
    text = html_to_text(max(bodies, key=len)[:MAX_TEXT])
    title = one_line(_get(raw, "title"))
    if not title and not text:
        raise ValueError("neither title nor text")
    guid = " ".join(_get(raw, "id").split())[:_MAX_ID]
    link = _get(raw, "feedburner_origlink", "link").strip()
    # feedparser takes a guid for the link when there is none; "12345" is no relative address.
    link = safe_link(guid) if link in ("", guid) else safe_link(urljoin(base, link))
    source = _own(raw, "source")
    field = next((name for name in _DATES if _get(raw, name)), "")
    return Entry(
        identity=guid,
        title=title or one_line(text, limit=120),
        text=text,
        link=link,
        published_raw=_get(raw, field)[:200].strip() if field else "",
        source=one_line(_get(source, "title"), limit=200) if isinstance(source, dict) else "",
        published_field=field,
    )


def _identified(entries: Sequence[Entry], host: str, problems: list[str]) -> tuple[Entry, ...]:
    """Settle identities: a guid or link that two different items share identifies neither; exact repeats go.

    A guid which could mean something elsewhere (`12345`) is made the feed host's own.
    """
    unique = list(dict.fromkeys(entries))
    if (repeats := len(entries) - len(unique)) > 0:
        problems.append(f"{repeats} repeated entries dropped")
    guids = Counter(entry.identity for entry in unique if entry.identity)
    links = Counter(canonical_url(entry.link) for entry in unique if entry.link)
    if shared := sum(1 for count in guids.values() if count > 1):
        problems.append(f"{shared} guids stand for more than one entry and were not used")
    out = []
    for entry in unique:
        guid, link = entry.identity, canonical_url(entry.link)
        if guid and guids[guid] == 1:
            identity = guid if _GLOBAL_ID.match(guid) else f"{host}:{guid}"
        else:
            identity = link if link and links[link] == 1 else ""
        out.append(replace(entry, identity=identity))
    return tuple(out)


def _line(error: object) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
