"""Web archives (WARC, also .gz): the HTML pages in them, read with warcio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import BinaryIO

from bondlore.article import Article
from bondlore.errors import InputError
from bondlore.ingest.judge import http_refusal

__all__ = ["Page", "pages", "seen"]


@dataclass(frozen=True, slots=True)
class Page:
    """One captured HTML page; `at` is when it was captured (UTC)."""

    url: str
    content_type: str
    at: datetime | None
    body: bytes = field(repr=False)


def pages(stream: BinaryIO, *, where: str, max_bytes: int) -> Iterator[tuple[int, Page | str]]:
    """The pages of an archive with their record numbers, or why one is none. Images, scripts and requests pass unsaid.

    Raises InputError when the file is no WARC or breaks off.
    """
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    number = 0
    try:
        for record in ArchiveIterator(stream):
            number += 1
            if record.rec_type not in ("response", "resource"):
                continue
            headers = _headers(record)
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in ("text/html", "application/xhtml+xml"):
                continue
            code = str(record.http_headers.get_statuscode()) if record.http_headers else "200"
            refusal = http_refusal(int(code) if code.isascii() and code.isdigit() else 0, headers)[1]
            if refusal:
                yield number, refusal
                continue
            body = record.content_stream().read(max_bytes + 1)
            if len(body) > max_bytes:
                yield number, f"over {max_bytes} bytes"
                continue
            url = record.rec_headers.get_header("WARC-Target-URI") or ""
            at = _time(record.rec_headers.get_header("WARC-Date") or "")
            yield number, Page(url.strip("<>"), headers.get("content-type", ""), at, body)
    except (ArchiveLoadFailed, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"is not a readable WARC file ({reason})", where=f"{where}, after record {number}", remedy="get it again"
        ) from error
    if not number:
        raise InputError("holds no record", where=where, remedy="get the file again")


def seen(article: Article, page: Page) -> Article:
    """The article as captured: first seen then."""
    return replace(article, first_seen_at=page.at) if page.at else article


def _headers(record: object) -> dict[str, str]:
    """HTTP headers of a response, or the record's own for a resource; names in lower case."""
    found = getattr(record, "http_headers", None) or getattr(record, "rec_headers", None)
    return {str(name).lower(): str(value) for name, value in found.headers} if found else {}


def _time(raw: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
