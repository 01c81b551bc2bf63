"""The records every room passes on. No behaviour beyond construction; no imports from other rooms."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Article", "Confidence", "Precision", "TextStatus", "content_id", "normalise"]

Precision = Literal["second", "day", "none"]
Confidence = Literal["high", "medium", "low", ""]
TextStatus = Literal["full", "partial", "teaser", "blocked", "failed", ""]


@dataclass(frozen=True, slots=True)
class Article:
    """One news article as it entered the house.

    `published_at` is timezone-aware UTC or None; `published_raw` keeps the source's own
    string and `published_precision` says how far it can be trusted: a date without a time
    is `day` (stored as noon UTC, so that it stays on its calendar day in New York) and must
    stay out of lead-lag work. `sentences` is set when the caller has split
    the text; index 0 is the title.

    `published_source` says where the date was read (`feed:published`, `page:json-ld`, `archive:date`) and
    `published_confidence` how far to believe it: `high` as written; `medium` with a zone assumed, or cut to its day for
    want of one; `low` when it contradicts itself, lies ahead or stands in for another. `text_status` is how much of
    the article `text` holds, `text_reason` why; "" when nobody looked.
    """

    id: str
    title: str
    text: str = ""
    publisher: str = ""
    url: str = ""
    published_at: datetime | None = None
    published_raw: str = ""
    published_precision: Precision = "none"
    first_seen_at: datetime | None = None
    sentences: tuple[str, ...] | None = None
    published_source: str = ""
    published_confidence: Confidence = ""
    text_status: TextStatus = ""
    text_reason: str = ""


def normalise(text: str) -> str:
    """NFC text with every run of white space and control characters made one space."""
    words = unicodedata.normalize("NFC", text).split()
    if not all(map(str.isprintable, words)):  # rare, and looking at every character is slow
        words = "".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in " ".join(words)).split()
    return " ".join(words)


def content_id(title: str, text: str, *, publisher: str = "", published: str = "") -> str:
    """16 hex digits of SHA-256 over the normalised content: stable across runs and machines."""
    body = "\x1f".join(normalise(part) for part in (title, text, publisher, published))
    return hashlib.sha256(body.encode()).hexdigest()[:16]
