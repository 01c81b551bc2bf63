"""Daily Treasury par yields: the record, our own CSV, and what moved since.

Par yields are fixed from quotes of about 15:30 New York and published as percent with two decimals. FRED (DGS2,
DGS10, DGS30) and Treasury agree to the last digit from 2006-02-09; before that only FRED has the 30-year. Real yields
(`10Y_real`) are those of inflation-indexed notes; a breakeven (`10Y_breakeven`) is the nominal yield less the real one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bondlore import atomic
from bondlore.errors import YieldsError
from bondlore.measure.yields_formats import BREAKEVEN, MAX_BYTES, TENORS, Columns, parse

__all__ = [
    "YieldMove",
    "Yields",
    "latest_yields",
    "load_yields",
    "merge_yields",
    "parse_yields",
    "with_breakevens",
    "write_yields",
    "yield_changes",
]

_FILLED = 5  # calendar days one may look back for the yield before a date: a long weekend and a day of mourning


@dataclass(frozen=True, eq=False)
class Yields:
    """`dates` (n,) datetime64[D] ascending and unique; `tenors` such as "10Y"; `percent` (n, tenors), NaN = missing.

    `origin`: for each day which source gave its latest figures and when it was asked, ISO 8601; () where unknown.
    """

    dates: NDArray[np.datetime64]
    tenors: tuple[str, ...]
    percent: NDArray[np.float64]
    source: str = ""
    origin: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.dates)

    def column(self, tenor: str) -> NDArray[np.float64]:
        """(n,) percent of one tenor. Raises YieldsError for a tenor that is not there."""
        if tenor not in self.tenors:
            raise YieldsError(
                f"has no tenor {tenor!r}", where=self.source, remedy=f"use one of {', '.join(self.tenors)}"
            )
        return self.percent[:, self.tenors.index(tenor)]

    def at(self, day: date, tenor: str) -> float | None:
        """Percent on that very day; None when there was no fixing."""
        index = int(np.searchsorted(self.dates, np.datetime64(day, "D")))
        if index == len(self.dates) or self.dates[index] != np.datetime64(day, "D"):
            return None
        value = float(self.column(tenor)[index])
        return None if np.isnan(value) else value

    def between(self, start: date, end: date) -> Yields:
        """The days in [start, end]."""
        keep = (self.dates >= np.datetime64(start, "D")) & (self.dates <= np.datetime64(end, "D"))
        origin = tuple(o for o, kept in zip(self.origin, keep.tolist(), strict=True) if kept) if self.origin else ()
        return Yields(self.dates[keep], self.tenors, self.percent[keep], self.source, origin)

    def table(self) -> pa.Table:
        """Columns `date` and one a tenor, null = missing; and, where known, `source` and `fetched_at`."""
        out = _table(self.dates, self.tenors, self.percent)
        for i, name in enumerate(("source", "fetched_at") if self.origin else ()):
            out = out.append_column(name, pa.array([o[i] for o in self.origin], pa.string()))
        return out


@dataclass(frozen=True, slots=True)
class YieldMove:
    """One tenor on its last fixing: `percent`, and basis points against the fixing `days` calendar days before.

    `before` is the last fixing at or before that day; it and `change_bp` are None when there is none within five days.
    """

    tenor: str
    day: date
    percent: float
    days: int
    before: date | None
    change_bp: float | None


def parse_yields(body: bytes, *, where: str, mapping: Mapping[str, str] | None = None) -> Yields:
    """Read any of the official formats, our CSV or, by `mapping`, another. Raises YieldsError naming the row."""
    return _build(parse(body, where=where, mapping=mapping), where)


def load_yields(path: Path | str, *, mapping: Mapping[str, str] | None = None) -> Yields:
    """Read a file in our form (`date,2Y,10Y,30Y`) or an official one. Raises YieldsError naming the file.

    `mapping`: `{"date": "day", "10Y": "ten"}` reads a CSV with these columns.
    """
    where = str(path)
    try:
        with Path(path).open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YieldsError(f"cannot be read ({error.strerror})", where=where, remedy="check the path") from error
    yields = parse_yields(body, where=where, mapping=mapping)
    if not len(yields):
        raise YieldsError("holds no yields", where=where, remedy="fetch them with bondlore yields")
    return yields


def write_yields(yields: Yields, path: Path) -> None:
    """Replace `path` with our CSV: date and tenors, two decimals, empty where missing; `source,fetched_at` if known."""
    origin: Sequence[tuple[str, ...]] = yields.origin or [()] * len(yields)
    lines = [",".join(("date", *yields.tenors, *(("source", "fetched_at") if yields.origin else ())))]
    for day, row, how in zip(yields.dates.tolist(), yields.percent.tolist(), origin, strict=True):
        lines.append(",".join((day.isoformat(), *("" if np.isnan(v) else f"{v:.2f}" for v in row), *how)))
    atomic.write_text(path, "\n".join(lines) + "\n")


def merge_yields(old: Yields, new: Yields) -> Yields:
    """Days and tenors of both; where both have a figure the new one stands (Treasury revises now and then)."""
    tenors = tuple(dict.fromkeys((*old.tenors, *new.tenors)))
    dates = np.union1d(old.dates, new.dates)
    percent = np.full((len(dates), len(tenors)), np.nan)
    for part in (old, new):
        rows = np.searchsorted(dates, part.dates)
        for k, tenor in enumerate(part.tenors):
            values, column = part.percent[:, k], tenors.index(tenor)
            known = ~np.isnan(values)
            percent[rows[known], column] = values[known]
    origin: list[tuple[str, str]] = [("", "")] * len(dates)
    for part in (old, new):
        for row, how in zip(np.searchsorted(dates, part.dates).tolist(), part.origin, strict=False):
            origin[row] = how
    said = tuple(origin) if old.origin or new.origin else ()
    return Yields(dates, tenors, percent, new.source or old.source, said)


def with_breakevens(yields: Yields, tenors: Sequence[str]) -> Yields:
    """Of these `tenors` the breakevens that are missing, added as nominal less real where both are known."""
    out = yields
    for tenor in (t for t in tenors if t in BREAKEVEN and t not in yields.tenors):
        nominal, real = tenor.replace("_breakeven", ""), tenor.replace("breakeven", "real")
        if {nominal, real} <= set(yields.tenors):
            column = np.round(yields.column(nominal) - yields.column(real), 2)
            out = replace(out, tenors=(*out.tenors, tenor), percent=np.column_stack([out.percent, column]))
    return out


def yield_changes(yields: Yields) -> pa.Table:
    """Basis points since each tenor's previous fixing: columns `date` and one a tenor; null without a fixing."""
    changes = np.full(yields.percent.shape, np.nan)
    for k in range(len(yields.tenors)):
        known = np.flatnonzero(~np.isnan(yields.percent[:, k]))
        changes[known[1:], k] = np.round(np.diff(yields.percent[known, k]) * 100, 4)
    return _table(yields.dates, yields.tenors, changes)


def latest_yields(yields: Yields, day: date, *, days: tuple[int, ...] = (1, 7, 30)) -> list[YieldMove]:
    """Each tenor's last fixing at or before `day`, against those 1, 7 and 30 calendar days earlier."""
    moves = []
    for tenor in yields.tenors:
        column = yields.column(tenor)
        now = _last(yields.dates, column, day)
        if now is None:
            continue
        at, level = now
        for span in days:
            before = _last(yields.dates, column, at - timedelta(days=span))
            if before is not None and (at - timedelta(days=span) - before[0]).days > _FILLED:
                before = None
            change = None if before is None else round((level - before[1]) * 100, 4)
            moves.append(YieldMove(tenor, at, level, span, None if before is None else before[0], change))
    return moves


def _last(dates: NDArray[np.datetime64], column: NDArray[np.float64], day: date) -> tuple[date, float] | None:
    known = np.flatnonzero((dates <= np.datetime64(day, "D")) & ~np.isnan(column))
    return (dates[known[-1]].item(), float(column[known[-1]])) if len(known) else None


def _build(columns: Columns, where: str) -> Yields:
    """Sort, drop days without any fixing and the all-zero rows of holidays, refuse days given twice differently."""
    rows: dict[date, tuple[float, ...]] = {}
    origin: dict[date, tuple[str, str]] = {}
    long = [k for k, tenor in enumerate(columns.tenors) if tenor in TENORS[TENORS.index("2Y") :]]
    for number, (day, values) in enumerate(columns.rows):
        figures = [v for v in values if not np.isnan(v)]
        # Treasury's old feed gave Good Friday 2017 as zeros. A bill or a real yield of zero is none such.
        if not figures or (not any(figures) and any(not np.isnan(values[k]) for k in long)):
            continue
        if day in rows and not np.array_equal(rows[day], values, equal_nan=True):
            raise YieldsError(f"gives {day} twice with different figures", where=where, remedy="keep one row a day")
        rows[day] = values
        if columns.origin:
            origin[day] = columns.origin[number]
    days = sorted(rows)
    percent = np.array([rows[d] for d in days], dtype=float).reshape(len(days), len(columns.tenors))
    kept = tuple(origin[d] for d in days) if columns.origin else ()
    return Yields(np.array(days, dtype="datetime64[D]"), columns.tenors, percent, where, kept)


def _table(dates: NDArray[np.datetime64], tenors: tuple[str, ...], values: NDArray[np.float64]) -> pa.Table:
    columns = {"date": pa.array(dates, pa.date32())}
    columns |= {t: pa.array(values[:, k], pa.float64(), from_pandas=True) for k, t in enumerate(tenors)}
    return pa.table(columns)
