"""Is this article one we have? Pure: takes records, returns decisions; `articles` applies them.

The ladder is id, then URL, then content. Each rung can lie: two archives both number their rows from 1,
a feed gives every item the link of its home page, a table prints the same words every day. So a
rung is believed only if nothing speaks against it (`same`), and every name an article was ever met under is
kept as an alias.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from bondlore.article import Article, content_id, normalise
from bondlore.errors import InputError
from bondlore.ingest.urls import canonical_url

__all__ = ["MAX_REWRITES", "Given", "Kind", "Known", "clean", "keys", "revise", "same", "wording"]

Kind = Literal["id", "url", "content"]

# A page that prints the time changes at every poll; lemon24/reader stops following it after 24 (its issue 225).
MAX_REWRITES = 24
MAX_ID = 400
_APART = timedelta(hours=48)
_PRECISION = {"none": 0, "day": 1, "second": 2}
# A feed's summary must not replace the full text of the page.
_STATUS = {"": 0, "failed": 0, "blocked": 0, "teaser": 0, "partial": 1, "full": 2}
_WORD = re.compile(r"\w+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Given:
    """An article as it came in, cleaned, with its names (strongest first) and its `wording`."""

    article: Article
    keys: tuple[tuple[Kind, str], ...]
    wording: str

    @classmethod
    def of(cls, article: Article) -> Given:
        """Clean an article and find its names. Raises InputError for a time without a zone."""
        article = clean(article)
        return cls(article, keys(article), wording(article))


@dataclass(slots=True, eq=False)
class Known:
    """An article of the store as the decider sees it. `number` is None until it is written.

    `revision` counts its rewrites; `told` holds the `wording` of every one, `present` that of the present one.
    """

    article: Article
    revision: int
    updated_at: datetime
    present: str
    number: int | None = None
    told: set[str] = field(default_factory=set)


def clean(article: Article) -> Article:
    """The article in a form that every database takes: no NUL, no lone surrogates, bounded id, UTC.

    An article given as sentences alone gets their title and text.

    Raises InputError for a time without a zone.
    """
    fields = {name: _UNSTORABLE.sub("\ufffd", getattr(article, name)) for name in ("title", "text", "publisher", "url")}
    identity = _UNSTORABLE.sub("\ufffd", article.id).strip()
    if len(identity) > MAX_ID:
        identity = hashlib.sha256(identity.encode()).hexdigest()
    raw = _UNSTORABLE.sub("\ufffd", article.published_raw)
    sentences = article.sentences and tuple(_UNSTORABLE.sub("\ufffd", s) for s in article.sentences)
    if sentences:
        fields["title"] = fields["title"] or sentences[0]
        fields["text"] = fields["text"] or " ".join(sentences[1:])
    return replace(
        article,
        id=identity or content_id(fields["title"], fields["text"], publisher=fields["publisher"], published=raw),
        published_raw=raw,
        published_at=_utc(article.published_at, article),
        first_seen_at=_utc(article.first_seen_at, article),
        sentences=sentences,
        title=fields["title"],
        text=fields["text"],
        publisher=fields["publisher"],
        url=fields["url"],
    )


def wording(article: Article) -> str:
    """16 hex digits over title and text: what an article says, whoever published it."""
    return content_id(article.title, article.text)


def keys(article: Article) -> tuple[tuple[Kind, str], ...]:
    """Every name of an article, strongest first. Schemes are dropped: a move to https is not a new article."""
    found: list[tuple[Kind, str]] = [("id", _without_scheme(article.id))]
    url = canonical_url(article.url)
    # A bare host is a home page, whatever article it was given for.
    if url and (urlsplit(url).path.strip("/") or urlsplit(url).query):
        found.append(("url", _without_scheme(url)))
    # With the publisher: a wire story in two papers is two articles of one cluster.
    return (*found, ("content", content_id(article.title, article.text, publisher=article.publisher)))


def same(known: Article, given: Article, rung: Kind) -> bool:
    """Whether a match on `rung` is believed.

    Content: unless the two are dated more than two days apart. Id: at once if the URL agrees too. Otherwise, and
    for URL: if the titles are equal or the words overlap as those of one story retold do.
    """
    if rung == "content":
        return not _apart(known, given)
    if rung == "id" and (url := canonical_url(given.url)) and url == canonical_url(known.url):
        return True
    return normalise(known.title).casefold() == normalise(given.title).casefold() != "" or _overlap(known, given)


def revise(known: Known, told: Given, *, seen_at: datetime) -> tuple[Article, bool]:
    """What the article becomes after being told again, and whether its words changed.

    A title and text told before change nothing (two feeds that alternate), nor does a teaser of the text we have, nor
    one of lesser `text_status`. Of dates the first is kept, for feeds move them forward at every edit, except that a
    more precise one fills in a vaguer one. Empty fields are filled.
    """
    now, given = known.article, told.article
    worse = _STATUS[given.text_status] < _STATUS[now.text_status] or _is_teaser(given.text, now.text)
    title, text = given.title or now.title, now.text if worse and now.text else given.text
    whole = title == given.title and text == given.text
    print_ = told.wording if whole else wording(replace(given, title=title, text=text))
    reworded = print_ not in known.told and known.revision < MAX_REWRITES
    merged = replace(
        now,
        publisher=now.publisher or given.publisher,
        url=now.url or given.url,
        first_seen_at=min(t for t in (now.first_seen_at, given.first_seen_at, seen_at) if t is not None),
    )
    if _PRECISION[given.published_precision] > _PRECISION[now.published_precision] and given.published_at is not None:
        merged = replace(
            merged,
            published_at=given.published_at,
            published_raw=given.published_raw,
            published_precision=given.published_precision,
            published_source=given.published_source,
            published_confidence=given.published_confidence,
        )
    elif not merged.published_raw:
        merged = replace(merged, published_raw=given.published_raw, published_source=given.published_source)
    if _STATUS[given.text_status] > _STATUS[now.text_status]:
        merged = replace(merged, text_status=given.text_status, text_reason=given.text_reason)
    if reworded:
        merged = replace(merged, title=title, text=text, sentences=given.sentences if whole else None)
    return merged, reworded


def _utc(at: datetime | None, article: Article) -> datetime | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise InputError("has a time without a zone", where=f"article {article.id}", remedy="give times in UTC")
    return at.astimezone(UTC)


def _without_scheme(value: str) -> str:
    bare = re.sub(r"^https?://", "", value, flags=re.IGNORECASE)
    # PostgreSQL indexes no more than 2,700 bytes of a key; URLs may be longer.
    return bare if len(bare) <= MAX_ID else hashlib.sha256(bare.encode()).hexdigest()


def _apart(a: Article, b: Article) -> bool:
    if a.published_at is None or b.published_at is None:
        return False
    return abs(a.published_at - b.published_at) > _APART


def _overlap(a: Article, b: Article) -> bool:
    """Long texts: a fifth of the shorter one's word triples recur. Headlines and teasers: a third of its words."""
    words = [_WORD.findall(normalise(x.text).casefold()) for x in (a, b)]
    if min(map(len, words)) >= 25:
        triples = [set(zip(w, w[1:], w[2:], strict=False)) for w in words]
        return _containment(*triples) >= 0.2
    return _containment(*(set(_WORD.findall(normalise(f"{x.title} {x.text}").casefold())) for x in (a, b))) >= 0.34


def _containment(a: AbstractSet[object], b: AbstractSet[object]) -> float:
    return len(a & b) / max(min(len(a), len(b)), 1)


def _is_teaser(given: str, known: str) -> bool:
    """Whether `given` is less than half of the text we have, taken from it word for word."""
    return 2 * len(given) < len(known) and normalise(given).rstrip(" .…") in normalise(known)
