"""The small charts: one narrative each, pushed above the line and denied below it, on one scale."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from bondlore.report import words
from bondlore.report.axes import share_top
from bondlore.report.canvas import Ink, at, level_lines, middle, page_ink, row_words, style
from bondlore.report.data import NarrativeRow, Point, ReportData
from bondlore.report.svg import inline_svg

__all__ = ["multiple_svg"]

_MANY = 150  # periods from which bars are strokes without whiskers


def multiple_svg(data: ReportData, row: NarrativeRow, *, width: int = 180, height: int = 112) -> Markup:
    """One narrative: pushed upward, denied downward, bars a period with interval whiskers; one scale for all."""
    ink, colours = page_ink(data)
    index = data.narratives.index(row)
    with style():
        figure = Figure(figsize=(width / 72, height / 72), facecolor="none")
        axes = figure.add_axes((32 / width, 18 / height, (width - 34) / width, (height - 26) / height))
        _mirror(axes, data, row, ink, index)
        title = f"{row.name}: pushed and denied over time"
        return inline_svg(figure, name=f"m{index}", title=title, description=row_words(data, row), colours=colours)


def _mirror(axes: Axes, data: ReportData, row: NarrativeRow, ink: Ink, index: int) -> None:
    top, bottom = _mirror_limits(data)
    axes.set_ylim(-bottom, top)
    axes.set_xlim(at(data.chart_start), at(data.chart_end))
    levels = [top, 0.0, *([-bottom] if bottom else [])]
    level_lines(axes, ink, levels, lambda v: f"{abs(100 * v):.0f}%", size=9.5)
    axes.axhline(0, color=ink.muted, lw=0.8)
    for series, sign, colour in ((data.lead_series, 1, ink.narratives[index]), ("rejection", -1, ink.muted)):
        line = data.line(row.id, series)
        if line is not None and (sign > 0 or series != data.lead_series):
            _bars(axes, line.points, sign, colour)
    lead = data.line(row.id, data.lead_series)
    refused = [middle(p) for p in (lead.points if lead else ()) if p.share is None]
    axes.plot(refused, [0] * len(refused), ls="none", marker="o", ms=2.6, mfc=ink.paper, mec=ink.muted, mew=0.8)
    axes.set_xticks([])
    for x, day, side in ((0.0, data.chart_start, "left"), (1.0, data.chart_end, "right")):
        axes.annotate(
            words.short_day(day),
            (x, 0),
            (0, -4),
            xycoords="axes fraction",
            textcoords="offset points",
            size=9.5,
            color=ink.muted,
            ha=side,
            va="top",
            annotation_clip=False,
        )


def _mirror_limits(data: ReportData) -> tuple[float, float]:
    """One scale for every small chart: the highest whisker above and below, in round tenths."""

    def highest(series: str) -> list[float]:
        lines = (line for line in data.lines if line.series == series)
        return [p.high or p.share for line in lines for p in line.points if p.share]

    down = highest("rejection") if data.lead_series != "rejection" else []
    return share_top(highest(data.lead_series)), share_top(down) if down else 0.0


def _bars(axes: Axes, points: Sequence[Point], sign: int, colour: str) -> None:
    """All bars as one shape and all whiskers as another: a thousand periods stay small."""
    known = [p for p in points if p.share is not None]
    if not known:
        return
    if len(known) > _MANY:
        lines = _strokes([((middle(p), 0.0), (middle(p), sign * (p.share or 0.0))) for p in known])
        axes.add_patch(PathPatch(lines, facecolor="none", edgecolor=colour, lw=0.6, alpha=0.8))
        return
    boxes, whiskers = [], []
    for p in known:
        days = (p.end - p.start).days + 1
        half, x, height = min(days * 0.42, 6.0), middle(p), sign * (p.share or 0.0)
        boxes.append([(x - half, 0), (x - half, height), (x + half, height), (x + half, 0), (0, 0)])
        if p.share and p.low is not None and p.high is not None:
            whiskers.append(((x, sign * p.low), (x, sign * p.high)))
    box_codes = [Outline.MOVETO, Outline.LINETO, Outline.LINETO, Outline.LINETO, Outline.CLOSEPOLY]
    shape = Outline([v for b in boxes for v in b], box_codes * len(boxes))
    axes.add_patch(PathPatch(shape, facecolor=colour, edgecolor="none", alpha=0.8))
    if whiskers:
        shape = _strokes(whiskers)
        axes.add_patch(PathPatch(shape, facecolor="none", edgecolor=colour, lw=0.9, alpha=0.75))


_Stroke = tuple[tuple[float, float], tuple[float, float]]


def _strokes(strokes: Sequence[_Stroke]) -> Outline:
    return Outline([end for stroke in strokes for end in stroke], [Outline.MOVETO, Outline.LINETO] * len(strokes))
