from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bondlore.errors import DateError
from bondlore.ingest.dates import EARLIEST, parse_date

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AT = "2025-04-09T14:05:00+00:00"
DAY = "2025-04-09"

# As written by feeds, pages and archives -> UTC to the second, or the day alone.
GOLDEN = [
    # RFC 822 and its relatives
    ("Wed, 09 Apr 2025 14:05:00 GMT", AT),
    ("Wed, 9 Apr 2025 14:05:00 +0000", AT),
    ("Wed, 09 Apr 2025 14:05:00 Z", AT),
    ("Wed, 09 Apr 2025 14:05:00 UT", AT),
    ("Wed, 09 Apr 2025 14:05:00 -0000", AT),
    ("Wed, 09 Apr 2025 10:05:00 -0400", AT),
    ("Wed, 09 Apr 2025 10:05:00 -0400 (EDT)", AT),
    ("Wed, 09 Apr 2025 10:05 EDT", AT),
    ("Wed, 09 Apr 2025 10:05:00 ET", AT),
    ("Wed, 09 Apr 2025 10:05:00 EST", AT),  # left on all year: the date decides
    ("Wed, 09 Jul 2025 10:05:00 EST", "2025-07-09T14:05:00+00:00"),
    ("Wed, 08 Jan 2025 10:05:00 EDT", "2025-01-08T15:05:00+00:00"),
    ("Wed, 09 Apr 2025 09:05:00 CT", AT),
    ("Wed, 09 Apr 2025 09:05:00 CDT", AT),
    ("Wed, 09 Apr 2025 08:05:00 MDT", AT),
    ("Wed, 09 Apr 2025 07:05:00 PST", AT),
    ("Wed, 09 Apr 2025 15:05:00 BST", AT),
    ("Wed, 08 Jan 2025 15:05:00 BST", "2025-01-08T15:05:00+00:00"),
    ("Wed, 09 Apr 2025 16:05:00 CET", AT),
    ("Wed, 09 Apr 2025 16:05:00 CEST", AT),
    ("Wed, 09 Apr 2025 17:05:00 EET", AT),
    ("Wed, 09 Apr 2025 19:35:00 IST", AT),
    ("Wed, 09 Apr 2025 23:05:00 JST", AT),
    ("Wed, 09 Apr 2025 22:05:00 HKT", AT),
    ("Wed, 09 Apr 2025 22:05:00 SGT", AT),
    ("Thu, 10 Apr 2025 00:05:00 AEST", AT),
    ("09 Apr 25 14:05 GMT", AT),
    ("09-Apr-2025 14:05:00 UTC", AT),
    ("Wed, 09 Apr 2025 14:05:00 GMT+0000", AT),
    ("Sun, 02 Nov 2025 01:30:00 EDT", "2025-11-02T05:30:00+00:00"),
    ("Sun, 02 Nov 2025 01:30:00 EST", "2025-11-02T06:30:00+00:00"),
    ("Wed, 09 Apr 2025 00:00:00 GMT", DAY),
    ("Wed, 09 Apr 2025 14:05:00", DAY),
    # ISO 8601, RFC 3339 and databases
    ("2025-04-09T14:05:00Z", AT),
    ("2025-04-09T14:05Z", AT),
    ("2025-04-09T14:05:00.000Z", AT),
    ("2025-04-09T14:05:00.123456789Z", "2025-04-09T14:05:00.123456+00:00"),
    ("2025-04-09T19:35:00+05:30", AT),
    ("2025-04-09T19:35:00+0530", AT),
    ("2025-04-09T10:05:00−04:00", AT),
    ("2025-04-09 10:05:00-04", AT),
    ("2025-04-09 14:05:00 UTC", AT),
    ("2025-04-09 14:05:00 +0000 UTC", AT),
    ("2025-04-09T10:05:00-04:00[America/New_York]", AT),
    ("2025-04-09 10:05 America/New_York", AT),
    ("20250409T140500Z", AT),
    ("2025-04-09T23:59:60Z", "2025-04-09T23:59:59+00:00"),
    ("2025-04-09", DAY),
    ("20250409", DAY),
    ("2025/04/09", DAY),
    ("2025-4-9", DAY),
    ("2025-04-09 14:05:00", DAY),
    ("2025-04-09T00:00:00Z", DAY),
    ("2026/1/5 09:30:00", "2026-01-05"),  # feedparser: 2026-11-01
    ("1744207500", AT),
    ("1744207500000", AT),
    # pages
    ("April 9, 2025 at 10:05 a.m. ET", AT),
    ("April 9, 2025, 10:05 a.m. ET", AT),
    ("Published: April 9, 2025 at 10:05 a.m. EDT", AT),
    ("Apr 9, 2025 10:05 am ET", AT),
    ("Updated 10:05 AM EDT, Wed April 9, 2025", AT),
    ("Published Wed, Apr 9 202510:05 AM EDT", AT),
    ("Wed 9 Apr 2025 15.05 BST", AT),
    ("09 April 2025, 15:05 BST", AT),
    ("Wednesday 9 April 2025 at 10:05am Eastern Time", AT),
    ("10am ET April 9, 2025", "2025-04-09T14:00:00+00:00"),
    ("Wed Apr 09 14:05:00 +0000 2025", AT),
    ("Wed Apr 09 2025 10:05:00 GMT-0400 (Eastern Daylight Time)", AT),
    ("Wed Apr  9 14:05:00 2025", DAY),
    ("April 9th, 2025", DAY),
    ("Sept. 5, 2025", "2025-09-05"),
    ("9. April 2025", DAY),
    ("9 avril 2025", DAY),
    ("9 de abril de 2025", DAY),
    ("2025年4月9日", DAY),
    ("09.04.2025", DAY),
    ("25/01/2026", "2026-01-25"),
    ("01/25/2026", "2026-01-25"),
]

REFUSED = [
    ("", "no date"),
    ("05/01/2026 09:30", "day and month cannot be told apart"),
    ("April 2025", "not a form"),
    ("April 9", "not a form"),
    ("2025", "no day"),
    ("2025-04", "no day"),
    ("2 hours ago", "relative date"),
    ("Today at 10:30", "relative date"),
    ("0001-01-01T00:00:00Z", "before 1990"),
    ("1970-01-01T00:00:00Z", "before 1990"),
    ("2999-01-01T00:00:00Z", "in the future"),
    ("2025-02-30", "no such day"),
    ("2025-13-01", "no such day"),
    ("2025-04-09T25:00:00Z", "no such time"),
    ("Wed, 09 Apr 2025 14:05:00 XYZ", "unread part"),
    ("9-10 April 2025", "unread part"),
    ("April 9, 2025 - April 10, 2025", "unread part"),
    ("N/A", "not a form"),
    ("x" * 500, "too long"),
]


@pytest.mark.parametrize(("raw", "want"), GOLDEN)
def test_reads_what_publishers_write(raw: str, want: str) -> None:
    got = parse_date(raw, now=NOW)
    assert got.at is not None, got.problem
    if len(want) == 10:
        assert (got.at.isoformat(), got.precision) == (f"{want}T12:00:00+00:00", "day")
    else:
        assert (got.at.isoformat(), got.precision) == (want, "second")


@pytest.mark.parametrize(("raw", "reason"), REFUSED)
def test_refuses_rather_than_invents(raw: str, reason: str) -> None:
    got = parse_date(raw, now=NOW)
    assert (got.at, got.precision) == (None, "none")
    assert reason in got.problem


def test_default_zone_is_for_dates_that_name_none() -> None:
    assert parse_date("2025-04-09 10:05", default_zone="America/New_York", now=NOW).at == datetime.fromisoformat(AT)
    assert parse_date("2025-04-09 14:05Z", default_zone="America/New_York", now=NOW).at == datetime.fromisoformat(AT)


@pytest.mark.parametrize(
    ("raw", "zone"),
    [
        ("9 Apr 2025 15:05 IST", "Europe/Dublin"),
        ("9 Apr 2025 22:05 CST", "Asia/Shanghai"),
        ("9 Apr 2025 17:05 IST", None),
    ],
)
def test_own_zone_settles_a_shared_name(raw: str, zone: str | None) -> None:
    want = datetime.fromisoformat(AT) if zone else datetime(2025, 4, 9, 11, 35, tzinfo=UTC)
    assert parse_date(raw, default_zone=zone, now=NOW).at == want


def test_a_wrong_weekday_is_said() -> None:
    assert parse_date("Mon, 09 Apr 2025 14:05:00 GMT", now=NOW).problem == "weekday and date disagree"


def test_a_time_without_zone_is_said() -> None:
    assert "without a zone" in parse_date("2025-04-09 14:05", now=NOW).problem


def test_tomorrow_passes_and_the_day_after_does_not() -> None:
    assert parse_date((NOW + timedelta(hours=23)).isoformat(), now=NOW).at is not None
    assert parse_date((NOW + timedelta(hours=25)).isoformat(), now=NOW).at is None


def test_unknown_default_zone_names_itself() -> None:
    with pytest.raises(DateError, match="Mars/Olympus"):
        parse_date("2025-04-09", default_zone="Mars/Olympus", now=NOW)


@given(st.text(max_size=80))
def test_any_string_gives_an_answer_within_bounds(raw: str) -> None:
    got = parse_date(raw, now=NOW)
    assert (got.at is None) == (got.precision == "none")
    assert got.at is None or EARLIEST <= got.at <= NOW + timedelta(days=1)
    assert got.at is not None or got.problem


@given(st.text(alphabet="0123456789-/:.,+TZ apmGMTESDWedApril", max_size=40))
def test_strings_that_look_like_dates_give_an_answer(raw: str) -> None:
    got = parse_date(raw, default_zone="America/New_York", now=NOW)
    assert (got.at is None) == (got.precision == "none")


_DATED = st.integers(int(datetime(1990, 1, 3, tzinfo=UTC).timestamp()), int(NOW.timestamp())).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


@given(_DATED, st.integers(-12 * 4, 14 * 4))
def test_iso_and_rfc822_round_trip(at: datetime, quarters: int) -> None:
    local = at.astimezone(timezone(timedelta(minutes=15 * quarters)))
    for raw in (local.isoformat(), format_datetime(local)):
        got = parse_date(raw, now=NOW)
        if got.precision == "second":
            assert got.at == at
        else:
            assert got.precision == "day"
            assert (local.hour, local.minute, local.second) == (0, 0, 0)


@pytest.mark.parametrize(
    ("raw", "zone", "confidence"),
    [
        ("Wed, 09 Apr 2025 14:05:00 GMT", None, "high"),
        ("2025-04-09", None, "high"),
        ("1744207500", None, "high"),
        ("2025-04-09 10:05", "America/New_York", "medium"),
        ("2025-04-09 10:05", None, "medium"),
        ("Mon, 09 Apr 2025 14:05:00 GMT", None, "low"),  # it was a Wednesday
        ("05/04/2025", None, ""),
    ],
)
def test_says_how_far_to_believe_it(raw: str, zone: str | None, confidence: str) -> None:
    assert parse_date(raw, default_zone=zone, now=NOW).confidence == confidence
