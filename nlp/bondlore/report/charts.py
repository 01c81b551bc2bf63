"""Shares above yields on one date axis: for the page, and as the picture to post.

Drawn once with matplotlib (no window system, no clock); `Ink` says which colours, so that the inline SVG can hand
them to the page's style sheet while the PNG has them fixed.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from datetime import date
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bondlore.report import words
from bondlore.report.axes import date_ticks, share_top, spread
from bondlore.report.canvas import Ink, at, level_lines, middle, page_ink, print_ink, row_words, style
from bondlore.report.data import NarrativeRow, Point, ReportData
from bondlore.report.svg import inline_svg
from bondlore.report.text import clean

__all__ = ["chart_svg", "picture_png"]

_NARROW = 480.0
_LEFT = 40.0  # room for the numbers beside an axis, in units of 1/72 inch
_DASHES: dict[str, Any] = {
    "solid": "solid",
    "dashed": (0, (5, 2)),
    "dotted": (0, (1, 1.6)),
    "dashdot": (0, (6, 2, 1, 2)),
}
_TENOR_DASHES: tuple[Any, ...] = ((0, (1, 1.6)), (0, (5, 2)), "solid")


def chart_svg(data: ReportData, *, width: int = 1040, height: int = 560, name: str = "chart") -> Markup:
    """Core shares with interval bands above the yields; sizes in CSS pixels."""
    ink, colours = page_ink(data)
    with style():
        figure = Figure(figsize=(width / 72, height / 72), facecolor="none")
        _two_panels(
            figure,
            data,
            ink,
            (_LEFT, width - _LEFT - _label_room(data, narrow=width < _NARROW), 32, height - 58),
            height,
        )
        return inline_svg(figure, name=name, title=_chart_title(data), description=_chart_words(data), colours=colours)


def picture_png(data: ReportData, *, width: int = 1600, height: int = 1000) -> bytes:
    """The chart with headline and source as a picture for a chat post; sizes in pixels."""
    ink, scale = print_ink(data), 1.5
    wide, high = width / scale, height / scale
    with style():
        figure = Figure(figsize=(wide / 72, high / 72), facecolor=ink.paper)
        left = 44.0
        title = _balanced(data.headline.title, 74, 3)
        top = 44.0
        for line in title:
            figure.text(left / wide, 1 - top / high, line, size=21, weight="bold", family="DejaVu Serif", color=ink.ink)
            top += 28
        room = _label_room(data, narrow=False) + 28
        box = (left + _LEFT, wide - left - _LEFT - room, top + 22, high - top - 22 - 78)
        _two_panels(figure, data, ink, box, high)
        figure.text(left / wide, 20 / high, _source(data), size=9.5, color=ink.muted)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=72 * scale, metadata={"Software": None}, facecolor=ink.paper)
        return buffer.getvalue()


def _two_panels(
    figure: Figure, data: ReportData, ink: Ink, box: tuple[float, float, float, float], high: float
) -> None:
    """Shares and yields in `box` = left, width, top, height in units of 1/72 inch of a figure `high` tall."""
    left, width, top, height = box
    upper = height * 0.56 - 26
    lower = height - upper - 56
    wide = figure.get_figwidth() * 72

    def panel(above: float, tall: float) -> Axes:
        return figure.add_axes((left / wide, 1 - (above + tall) / high, width / wide, tall / high))

    shares, rates = panel(top, upper), panel(top + upper + 56, lower)
    for axes in (shares, rates):
        axes.set_xlim(at(data.chart_start) - 0.5, at(data.chart_end) + 0.5)
    _draw_shares(shares, data, ink, upper, narrow=wide < _NARROW)
    _draw_yields(rates, data, ink, lower)
    first = "Share pushing each story, 95% intervals" if wide < _NARROW else _chart_title(data)
    for axes, title in ((shares, first), (rates, "Treasury yields, per cent")):
        axes.annotate(
            title, (0, 1), (-_LEFT, 16), xycoords="axes fraction", textcoords="offset points",
            size=12 if width > 400 else 11, weight="bold", color=ink.ink, annotation_clip=False,
        )  # fmt: skip
        _date_axis(axes, data, ink, width, labels=axes is rates)


def _draw_shares(axes: Axes, data: ReportData, ink: Ink, tall: float, *, narrow: bool) -> None:
    rows = [
        (i, row, data.line(row.id, data.lead_series)) for i, row in enumerate(data.narratives) if row.kind == "core"
    ]
    drawn = [
        (i, row, line) for i, row, line in rows if line is not None and any(p.share is not None for p in line.points)
    ]
    top = share_top([p.high or p.share or 0.0 for _, _, line in drawn for p in line.points])
    axes.set_ylim(0, top * 1.001)
    steps = 5 if round(top * 10) % 5 == 0 else 4 if round(top * 10) % 4 == 0 else 3 if round(top * 10) % 3 == 0 else 2
    level_lines(axes, ink, [top * i / steps for i in range(steps + 1)], lambda v: f"{100 * v:.0f}%")
    for k, (i, row, line) in enumerate(drawn):
        colour = ink.narratives[i]
        _band(axes, line.points, colour, k - (len(drawn) - 1) / 2)
        _curve(axes, line.points, colour, _DASHES.get(row.dash, "solid"), k - (len(drawn) - 1) / 2)
    if not drawn:
        _say(axes, ink, "No share is stated for these dates")
        return
    ends = [next(p for p in reversed(line.points) if p.share is not None) for _, _, line in drawn]
    labels = [_share_label(data, row, point, narrow) for (_, row, _), point in zip(drawn, ends, strict=True)]
    gap = (3 + 13 * max(label.count("\n") + 1 for label in labels)) / tall * top
    places = spread([p.share or 0.0 for p in ends], gap, 0.0, top)
    for k, ((i, _, line), point, label, y) in enumerate(zip(drawn, ends, labels, places, strict=True)):
        x = _aside(point, k - (len(drawn) - 1) / 2) if _runs(line.points)[-1] == [point] else middle(point)
        _end_label(axes, ink.narratives[i], label, y, (x, point.share or 0.0))


def _share_label(data: ReportData, row: NarrativeRow, point: Point, narrow: bool) -> str:
    """The name, with the share when it is that of the headline's period; in short lines on a phone."""
    current = data.period is not None and point.start == data.period.start
    label = f"{clean(row.name, 24)} {words.percent(point.share)}" if current else clean(row.name, 24)
    return "\n".join(textwrap.wrap(label, 13)[:3]) if narrow else label


def _draw_yields(axes: Axes, data: ReportData, ink: Ink, tall: float) -> None:
    lines = [y for y in data.yields if any(v is not None for v in y.percent)]
    if not lines:
        axes.set_ylim(0, 1)
        level_lines(axes, ink, [], str)
        _say(axes, ink, "No yields for these dates")
        return
    values = [v for line in lines for v in line.percent if v is not None]
    step = next(s for s in (0.25, 0.5, 1.0, 2.0, 5.0) if (max(values) - min(values)) / s <= 5)
    low, high = int(min(values) // step), -int(-max(values) // step)
    high = max(high, low + 1)
    axes.set_ylim(low * step, high * step)
    level_lines(axes, ink, [i * step for i in range(low, high + 1)], lambda v: f"{v:.2f}" if step < 0.5 else f"{v:.1f}")
    ends: list[tuple[tuple[float, float], str]] = []
    for k, line in enumerate(lines):
        quoted = [(d, v) for d, v in zip(line.dates, line.percent, strict=True) if v is not None]
        dash = _TENOR_DASHES[k - len(lines)] if len(lines) <= len(_TENOR_DASHES) else "solid"
        weight = 1.7 if line is lines[-1] else 1.2
        for run in _quoted_runs(quoted):
            axes.plot([at(d) for d, _ in run], [v for _, v in run], color=ink.ink, lw=weight, ls=dash, clip_on=False)
        ends.append(((at(quoted[-1][0]), quoted[-1][1]), f"{words.named_tenor(line.tenor)} {quoted[-1][1]:.2f}"))
    places = spread([v for (_, v), _ in ends], 16 / tall * (high - low) * step, low * step, high * step)
    for (last, label), y in zip(ends, places, strict=True):
        _end_label(axes, ink.ink, label, y, last)


def _quoted_runs(quoted: Sequence[tuple[date, float]]) -> list[list[tuple[date, float]]]:
    """Weekends and holidays are bridged, a week without quotes is not."""
    out: list[list[tuple[date, float]]] = [[]]
    for day, value in quoted:
        if out[-1] and (day - out[-1][-1][0]).days > 7:
            out.append([])
        out[-1].append((day, value))
    return out


def _band(axes: Axes, points: Sequence[Point], colour: str, side: float) -> None:
    for run in _runs(points):
        x, low, high = [middle(p) for p in run], [p.low or 0.0 for p in run], [p.high or 0.0 for p in run]
        if len(run) > 1:
            axes.fill_between(x, low, high, color=colour, alpha=0.1, lw=0)
            for edge in (low, high):
                axes.plot(x, edge, color=colour, lw=0.6, alpha=0.4)
        else:
            axes.plot([_aside(run[0], side)] * 2, [low[0], high[0]], color=colour, alpha=0.4, lw=2)


def _curve(axes: Axes, points: Sequence[Point], colour: str, dash: Any, side: float) -> None:
    known = [p for p in points if p.share is not None]
    for run in _runs(points):
        if len(run) > 1:
            shares = [p.share or 0.0 for p in run]
            axes.plot([middle(p) for p in run], shares, color=colour, lw=2.2, ls=dash, clip_on=False, zorder=3)
    alone = [(_aside(run[0], side), run[0]) for run in _runs(points) if len(run) == 1]
    last = [(middle(known[-1]), known[-1])] if known and not (alone and alone[-1][1] == known[-1]) else []
    for x, p in alone + last:
        axes.plot([x], [p.share or 0.0], marker="o", ms=5.5, color=colour, clip_on=False, zorder=4)


def _aside(point: Point, side: float) -> float:
    """A lone period's points stand beside one another instead of on top."""
    return middle(point) + side * 0.14 * ((point.end - point.start).days + 1)


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Stretches of neighbouring periods that have a share: a gap is never bridged."""
    out: list[list[Point]] = [[]]
    for p in points:
        if p.share is None:
            out.append([])
        else:
            out[-1].append(p)
    return [run for run in out if run]


def _date_axis(axes: Axes, data: ReportData, ink: Ink, width: float, *, labels: bool) -> None:
    ticks = date_ticks(data.chart_start, data.chart_end, max(3, int(width // 64)))
    axes.set_xticks([at(d) for d, _ in ticks], [label if labels else "" for _, label in ticks])
    axes.tick_params(axis="x", length=4, width=0.8, color=ink.muted, labelsize=11, labelcolor=ink.muted, pad=3)
    axes.spines["bottom"].set(visible=True, color=ink.muted, linewidth=0.8)
    for span in data.in_sample:
        start, end = at(span.start) - 0.5, at(span.end) + 0.5
        axes.axvspan(start, end, color=ink.muted, alpha=0.07, lw=0, zorder=0)
        axes.axvspan(start, end, ymax=0.018, color=ink.muted, alpha=0.6, lw=0, zorder=0)
        if not labels:
            axes.annotate(
                "in-sample", (start, 1), (3, -3), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                size=9.5, color=ink.muted, va="top", annotation_clip=False,
            )  # fmt: skip
    if data.period is not None and data.period.start > data.chart_start:
        axes.axvspan(at(data.period.start) - 0.5, at(data.period.end) + 0.5, color=ink.wash, lw=0, zorder=0)


def _end_label(axes: Axes, colour: str, text: str, y: float, last: tuple[float, float]) -> None:
    """A label right of the panel, and a hair line to it from the last point when that lies some way off."""
    end = axes.get_xlim()[1]
    axes.annotate(
        text,
        (1, y),
        (12, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        size=11.5,
        weight="bold",
        color=colour,
        va="center",
        annotation_clip=False,
    )
    reach = end + 8 * (end - axes.get_xlim()[0]) / (axes.get_window_extent().width * 72 / axes.figure.dpi)
    axes.plot([last[0], reach], [last[1], y], color=colour, lw=0.7, alpha=0.55, clip_on=False)


def _say(axes: Axes, ink: Ink, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=12, color=ink.muted)
    axes.set_yticks([])


def _label_room(data: ReportData, *, narrow: bool) -> float:
    """Room right of the panels for the longest label, in units of 1/72 inch."""
    names = [clean(r.name, 24) + " 100%" for r in data.core]
    lines = [part for name in names for part in (textwrap.wrap(name, 13) if narrow else [name])]
    return max(96.0 if narrow else 110.0, 7.2 * max(map(len, lines), default=8) + 14)


def _chart_title(data: ReportData) -> str:
    verb = "push" if data.lead_series == "support" else "carry"
    return f"Share of {words.counted_noun(data.denominator, data.by)} that {verb} each story, with 95% intervals"


def _chart_words(data: ReportData) -> str:
    parts = [f"From {words.day_range(data.chart_start, data.chart_end)}."]
    parts += [row_words(data, row) for row in data.core]
    parts += [f"{words.named_tenor(y.tenor)} yield {words.yield_percent(y.latest)}." for y in data.yields]
    parts += [f"In-sample: {words.day_range(s.start, s.end)}." for s in data.in_sample]
    return " ".join(parts) + " The numbers are in the table below the chart."


def _source(data: ReportData) -> str:
    q = data.quality
    read = f"{words.counted(q.bond_articles, 'bond', 'article')}, {q.clusters:,d} with copies joined"
    made = f"cut-off {data.cutoff} · model {data.model}"
    return clean(f"bondlore · {read} · {made} · what the press says, not what moved yields", 170)


def _balanced(text: str, width: int, most: int) -> list[str]:
    """Lines of about one length: as few as `width` allows, then as narrow as that number allows."""
    lines = textwrap.wrap(text, width)
    while width > 20 and len(closer := textwrap.wrap(text, width - 1)) == len(lines):
        width, lines = width - 1, closer
    return lines[:most]
