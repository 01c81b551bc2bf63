"""One archive row -> one Article: which column means what, and what a row must have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Protocol

from bondlore.article import Article, content_id
from bondlore.errors import InputError
from bondlore.ingest.dates import ParsedDate, parse_date
from bondlore.ingest.text import MAX_TEXT, MAX_TITLE, plain
from bondlore.ingest.urls import safe_link

__all__ = ["FIELDS", "Extract", "RowReader", "check_mapping"]

# Field -> column names looked for, best first, in lower case without "-" and " ".
FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "article_id", "guid", "uuid", "_id"),
    "title": ("title", "headline", "subject"),
    "text": (
        "text",
        "body",
        "content",
        "article",
        "full_text",
        "fulltext",
        "maintext",
        "story",
        "description",
        "summary",
    ),
    "published": (
        "published_at",
        "published",
        "date",
        "publishedat",
        "published_date",
        "publish_date",
        "publication_date",
        "pubdate",
        "pub_date",
        "date_publish",
        "datetime",
        "timestamp",
        "time",
        "seendate",
    ),
    "publisher": (
        "publisher",
        "source",
        "outlet",
        "publication",
        "source_name",
        "sitename",
        "site",
        "source_domain",
        "domain",
    ),
    "url": ("url", "link", "web_url", "href", "canonical_url"),
    "sentences": ("sentences",),
    "first_seen": ("first_seen_at", "first_seen", "date_download", "crawled_at", "fetched_at"),
}
_MAX_ID = 500
_MAX_SENTENCES = 20_000


def check_mapping(mapping: Mapping[str, str] | None) -> dict[str, str]:
    """`mapping` from our field to the archive's column. Raises InputError for a field that does not exist."""
    for field in mapping or {}:
        if field not in FIELDS:
            raise InputError(
                f"there is no field {field!r} to map",
                where=f"mapping {field}",
                remedy=f"use one of {', '.join(FIELDS)}",
            )
    return dict(mapping or {})


class Extract(Protocol):
    """Reads one HTML page: `page.extract_page`, or a `worker.Extractor` that does it with limits."""

    def __call__(self, html: bytes, /, *, url: str, content_type: str, zone: str, now: datetime) -> Article:
        """The page's Article; raises InputError."""


class RowReader:
    """Turns mappings into Articles. `zone` (IANA) is for times that name none; `now` bounds dates; `extract` reads
    pages. `last_plan` is the field -> column of the last row.
    """

    def __init__(
        self,
        *,
        mapping: Mapping[str, str] | None = None,
        zone: str = "",
        now: datetime,
        extract: Extract | None = None,
    ) -> None:
        self._mapping, self.zone, self.now = check_mapping(mapping), zone, now
        self._plans: dict[tuple[str, ...], dict[str, str]] = {}
        self._extract = extract
        self.last_plan: dict[str, str] = {}

    def extract(self, html: bytes, *, url: str, content_type: str, zone: str, now: datetime) -> Article:
        """One page's Article. Raises InputError."""
        if self._extract is None:
            from bondlore.ingest.page import extract_page

            self._extract = extract_page
        return self._extract(html, url=url, content_type=content_type, zone=zone, now=now)

    def columns(self, names: Iterable[str], *, where: str) -> dict[str, str]:
        """Field -> column of this header. Raises InputError when a mapped column or every text column is missing."""
        names = tuple(names)
        plan = self._plan(names)
        for field, column in self._mapping.items():
            if column not in names:
                raise InputError(
                    f"has no column {column!r} for {field}", where=where, remedy=f"its columns are {_listed(names)}"
                )
        if not {"title", "text", "sentences"} & plan.keys():
            raise InputError(
                f"has no column of titles or texts among {_listed(names)}",
                where=where,
                remedy="name them: title=COLUMN, text=COLUMN",
            )
        return plan

    def article(self, row: Mapping[str, Any]) -> Article:
        """The row's Article. Raises ValueError with the reason when it has none."""
        plan = self.last_plan = self._plan(tuple(row))
        values = {field: row[column] for field, column in plan.items()}
        sentences = _sentences(values.get("sentences"))
        title = " ".join(plain(_string(values.get("title"))).split())
        text = plain(_string(values.get("text")))
        if sentences:
            title = title or sentences[0].strip()
            text = text or " ".join(sentences[1:])
        if not title and not text:
            raise ValueError("neither title nor text")
        if len(title) > MAX_TITLE or len(text) > MAX_TEXT:
            raise ValueError(f"title over {MAX_TITLE} or text over {MAX_TEXT} characters")
        raw, when = self._date(values.get("published"))
        publisher = " ".join(plain(_string(values.get("publisher"))).split())[:200]
        key = plain(_string(values.get("id")))
        if len(key) > _MAX_ID:
            raise ValueError(f"id over {_MAX_ID} characters")
        return Article(
            id=key or content_id(title, text, publisher=publisher, published=raw),
            title=title,
            text=text,
            publisher=publisher,
            url=safe_link(_string(values.get("url"))),
            published_at=when.at,
            published_raw=raw,
            published_precision=when.precision,
            first_seen_at=self._date(values.get("first_seen"))[1].at,
            sentences=sentences,
            published_source=f"archive:{plan['published']}"[:40] if raw else "",
            # GDELT's article list says when it met the article, not when that was published
            published_confidence="low" if when.at and plan["published"] == "seendate" else when.confidence,
        )

    def _plan(self, names: tuple[str, ...]) -> dict[str, str]:
        """Field -> column, for one set of column names; kept, as rows of one file share it."""
        if (plan := self._plans.get(names)) is not None:
            return plan
        lowered: dict[str, str] = {}
        for name in names:
            lowered.setdefault(str(name).strip().lower().replace("-", "_").replace(" ", "_"), name)
        plan = {}
        for field, known in FIELDS.items():
            if field in self._mapping:
                if self._mapping[field] in names:
                    plan[field] = self._mapping[field]
            elif (column := next((lowered[name] for name in known if name in lowered), None)) is not None:
                plan[field] = column
        if len(self._plans) < 1_000:  # every row may have its own keys
            self._plans[names] = plan
        return plan

    def _date(self, value: Any) -> tuple[str, ParsedDate]:
        """The raw string and what it means; Parquet's own timestamps and dates are taken as they are."""
        if value is None:
            return "", ParsedDate(None, "none")
        if isinstance(value, datetime):
            raw = value.isoformat()
            if value.tzinfo is None and not self.zone and (value.hour or value.minute or value.second):
                # A typed timestamp without zone is UTC by the Arrow and pandas convention of normalised instants.
                raw = value.replace(tzinfo=UTC).isoformat()
        elif isinstance(value, date):
            raw = value.isoformat()
        else:
            raw = plain(_string(value))[:200]
        return raw, parse_date(raw, default_zone=self.zone, now=self.now)


def _string(value: Any) -> str:
    """Text of a cell: None and NaN are "", a list of paragraphs is joined, `{"name": …}` is its name."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        raise ValueError("true or false where text belongs")
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    if isinstance(value, dict):
        return _string(value.get("name") or value.get("title") or "")
    raise ValueError(f"{type(value).__name__} where text belongs")


def _sentences(value: Any) -> tuple[str, ...] | None:
    """The caller's own sentences, [0] the title; a CSV cell holds them as a JSON list. Indices are never changed."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError("sentences is not a list of strings")
    if len(value) > _MAX_SENTENCES or sum(map(len, value)) > MAX_TEXT:
        raise ValueError("too many or too long sentences")
    clean: Callable[[str], str] = lambda item: " ".join(plain(item).split())  # noqa: E731
    return tuple(clean(item) for item in value)


def _listed(names: Iterable[str]) -> str:
    shown = [str(name)[:40] for name in names]
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "")
