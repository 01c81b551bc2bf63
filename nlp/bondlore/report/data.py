"""The report as data: one frozen, versioned object that every renderer reads and nothing else.

Shares are fractions of 1, yields are percent, yield changes are basis points. Whatever a
rendering shows as a number is here, so `report.json` is the page without its looks.
"""

from __future__ import annotations

import json
import re
import types
import typing
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bondlore.errors import InputError

__all__ = [
    "SCHEMA_FILE",
    "VERSION",
    "Change",
    "Evidence",
    "Feed",
    "Headline",
    "Line",
    "NarrativeRow",
    "Period",
    "Point",
    "PublisherRow",
    "Quality",
    "ReportData",
    "Span",
    "Story",
    "YieldDay",
    "YieldLine",
    "from_json",
    "json_schema",
    "to_json",
]

VERSION = "bondlore.report/2"
SCHEMA_FILE = Path(__file__).parent / "schema" / "report-2.json"
_MAX_BYTES = 100_000_000
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_ID = re.compile(r"[a-z][a-z0-9_]{0,40}")
Day = date  # inside ReportData the field `date` hides the type


@dataclass(frozen=True, slots=True)
class Point:
    """A share in one period with its 95 % interval. `share` is None where it is refused; `reason` says why."""

    start: date
    end: date
    share: float | None
    low: float | None
    high: float | None
    uncorrected: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A difference of two shares with its 95 % interval (MOVER); `clear` when that leaves out zero."""

    value: float
    low: float
    high: float
    clear: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One narrative's shares over time; `series` is presence, support, rejection or contested."""

    narrative: str
    series: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class YieldLine:
    """One tenor's yields in percent on the chart's dates; None on a day without a quote.

    `latest` is the last quote in the period, `change` its distance in basis points from the last one before the period.
    """

    tenor: str
    dates: tuple[date, ...]
    percent: tuple[float | None, ...]
    latest: float | None
    change: float | None


@dataclass(frozen=True, slots=True)
class Period:
    """The period the page speaks of: both days included, `end` never after the report's date."""

    start: date
    end: date
    freq: str
    complete: bool
    label: str


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `start` to `end`, both included."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Headline:
    """What changed and how sure, in words made from the numbers below."""

    title: str
    deck: tuple[str, ...]
    narrative: str = ""


@dataclass(frozen=True, slots=True)
class NarrativeRow:
    """A narrative's lead series and its denials, now and 7 and 30 days earlier.

    `peak` is the highest share on the chart. `trend`: `new` (clearly up from less than 5 %), `rising`, `fading`, `gone`
    (clearly down to less than 5 %), or "" where chance explains the change; over `trend_days`, 7 or 30. `standing`:
    `mostly denied` where more of the coverage denies it than pushes it, `contested` where at least half as much does
    (in both the interval of the denials leaves out zero), else "".
    """

    id: str
    name: str
    kind: str
    colour: str
    dash: str
    definition: str
    now: Point | None
    week_ago: Point | None
    month_ago: Point | None
    week_change: Change | None
    month_change: Change | None
    denied: Point | None
    denied_week_ago: Point | None
    denied_month_ago: Point | None
    denied_week_change: Change | None
    denied_month_change: Change | None
    peak: Point | None
    trend: str
    trend_days: int
    standing: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence as published. `url` is "" when the article has no safe link; `copies` counts its cluster."""

    text: str
    title: str
    publisher: str
    url: str
    published_at: datetime | None
    precision: str
    probability: float
    copies: int


@dataclass(frozen=True, slots=True)
class Story:
    """One narrative's strongest sentences in the story window, one a cluster, and those that deny it."""

    narrative: str
    support: tuple[Evidence, ...]
    denials: tuple[Evidence, ...]
    support_clusters: int
    denial_clusters: int


@dataclass(frozen=True, slots=True)
class PublisherRow:
    """Bond articles of one publisher on the chart's dates; counts are articles, in the order of `narratives`."""

    name: str
    articles: int
    clusters: int
    pushed: tuple[int, ...]
    denied: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class YieldDay:
    """A day of large yield moves (basis points a tenor) and how many articles pushed which story that day."""

    day: date
    changes: tuple[float | None, ...]
    articles: int
    narrative: str
    pushed: int


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that failed, and how."""

    name: str
    problem: str


@dataclass(frozen=True, slots=True)
class Quality:
    """What the numbers rest on. The caller gives feeds and notes; `build_report` counts the rest.

    `feeds_polled` is None when the articles came from an archive. `low_confidence` counts dates that had to be guessed
    at in part; None where the table does not say how far its dates are to be believed.
    """

    feeds_polled: int | None = None
    feeds_failing: tuple[Feed, ...] = ()
    notes: tuple[str, ...] = ()
    articles: int = 0
    bond_articles: int = 0
    clusters: int = 0
    period_articles: int = 0
    undated: int = 0
    day_precision: int = 0
    low_confidence: int | None = None
    tagging_errors: int = 0
    first_day: date | None = None
    last_day: date | None = None
    last_yield: date | None = None
    refused_periods: int = 0
    audited: int = 0


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything one report says. `stamp` names the run and is the only field that may differ between equal inputs."""

    version: str
    stamp: str
    date: Day
    cutoff: str
    model: str
    taxonomy: str
    method: str
    assumptions: tuple[str, ...]
    by: str
    denominator: str
    lead_series: str
    period: Period | None
    chart_start: Day
    chart_end: Day
    story_start: Day
    story_end: Day
    in_sample: tuple[Span, ...]
    tenors: tuple[str, ...]
    headline: Headline
    narratives: tuple[NarrativeRow, ...]
    lines: tuple[Line, ...]
    yields: tuple[YieldLine, ...]
    stories: tuple[Story, ...]
    publishers: tuple[PublisherRow, ...]
    publishers_omitted: int
    yield_days: tuple[YieldDay, ...]
    quality: Quality
    claims_not: tuple[str, ...]

    def line(self, narrative: str, series: str) -> Line | None:
        """The line of one narrative and series, or None when it was not measured."""
        return next((x for x in self.lines if x.narrative == narrative and x.series == series), None)

    @property
    def core(self) -> tuple[NarrativeRow, ...]:
        """The narratives the project exists to measure."""
        return tuple(n for n in self.narratives if n.kind == "core")


def to_json(data: ReportData) -> str:
    """The report as JSON text: keys in field order, dates in ISO form, no NaN."""
    return json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, *, where: str = "report.json") -> ReportData:
    """Read what `to_json` wrote; every field is checked. Raises InputError naming the field."""
    if len(text) > _MAX_BYTES:
        raise InputError("is too large for a report", where=where, remedy="give the report.json of one day")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})", where=where, remedy="give an unchanged report.json") from error
    if not isinstance(raw, dict) or raw.get("version") != VERSION:
        raise InputError(f"is not a {VERSION} report", where=where, remedy="make it again with this version")
    data = _read(ReportData, raw, where)
    assert isinstance(data, ReportData)
    for row in data.narratives:
        if not _COLOUR.fullmatch(row.colour) or not _ID.fullmatch(row.id):
            raise InputError(f"has an unusable narrative {row.id!r}", where=where, remedy="use #rrggbb and a plain id")
    return data


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `report.json`, from the dataclasses; `SCHEMA_FILE` is its published copy."""
    definitions: dict[str, Any] = {}
    _describe(ReportData, definitions)
    root = definitions.pop("ReportData")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{VERSION.replace('/', ':')}",
        "title": VERSION,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, date):
        return value.isoformat()
    return value


def _read(kind: Any, value: Any, where: str) -> Any:
    """`value` as `kind` (a dataclass, tuple, union, date or scalar), or InputError."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        inner = next(a for a in args if a is not types.NoneType)
        return None if value is None else _read(inner, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        if set(value) != set(hints):
            odd = ", ".join(sorted(set(value) ^ set(hints)))
            raise InputError(f"missing or unknown: {odd}", where=where, remedy="give an unchanged report.json")
        return kind(**{k: _read(h, value[k], f"{where}.{k}") for k, h in hints.items()})  # type: ignore[operator]
    if kind in (date, datetime) and isinstance(value, str):
        try:
            return kind.fromisoformat(value)
        except ValueError as error:
            raise InputError(f"{value[:40]!r} is not a date", where=where, remedy="use the ISO form") from error
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    raise InputError(f"is not what the schema says ({kind})", where=where, remedy="give an unchanged report.json")


_SCALARS: dict[Any, dict[str, str]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}


def _describe(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one type; dataclasses go into `definitions` and are referred to."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        inner = next(a for a in args if a is not types.NoneType)
        return {"anyOf": [_describe(inner, definitions), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _describe(args[0], definitions)}
    if not is_dataclass(kind):
        return dict(_SCALARS[kind])
    assert isinstance(kind, type)
    if kind.__name__ not in definitions:
        hints = typing.get_type_hints(kind)
        definitions[kind.__name__] = {}
        definitions[kind.__name__] = {
            "description": " ".join((kind.__doc__ or "").split()),
            "type": "object",
            "properties": {k: _describe(h, definitions) for k, h in hints.items()},
            "required": list(hints),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}
