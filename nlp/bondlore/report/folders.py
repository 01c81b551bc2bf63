"""The folder of daily pages: which page a moment belongs to, and which days still want theirs.

A page is whole when it was written after the end of its news day: one of the morning holds part of a day. What was
written when is read from the page's own `report.json`, the last of its files to be replaced, so a run that was killed
half-way is a day that is written again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bondlore.measure import calendar

__all__ = ["Missed", "closing", "missed", "page_day", "sweep"]

_MAX_BYTES = 50_000_000
_OLD_S = 3600.0  # a temporary file that nobody has touched for an hour was left by a run that was killed


@dataclass(frozen=True, slots=True)
class Missed:
    """Bond business days before today's that want a page, oldest first; `left_out` more were too long ago."""

    days: tuple[date, ...]
    left_out: int = 0


def page_day(now: datetime) -> date:
    """Whose page is written at `now`: today's in New York; on a weekend or holiday the next business day's.

    After 15:30 that is the news day just over, not the one just begun, whose articles can be counted tomorrow.
    """
    today = now.astimezone(calendar.ZONE).date()
    return today if calendar.is_business_day(today) else calendar.next_business_day(today)


def closing(day: date) -> datetime:
    """When the news day ends, in UTC."""
    return datetime.combine(day, calendar.CUTOFF, calendar.ZONE).astimezone(UTC)


def missed(out: Path, today: date, *, limit: int, quoted: Collection[date] = ()) -> Missed:
    """The days since the first page in `out` without a whole page of theirs, at most the last `limit` business days.

    A page that lacks a yield that is now known, of the days `quoted`, is written again too.
    """
    made = [day for day in _days(out) if day < today]
    if not made or limit < 1:
        return Missed(())
    days = calendar.business_days(made[0], today - timedelta(days=1)).tolist()
    wanted = tuple(day for day in days[-limit:] if not _whole(out / day.isoformat(), day, quoted))
    return Missed(wanted, sum(day > made[-1] for day in days[:-limit]))


def sweep(out: Path, *, now: datetime) -> None:
    """Remove the temporary files that killed runs left in the pages' folders."""
    for left in out.glob("*/.*.*.*.*.tmp"):  # as `atomic` names them
        try:
            if now.timestamp() - left.stat().st_mtime > _OLD_S:
                left.unlink()
        except OSError:  # another run removed it
            continue


def _days(out: Path) -> list[date]:
    found = []
    for folder in out.iterdir() if out.is_dir() else ():
        try:
            day = date.fromisoformat(folder.name)
        except ValueError:
            continue
        if day.isoformat() == folder.name:
            found.append(day)
    return sorted(found)


def _whole(folder: Path, day: date, quoted: Collection[date]) -> bool:
    """Whether the page was written after its day ended, and shows the last yield that its charts have room for."""
    try:
        path = folder / "report.json"
        if path.stat().st_size > _MAX_BYTES:
            return False
        page = json.loads(path.read_bytes())
        written = datetime.fromisoformat(page["stamp"])
        last = date.fromisoformat(page["quality"]["last_yield"] or "0001-01-01")
        end = min(day, date.fromisoformat(page["chart_end"]))  # without news of late the charts end earlier
        return written >= closing(day) and not any(last < one <= end for one in quoted)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
