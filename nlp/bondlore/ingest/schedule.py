"""When a feed is next due. Pure: headers and times in, a time out; no clock, no network.

Every feed has its own phase on a grid of `every`, so that a run by cron finds each feed due once in that time and the
feeds of one list do not all fall on the full hour. What the server asks for is kept: never earlier than Retry-After,
Cache-Control, Expires or the document's own TTL, whichever is longest. Failures double the wait.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

__all__ = ["HOUR", "MOVES_NEEDED", "cache_wish", "next_poll", "retry_after"]

HOUR = timedelta(hours=1)
MOVES_NEEDED = 3  # permanent redirects to one place, in a row, before it is believed
_LONGEST_RETRY = timedelta(days=31)
# Of caching headers a content network often says a month by habit: a feed of news asked once a day harms nobody.
_LONGEST_FRESH = timedelta(days=1)
_LONGEST_BACKOFF = timedelta(hours=12)  # a daily run tries every feed once
_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,10})', re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[,\s])(?:no-cache|no-store)(?:$|[,;\s=])", re.IGNORECASE)


def retry_after(headers: Mapping[str, str], *, at: datetime) -> timedelta:
    """How long Retry-After asks to wait, in either form (seconds, or a date counted from the server's own clock).

    Zero when it asks for nothing that can be read; 31 days at most. `headers` have lower-case names.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        wait = timedelta(seconds=min(int(value[:10]), _LONGEST_RETRY.total_seconds()))
    elif (until := _http_date(value)) is not None:
        wait = until - (_http_date(headers.get("date", "")) or at)
    else:
        return timedelta()
    return min(max(wait, timedelta()), _LONGEST_RETRY)


def cache_wish(headers: Mapping[str, str], *, ttl_s: int = 0, at: datetime) -> timedelta:
    """How long the answer stays fresh by its headers, or by the document's TTL in seconds: the longer, a day at most.

    `max-age` wins over Expires, less the Age already spent in caches; `no-cache` and `no-store` wish nothing.
    """
    control = headers.get("cache-control", "")
    fresh = timedelta()
    if not _UNCACHED.search(control):
        if match := _MAX_AGE.search(control):
            age = headers.get("age", "").strip()
            spent = int(age[:10]) if age.isascii() and age.isdigit() else 0
            fresh = timedelta(seconds=max(int(match[1]) - spent, 0))
        elif (until := _http_date(headers.get("expires", ""))) is not None:
            fresh = until - (_http_date(headers.get("date", "")) or at)
    return min(max(fresh, timedelta(seconds=max(ttl_s, 0)), timedelta()), _LONGEST_FRESH)


def next_poll(
    url: str,
    *,
    at: datetime,
    every: timedelta = HOUR,
    wish: timedelta = timedelta(),
    failures: int = 0,
) -> datetime:
    """The time (UTC) from which the feed polled at `at` is due again.

    `wish` is what the server asks for at least; `failures` counts failed polls in a row.
    """
    if failures > 1:
        every = max(every, min(every * 2 ** min(failures - 1, 16), _LONGEST_BACKOFF))
    phase = int.from_bytes(hashlib.sha256(url.encode()).digest()[:4], "big") / 2**32
    epoch, step = at.astimezone(UTC).timestamp(), every.total_seconds()
    cell = (int(epoch / step - phase) + 1 + phase) * step
    # A poll that came late in its cell must not be followed by another at once.
    earliest = max(cell, epoch + step / 2, epoch + wish.total_seconds())
    return datetime.fromtimestamp(int(earliest), UTC) + timedelta(seconds=1 if earliest > int(earliest) else 0)


def _http_date(value: str) -> datetime | None:
    """An HTTP date as UTC; None for anything else (`Expires: 0` is common)."""
    try:
        found = parsedate_to_datetime(value[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
