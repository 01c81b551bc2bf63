"""Labels given under a former version of the taxonomy, carried over to the present one by its recorded history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bondlore.errors import LabelError
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelled import LabelledArticle, native_row
from bondlore.train.labelling.forms import native_rows
from bondlore.train.labelling.spans import NOTHING, label_of
from bondlore.train.labels import parse

__all__ = ["Carried", "carry", "carry_files"]

_Undecided = dict[int, list[str]]


@dataclass(frozen=True, slots=True)
class Carried:
    """`rows` are native rows under the present version; `review` those in which somebody must decide, sentence by
    sentence, what `review` of the row offers. `counts` of labels: kept, renamed, retired, undecided.
    """

    rows: tuple[dict[str, Any], ...]
    review: tuple[dict[str, Any], ...]
    counts: Counter[str]
    added: tuple[str, ...]


def carry_files(paths: Sequence[Path], taxonomy: Taxonomy, since: str = "") -> Carried:
    """Read labels of former versions, in any form, and carry them over.

    A row says under which version it was labelled (`taxonomy`), else `since` does. Raises LabelError naming file and
    row: an unusable row, or one whose version nobody names; TaxonomyError for a version that is not recorded.
    """
    found: list[tuple[LabelledArticle, str]] = []
    editions: dict[str, Taxonomy] = {taxonomy.version: taxonomy}
    for path in paths:
        for where, row in native_rows(path):
            name, _, version = str(row.get("taxonomy") or f"{taxonomy.name}/{since}").rpartition("/")
            if not version:
                remedy = "say it with --since VERSION"
                raise LabelError("the row does not say under which version it was labelled", where=where, remedy=remedy)
            if name != taxonomy.name:
                remedy = f"give labels of {taxonomy.name}"
                raise LabelError(f"labelled under another taxonomy, {name!r}", where=where, remedy=remedy)
            if version not in editions:
                editions[version] = taxonomy.edition(version)
            found.append((parse(row, editions[version], where), version))
    return carry(found, taxonomy)


def carry(found: Sequence[tuple[LabelledArticle, str]], taxonomy: Taxonomy) -> Carried:
    """Carry articles over, each from its version. Raises TaxonomyError for a version that is not recorded."""
    counts: Counter[str] = Counter()
    rows, review = [], []
    added: dict[str, None] = {}
    maps: dict[str, dict[str, frozenset[str | None]]] = {
        taxonomy.version: {n: frozenset([n]) for n in taxonomy},
    }
    for article, version in found:
        if version not in maps:
            maps[version] = taxonomy.successors(version)
            added |= dict.fromkeys(taxonomy.added_since(version))
        carried, undecided = _article(article, maps[version], counts)
        row = native_row(replace(carried, taxonomy=taxonomy.stamp))
        if undecided:
            review.append(row | {"review": {str(i): offered for i, offered in sorted(undecided.items())}})
        else:
            rows.append(row)
    return Carried(tuple(rows), tuple(review), counts, tuple(n for n in taxonomy if n in added))


def _article(
    article: LabelledArticle, became: dict[str, frozenset[str | None]], counts: Counter[str]
) -> tuple[LabelledArticle, _Undecided]:
    labels: dict[int, dict[str, str]] = {}
    undecided: _Undecided = {}
    for i, given in article.labels.items():
        kept: dict[str, list[tuple[str, str]]] = {}  # narrative -> former narrative and stance
        for narrative, stance in given.items():
            match sorted(became[narrative], key=str):
                case [None]:
                    counts["retired"] += 1
                case [str(one)]:
                    kept.setdefault(one, []).append((narrative, stance))
                case several:
                    counts["undecided"] += 1
                    offered = [NOTHING if n is None else label_of(n, stance) for n in several]
                    undecided.setdefault(i, []).extend(offered)
        for one, former in kept.items():
            sides = sorted({stance for _, stance in former}, reverse=True)
            if len(sides) > 1:  # two narratives were merged, of which the sentence pushes one and denies the other
                counts["undecided"] += len(former)
                undecided.setdefault(i, []).extend(label_of(one, side) for side in sides)
            else:
                counts.update("kept" if old == one else "renamed" for old, _ in former)
                labels.setdefault(i, {})[one] = sides[0]
    labels = dict(sorted(labels.items()))
    gate, primary = article.gate, article.primary
    now = became.get(primary, frozenset([primary]))
    primary = next(iter(now)) or "" if len(now) == 1 else ""
    if not labels and not undecided and article.labels:  # all that it carried was retired
        gate, primary = "topical" if gate == "causal" else gate, NOTHING if article.primary else ""
    elif primary not in ("", NOTHING) and not undecided and not any(primary in given for given in labels.values()):
        primary = ""
    return replace(article, labels=labels, gate=gate, primary=primary), undecided
