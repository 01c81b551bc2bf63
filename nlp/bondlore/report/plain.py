"""The report as plain text, for a mail that any program shows: lines of at most 78 columns, no markup."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from bondlore.report import words
from bondlore.report.data import Change, Evidence, NarrativeRow, Point, ReportData, Story

__all__ = ["WIDTH", "render_text"]

WIDTH = 78


def render_text(data: ReportData) -> str:
    """The report for a mail's body; the same text for the same data. Only an address may be longer than a line."""
    parts = [
        f"bondlore, {words.day(data.date, year=True)}",
        *_headline(data),
        *([_heading("Now, and 7 and 30 days ago"), _shares(data)] if data.period is not None else []),
        "\n".join(_moving(data)),
        "\n".join(_yields(data)),
        _heading("What this rests on"),
        "\n".join(_wrapped(line, "- ") for line in _quality(data)),
        _heading("Who says so, and who denies it"),
        *(part for story in data.stories for part in _story(data, story)),
        *_publishers(data),
        *_yield_days(data),
        _heading("What this report does not claim"),
        "\n".join(_wrapped(claim, "- ") for claim in data.claims_not),
        _wrapped(data.stamp),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(data: ReportData) -> Iterator[str]:
    yield _wrapped(data.headline.title)
    yield _wrapped(" ".join(data.headline.deck))


def _heading(text: str) -> str:
    return f"{text.upper()}\n{'-' * len(text)}"


def _wrapped(text: str, start: str = "") -> str:
    """`text` in lines; `start` opens the first, the others stand under its words."""
    return "\n".join(
        textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False)
    )


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows with the first cell left, cut where a line would be too long, and the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    widths[0] = max(8, min(widths[0], WIDTH - sum(widths[1:]) - 2 * len(widths[1:])))

    def line(row: Sequence[str]) -> str:
        first = row[0] if len(row[0]) <= widths[0] else row[0][: widths[0] - 1] + "…"
        return "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])

    return "\n".join(map(line, rows))


def _shares(data: ReportData) -> str:
    rows = [["Story", "Now", "7 days ago", "30 days ago", "Denied now"]]
    rows += [
        [n.name, _now(n.now), _before(n.week_ago, n.week_change), _before(n.month_ago, n.month_change), _now(n.denied)]
        for n in data.narratives
    ]
    note = "Per cent with 95% interval; the change since in points, * where it is more than chance would give."
    return f"{_columns(rows)}\n\n{_wrapped(note)}"


def _now(point: Point | None) -> str:
    if point is None or point.share is None:
        return "–"
    return f"{words.percent(point.share)} ({words.interval(point)})"


def _before(point: Point | None, change: Change | None) -> str:
    if point is None or point.share is None:
        return "–"
    moved = f" {words.points(change.value)}{'*' if change.clear else ''}" if change is not None else ""
    return f"{words.percent(point.share)}{moved}"


def _moving(data: ReportData) -> Iterator[str]:
    for n in data.narratives:
        if n.trend:
            yield _wrapped(f"{n.name}: {words.trend(n)}", "- ")
    for n in data.narratives:
        if n.standing:
            yield _wrapped(f"{n.name}: {n.standing}", "- ")


def _yields(data: ReportData) -> Iterator[str]:
    if not data.yields:
        yield "No yields for these dates."
    for y in data.yields:
        yield f"{words.named_tenor(y.tenor):>8} yield {words.yield_percent(y.latest):>7}{words.yield_change(y)}"


def _story(data: ReportData, story: Story) -> Iterator[str]:
    row: NarrativeRow = next(n for n in data.narratives if n.id == story.narrative)
    sides = (("Pushed", story.support, story.support_clusters), ("Denied", story.denials, story.denial_clusters))
    yield f"{row.name}\n{'.' * len(row.name)}"
    for verb, quotes, count in sides:
        if quotes:
            head = f"{verb} in {count} article{'s' if count != 1 else ''}:"
            yield "\n".join([head, *(_quote(e) for e in quotes)])
    if not story.support and not story.denials:
        yield "No sentence pushed or denied it."


def _quote(evidence: Evidence) -> str:
    where = [evidence.publisher] if evidence.publisher else []
    if evidence.published_at is not None:
        where.append(words.day(evidence.published_at.date()))
    if evidence.copies > 1:
        where.append(f"{evidence.copies} copies")
    if evidence.title and evidence.title != evidence.text:
        where.append(evidence.title)
    lines = [_wrapped(f"“{evidence.text}”", "> ")]
    if where:
        lines.append(_wrapped(", ".join(where), "  "))
    if evidence.url:
        lines.append(f"  <{evidence.url}>")
    return "\n".join(lines)


def _publishers(data: ReportData) -> Iterator[str]:
    if not data.publishers:
        return
    yield _heading("Coverage by publisher")
    indices = [data.narratives.index(n) for n in data.core]
    rows = [["Publisher", "Articles", *(n.name[:16] for n in data.core)]]
    rows += [
        [
            p.name or "Not named",
            f"{p.articles:,d}",
            *(f"{p.pushed[i]} / {p.denied[i]}" if p.denied[i] else f"{p.pushed[i]}" for i in indices),
        ]
        for p in data.publishers
    ]
    more = f"\nAnd {data.publishers_omitted:,d} more." if data.publishers_omitted else ""
    yield f"{_columns(rows)}{more}\n\nArticles that push each story; after the stroke those that deny it."


def _yield_days(data: ReportData) -> Iterator[str]:
    if not data.yield_days:
        return
    yield _heading("Days yields moved most")
    names = {n.id: n.name for n in data.narratives}
    rows = [["Basis points", *(words.named_tenor(t) for t in data.tenors), "Most pushed"]]
    rows += [
        [
            words.day(d.day, year=True),
            *map(words.basis_points, d.changes),
            f"{names[d.narrative][:22]}, {d.pushed} of {d.articles}" if d.narrative else "–",
        ]
        for d in data.yield_days
    ]
    yield _columns(rows)


def _quality(data: ReportData) -> Iterable[str]:
    q = data.quality
    yield f"{q.articles:,d} articles, {q.bond_articles:,d} about bonds, {q.clusters:,d} with copies joined"
    if data.period is not None:
        yield f"{words.counted(q.period_articles, 'bond', 'article')} {data.period.label}; cut-off {data.cutoff}"
    else:
        yield f"Cut-off {data.cutoff}"
    doubtful = "" if q.low_confidence is None else f", {q.low_confidence:,d} with a date of low confidence"
    yield f"{q.undated:,d} without a date, {q.day_precision:,d} with a day but no time{doubtful}"
    yield f"{q.tagging_errors:,d} could not be tagged"
    yield f"{q.refused_periods:,d} period{'s' if q.refused_periods != 1 else ''} with a share refused"
    yield f"{q.audited:,d} articles audited by hand"
    if q.feeds_polled is not None:
        yield f"{len(q.feeds_failing)} of {q.feeds_polled} feeds failing"
    yield from (f"{feed.name}: {feed.problem}" for feed in q.feeds_failing)
    yield from q.notes
    yield f"Model {data.model or 'not named'}; taxonomy {data.taxonomy}; method {data.method or 'none'}"
    yield from data.assumptions
