"""The article behind a feed's teaser: robots.txt asked, the page fetched by the one safe fetcher, read in a worker.

No paywall is passed: what the page shows to everybody is what is kept, with how much that is and why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from bondlore.article import Article
from bondlore.clock import Clock, utc_now
from bondlore.errors import FetchError, InputError
from bondlore.ingest.judge import http_refusal
from bondlore.ingest.robots import Robots
from bondlore.ingest.urls import host_of

if TYPE_CHECKING:
    from bondlore.ingest.poll import Getter

__all__ = ["PageReader", "complete", "completed"]

_WORKERS = 8


class PageReader(Protocol):
    """What `complete` needs of an `Extractor`."""

    def __call__(self, html: bytes, *, url: str, content_type: str, zone: str, now: datetime) -> Article:
        """The page's Article; raises InputError."""


def complete(
    articles: Iterable[Article],
    fetcher: Getter,
    read: PageReader,
    *,
    clock: Clock = utc_now,
    pause_s: float = 1.0,
    per_host: int = 10,
    sleep: Callable[[float], object] | None = None,
) -> Generator[Article, None, None]:
    """Yield each article whose page was tried, with the better text or the reason why there is none.

    Hosts beside each other, pages of one host after each other: `pause_s` (or the longer crawl delay of its
    robots.txt) apart, at most `per_host` of them; the rest are left for another time and not yielded.
    Closed or interrupted, it ends when the pages under way are read.
    """
    robots, ended = Robots(fetcher), threading.Event()
    pause = sleep or ended.wait
    hosts: dict[str, list[Article]] = {}
    for article in articles:
        if article.url:
            hosts.setdefault(host_of(article.url), []).append(article)

    def visit(queue: list[Article]) -> list[Article]:
        done: list[Article] = []
        for number, article in enumerate(queue[:per_host]):
            if ended.is_set():
                break
            permission = robots.permission(article.url)
            if not permission.allowed:
                done.append(replace(article, text_status="blocked", text_reason=permission.reason))
                continue
            if wait := max(pause_s, permission.delay_s) if number else 0.0:
                pause(wait)
                if ended.is_set():
                    break
            got = completed(article, fetcher, read, at=clock())
            full = got.text_reason == "the page answered 429"
            if permission.note and got.text_status in ("full", "partial"):
                got = replace(got, text_reason=f"{got.text_reason}; {permission.note}")
            done.append(got)
            if full:
                break
        return done

    with ThreadPoolExecutor(min(_WORKERS, max(len(hosts), 1)), thread_name_prefix="bondlore-page") as pool:
        try:
            for visited in as_completed([pool.submit(visit, queue) for queue in hosts.values()]):
                yield from visited.result()
        finally:
            ended.set()


def completed(article: Article, fetcher: Getter, read: PageReader, *, at: datetime) -> Article:
    """The article with what its page gives: the longer text, the more exact date. Never raises for a bad page."""
    try:
        answer = fetcher.get(article.url)
    except FetchError as error:
        return replace(article, text_status="failed", text_reason=error.message[:200])
    status, reason = http_refusal(answer.status, dict(answer.headers))
    if status:
        return replace(article, text_status=status, text_reason=reason)
    try:
        page = read(answer.body, url=answer.url, content_type=answer.headers.get("content-type", ""), zone="", now=at)
    except InputError as error:
        return replace(article, text_status="failed", text_reason=error.message[:200])
    article = _dated(article, page)
    if page.text_status == "blocked" or len(page.text) <= len(article.text):
        status = page.text_status if page.text_status != "full" else "teaser"
        reason = page.text_reason if page.text_status != "full" else f"{page.text_reason}, no more than the feed"
        return replace(article, text_status=status, text_reason=reason)
    title = article.title or page.title
    return replace(article, title=title, text=page.text, text_status=page.text_status, text_reason=page.text_reason)


def _dated(article: Article, page: Article) -> Article:
    """The feed's date, unless the page's is more exact."""
    rank = {"none": 0, "day": 1, "second": 2}
    if rank[page.published_precision] <= rank[article.published_precision]:
        return article
    return replace(
        article,
        published_at=page.published_at,
        published_raw=page.published_raw,
        published_precision=page.published_precision,
        published_source=page.published_source,
        published_confidence=page.published_confidence,
    )
