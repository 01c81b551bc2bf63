"""From series, tagged table and yields to `ReportData`: pure, no clock, no disk, nothing after the report's day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bondlore.errors import InputError
from bondlore.measure import calendar
from bondlore.measure.changes import latest_change
from bondlore.measure.series import ShareSeries
from bondlore.measure.yields import Yields, yield_changes
from bondlore.report import selection, words
from bondlore.report.data import (
    VERSION,
    Change,
    Line,
    NarrativeRow,
    Period,
    Point,
    Quality,
    ReportData,
    Span,
    YieldDay,
    YieldLine,
)
from bondlore.report.rows import Rows, read_rows, up_to
from bondlore.report.text import clean
from bondlore.taxonomy import Taxonomy

__all__ = ["TENORS", "build_report", "up_to"]

TENORS = ("2Y", "10Y", "30Y")
_LEAST_DAYS = 28  # a chart of one week still shows a month of yields
_DAYS_OF_STORIES = 7
_SOME = 0.005  # a lower end that is written as 0 speaks for nothing
_FEW = 0.05  # a story below this share counts as absent before or after a clear change
Day = date  # inside `build_report` the parameter `date` hides the type

CLAIMS_NOT = (
    "It measures what the press says, not what moved yields: a story can be told often and be wrong.",
    "A denial is a sentence that rejects a story in its own words; nobody has checked who is right.",
    "A share counts what was read here. Another choice of feeds gives other shares, and no interval covers that.",
    "Shares beside yields show no direction of cause: prices make news as news makes prices.",
)


def build_report(
    table: pa.Table,
    series: ShareSeries,
    yields: Yields | None,
    taxonomy: Taxonomy,
    *,
    date: Day,
    model: str,
    quality: Quality | None = None,
    stamp: str = "",
    in_sample: Sequence[tuple[Day, Day]] = (),
) -> ReportData:
    """Everything the page of `date` shows.

    `series` is what the caller wants plotted, measured on `up_to(table, date)`; with few articles take weeks
    (freq W). `quality` brings feeds and notes; the rest is counted here. `stamp` names the run.
    `in_sample`: first and last days from which the model's training texts come, so far as it is known; they are shaded.
    Raises InputError when `series` was measured with articles after `date`, or the table lacks a narrative.
    """
    rows = read_rows(table, taxonomy, date)
    series = _by(series, date)
    lines = _lines(series, taxonomy)
    _no_look_ahead(table, lines, date)
    lead = "support" if not lines or any(line.series == "support" for line in lines) else "presence"
    period = _period(lines, series.freq, date)
    narratives = tuple(_row(series, lines, taxonomy, n, lead) for n in taxonomy.ids)
    end = period.end if period else date
    start = end - timedelta(days=_LEAST_DAYS - 1)
    start = min([start, *(line.points[0].start for line in lines)])
    quotes = _yields(yields, period, start, end)
    story_start = date - timedelta(days=_DAYS_OF_STORIES - 1)
    story_start = min(story_start, period.start) if period else story_start
    listed, omitted = selection.publishers(rows, start, end)
    spans = _in_sample(in_sample, start, end)
    measured = {"lead_series": lead, "denominator": series.denominator, "by": series.by}
    return ReportData(
        version=VERSION,
        stamp=stamp,
        date=date,
        cutoff=f"{calendar.CUTOFF:%H:%M} New York, {words.day(_last_news_day(date), year=True)}",
        model=clean(model, 120),
        taxonomy=f"{clean(taxonomy.name, 60)} {clean(taxonomy.version, 20)} ({taxonomy.digest})",
        method=", ".join(sorted(series.assumptions)),
        assumptions=tuple(series.assumptions[m] for m in sorted(series.assumptions)),
        period=period,
        chart_start=start,
        chart_end=end,
        story_start=story_start,
        story_end=date,
        in_sample=spans,
        tenors=tuple(line.tenor for line in quotes),
        headline=words.headline(narratives, period, quotes, **measured),
        narratives=narratives,
        lines=lines,
        yields=quotes,
        stories=selection.stories(rows, taxonomy, story_start, date),
        publishers=listed,
        publishers_omitted=omitted,
        yield_days=_moves(rows, yields, quotes, taxonomy),
        quality=_quality(_noted(quality or Quality(), in_sample, spans), rows, lines, quotes, period, series, lead),
        claims_not=CLAIMS_NOT,
        **measured,
    )


def _last_news_day(day: date) -> date:
    """`day`, or before a weekend or holiday the bond business day whose cut-off was the last."""
    last: date = calendar.business_days(day - timedelta(days=14), day)[-1].item()
    return last


def _in_sample(given: Sequence[tuple[Day, Day]], start: date, end: date) -> tuple[Span, ...]:
    """The given stretches where they lie on the chart, joined where they touch, oldest first."""
    out: list[Span] = []
    for first, last in sorted((max(a, start), min(b, end)) for a, b in given if a <= end and b >= start and a <= b):
        if out and first <= out[-1].end + timedelta(days=1):
            out[-1] = Span(out[-1].start, max(out[-1].end, last))
        else:
            out.append(Span(first, last))
    return tuple(out)


def _noted(quality: Quality, given: Sequence[tuple[Day, Day]], spans: Sequence[Span]) -> Quality:
    """`quality` with a note on which of these shares the model may have seen in training."""
    if spans:
        when = ", ".join(words.day_range(s.start, s.end) for s in spans)
        note = f"The model was trained on texts of {when}: what it says of those days is in-sample, and shaded."
    elif given:
        note = "None of the days shown is among those the model's training texts come from."
    else:
        note = "The model does not state from when its training texts come: some days may be in-sample."
    return replace(quality, notes=(*quality.notes, note))


def _by(series: ShareSeries, day: date) -> ShareSeries:
    """The series without periods that begin after `day`."""
    return replace(series, table=series.table.filter(pc.less_equal(series.table["period_start"], pa.scalar(day))))


def _lines(series: ShareSeries, taxonomy: Taxonomy) -> tuple[Line, ...]:
    """The series as lines in taxonomy order, oldest point first."""
    grouped: dict[tuple[str, str], list[Point]] = {}
    for row in series.rows():
        if row["narrative"] in taxonomy:
            grouped.setdefault((row["narrative"], row["series"]), []).append(_point(row))
    order = {n: i for i, n in enumerate(taxonomy.ids)}
    keys = sorted(grouped, key=lambda k: (order[k[0]], k[1]))
    return tuple(Line(n, s, tuple(grouped[n, s])) for n, s in keys)


def _point(row: Mapping[str, Any]) -> Point:
    share, low, high, plain = (
        None if row[k] is None else round(row[k], 6) for k in ("share", "low", "high", "uncorrected")
    )
    return Point(row["period_start"], row["period_end"], share, low, high, plain, row["n"], row["reason"] or "")


def _no_look_ahead(table: pa.Table, lines: Sequence[Line], day: date) -> None:
    last = max((line.points[-1].end for line in lines), default=day)
    if last > day and up_to(table, last).num_rows > up_to(table, day).num_rows:
        raise InputError(
            f"the last period runs to {last}, and the table has articles of it after {day}",
            where="report",
            remedy="cut the table with up_to(table, date), then measure it and report on it",
        )


def _period(lines: Sequence[Line], freq: str, day: date) -> Period | None:
    """The last period that begins by `day`; not complete while its last business day lies ahead."""
    if not lines:
        return None
    last = max((line.points[-1] for line in lines), key=lambda p: p.start)
    end = min(last.end, day)
    complete = not len(calendar.business_days(end + timedelta(days=1), last.end))
    return Period(last.start, end, freq, complete, words.period_label(last.start, end, freq, complete=complete))


def _row(series: ShareSeries, lines: Sequence[Line], taxonomy: Taxonomy, narrative: str, lead: str) -> NarrativeRow:
    now, week, month = _then_and_now(series, lines, narrative, lead)
    denied, denied_week, denied_month = _then_and_now(series, lines, narrative, "rejection")
    about = taxonomy[narrative]
    points = next((line.points for line in lines if (line.narrative, line.series) == (narrative, lead)), ())
    stated = [p for p in points if p.share]
    trend, over = _trend(now, week, month)
    return NarrativeRow(
        id=narrative,
        name=clean(about.name, 60),
        kind=about.kind,
        colour=about.colour,
        dash=about.dash,
        definition=clean(about.definition, 400),
        now=now,
        week_ago=week[0],
        month_ago=month[0],
        week_change=week[1],
        month_change=month[1],
        denied=denied,
        denied_week_ago=denied_week[0],
        denied_month_ago=denied_month[0],
        denied_week_change=denied_week[1],
        denied_month_change=denied_month[1],
        peak=max(stated, key=lambda p: p.share or 0.0) if stated else None,
        trend=trend,
        trend_days=over,
        standing=_standing(now, denied),
    )


_Before = tuple[Point | None, Change | None]


def _trend(now: Point | None, week: _Before, month: _Before) -> tuple[str, int]:
    """`NarrativeRow.trend` and the days it is over: the month's change if that is clear, else the week's."""
    for days, (before, change) in ((30, month), (7, week)):
        if now is None or now.share is None or before is None or before.share is None:
            continue
        if change is not None and change.clear:
            if change.value > 0:
                return ("new" if before.share < _FEW else "rising"), days
            return ("gone" if now.share < _FEW else "fading"), days
    return "", 0


def _standing(now: Point | None, denied: Point | None) -> str:
    """`NarrativeRow.standing`."""
    if now is None or now.share is None or denied is None or not denied.share or (denied.low or 0.0) < _SOME:
        return ""
    return "mostly denied" if denied.share > now.share else "contested" if denied.share >= now.share / 2 else ""


def _then_and_now(
    series: ShareSeries, lines: Sequence[Line], narrative: str, kind: str
) -> tuple[Point | None, _Before, _Before]:
    """The last point, and the ones 7 and 30 days before with the change since. Months have no week before them."""
    points = next((line.points for line in lines if (line.narrative, line.series) == (narrative, kind)), ())
    if not points:
        return None, (None, None), (None, None)
    one = replace(series, table=series.select(narrative=narrative, series=kind))
    found = {c.days: c for c in latest_change(one, (7, 30)) if (c.days, series.freq) != (7, "M")}

    def before(days: int) -> _Before:
        c = found.get(days)
        point = next((p for p in points if c is not None and p.end == c.before_end), None)
        if c is None or c.change is None or c.low is None or c.high is None:
            return point, None
        return point, Change(round(c.change, 6), round(c.low, 6), round(c.high, 6), c.clear)

    return points[-1], before(7), before(30)


def _yields(yields: Yields | None, period: Period | None, start: date, end: date) -> tuple[YieldLine, ...]:
    """2, 10 and 30 years on [start, end]; nothing after `end` is read. Empty when there is no quote."""
    if yields is None:
        return ()
    out = []
    for tenor in (t for t in TENORS if t in yields.tenors):
        dates, values = _column(yields, tenor)
        window = [(d, v) for d, v in zip(dates, values, strict=True) if start <= d <= end]
        first = period.start if period else start
        latest = next((v for d, v in reversed(window) if d >= first and v is not None), None)
        earlier = [v for d, v in zip(dates, values, strict=True) if d < first and v is not None]
        # Without a period there is nothing that a change could be over.
        known = period is not None and latest is not None and bool(earlier)
        change = round(100 * (latest - earlier[-1]), 4) if known and latest is not None else None
        out.append(YieldLine(tenor, tuple(d for d, _ in window), tuple(v for _, v in window), latest, change))
    return tuple(out) if any(v is not None for line in out for v in line.percent) else ()


def _column(yields: Yields, tenor: str) -> tuple[list[date], list[float | None]]:
    """Dates and percent of one tenor, oldest first; None for a missing quote."""
    return yields.dates.tolist(), [None if np.isnan(v) else round(v, 4) for v in yields.column(tenor).tolist()]


def _moves(rows: Rows, yields: Yields | None, quotes: Sequence[YieldLine], taxonomy: Taxonomy) -> tuple[YieldDay, ...]:
    """The days on the chart with the largest moves since the quote before."""
    if yields is None or not quotes:
        return ()
    changes = yield_changes(yields).select(["date", *(line.tenor for line in quotes)]).to_pylist()
    return selection.yield_days(rows, taxonomy, [c for c in changes if c["date"] in set(quotes[0].dates)])


def _quality(
    given: Quality,
    rows: Rows,
    lines: Sequence[Line],
    quotes: Sequence[YieldLine],
    period: Period | None,
    series: ShareSeries,
    lead: str,
) -> Quality:
    table, bond = rows.table, rows.bond
    days = rows.days[bond & ~np.isnat(rows.days)]
    statuses = np.array(table["status"].to_pylist(), dtype=object)
    precision = np.array(table["published_precision"].to_pylist(), dtype=object)
    quoted = [d for line in quotes for d, v in zip(line.dates, line.percent, strict=True) if v is not None]
    refused = {p.start for line in lines if line.series == lead for p in line.points if p.share is None}
    return replace(
        given,
        feeds_failing=tuple(
            replace(f, name=clean(f.name, 80), problem=clean(f.problem, 160)) for f in given.feeds_failing
        ),
        notes=tuple(clean(note, 300) for note in given.notes),
        articles=table.num_rows,
        bond_articles=int(bond.sum()),
        clusters=len(set(rows.clusters[bond].tolist())),
        period_articles=int(rows.between(period.start, period.end).sum()) if period else 0,
        undated=int(np.isnat(rows.days).sum()),
        day_precision=int((precision == "day").sum()),
        low_confidence=_low_confidence(table),
        tagging_errors=int((statuses != "ok").sum()),
        first_day=days.min().item() if len(days) else None,
        last_day=days.max().item() if len(days) else None,
        last_yield=max(quoted, default=None),
        refused_periods=len(refused),
        audited=max((row["n_audited"] for row in series.rows()), default=0),
    )


def _low_confidence(table: pa.Table) -> int | None:
    """How many dates had to be guessed at in part; None when the table does not say."""
    if "published_confidence" not in table.column_names or not table.num_rows:
        return None
    return int(pc.sum(pc.fill_null(pc.equal(table["published_confidence"], "low"), fill_value=False)).as_py() or 0)
