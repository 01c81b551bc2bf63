"""The report as Markdown, for chat and mail: the page's words and tables without its charts. Everything is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bondlore.report import words
from bondlore.report.data import Change, Evidence, NarrativeRow, Point, ReportData, Story
from bondlore.report.text import markdown, markdown_link

__all__ = ["render_markdown"]


def render_markdown(data: ReportData) -> str:
    """The report as CommonMark with pipe tables; the same text for the same data."""
    parts = [
        f"# {markdown(data.headline.title)}",
        markdown(" ".join(data.headline.deck)),
        f"bondlore, {words.day(data.date, year=True)}. {_basis(data)}",
        *_now_and_before(data),
        *_yields(data),
        "## What this rests on",
        "\n".join(f"- {line}" for line in _quality(data)),
        "What this report does not claim:",
        "\n".join(f"- {markdown(claim)}" for claim in data.claims_not),
        "## Who says so, and who denies it",
        *(part for story in data.stories for part in _story(data, story)),
        *_publishers(data),
        *_yield_days(data),
        markdown(data.stamp),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _basis(data: ReportData) -> str:
    if data.period is None:
        return f"No bond articles; cut-off {data.cutoff}."
    articles = words.counted(data.quality.period_articles, "bond", "article")
    return f"From {articles} {data.period.label}; cut-off {data.cutoff}."


def _now_and_before(data: ReportData) -> Iterator[str]:
    """Nothing where no article was read: a table of dashes tells nobody anything."""
    if data.period is None:
        return
    yield "## Now, and 7 and 30 days ago"
    yield _table(
        ["Story", "Now", "7 days before", "30 days before", "Denied now", "7 days before"],
        [
            [
                markdown(n.name) + (f" ({n.standing})" if n.standing else ""),
                _now(n.now),
                _before(n.week_ago, n.week_change),
                _before(n.month_ago, n.month_change),
                _now(n.denied),
                _before(n.denied_week_ago, n.denied_week_change),
            ]
            for n in data.narratives
        ],
    )
    yield "\n".join(f"- {markdown(n.name)}: {markdown(words.trend(n))}" for n in data.narratives if n.trend)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _now(point: Point | None) -> str:
    if point is None or point.share is None:
        return "–"
    return markdown(f"{words.percent(point.share)} ({words.interval(point)})")


def _before(point: Point | None, change: Change | None) -> str:
    if point is None or point.share is None:
        return "–"
    if change is None:
        return markdown(words.percent(point.share))
    moved = f"**{words.points(change.value)}**" if change.clear else words.points(change.value)
    return f"{markdown(words.percent(point.share))} ({moved})"


def _yields(data: ReportData) -> Iterator[str]:
    if not data.yields:
        yield "No yields for these dates."
        return
    yield (
        "Yields: "
        + "; ".join(
            f"{words.named_tenor(y.tenor)} {words.yield_percent(y.latest)}{words.yield_change(y)}" for y in data.yields
        )
        + "."
    )


def _story(data: ReportData, story: Story) -> Iterator[str]:
    row: NarrativeRow = next(n for n in data.narratives if n.id == story.narrative)
    yield f"### {markdown(row.name)}"
    sides = (("Pushed", story.support, story.support_clusters), ("Denied", story.denials, story.denial_clusters))
    for verb, quotes, count in sides:
        if quotes:
            yield f"{verb} in {count} article{'s' if count != 1 else ''}:"
            yield "\n".join(f"- {_quote(e)}" for e in quotes)
    if not story.support and not story.denials:
        yield "No sentence pushed or denied it."


def _quote(evidence: Evidence) -> str:
    where = [markdown(evidence.publisher)] if evidence.publisher else []
    if evidence.published_at is not None:
        where.append(words.day(evidence.published_at.date()))
    if evidence.copies > 1:
        where.append(f"{evidence.copies} copies")
    if evidence.title or evidence.url:
        where.append(markdown_link(evidence.title or "article", evidence.url))
    return f"“{markdown(evidence.text)}” — {', '.join(where)}"


def _publishers(data: ReportData) -> Iterator[str]:
    if not data.publishers:
        return
    yield "## Coverage by publisher"
    indices = [data.narratives.index(n) for n in data.core]
    rows = [
        [
            markdown(p.name) or "Not named",
            f"{p.articles}",
            *(f"{p.pushed[i]} / {p.denied[i]}" if p.denied[i] else f"{p.pushed[i]}" for i in indices),
        ]
        for p in data.publishers
    ]
    yield _table(["Publisher", "Articles", *(markdown(n.name) for n in data.core)], rows)
    if data.publishers_omitted:
        yield f"And {data.publishers_omitted} more."


def _yield_days(data: ReportData) -> Iterator[str]:
    if not data.yield_days:
        return
    yield "## Days yields moved most"
    names = {n.id: n.name for n in data.narratives}
    rows = [
        [
            words.day(d.day, year=True),
            *map(words.basis_points, d.changes),
            f"{markdown(names[d.narrative])}, {d.pushed} of {d.articles}" if d.narrative else "–",
        ]
        for d in data.yield_days
    ]
    yield _table(["Day", *(f"{words.named_tenor(t)}, bp" for t in data.tenors), "Most pushed"], rows)


def _quality(data: ReportData) -> Iterator[str]:
    q = data.quality
    yield f"{q.articles:,d} articles, {q.bond_articles:,d} about bonds, {q.clusters:,d} with copies joined"
    doubtful = "" if q.low_confidence is None else f", {q.low_confidence:,d} with a date of low confidence"
    yield f"{q.undated:,d} without a date, {q.day_precision:,d} with a day but no time{doubtful}"
    yield f"{q.tagging_errors:,d} could not be tagged"
    periods = f"{q.refused_periods:,d} period{'s' if q.refused_periods != 1 else ''}"
    yield f"{periods} with a share refused, {q.audited:,d} articles audited by hand"
    if q.feeds_polled is not None:
        yield f"{len(q.feeds_failing)} of {q.feeds_polled} feeds failing"
    for feed in q.feeds_failing:
        yield f"{markdown(feed.name)}: {markdown(feed.problem)}"
    for note in q.notes:
        yield markdown(note)
    yield f"Model {markdown(data.model)}; taxonomy {markdown(data.taxonomy)}; method {markdown(data.method) or 'none'}"
    for assumption in data.assumptions:
        yield markdown(assumption)
