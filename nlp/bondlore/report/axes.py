"""Where things go on a chart: date ticks, share limits, and labels that do not sit on each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

__all__ = ["date_ticks", "share_top", "spread"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def date_ticks(start: date, end: date, most: int = 9) -> list[tuple[date, str]]:
    """At most `most` ticks in [start, end]: Mondays, month starts or year starts, whichever is finest and fits.

    The year is written at the first tick and whenever it changes.
    """
    span = (end - start).days
    if span < 7:
        days = [start + timedelta(days=i) for i in range(span + 1)]
    elif span < 7 * most:
        monday = start + timedelta(days=-start.weekday() % 7)
        days = [monday + timedelta(days=7 * i) for i in range((end - monday).days // 7 + 1)]
    else:
        months = 12 * (end.year - start.year) + end.month - start.month + 1
        step = next((s for s in (1, 2, 3, 6, 12, 24, 60, 120) if months / s <= most), 240)
        first = 12 * start.year + start.month - 1 + (start.day > 1)
        first += -first % step
        days = [date(m // 12, m % 12 + 1, 1) for m in range(first, 12 * end.year + end.month, step)]
    step = -(-len(days) // most) if days else 1
    return _labelled(days[::step], monthly=span >= 7 * most)


def _labelled(days: Sequence[date], *, monthly: bool) -> list[tuple[date, str]]:
    out: list[tuple[date, str]] = []
    for i, day in enumerate(days):
        label = _MONTHS[day.month - 1] if monthly else f"{day.day} {_MONTHS[day.month - 1]}"
        if i == 0 or day.year != days[i - 1].year:
            label += f" {day.year}"
        out.append((day, label))
    return out


def share_top(values: Sequence[float]) -> float:
    """The upper end of a share axis: a round tenth above the largest value, at least 0.2 and never above 1."""
    top = max(values, default=0.0)
    return next((t / 10 for t in (2, 3, 4, 5, 6, 8) if top <= t / 10 + 1e-9), 1.0)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near `wanted` (same order) that lie at least `gap` apart inside [low, high], when they fit at all."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[float, int]] = []  # centre and size, ascending
    for i in order:
        centre, size = wanted[i], 1
        centre = _inside(centre, size, gap, low, high)
        while blocks and blocks[-1][0] + (blocks[-1][1] + size) * gap / 2 > centre:
            before, count = blocks.pop()
            centre = _inside((before * count + centre * size) / (count + size), count + size, gap, low, high)
            size += count
        blocks.append((centre, size))
    placed = [c + (k - (size - 1) / 2) * gap for c, size in blocks for k in range(size)]
    out = [0.0] * len(wanted)
    for i, position in zip(order, placed, strict=True):
        out[i] = position
    return out


def _inside(centre: float, size: int, gap: float, low: float, high: float) -> float:
    half = (size - 1) * gap / 2
    return max(low + half, min(centre, high - half))
