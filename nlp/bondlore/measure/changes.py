"""Today against a week and a month ago, from the share table alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from bondlore.measure.intervals import difference
from bondlore.measure.series import ShareSeries

__all__ = ["Change", "latest_change"]


@dataclass(frozen=True, slots=True)
class Change:
    """One narrative and series: the share of the last period and that of the period `days` earlier.

    `publisher` is "" for all together.

    `change` = now - before with a 95% interval (MOVER). It treats the two errors as independent; that of the
    classifier's rates is common to both, so the interval is wide rather than narrow. All None, with the `reason`,
    when either share is missing.
    """

    narrative: str
    series: str
    days: int
    now_end: date
    before_end: date | None
    now: float | None
    before: float | None
    change: float | None
    low: float | None
    high: float | None
    n_now: int
    n_before: int
    reason: str
    publisher: str = ""

    @property
    def clear(self) -> bool:
        """Whether the interval of the change leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def latest_change(series: ShareSeries, days: Sequence[int] = (7, 30), *, slack: int = 4) -> list[Change]:
    """Each narrative, series and publisher of the last period against the one `days` calendar days before.

    The earlier period is the last that ended at or before that day, if it did so within `slack` days (a weekend or
    holiday), or within one period for weeks and months.
    """
    slack += {"W": 7, "M": 31}.get(series.freq, 0)
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in series.rows():
        groups[row["narrative"], row["series"], row["publisher"]].append(row)
    return list(_changes(groups, days, slack))


def _changes(
    groups: dict[tuple[str, str, str], list[dict[str, Any]]], days: Sequence[int], slack: int
) -> Iterator[Change]:
    for (narrative, kind, publisher), rows in groups.items():
        now = rows[-1]
        for span in days:
            day = now["period_end"] - timedelta(days=span)
            earlier = [r for r in rows[:-1] if day - timedelta(days=slack) <= r["period_end"] <= day]
            before = earlier[-1] if earlier else None
            yield replace(_change(narrative, kind, span, now, before), publisher=publisher)


def _change(narrative: str, kind: str, days: int, now: dict[str, Any], before: dict[str, Any] | None) -> Change:
    reason = ""
    if now["share"] is None:
        reason = f"now: {now['reason']}"
    elif before is None:
        reason = f"nothing was measured {days} days before"
    elif before["share"] is None:
        reason = f"{days} days before: {before['reason']}"
    elif now["method"] != before["method"]:
        reason = f"measured differently: {before['method']} then, {now['method']} now"
    d = low = high = None
    if not reason and before is not None:
        d, low, high = difference(*((r["share"], r["low"], r["high"]) for r in (now, before)))
    return Change(
        narrative,
        kind,
        days,
        now["period_end"],
        before["period_end"] if before else None,
        now["share"],
        before["share"] if before else None,
        d,
        low,
        high,
        now["n"],
        before["n"] if before else 0,
        reason,
    )
