from __future__ import annotations

import csv
import os
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bondlore.errors import InputError
from bondlore.measure import calendar
from bondlore.measure.calendar import NewsDay, news_day, place

ROOT = Path(__file__).resolve().parent.parent
NEW_YORK = ZoneInfo("America/New_York")


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def test_the_fixing_itself_belongs_to_the_day_that_ends() -> None:
    assert place(new_york("2025-04-09T15:30:00")) == NewsDay(date(2025, 4, 9), 0)


def test_a_microsecond_later_is_the_next_day() -> None:
    assert place(new_york("2025-04-09T15:30:00.000001")) == NewsDay(date(2025, 4, 10), 0)


@pytest.mark.parametrize(
    ("at", "day", "roll"),
    [
        ("2025-04-11T15:31:00", date(2025, 4, 14), 2),  # Friday evening: Saturday, rolled two days
        ("2025-04-12T09:00:00", date(2025, 4, 14), 2),
        ("2025-04-13T09:00:00", date(2025, 4, 14), 1),
        ("2025-04-13T16:00:00", date(2025, 4, 14), 0),  # Sunday evening is already Monday's
    ],
)
def test_weekends_roll_forward(at: str, day: date, roll: int) -> None:
    assert place(new_york(at)) == NewsDay(day, roll)


def test_good_friday_rolls_to_monday() -> None:
    assert place(new_york("2025-04-18T10:00:00")) == NewsDay(date(2025, 4, 21), 3)


def test_good_friday_with_an_employment_report_has_a_fixing() -> None:
    assert calendar.is_business_day(date(2015, 4, 3))
    assert calendar.is_business_day(date(2021, 4, 2))


def test_veterans_day_is_a_bond_holiday() -> None:
    assert news_day(new_york("2025-11-11T10:00:00")) == date(2025, 11, 12)


@pytest.mark.parametrize(
    ("utc", "day"),
    [
        ("2025-03-07T20:30:00", date(2025, 3, 7)),  # Friday before clocks go forward: 15:30 is 20:30 UTC
        ("2025-03-07T20:30:01", date(2025, 3, 10)),
        ("2025-03-10T19:30:00", date(2025, 3, 10)),  # Monday after: 15:30 is 19:30 UTC
        ("2025-03-10T19:30:01", date(2025, 3, 11)),
        ("2025-10-31T19:30:00", date(2025, 10, 31)),
        ("2025-11-03T20:30:00", date(2025, 11, 3)),
        ("2025-11-03T20:30:01", date(2025, 11, 4)),
    ],
)
def test_the_cutoff_follows_summer_time(utc: str, day: date) -> None:
    assert news_day(datetime.fromisoformat(utc).replace(tzinfo=UTC)) == day


def test_a_date_without_a_time_stays_on_its_date() -> None:
    assert place(datetime(2025, 4, 9, 12, tzinfo=UTC), day_precision=True) == NewsDay(date(2025, 4, 9), 0)


def test_a_weekend_date_without_a_time_rolls() -> None:
    assert place(datetime(2025, 4, 12, 12, tzinfo=UTC), day_precision=True) == NewsDay(date(2025, 4, 14), 2)


def test_another_cutoff_can_be_set() -> None:
    assert news_day(new_york("2025-04-09T15:45:00"), cutoff=time(16)) == date(2025, 4, 9)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="without a zone"):
        news_day(datetime(2025, 4, 9, 12))  # noqa: DTZ001


def test_dates_outside_the_calendar_are_refused() -> None:
    with pytest.raises(InputError, match="leave the bond calendar"):
        news_day(datetime(1962, 1, 2, tzinfo=UTC))


def test_many_at_once_agree_with_one_at_a_time() -> None:
    rng = np.random.default_rng(3)
    at = np.datetime64("2024-01-01", "us") + rng.integers(0, 500 * 86_400, 300).astype("timedelta64[s]")
    coarse = rng.random(300) < 0.2
    days, rolls = calendar.news_days(at, coarse)
    one = [place(t.replace(tzinfo=UTC), day_precision=bool(c)) for t, c in zip(at.tolist(), coarse, strict=True)]
    assert [(d, r) for d, r in zip(days.tolist(), rolls.tolist(), strict=True)] == [(n.day, n.roll_days) for n in one]


def test_no_articles_no_days() -> None:
    days, rolls = calendar.news_days(np.array([], "datetime64[us]"), np.array([], bool))
    assert len(days) == len(rolls) == 0


def test_business_days_are_the_days_treasury_published() -> None:
    with (ROOT / "corpus/yields/treasury.csv").open(newline="") as file:
        published = [date.fromisoformat(row["date"]) for row in csv.DictReader(file)]
    assert calendar.business_days(published[0], published[-1]).tolist() == published


def test_neighbouring_business_days() -> None:
    assert calendar.next_business_day(date(2025, 4, 17)) == date(2025, 4, 21)
    assert calendar.previous_business_day(date(2025, 4, 21)) == date(2025, 4, 17)


@pytest.mark.parametrize(
    ("freq", "starts", "ends"),
    [
        ("D", ["2025-04-17", "2025-04-21"], ["2025-04-17", "2025-04-21"]),
        ("W", ["2025-04-14", "2025-04-21"], ["2025-04-18", "2025-04-25"]),
        ("M", ["2025-04-01"], ["2025-04-30"]),
    ],
)
def test_period_edges(freq: str, starts: list[str], ends: list[str]) -> None:
    got = calendar.period_edges(date(2025, 4, 17), date(2025, 4, 21), freq)
    assert [[str(d) for d in edge] for edge in got] == [starts, ends]


def test_an_unknown_frequency_is_refused() -> None:
    with pytest.raises(InputError, match="no frequency 'Q'"):
        calendar.period_edges(date(2025, 4, 17), date(2025, 4, 21), "Q")


def test_the_holidays_are_the_librarys() -> None:
    """With BONDLORE_HOLIDAYS=1 they are written anew, after a release of the library changed its calendar."""
    import pandas_market_calendars as markets

    library = np.asarray(markets.get_calendar("SIFMAUS").holidays().holidays, dtype="datetime64[D]")
    inside = (library >= np.datetime64("1970-01-01")) & (library <= np.datetime64("2199-12-31"))
    expected = [str(day) for day in library[inside & np.is_busday(library)]]
    path = Path(calendar.__file__).parent / "holidays.txt"
    head, *found = path.read_text().splitlines()
    if os.environ.get("BONDLORE_HOLIDAYS"):
        path.write_text("\n".join([head, *expected]) + "\n")
    assert found == expected
