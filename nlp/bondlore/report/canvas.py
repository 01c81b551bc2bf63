"""What every drawing stands on: colours, matplotlib as shipped, the date scale, level lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.dates import date2num

from bondlore.report import words
from bondlore.report.colour import LIGHT, readable
from bondlore.report.data import Line, NarrativeRow, Point, ReportData

__all__ = ["Ink", "at", "level_lines", "middle", "page_ink", "print_ink", "row_words", "style"]

_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bondlore",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "path.simplify": False,
}


@dataclass(frozen=True)
class Ink:
    """The colours of one drawing, all #rrggbb; `narratives` in the order of the report's."""

    ink: str
    muted: str
    rule: str
    wash: str
    paper: str
    narratives: tuple[str, ...]


def page_ink(data: ReportData) -> tuple[Ink, dict[str, str]]:
    """Stand-in colours for the SVG, and the CSS variable each stands for."""
    fixed = ("#010101", "#010102", "#010103", "#010104", "#010105")
    own = tuple(f"#0102{i:02x}" for i in range(len(data.narratives)))
    names = ("ink", "muted", "rule", "wash", "paper", *(f"n{i}" for i in range(len(own))))
    return Ink(*fixed, own), {c: f"var(--{n})" for c, n in zip(fixed + own, names, strict=True)}


def print_ink(data: ReportData) -> Ink:
    """Fixed colours on light paper, for a picture."""
    own = tuple(readable(n.colour, LIGHT) for n in data.narratives)
    return Ink("#1c1b19", "#66625b", "#e2ddd3", "#f3eee4", LIGHT, own)


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib as shipped, whatever the user's own settings say."""
    with matplotlib.style.context(["default", _RC]):
        yield


def level_lines(axes: Axes, ink: Ink, levels: Sequence[float], label: Callable[[float], str], size: float = 11) -> None:
    """Horizontal rules with their numbers on the left; no other frame."""
    axes.set_yticks(list(levels), [label(v) for v in levels])
    axes.tick_params(axis="y", length=0, labelsize=size, labelcolor=ink.muted, pad=5)
    axes.grid(axis="y", color=ink.rule, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")
    for side in axes.spines.values():
        side.set_visible(False)


def at(day: date) -> float:
    """The day on a chart axis."""
    return float(date2num(day))  # type: ignore[no-untyped-call]


def middle(point: Point) -> float:
    """The middle of a period on a chart axis."""
    return (at(point.start) + at(point.end)) / 2


def row_words(data: ReportData, row: NarrativeRow) -> str:
    """What a line shows, for those who do not see it."""
    line: Line | None = data.line(row.id, data.lead_series)
    known = [p for p in line.points if p.share is not None] if line else []
    if not known:
        return f"{row.name}: no share is stated."
    high = max(known, key=lambda p: p.share or 0.0)
    now = f"now {words.percent(row.now.share)}" if row.now and row.now.share is not None else "not stated now"
    return f"{row.name}: {now}, highest {words.percent(high.share)} in the period from {words.day(high.start)}."
