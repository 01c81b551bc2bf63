"""Poll feeds once: conditional GET, parse, and say for every feed what came of it.

Only retrieval is parallel (hosts beside each other, feeds of one host one after another); results come in the order of
the feeds. The store keeps `FeedState` between polls and logs each `PollResult`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from bondlore.article import Article
from bondlore.clock import Clock, utc_now
from bondlore.errors import BondloreError, FeedError
from bondlore.ingest.feeds import entry_article, parse_feed
from bondlore.ingest.urls import host_of

if TYPE_CHECKING:
    from bondlore.ingest.fetch import Response

__all__ = ["Feed", "FeedState", "Getter", "Outcome", "PollResult", "poll", "read_answer"]

Outcome = Literal["ok", "not_modified", "failed", "gone"]
_WORKERS = 8
_MAX_HEADER = 1_000


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed to poll. `zone` is the IANA zone of its dates when they name none."""

    url: str
    title: str = ""
    publisher: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class FeedState:
    """What is remembered of a feed between polls. `etag` and `last_modified` are opaque, sent back as received.

    `failures` counts failed polls since the last success; `retired` feeds (410 Gone) are not polled.
    """

    url: str
    etag: str = ""
    last_modified: str = ""
    last_success: datetime | None = None
    last_error: str = ""
    failures: int = 0
    retired: bool = False


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one poll of one feed gave. `status` is the HTTP status, 0 when no answer came.

    `articles` are oldest first; `problems` are things lost or mended on the way; `polled_at` is UTC.
    """

    feed: Feed
    outcome: Outcome
    status: int
    articles: tuple[Article, ...]
    state: FeedState
    problems: tuple[str, ...]
    polled_at: datetime


class Getter(Protocol):
    """What `poll` needs of a Fetcher."""

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Fetch `url`; raises FetchError."""


def poll(
    feeds: Sequence[Feed],
    fetcher: Getter,
    state: Mapping[str, FeedState],
    *,
    clock: Clock = utc_now,
    pause_s: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[PollResult]:
    """Poll each feed once; one result a feed, in order, repeats of an address left out. One bad feed costs one feed.

    `state` maps feed URL to what the last poll left; `pause_s` is the wait between two feeds of one host.
    Retired feeds are reported as gone without a request.
    """
    unique = list({feed.url: feed for feed in feeds}.values())
    states = {feed.url: state.get(feed.url) or FeedState(feed.url) for feed in unique}
    hosts: dict[str, list[Feed]] = {}
    for feed in unique:
        if not states[feed.url].retired:
            hosts.setdefault(host_of(feed.url), []).append(feed)
    answers: dict[str, Future[Response]] = {feed.url: Future() for queue in hosts.values() for feed in queue}

    def visit(queue: Sequence[Feed]) -> None:
        for number, feed in enumerate(queue):
            if not answers[feed.url].set_running_or_notify_cancel():
                continue
            try:
                if number and pause_s:
                    sleep(pause_s)
                answers[feed.url].set_result(fetcher.get(feed.url, headers=_conditions(states[feed.url])))
            except Exception as error:  # given on to whoever reads this feed's answer
                answers[feed.url].set_exception(error)

    pool = ThreadPoolExecutor(min(_WORKERS, max(len(hosts), 1)), thread_name_prefix="bondlore-poll")
    try:
        for queue in hosts.values():
            pool.submit(visit, queue)
        for feed in unique:
            yield _result(feed, states[feed.url], answers.get(feed.url), clock)
    finally:
        for answer in answers.values():
            answer.cancel()
        pool.shutdown(cancel_futures=True)


def _result(feed: Feed, state: FeedState, answer: Future[Response] | None, clock: Clock) -> PollResult:
    if answer is None:
        problem = "answered 410 Gone before and is not polled; remove it from the list or clear its state"
        return PollResult(feed, "gone", 0, (), state, (problem,), clock())
    try:
        return read_answer(feed, answer.result(), state, at=clock())
    except Exception as error:  # one bad feed costs one feed, whatever it provoked
        return _failed(feed, state, error, status=0, at=clock())


def read_answer(feed: Feed, response: Response, state: FeedState, *, at: datetime) -> PollResult:
    """The result of one HTTP answer. Pure: no network, no clock."""
    moved = f"moved for good to {response.moved_to}; change the feed list" if response.moved_to else ""
    problems: tuple[str, ...] = (moved,) if moved else ()
    if response.status == 304:
        etag, modified = _validators(response, fallback=state)
        after = FeedState(feed.url, etag, modified, last_success=at)
        return PollResult(feed, "not_modified", 304, (), after, problems, at)
    if response.status == 410:
        after = replace(state, retired=True, last_error="410 Gone", failures=state.failures + 1)
        return PollResult(feed, "gone", 410, (), after, (*problems, "410 Gone: not polled any more"), at)
    if response.status != 200:
        return _failed(feed, state, _refusal(response, feed.url), status=response.status, at=at)
    try:
        document = parse_feed(response.body, url=response.url, content_type=response.headers.get("content-type", ""))
        publisher = feed.publisher or feed.title or document.title
        articles = [
            entry_article(entry, publisher=publisher, first_seen=at, zone=feed.zone) for entry in document.entries
        ]
    except BondloreError as error:
        # The validators stay as they were: a 304 to this broken document would hide it for ever.
        return _failed(feed, state, error, status=200, at=at)
    articles.reverse()  # feeds list the newest first; the sort is stable and undated items keep their place
    articles.sort(key=lambda article: article.published_at or at)
    undated = sum(article.published_at is None for article in articles)
    problems += document.problems + ((f"{undated} entries without a usable date",) if undated else ())
    etag, modified = _validators(response, fallback=None)
    after = FeedState(feed.url, etag, modified, last_success=at)
    return PollResult(feed, "ok", 200, tuple(articles), after, problems, at)


def _conditions(state: FeedState) -> dict[str, str]:
    """Conditional headers, each exactly as the server gave it; none is invented."""
    given = {"If-None-Match": state.etag, "If-Modified-Since": state.last_modified}
    accept = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
    return {"Accept": accept} | {name: value for name, value in given.items() if value}


def _validators(response: Response, *, fallback: FeedState | None) -> tuple[str, str]:
    """ETag and Last-Modified to keep: a 304 may renew them (RFC 9111 §4.3.4); `Expires: 0` voids them."""
    headers = response.headers
    if headers.get("expires", "").strip() == "0":
        return "", ""
    old = fallback or FeedState("")
    etag, modified = headers.get("etag") or old.etag, headers.get("last-modified") or old.last_modified
    return _header(etag), _header(modified)


def _header(value: str) -> str:
    """A header value fit to be stored and sent back, else ""."""
    return value if len(value) <= _MAX_HEADER and value.isprintable() else ""


def _refusal(response: Response, url: str) -> FeedError:
    headers = response.headers
    if headers.get("cf-mitigated", "").lower() == "challenge":
        return FeedError("is behind a browser challenge", where=url, remedy="ask the publisher for access")
    if response.status in (429, 503):
        wait = headers.get("retry-after", "")[:40]
        return FeedError(
            f"answered {response.status}" + (f", retry after {wait}" if wait else ""), where=url, remedy="poll it less"
        )
    remedy = {401: "it needs a subscription", 403: "the publisher blocks this reader", 404: "check the address"}
    return FeedError(
        f"answered {response.status}", where=url, remedy=remedy.get(response.status, "try again at the next poll")
    )


def _failed(feed: Feed, state: FeedState, error: BaseException, *, status: int, at: datetime) -> PollResult:
    message = str(error) or type(error).__name__
    if not isinstance(error, BondloreError):
        message = f"{type(error).__name__}: {message}"
    after = replace(state, last_error=message[:500], failures=state.failures + 1)
    return PollResult(feed, "failed", status, (), after, (message[:500],), at)
