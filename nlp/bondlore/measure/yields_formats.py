"""Parsers of the official machine formats of daily Treasury yields, and of our own CSV.

Read: FRED graph CSV (header `observation_date` or, before 2024-12, `DATE`; missing empty or a dot), FRED API JSON,
Treasury par-curve CSV (newest first, `MM/DD/YYYY`, tenors by name) and Atom XML (absent or `m:null` elements), the
Fed Board's H.15 CSV (five metadata rows, missing `ND`). Of each also the real (inflation-indexed) curve: its tenors are
`5Y_real` and so on, FRED's breakevens `5Y_breakeven`. Refused: bills and other look-alikes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree

from bondlore.errors import YieldsError

__all__ = ["BREAKEVEN", "EVERY", "MAX_BYTES", "REAL", "TENORS", "Columns", "parse", "parse_fred_json"]

TENORS = ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y")
REAL = tuple(f"{t}_real" for t in ("5Y", "7Y", "10Y", "20Y", "30Y"))
BREAKEVEN = tuple(t.replace("real", "breakeven") for t in REAL)  # nominal less real: what inflation pays both the same
EVERY = (*TENORS, *REAL, *BREAKEVEN)
MAX_BYTES = 50_000_000
_MISSING = frozenset({"", ".", "ND", "NA", "N/A", "NAN", "NULL", "#N/A"})
_LOWEST, _HIGHEST = -5.0, 30.0  # percent; the highest par yield ever was 16.95
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})")
_VINTAGE = re.compile(r"_\d{8}$")
_MAX_CELL = 200
_ORIGIN = ("source", "fetched_at")  # columns of our own file

_NAMES = {t: t for t in EVERY}
_NAMES |= {f"DGS{t[:-1]}MO" if t.endswith("M") else f"DGS{t[:-1]}": t for t in TENORS}
_NAMES |= {f"{t[:-1]} Mo" if t.endswith("M") else f"{t[:-1]} Yr": t for t in TENORS}
# Case matters: Treasury's real curve is a file of the same name with "10 YR" where the nominal one has "10 Yr".
_NAMES |= {f"{t.partition('Y')[0]} YR": t for t in REAL} | {f"DFII{t.partition('Y')[0]}": t for t in REAL}
_NAMES |= {"T5YIE": "5Y_breakeven", "T10YIE": "10Y_breakeven"}
_H15 = {f"RIFLGFC{t[-1]}{int(t[:-1]):02d}_N.B": t for t in TENORS}
_H15 |= {f"RIFLGFCY{int(t.partition('Y')[0]):02d}_XII_N.B": t for t in REAL}
_XML = {f"BC_{t[:-1]}{'MONTH' if t.endswith('M') else 'YEAR'}": t for t in TENORS}

_REAL_XML = {f"TC_{t.partition('Y')[0]}YEAR": t for t in REAL}

_ATOM = "{http://www.w3.org/2005/Atom}"
_DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
_META = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
_CURVES = {"DailyTreasuryYieldCurveRateDatum": _XML, "DailyTreasuryRealYieldCurveRateDatum": _REAL_XML}


@dataclass(frozen=True)
class Columns:
    """Rows in the order of the file: date and percent by tenor, NaN = missing.

    `origin`: source and time of fetching of each row, where the file (ours) says so.
    """

    tenors: tuple[str, ...]
    rows: list[tuple[date, tuple[float, ...]]]
    origin: tuple[tuple[str, str], ...] = ()


def parse(body: bytes, *, where: str, mapping: Mapping[str, str] | None = None) -> Columns:
    """Recognise the format and read it. An empty body is no rows: Treasury answers so in the first days of a year.

    With `mapping` (`date` and tenors to the names of columns) it is a CSV of one's own.

    Raises YieldsError naming `where` and the row.
    """
    if len(body) > MAX_BYTES:
        raise YieldsError(f"is larger than {MAX_BYTES} bytes", where=where, remedy="ask for fewer years")
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise YieldsError("is not UTF-8 text", where=where, remedy="fetch it anew") from error
    if not text:
        return Columns((), [])
    if mapping:
        return _parse_own(text, mapping, where)
    if text.startswith("<"):
        return _parse_xml(text, where)
    if text.startswith("{"):
        return parse_fred_json(text, tenor="", where=where)
    return _parse_csv(text, where)


def parse_fred_json(text: str, *, tenor: str, where: str) -> Columns:
    """Observations of one FRED series. The answer does not name it, so `tenor` must. Raises YieldsError."""
    if tenor not in EVERY:
        raise YieldsError("is a FRED API answer, which does not say its series", where=where, remedy="use the CSV")
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise YieldsError("is not JSON", where=where, remedy="fetch it anew") from error
    if not isinstance(data, dict) or not isinstance(data.get("observations"), list):
        message = str(data.get("error_message", ""))[:200] if isinstance(data, dict) else ""
        raise YieldsError(message or "holds no observations", where=where, remedy="check the key and the series")
    rows: list[tuple[date, tuple[float, ...]]] = []
    for number, item in enumerate(data["observations"], 1):
        at = f"{where}, observation {number}"
        if not isinstance(item, dict):
            raise YieldsError("is no observation", where=at, remedy="fetch it anew")
        rows.append((_date(str(item.get("date", "")), at), (_figure(str(item.get("value", ".")), at),)))
    return Columns((tenor,), rows)


def _parse_csv(text: str, where: str) -> Columns:
    reader = csv.reader(io.StringIO(text), strict=True)
    lines = _lines(reader, where)
    header = [cell.strip() for cell in next(lines, (0, []))[1]]
    names = _NAMES
    if header and header[0] == "Series Description":
        header, names = next((line for _, line in lines if line and line[0] == "Time Period"), []), _H15
    if not header or header[0].lower() not in ("date", "observation_date", "time period"):
        raise YieldsError("has no header that starts with a date column", where=where, remedy="see bondlore yields")
    # A vintage file appends its day: DGS10_20200115.
    bare = [_VINTAGE.sub("", name) for name in header]
    picked = [(names[name], i) for i, name in enumerate(bare) if name in names]
    tenors = tuple(tenor for tenor, _ in picked)
    if not picked or len(set(tenors)) < len(tenors):
        columns = ", ".join(header[1:6])[:_MAX_CELL]
        raise YieldsError(
            f"has no par-yield columns (it has {columns})",
            where=where,
            remedy="check the source, or give --map",
        )
    extra = [header.index(name) for name in _ORIGIN] if set(_ORIGIN) <= set(header) else []
    return _rows(lines, len(header), 0, picked, where, extra)


def _parse_own(text: str, mapping: Mapping[str, str], where: str) -> Columns:
    """A CSV whose columns `mapping` names."""
    unknown = set(mapping) - {"date", *EVERY}
    if "date" not in mapping or len(mapping) < 2 or unknown:
        odd = f"{min(unknown)!r} is no tenor" if unknown else "names no date or no tenor"
        raise YieldsError(odd, where="--map", remedy=f"write date=day,10Y=ten; tenors are {', '.join(EVERY)}")
    lines = _lines(csv.reader(io.StringIO(text), strict=True), where)
    header = [cell.strip() for cell in next(lines, (0, []))[1]]
    if missing := [name for name in mapping.values() if header.count(name) != 1]:
        raise YieldsError(f"has not one column {missing[0]!r}", where=where, remedy="correct --map")
    picked = [(ours, header.index(theirs)) for ours, theirs in mapping.items() if ours != "date"]
    return _rows(lines, len(header), header.index(mapping["date"]), picked, where, [])


def _rows(
    lines: Iterator[tuple[int, list[str]]],
    width: int,
    day: int,
    picked: list[tuple[str, int]],
    where: str,
    extra: list[int],
) -> Columns:
    """The data lines: the date is in column `day`, tenors and their columns are `picked`, `extra` is the origin."""
    rows, origin = [], []
    for number, line in lines:
        if not any(cell.strip() for cell in line):
            continue
        at = f"{where}, line {number}"
        if len(line) != width:
            raise YieldsError(f"has {len(line)} fields, the header {width}", where=at, remedy="fetch it anew")
        rows.append((_date(line[day].strip(), at), tuple(_figure(line[i], at) for _, i in picked)))
        origin.append((line[extra[0]][:_MAX_CELL], line[extra[1]][:_MAX_CELL]) if extra else ("", ""))
    return Columns(tuple(tenor for tenor, _ in picked), rows, tuple(origin) if extra else ())


def _lines(reader: Any, where: str) -> Iterator[tuple[int, list[str]]]:
    try:
        for line in reader:
            yield reader.line_num, line
    except csv.Error as error:
        raise YieldsError(f"is not CSV ({error})", where=f"{where}, line {reader.line_num}") from error


def _parse_xml(text: str, where: str) -> Columns:
    # The official feed has no DTD; without one, expat has no entities to expand.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise YieldsError("has a DOCTYPE, which the official feed has not", where=where, remedy="check the source")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  no DTD, bounded size
    except (ElementTree.ParseError, ValueError) as error:
        raise YieldsError(f"is not XML ({error})", where=where, remedy="fetch it anew") from error
    if root.tag != f"{_ATOM}feed":
        raise YieldsError("is not an Atom feed", where=where, remedy="use pages/xml, not xmlview")
    found: list[tuple[date, dict[str, float]]] = []
    for number, entry in enumerate(root.iter(f"{_ATOM}entry"), 1):
        at = f"{where}, entry {number}"
        category = entry.find(f"{_ATOM}category")
        term = "." + next(iter(_CURVES)) if category is None else category.get("term", "")
        names = _CURVES.get(term.rpartition(".")[2])
        if names is None:
            raise YieldsError("is another feed than a par yield curve", where=at, remedy="ask for the yield curve")
        properties = entry.find(f"{_ATOM}content/{_META}properties")
        if properties is None:
            raise YieldsError("has no properties", where=at, remedy="fetch it anew")
        stamp = properties.findtext(f"{_DATA}NEW_DATE", "")
        found.append((_date(stamp.partition("T")[0], at), _xml_figures(properties, names, at)))
    tenors = tuple(t for t in EVERY if any(t in figures for _, figures in found))
    if found and not tenors:
        raise YieldsError("has no par yields", where=where, remedy="ask for daily_treasury_yield_curve")
    return Columns(tenors, [(day, tuple(f.get(t, math.nan) for t in tenors)) for day, f in found])


def _xml_figures(properties: ElementTree.Element, names: Mapping[str, str], at: str) -> dict[str, float]:
    figures = {}
    for element in properties:
        tenor = names.get(element.tag.removeprefix(_DATA))
        if tenor is not None:
            null = element.get(f"{_META}null") == "true"
            # An old capture says 0.059999998658895493; the curve has two decimals.
            figures[tenor] = math.nan if null else round(_figure(element.text or "", at), 2)
    return figures


def _figure(cell: str, at: str) -> float:
    cell = cell.strip()
    if cell.upper() in _MISSING:
        return math.nan
    try:
        value = float(cell)
    except ValueError as error:
        raise YieldsError(f"{cell[:_MAX_CELL]!r} is no yield", where=at, remedy="mend or remove the row") from error
    if not _LOWEST <= value <= _HIGHEST:
        raise YieldsError(f"{cell[:_MAX_CELL]} percent is no Treasury yield", where=at, remedy="check the source")
    return value


def _date(cell: str, at: str) -> date:
    try:
        if match := _US_DATE.fullmatch(cell):
            month, day, year = (int(part) for part in match.groups())
            # Archives re-saved by a spreadsheet have two-digit years; the par curve starts in 1962 at the earliest.
            return date(year + (1900 if year >= 60 else 2000) if len(match[3]) == 2 else year, month, day)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", cell):
            return date.fromisoformat(cell)
    except ValueError:
        pass
    raise YieldsError(f"{cell[:_MAX_CELL]!r} is no date", where=at, remedy="use YYYY-MM-DD or MM/DD/YYYY")
