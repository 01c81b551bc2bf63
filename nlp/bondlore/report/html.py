"""The page: one file, no script, nothing fetched. Everything is escaped by the template; only our own SVG is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from bondlore.report import charts, words
from bondlore.report.colour import DARK, LIGHT, readable
from bondlore.report.data import Evidence, NarrativeRow, Point, ReportData
from bondlore.report.multiples import multiple_svg

__all__ = ["MAX_ROWS", "environment", "render_html", "style_sheet"]

MAX_ROWS = 66
_NEW_YORK = ZoneInfo("America/New_York")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class _ShareRow:
    """One period of a table under a chart, with a point for each of its lines."""

    label: str
    n: int
    points: tuple[Point | None, ...]


def render_html(data: ReportData) -> str:
    """The report as one HTML document; the same text for the same data."""
    rows, omitted = _share_rows(data)
    page = environment().get_template("report.html.j2")
    return page.render(
        r=data,
        of=words.counted_noun(data.denominator, data.by),
        css=Markup(style_sheet(data)),  # noqa: S704  # colours are checked #rrggbb, the rest is our file
        chart=charts.chart_svg(data),
        chart_narrow=charts.chart_svg(data, width=360, height=500, name="phone"),
        multiples=[(row, multiple_svg(data, row), _mirror_rows(data, row)) for row in data.narratives],
        narrative={row.id: row for row in data.narratives}.__getitem__,
        share_rows=rows,
        omitted=omitted,
        yield_rows=_yield_rows(data),
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates: everything escaped, nothing undefined, no access to Python's insides."""
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    out = ImmutableSandboxedEnvironment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    out.filters |= _FILTERS
    return out


def style_sheet(data: ReportData) -> str:
    """The page's CSS with this report's colours."""
    colours = [(readable(n.colour, LIGHT), readable(n.colour, DARK)) for n in data.narratives]
    text = environment().get_template("report.css").render(colours=colours, paper={"light": LIGHT, "dark": DARK})
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _share_rows(data: ReportData) -> tuple[list[_ShareRow], int]:
    """Newest first, at most MAX_ROWS; and how many periods that leaves to report.json."""
    lines = [data.line(n.id, data.lead_series) for n in data.core]
    starts = sorted({p.start for line in lines if line for p in line.points}, reverse=True)
    by_start = [{p.start: p for p in line.points} if line else {} for line in lines]
    out = []
    for start in starts[:MAX_ROWS]:
        points = tuple(known.get(start) for known in by_start)
        first = next(p for p in points if p is not None)
        end = min(first.end, data.date)
        out.append(_ShareRow(words.day_range(start, end), max(p.n for p in points if p), points))
    return out, max(0, len(starts) - MAX_ROWS)


def _mirror_rows(data: ReportData, row: NarrativeRow) -> list[_ShareRow]:
    """What one small chart shows, newest first: the lead series and the denials of each period."""
    lines = [data.line(row.id, data.lead_series), data.line(row.id, "rejection")]
    by_start = [{p.start: p for p in line.points} if line else {} for line in lines]
    out = []
    for start in sorted(by_start[0], reverse=True)[:MAX_ROWS]:
        first = by_start[0][start]
        points = tuple(known.get(start) for known in by_start)
        out.append(_ShareRow(words.day_range(start, min(first.end, data.date)), first.n, points))
    return out


def _yield_rows(data: ReportData) -> list[tuple[date, tuple[float | None, ...]]]:
    if not data.yields:
        return []
    rows = zip(data.yields[0].dates, zip(*(y.percent for y in data.yields), strict=True), strict=True)
    return list(reversed(list(rows)))[:MAX_ROWS]


def _when(evidence: Evidence) -> str:
    """`9 April, 14:05` in New York; the day alone when no more is known."""
    if evidence.published_at is None:
        return ""
    if evidence.precision != "second":
        return words.day(evidence.published_at.date())
    local = evidence.published_at.astimezone(_NEW_YORK)
    return f"{words.day(local.date())}, {local:%H:%M}"


def _weekday(value: date) -> str:
    return f"{_DAYS[value.weekday()]}, {words.day(value, year=True)}"


_FILTERS: dict[str, Any] = {
    "percent": words.percent,
    "interval": words.interval,
    "points": words.points,
    "points_words": lambda v: "level" if words.points(v) == "0" else words.points(v),
    "bp": words.basis_points,
    "rate": words.yield_percent,
    "tenor": words.named_tenor,
    "range": words.day_range,
    "longday": lambda value: words.day(value, year=True),
    "shortday": words.short_day,
    "during": words.during,
    "trend": words.trend,
    "weekday": _weekday,
    "when": _when,
    "in_articles": lambda n: f" in {n:,d} article{'' if n == 1 else 's'}" if n else "",
    "count": lambda value: f"{value:,d}",
}
