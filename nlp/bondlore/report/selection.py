"""What the page quotes and lists: evidence one a cluster, publishers, and the days on which yields moved most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from bondlore.report.data import Evidence, PublisherRow, Story, YieldDay
from bondlore.report.rows import Rows
from bondlore.report.text import clean, safe_link
from bondlore.taxonomy import Taxonomy

__all__ = ["publishers", "stories", "yield_days"]

_SENTENCE, _TITLE, _NAME = 420, 160, 60
_COLUMNS = ["id", "url", "publisher", "title", "published_at", "published_precision", "evidence"]
_LAST = datetime.max.replace(tzinfo=UTC)


def stories(
    rows: Rows, taxonomy: Taxonomy, start: date, end: date, *, core: int = 3, context: int = 2
) -> tuple[Story, ...]:
    """Each narrative's strongest evidence in the window and the denials: at most `core` or `context` of each.

    Core narratives come first, in taxonomy order, even without evidence; then the others by how many story
    clusters push or deny them.
    """
    where = np.flatnonzero(rows.between(start, end))
    articles = rows.table.select(_COLUMNS).take(where).to_pylist()
    clusters = rows.clusters[where].tolist()
    copies = Counter(clusters)
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for article, cluster in zip(articles, clusters, strict=True):
        for item in article["evidence"] or ():
            key = (item["narrative"], item["stance"])
            rank = (
                -round(item["probability"] or 0.0, 4),
                article["published_at"] or _LAST,
                article["id"],
                item["sentence"],
            )
            found.setdefault(key, []).append((rank, cluster, item, article))

    def side(narrative: str, stance: str, limit: int) -> tuple[tuple[Evidence, ...], int]:
        all_of_it = found.get((narrative, stance), [])
        best = _one_a_cluster(all_of_it)[:limit]
        return tuple(_evidence(item, article, copies[c]) for _, c, item, article in best), len(
            {c[1] for c in all_of_it}
        )

    out = []
    for narrative in taxonomy.narratives:
        limit = core if narrative.kind == "core" else context
        support, pushing = side(narrative.id, "support", limit)
        denials, denying = side(narrative.id, "reject", limit)
        if narrative.kind == "core" or pushing or denying:
            out.append((narrative.kind != "core", Story(narrative.id, support, denials, pushing, denying)))
    out.sort(key=lambda s: (s[0], -(s[1].support_clusters + s[1].denial_clusters) if s[0] else 0))
    return tuple(story for _, story in out)


def _one_a_cluster(candidates: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The best of each cluster, strongest first; a sentence that two clusters share word for word counts once."""
    seen: set[Any] = set()
    out = []
    for candidate in sorted(candidates, key=lambda c: c[0]):
        words = ("text", clean(candidate[2]["text"] or "").casefold())
        if candidate[1] not in seen and words not in seen:
            out.append(candidate)
            seen |= {candidate[1], words}
    return out


def _evidence(item: dict[str, Any], article: dict[str, Any], copies: int) -> Evidence:
    return Evidence(
        text=clean(item["text"] or "", _SENTENCE),
        title=clean(article["title"] or "", _TITLE),
        publisher=clean(article["publisher"] or "", _NAME),
        url=safe_link(article["url"] or ""),
        published_at=article["published_at"],
        precision=article["published_precision"] or "none",
        probability=round(float(item["probability"] or 0.0), 3),
        copies=copies,
    )


def publishers(rows: Rows, start: date, end: date, *, limit: int = 12) -> tuple[tuple[PublisherRow, ...], int]:
    """The publishers with most bond articles in [start, end], and how many more there are. Unnamed ones are one row."""
    where = np.flatnonzero(rows.between(start, end))
    names = [clean(name or "", _NAME) for name in rows.table["publisher"].take(where).to_pylist()]
    groups: dict[str, list[int]] = {}
    for name, row in zip(names, where.tolist(), strict=True):
        groups.setdefault(name, []).append(row)
    order = sorted(groups, key=lambda name: (-len(groups[name]), name))
    out = tuple(
        PublisherRow(
            name,
            len(groups[name]),
            len(set(rows.clusters[groups[name]].tolist())),
            tuple(rows.pushed[groups[name]].sum(axis=0).tolist()),
            tuple(rows.denied[groups[name]].sum(axis=0).tolist()),
        )
        for name in order[:limit]
    )
    return out, max(0, len(order) - limit)


def yield_days(
    rows: Rows, taxonomy: Taxonomy, changes: Sequence[Mapping[str, Any]], *, limit: int = 5
) -> tuple[YieldDay, ...]:
    """The days with the largest move of the last tenor, each with the story that most articles pushed that day.

    `changes`: one mapping a day, `date` and then basis points a tenor in order, None without a quote.
    """
    moves = {c["date"]: tuple(v for k, v in c.items() if k != "date") for c in changes}
    ranked = sorted((d for d, m in moves.items() if m[-1]), key=lambda d: (-abs(moves[d][-1]), d))
    out = []
    for day in ranked[:limit]:
        here = rows.between(day, day)
        counts = rows.pushed[here].sum(axis=0)
        top = int(counts.argmax())
        count = int(counts[top])
        out.append(YieldDay(day, moves[day], int(here.sum()), taxonomy.ids[top] if count else "", count))
    return tuple(out)
