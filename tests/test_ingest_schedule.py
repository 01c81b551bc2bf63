"""When a feed is next due: the server's wishes, the grid, backing off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bondlore.ingest.schedule import HOUR, cache_wish, next_poll, retry_after

AT = datetime(2025, 4, 9, 12, 0, 7, tzinfo=UTC)
ZERO = timedelta()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "Wed, 09 Apr 2025 12:10:07 GMT"}, 600),
        # The server's own clock is an hour fast: the distance counts, not the hour.
        ({"retry-after": "Wed, 09 Apr 2025 13:10:07 GMT", "date": "Wed, 09 Apr 2025 13:00:07 GMT"}, 600),
        ({"retry-after": "Tue, 08 Apr 2025 12:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "99999999999999999999"}, 31 * 86400),
        ({"retry-after": "²"}, 0),
        ({}, 0),
    ],
)
def test_retry_after_in_both_forms(headers: dict[str, str], seconds: int) -> None:
    assert retry_after(headers, at=AT) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("headers", "ttl_s", "seconds"),
    [
        ({"cache-control": "public, max-age=7200"}, 0, 7200),
        ({"cache-control": "max-age=7200", "age": "200"}, 0, 7000),
        ({"cache-control": "s-maxage=9000"}, 0, 0),
        ({"cache-control": "max-age=7200, no-cache"}, 0, 0),
        ({"cache-control": "max-age=60", "expires": "Wed, 09 Apr 2025 18:00:07 GMT"}, 0, 60),
        ({"expires": "Wed, 09 Apr 2025 14:00:07 GMT"}, 0, 7200),
        ({"expires": "Wed, 09 Apr 2025 14:00:00 GMT", "date": "Wed, 09 Apr 2025 13:00:00 GMT"}, 0, 3600),
        ({"expires": "0"}, 0, 0),
        ({"expires": "-1"}, 600, 600),
        ({"cache-control": "max-age=60"}, 5400, 5400),
        ({"cache-control": "max-age=31536000"}, 0, 86400),
        ({}, 10**9, 86400),
        ({}, -1, 0),
    ],
)
def test_the_longest_wish_counts(headers: dict[str, str], ttl_s: int, seconds: int) -> None:
    assert cache_wish(headers, ttl_s=ttl_s, at=AT) == timedelta(seconds=seconds)


def test_an_hourly_cron_finds_every_feed_due_every_hour() -> None:
    for number in range(200):
        url, at = f"https://example.org/{number}", AT
        for _ in range(30):
            due = next_poll(url, at=at)
            assert at < due <= at + HOUR, url
            at += HOUR


def test_feeds_spread_over_the_hour() -> None:
    def second_poll(url: str) -> datetime:
        return next_poll(url, at=next_poll(url, at=AT))

    tenths = {second_poll(f"https://example.org/{n}").minute // 6 for n in range(200)}
    assert len(tenths) == 10


def test_it_stays_on_its_grid() -> None:
    first = next_poll("https://example.org/a", at=next_poll("https://example.org/a", at=AT))
    later = next_poll("https://example.org/a", at=first + timedelta(minutes=3))
    assert later - first == HOUR


def test_failures_back_off_to_half_a_day() -> None:
    waits = [next_poll("https://example.org/a", at=AT, failures=n) - AT for n in (0, 1, 2, 4, 5, 9, 500)]
    assert waits[0] == waits[1] <= HOUR
    assert waits[3] >= timedelta(hours=4)
    assert max(waits) <= timedelta(hours=12)


def test_the_servers_wish_is_kept_to_the_second() -> None:
    wish = timedelta(hours=5, seconds=3)
    assert next_poll("https://example.org/a", at=AT, wish=wish) == AT + wish


@given(
    st.text(max_size=30),
    st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001
    st.integers(60, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 99),
)
def test_it_is_always_later_and_never_before_the_wish(
    url: str, at: datetime, every: int, wish: int, failures: int
) -> None:
    at = at.replace(tzinfo=UTC)
    due = next_poll(url, at=at, every=timedelta(seconds=every), wish=timedelta(seconds=wish), failures=failures)
    assert due >= at + timedelta(seconds=max(wish, every / 2))
    assert due <= at + timedelta(seconds=max(wish, every, 12 * 3600) + 1)
