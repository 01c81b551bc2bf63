"""A model's figures by period, publisher or length, and its errors one by one, the most confident first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bondlore.train.labels import LabelledArticle

__all__ = ["SLICES", "errors", "sliced"]

SLICES = ("period", "publisher", "length")
_FEWEST = 5  # articles a slice; smaller ones are put together, for their figures would be noise
_LENGTHS = ((5, "up to 5 sentences"), (15, "6 to 15 sentences"))
_REST = "the rest"


def sliced(articles: Sequence[LabelledArticle], by: str) -> dict[str, list[LabelledArticle]]:
    """Articles by month, publisher or number of sentences, in order of name; slices under five articles in one."""
    groups: dict[str, list[LabelledArticle]] = defaultdict(list)
    for a in articles:
        groups[_slice(a, by)].append(a)
    small = [name for name, members in groups.items() if len(members) < _FEWEST]
    rest = [a for name in small for a in groups.pop(name)]
    out = dict(sorted(groups.items()))
    return out | ({_REST: rest} if rest else {})


def _slice(a: LabelledArticle, by: str) -> str:
    if by == "publisher":
        return a.publisher or "no publisher"
    if by == "period":
        return a.date[:7] or "undated"
    length = sum(bool(s) for s in a.sentences)
    return next((name for most, name in _LENGTHS if length <= most), "over 15 sentences")


def errors(
    articles: Sequence[LabelledArticle], predictions: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A row an error: `missed`, `false alarm` or `stance`, with the sentence, its neighbours and the probability.

    Ordered by how sure the model was of its error, where the predictions have scores.
    """
    rows = []
    for a in articles:
        said = predictions.get(a.id, {})
        for i, sentence in enumerate(a.sentences):
            gold, found = a.labels.get(i, {}), said.get("labels", {}).get(str(i), {})
            for narrative in sorted(gold.keys() | found.keys()):
                if gold.get(narrative) == found.get(narrative):
                    continue
                kind = "missed" if narrative not in found else "stance" if narrative in gold else "false alarm"
                p = (said.get("scores") or {}).get(str(i), {}).get(narrative)
                sure = 0.0 if p is None else 1 - p if kind == "missed" else p
                row = {
                    "error": kind,
                    "narrative": narrative,
                    "gold": gold.get(narrative),
                    "predicted": found.get(narrative),
                    "probability": None if p is None else round(float(p), 4),
                    "id": a.id,
                    "where": a.source,
                    "sentence": i,
                    "before": a.sentences[i - 1] if i else "",
                    "text": sentence,
                    "after": a.sentences[i + 1] if i + 1 < len(a.sentences) else "",
                }
                rows.append((sure, row))
    yield from (row for _, row in sorted(rows, key=lambda pair: (-pair[0], pair[1]["id"], pair[1]["sentence"])))
