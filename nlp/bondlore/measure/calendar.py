"""The bond-market calendar: to which news day an article belongs.

A news day ends at the fixing of that day's yields, 15:30 America/New_York, on days on which Treasury publishes
rates: news day t holds what was published in (15:30 of the previous bond business day, 15:30 of t]. Weekends and
holidays therefore roll forward. Times are compared in UTC with the cut-off of each day computed in its own zone, so
summer time needs no special case. Days that close early keep the 15:30 cut-off.

The holidays are those of pandas_market_calendars' SIFMA calendar, kept in holidays.txt: the library brings pandas, and
two seconds, to every command that measures. A test compares the file with the library and can write it anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bondlore.errors import InputError

__all__ = [
    "CUTOFF",
    "ZONE",
    "NewsDay",
    "business_days",
    "fixing",
    "is_business_day",
    "news_day",
    "news_days",
    "next_business_day",
    "period_edges",
    "place",
    "previous_business_day",
    "rolling_edges",
]

Days = NDArray[np.datetime64]

ZONE = ZoneInfo("America/New_York")
CUTOFF = time(15, 30)

# Where the library's SIFMA calendar and the days on which Treasury published rates differ, 2010-01 to 2026-08 (every
# day of corpus/yields/treasury.csv was compared; tests/test_measure_calendar.py repeats it). Three Good Fridays with
# an employment report had a short session and a fixing; a hurricane and a day of mourning had none.
_PUBLISHED = ("2010-04-02", "2012-04-06", "2015-04-03")
_UNPUBLISHED = ("2012-10-30", "2018-12-05")

_FIRST, _LAST = np.datetime64("1970-01-01"), np.datetime64("2199-12-31")


@dataclass(frozen=True, slots=True)
class NewsDay:
    """A news day and how many calendar days a weekend or holiday pushed the article forward (0 on a plain day)."""

    day: date
    roll_days: int


@lru_cache(maxsize=1)
def _calendar() -> np.busdaycalendar:
    lines = (Path(__file__).parent / "holidays.txt").read_text(encoding="ascii").splitlines()
    holidays = {date.fromisoformat(line) for line in lines if not line.startswith("#")}
    holidays -= {date.fromisoformat(d) for d in _PUBLISHED}
    holidays |= {date.fromisoformat(d) for d in _UNPUBLISHED}
    return np.busdaycalendar(holidays=np.array(sorted(holidays), dtype="datetime64[D]"))


def business_days(start: date, end: date) -> Days:
    """Bond business days in [start, end], as datetime64[D]."""
    days = np.arange(np.datetime64(start, "D"), np.datetime64(end, "D") + 1)
    return days[np.is_busday(days, busdaycal=_calendar())] if len(days) else days


def is_business_day(day: date) -> bool:
    """Whether Treasury publishes rates for this day."""
    return bool(np.is_busday(np.datetime64(day, "D"), busdaycal=_calendar()))


def next_business_day(day: date) -> date:
    """The first bond business day after `day`."""
    return _roll(day + timedelta(days=1), "forward")


def previous_business_day(day: date) -> date:
    """The last bond business day before `day`."""
    return _roll(day - timedelta(days=1), "backward")


def _roll(day: date, direction: Any) -> date:
    rolled: date = np.busday_offset(np.datetime64(day, "D"), 0, roll=direction, busdaycal=_calendar()).item()
    return rolled


def fixing(day: date, cutoff: time = CUTOFF) -> datetime:
    """The moment (UTC) at which the news of `day` ends."""
    return datetime.combine(day, cutoff, ZONE).astimezone(UTC)


def news_day(at: datetime, *, day_precision: bool = False, cutoff: time = CUTOFF) -> date:
    """The news day of one article. `at` must be timezone-aware; see `place` for the roll."""
    return place(at, day_precision=day_precision, cutoff=cutoff).day


def place(at: datetime, *, day_precision: bool = False, cutoff: time = CUTOFF) -> NewsDay:
    """News day and roll of one article. Raises InputError for a time without a zone.

    With `day_precision` only the date of `at` (in UTC, where such dates are kept as noon) counts.
    """
    if at.tzinfo is None:
        raise InputError("a time without a zone has no news day", where=at.isoformat(), remedy="make it UTC")
    moment = np.array([_utc(at)], dtype="datetime64[us]")
    days, rolls = news_days(moment, np.array([day_precision]), cutoff=cutoff)
    return NewsDay(days[0].item(), int(rolls[0]))


def news_days(
    at: NDArray[np.datetime64], day_precision: NDArray[np.bool_], *, cutoff: time = CUTOFF
) -> tuple[Days, NDArray[np.int64]]:
    """News days and roll_days of many articles at once.

    `at`: (n,) UTC times; `day_precision`: (n,) whether only the date is known. Returns two (n,) arrays.
    Raises InputError for times before 1970 or after 2199, which the holiday calendar does not reach.
    """
    if not len(at):
        return np.array([], dtype="datetime64[D]"), np.array([], dtype=np.int64)
    moments = at.astype("datetime64[us]")
    lowest, highest = moments.min().astype("datetime64[D]"), moments.max().astype("datetime64[D]")
    if lowest < _FIRST or highest > _LAST:
        raise InputError(
            f"dates from {lowest} to {highest} leave the bond calendar (1970 to 2199)", remedy="correct the dates"
        )
    natural = _natural_days(moments, day_precision, lowest, highest, cutoff)
    rolled = np.busday_offset(natural, 0, roll="forward", busdaycal=_calendar())
    return rolled, (rolled - natural).astype(np.int64)


def _natural_days(
    moments: NDArray[np.datetime64], day_precision: NDArray[np.bool_], lowest: Any, highest: Any, cutoff: time
) -> Days:
    """The day whose cut-off comes first at or after each moment, as if every day were a business day."""
    days = np.arange(lowest - 2, highest + 3)
    ends = np.array([_utc(datetime.combine(d, cutoff, ZONE)) for d in days.tolist()], dtype="datetime64[us]")
    natural = days[np.searchsorted(ends, moments, side="left")]
    return np.where(day_precision, moments.astype("datetime64[D]"), natural)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)  # numpy's times carry no zone


def period_edges(first: date, last: date, freq: str) -> tuple[Days, Days]:
    """Starts and ends (inclusive) of the periods that cover the news days from `first` to `last`.

    D: bond business days. W: Monday to Friday. M: calendar months. Raises InputError for another `freq`.
    """
    low, high = np.datetime64(first, "D"), np.datetime64(last, "D")
    if freq == "D":
        days = business_days(first, last)
        return days, days
    if freq == "W":
        monday = low - (low.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
        starts = np.arange(monday, high + 1, 7)
        return starts, starts + 4
    if freq == "M":
        months = np.arange(low.astype("datetime64[M]"), high.astype("datetime64[M]") + 1)
        return months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]") - 1
    raise InputError(f"no frequency {freq!r}", remedy="use D, W or M")


def rolling_edges(first: date, last: date, window: int) -> tuple[Days, Days]:
    """Starts and ends of windows of `window` calendar days that end on each bond business day.

    Only windows that lie wholly within [first, last]: the others would hold less and look alike.
    """
    ends = business_days(first, last)
    starts = ends - (window - 1)
    whole = starts >= np.datetime64(first, "D")
    return starts[whole], ends[whole]
