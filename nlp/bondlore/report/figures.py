"""The numbers behind the charts as CSV, one value a line: for a spreadsheet, or for somebody's own chart."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from bondlore.report.data import ReportData
from bondlore.spreadsheet import csv_cell

__all__ = ["COLUMNS", "render_csv"]

COLUMNS = ("kind", "id", "series", "start", "end", "value", "low", "high", "uncorrected", "n", "reason")


def render_csv(data: ReportData) -> str:
    """Shares (fractions of 1, `kind` share, both days included), then yields (percent, `kind` yield) as on the charts.

    A gap has an empty value and, for a share, its reason.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_shares(data))
    writer.writerows(_yields(data))
    return out.getvalue()


def _shares(data: ReportData) -> Iterator[tuple[object, ...]]:
    for line in data.lines:
        for p in line.points:
            values = (p.share, p.low, p.high, p.uncorrected, p.n)
            yield ("share", csv_cell(line.narrative), line.series, p.start, p.end, *values, csv_cell(p.reason))


def _yields(data: ReportData) -> Iterator[tuple[object, ...]]:
    for line in data.yields:
        for day, percent in zip(line.dates, line.percent, strict=True):
            yield ("yield", line.tenor, "percent", day, day, percent, None, None, None, None, "")
