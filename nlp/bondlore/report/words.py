"""Numbers in words: the forms every rendering shares, and the headline made from them."""

from __future__ import annotations

from datetime import date

from bondlore.report.data import Change, Headline, NarrativeRow, Period, Point, YieldLine

__all__ = [
    "basis_points",
    "counted",
    "counted_noun",
    "day",
    "day_range",
    "during",
    "headline",
    "interval",
    "named_tenor",
    "percent",
    "period_label",
    "points",
    "short_day",
    "trend",
    "yield_change",
    "yield_percent",
]

_MINUS = "−"
_OF = {
    ("bond", "article"): ("bond article", "bond articles"),
    ("bond", "cluster"): ("separate bond article", "separate bond articles"),
    ("causal", "article"): ("article that names a cause", "articles that name a cause"),
    ("causal", "cluster"): ("separate article that names a cause", "separate articles that name a cause"),
    ("mentions", "article"): ("mention of a cause", "mentions of a cause"),
    ("mentions", "cluster"): ("mention of a cause", "mentions of a cause"),
}


def counted(number: int, denominator: str, by: str) -> str:
    """`1 bond article`, `37 bond articles`: what a share is a share of."""
    return f"{number:,d} {_OF[denominator, by][number != 1]}"


def counted_noun(denominator: str, by: str) -> str:
    """`bond articles`."""
    return _OF[denominator, by][1]


def percent(share: float | None) -> str:
    """`0.412` -> `41%`; a dash for nothing; `<1%` rather than a false zero."""
    if share is None:
        return "–"
    return "<1%" if 0 < share < 0.005 else f"{_round(100 * share):d}%"


def interval(point: Point | None) -> str:
    """`34 to 49`, in percent without the sign; "" when there is none."""
    if point is None or point.low is None or point.high is None:
        return ""
    return f"{_round(100 * point.low):d} to {_round(100 * point.high):d}"


def points(change: float | None) -> str:
    """A difference of shares in percentage points with its sign: `+12`, `−3`, `0`."""
    return "–" if change is None else _signed(_round(100 * change))


def basis_points(change: float | None) -> str:
    """A yield change with its sign: `+44`, `−3`, `0`."""
    return "–" if change is None else _signed(_round(change))


def yield_percent(value: float | None) -> str:
    """`4.85%`."""
    return "–" if value is None else f"{value:.2f}%"


def yield_change(line: YieldLine) -> str:
    """` (+44 bp)`, or "" where there is no change to tell."""
    return "" if line.change is None else f" ({basis_points(line.change)} bp)"


def named_tenor(tenor: str) -> str:
    """`30Y` -> `30-year`; other names stay."""
    return f"{tenor[:-1]}-year" if tenor[:-1].isdigit() and tenor.endswith("Y") else tenor


def day(value: date, *, year: bool = False) -> str:
    """`11 April`, with `year` `11 April 2025`; English whatever the locale."""
    return f"{value.day} {_MONTHS[value.month - 1]}" + (f" {value.year}" if year else "")


def short_day(value: date) -> str:
    """`11 Apr`."""
    return f"{value.day} {_MONTHS[value.month - 1][:3]}"


def during(freq: str) -> str:
    """What a change is over: `on the day`, `in the week`, `in the month`."""
    return {"D": "on the day", "W": "in the week", "M": "in the month"}.get(freq, "in the period")


def day_range(start: date, end: date) -> str:
    """`7 to 11 April 2025`, with month and year said once where they are the same."""
    if start == end:
        return day(end, year=True)
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day} to {day(end, year=True)}"
    return f"{day(start, year=start.year != end.year)} to {day(end, year=True)}"


def period_label(start: date, end: date, freq: str, *, complete: bool) -> str:
    """When, as it reads after a verb: `in the week to 11 April`, `on 9 April`, `in April so far`."""
    if freq == "D":
        return f"on {day(end)}"
    if freq == "M":
        return f"in {_MONTHS[start.month - 1]}" + ("" if complete else " so far")
    if freq == "W":
        return f"in the week to {day(end)}" if complete else f"this week up to {day(end)}"
    return f"from {day_range(start, end)}"


def headline(
    rows: tuple[NarrativeRow, ...],
    period: Period | None,
    yields: tuple[YieldLine, ...],
    *,
    lead_series: str,
    denominator: str,
    by: str,
) -> Headline:
    """What changed and how sure. States nothing that a share or a quote does not back."""
    market = _market(yields)
    of = counted_noun(denominator, by)
    core = [r for r in rows if r.kind == "core"] or list(rows)
    known = [r for r in core if r.now is not None and r.now.share is not None]
    read = max((r.now.n for r in rows if r.now is not None), default=0)
    if period is None or not read:
        when = period.label if period else "up to this date"
        return Headline(f"No bond article was read {when}, so no share is stated{market}.", ())
    if not known:
        few = counted(read, denominator, by)
        return Headline(f"{few} {period.label}: too few to state a share{market}.", ())
    lead = max(known, key=_share)  # the first wins a tie
    now = lead.now
    assert now is not None
    if not now.share:
        names = f"None of the {len(core)} core stories was" if len(core) > 1 else f"{lead.name} was not"
        title = f"{names} found in {counted(now.n, denominator, by)} {period.label}{market}."
        return Headline(title, _deck(rows, core, None, of))
    verb = "was pushed in" if lead_series == "support" else "appeared in"
    change = lead.week_change or lead.month_change
    moved = f", {_moved(change, 'a week earlier' if lead.week_change else 'a month earlier')}" if change else ""
    title = f"{lead.name} {verb} {percent(now.share)} ({interval(now)}) of {of} {period.label}{moved}{market}."
    return Headline(title, _deck(rows, core, lead, of), lead.id)


def _share(row: NarrativeRow) -> float:
    return (row.now.share if row.now is not None else None) or 0.0


def _market(yields: tuple[YieldLine, ...]) -> str:
    """`; the 30-year yield rose 44 basis points`, from the longest tenor with a change; "" without one."""
    moved = [y for y in yields if y.change is not None]
    if not moved:
        return ""
    last = moved[-1]
    assert last.change is not None
    size = _round(last.change)
    name = f"the {named_tenor(last.tenor)} yield"
    if not size:
        return f"; {name} did not move"
    return f"; {name} {'rose' if size > 0 else 'fell'} {abs(size)} basis point{'s' if abs(size) != 1 else ''}"


def _deck(
    rows: tuple[NarrativeRow, ...], core: list[NarrativeRow], lead: NarrativeRow | None, of: str
) -> tuple[str, ...]:
    """How sure, who denies, and what was pushed more: one short sentence each."""
    out: list[str] = []
    if lead is not None and (change := lead.week_change or lead.month_change):
        span = f"{points(change.low)} to {points(change.high)} points"
        if change.clear:
            out.append(f"That change is more than chance would give: its 95% interval is {span}.")
        else:
            out.append(f"The articles read fit any change of {span}, so it may be chance.")
    if denial := _denial(core):
        out.append(denial)
    others = [r for r in rows if r not in core and r.now is not None and r.now.share]
    if others:
        most = max(others, key=_share)
        assert most.now is not None
        if _share(most) > (0.0 if lead is None else _share(lead)):
            share = f"{percent(most.now.share)} ({interval(most.now)}) of {of}"
            out.append(f"The story told most often was another: {most.name}, {share}.")
    return tuple(out)


def _denial(core: list[NarrativeRow]) -> str:
    """Who was denied: the clearest change of the week if there is one, else the story denied most."""
    denied = [r for r in core if r.denied is not None and r.denied.share]
    changed = [r for r in core if r.denied and r.denied.share is not None and (c := r.denied_week_change) and c.clear]
    if changed:
        row = max(changed, key=lambda r: abs(r.denied_week_change.value) if r.denied_week_change else 0.0)
        before, change = row.denied_week_ago, row.denied_week_change
        assert row.denied is not None
        assert change is not None
        share = f"{percent(row.denied.share)} ({interval(row.denied)})"
        return f"{row.name}: denials {_times(row.denied, before, change)} within a week, to {share}."
    if not denied:
        return ""
    top = max(denied, key=lambda r: (r.denied and r.denied.share) or 0.0)
    assert top.denied is not None
    moved = f", {_moved(top.denied_week_change, 'a week earlier')}" if top.denied_week_change else ""
    return f"{top.name} was denied in {percent(top.denied.share)} ({interval(top.denied)}){moved}."


def _times(now: Point, before: Point | None, change: Change) -> str:
    """`doubled`, `halved`, or by how many points; a multiple is said only of what was there before."""
    if before is not None and before.share and before.share >= 0.02 and now.share:
        ratio = now.share / before.share
        if 1.8 <= ratio <= 2.2:
            return "doubled"
        if ratio > 2.2:
            return "more than doubled"
        if 0.45 <= ratio <= 0.55:
            return "halved"
    size = abs(_round(100 * change.value))
    return f"{'rose' if change.value > 0 else 'fell'} {size} point{'s' if size != 1 else ''}"


def trend(row: NarrativeRow) -> str:
    """`new, up 31 points (12 to 50) in 30 days to 36%` of a story with a clear trend; "" of another."""
    change = row.month_change if row.trend_days == 30 else row.week_change
    if not row.trend or change is None or row.now is None:
        return ""
    size = abs(_round(100 * change.value))
    low, high = sorted((abs(_round(100 * change.low)), abs(_round(100 * change.high))))
    way = "up" if change.value > 0 else "down"
    moved = f"{way} {size} point{'s' if size != 1 else ''} ({low} to {high}) in {row.trend_days} days"
    return f"{row.trend}, {moved} to {percent(row.now.share)}"


def _moved(change: Change, than: str) -> str:
    size = _round(100 * change.value)
    if not size:
        return f"level with {than}"
    return f"{'up' if size > 0 else 'down'} {abs(size)} point{'s' if abs(size) != 1 else ''} from {than}"


def _signed(value: int) -> str:
    return f"+{value}" if value > 0 else f"{_MINUS}{-value}" if value < 0 else "0"


def _round(value: float) -> int:
    """Half away from zero, after the noise of binary fractions: 22.5 is 23, and so is 22.499999999."""
    return int(abs(round(value, 6)) + 0.5) * (1 if value >= 0 else -1)


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
