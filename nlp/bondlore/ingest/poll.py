"""Poll feeds once: conditional GET, parse, and say for every feed what came of it.

Retrieval and reading are parallel (hosts beside each other, feeds of one host one after another); results come in the
order of the feeds. The store keeps `FeedState` between polls and logs each `PollResult`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from bondlore.article import Article
from bondlore.clock import Clock, utc_now
from bondlore.errors import BondloreError, FeedError, FetchError
from bondlore.ingest.feeds import Reading, read_feed
from bondlore.ingest.schedule import HOUR, MOVES_NEEDED, cache_wish, next_poll, retry_after
from bondlore.ingest.urls import host_of

if TYPE_CHECKING:
    from bondlore.ingest.fetch import Response

__all__ = ["Feed", "FeedState", "Getter", "Outcome", "PollResult", "ReadFeed", "due", "poll", "read_answer"]

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

    `failures` counts failed polls since the last success; `retired` feeds (410 Gone) are not polled. `moved_to` is
    where permanent redirects lead, met `moved_seen` times in a row; after enough of them it becomes `address`, which is
    asked in place of `url`. `ttl_s` is the document's own wish in seconds, 0 for none; `next_poll_at` is UTC.
    """

    url: str
    etag: str = ""
    last_modified: str = ""
    last_success: datetime | None = None
    last_error: str = ""
    failures: int = 0
    retired: bool = False
    address: str = ""
    moved_to: str = ""
    moved_seen: int = 0
    ttl_s: int = 0
    next_poll_at: datetime | None = None


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


class ReadFeed(Protocol):
    """Reads a feed document: `feeds.read_feed`, or a `worker.FeedReader` that does it in other processes."""

    def __call__(self, body: bytes, *, url: str, content_type: str, publisher: str, zone: str, at: datetime) -> Reading:
        """Its articles; raises FeedError."""


def due(feeds: Sequence[Feed], state: Mapping[str, FeedState], *, now: datetime) -> tuple[Feed, ...]:
    """The feeds whose time has come by `now` (UTC), and the retired ones, which `poll` reports. Pure."""
    known = {feed.url: state.get(feed.url) or FeedState(feed.url) for feed in feeds}
    return tuple(f for f in feeds if known[f.url].retired or (known[f.url].next_poll_at or now) <= now)


def poll(
    feeds: Sequence[Feed],
    fetcher: Getter,
    state: Mapping[str, FeedState],
    *,
    clock: Clock = utc_now,
    every: timedelta = HOUR,
    pause_s: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
    read: ReadFeed = read_feed,
) -> Generator[PollResult, None, None]:
    """Poll each feed once; one result a feed, in order, repeats of an address left out. One bad feed costs one feed.

    `state` maps feed URL to what the last poll left; `pause_s` is the wait between two feeds of one host; `every` is
    how often a feed wants to be polled, for its next time. Retired feeds are reported as gone without a request, and
    when a host answers 429 or asks to wait, its other feeds are left for another time. `read` is called from several
    threads at once.
    """
    unique = list({feed.url: feed for feed in feeds}.values())
    states = {feed.url: state.get(feed.url) or FeedState(feed.url) for feed in unique}
    hosts: dict[str, list[Feed]] = {}
    for feed in unique:
        if not states[feed.url].retired:
            hosts.setdefault(host_of(_address(states[feed.url])), []).append(feed)
    answers: dict[str, Future[PollResult]] = {feed.url: Future() for queue in hosts.values() for feed in queue}

    def visit(queue: Sequence[Feed]) -> None:
        full = ""
        for number, feed in enumerate(queue):
            answer, state = answers[feed.url], states[feed.url]
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                if full:
                    raise FetchError("its host asked to wait", where=feed.url, remedy=f"it answered {full} before")
                if number and pause_s:
                    sleep(pause_s)
                response = fetcher.get(_address(state), headers=_conditions(state))
                if response.status == 429 or (response.status == 503 and "retry-after" in response.headers):
                    full = str(response.status)
                result = read_answer(feed, response, state, at=clock(), every=every, read=read)
            except Exception as error:  # one bad feed costs one feed, whatever it provoked
                result = _failed(feed, state, error, status=0, at=clock(), every=every)
            answer.set_result(result)

    pool = ThreadPoolExecutor(min(_WORKERS, max(len(hosts), 1)), thread_name_prefix="bondlore-poll")
    try:
        for queue in hosts.values():
            pool.submit(visit, queue)
        for feed in unique:
            if feed.url in answers:
                yield answers[feed.url].result()
                del answers[feed.url]  # a long list's articles are not held to its end
            else:
                yield _retired(feed, states[feed.url], at=clock())
    finally:
        for answer in answers.values():
            answer.cancel()
        pool.shutdown(cancel_futures=True)


def _retired(feed: Feed, state: FeedState, *, at: datetime) -> PollResult:
    problem = "answered 410 Gone before and is not polled; remove it from the list or clear its state"
    return PollResult(feed, "gone", 0, (), state, (problem,), at)


def read_answer(
    feed: Feed,
    response: Response,
    state: FeedState,
    *,
    at: datetime,
    every: timedelta = HOUR,
    read: ReadFeed = read_feed,
) -> PollResult:
    """The result of one HTTP answer. Pure (if `read` is): no network, no clock."""
    if response.status == 304:
        etag, modified = _validators(response, fallback=state)
        after, problems = _moved(FeedState(feed.url, etag, modified, ttl_s=state.ttl_s), state, response)
        return PollResult(feed, "not_modified", 304, (), _fresh(after, response, at, every), problems, at)
    if response.status in (404, 410) and state.address:
        # The new place is gone: its word does not retire the feed, and the old place may know better.
        error = FeedError(
            f"answered {response.status} at {state.address}", where=feed.url, remedy="its first address is tried next"
        )
        return _failed(feed, replace(state, address=""), error, status=response.status, at=at, every=every)
    if response.status == 410:
        after = replace(state, retired=True, last_error="410 Gone", failures=state.failures + 1, next_poll_at=None)
        return PollResult(feed, "gone", 410, (), after, ("410 Gone: not polled any more",), at)
    if response.status != 200:
        wish = retry_after(response.headers, at=at)
        refusal = _refusal(response, feed.url)
        return _failed(feed, state, refusal, status=response.status, at=at, every=every, wish=wish)
    try:
        reading = read(
            response.body,
            url=response.url,
            content_type=response.headers.get("content-type", ""),
            publisher=feed.publisher or feed.title,
            zone=feed.zone,
            at=at,
        )
    except BondloreError as error:
        # The validators stay as they were: a 304 to this broken document would hide it for ever.
        return _failed(feed, state, error, status=200, at=at, every=every)
    etag, modified = _validators(response, fallback=None)
    after, problems = _moved(FeedState(feed.url, etag, modified, ttl_s=reading.ttl_s), state, response)
    fresh = _fresh(after, response, at, every)
    return PollResult(feed, "ok", 200, reading.articles, fresh, problems + reading.problems, at)


def _address(state: FeedState) -> str:
    """Where the feed is asked: its own address, or the one it moved to for good."""
    return state.address or state.url


def _fresh(state: FeedState, response: Response, at: datetime, every: timedelta) -> FeedState:
    """The state after a success: polled again on the grid, not before what was sent is stale."""
    wish = max(cache_wish(response.headers, ttl_s=state.ttl_s, at=at), retry_after(response.headers, at=at))
    return replace(state, last_success=at, next_poll_at=next_poll(state.url, at=at, every=every, wish=wish))


def _moved(after: FeedState, state: FeedState, response: Response) -> tuple[FeedState, tuple[str, ...]]:
    """Follow permanent redirects (301, 308) that led to a feed: believed when met `MOVES_NEEDED` times in a row.

    A captive portal or a slip of the publisher's also answers 301; the feed list itself is never rewritten.
    """
    if not (there := response.moved_to):
        return replace(after, address=state.address), ()
    seen = state.moved_seen + 1 if state.moved_to == there else 1
    if seen < MOVES_NEEDED:
        note = f"moved for good to {there} ({seen} of {MOVES_NEEDED} times before it is believed)"
        return replace(after, address=state.address, moved_to=there, moved_seen=seen), (note,)
    note = f"moved for good to {there}; it is polled there from now on; change the feed list"
    return replace(after, address=there), (note,)


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


def _failed(
    feed: Feed,
    state: FeedState,
    error: BaseException,
    *,
    status: int,
    at: datetime,
    every: timedelta,
    wish: timedelta = timedelta(),
) -> PollResult:
    message = str(error) or type(error).__name__
    if not isinstance(error, BondloreError):
        message = f"{type(error).__name__}: {message}"
    failures = state.failures + 1
    again = next_poll(state.url, at=at, every=every, wish=wish, failures=failures)
    after = replace(state, last_error=message[:500], failures=failures, next_poll_at=again)
    return PollResult(feed, "failed", status, (), after, (message[:500],), at)
