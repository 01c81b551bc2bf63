"""A labelled article: what every form of labels file is read into, and every writer starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FIELDS", "LabelledArticle", "further", "native_row"]

FIELDS = ("publisher", "date", "gate", "primary", "annotator", "taxonomy")  # text, "" where unknown
_OTHERS = {"id", "title", "sentences", "text", "labels", "extra", "article", "sentence", "of", "keys", "review"}


@dataclass(frozen=True, slots=True)
class LabelledArticle:
    """Sentences (index 0 the title) and, for each sentence that carries one, narrative -> stance.

    `pending`: nobody has labelled it yet, which is not the same as carrying nothing. `taxonomy` is the `name/version`
    it was labelled under, where the row says so. `extra` holds whatever else a row has, such as why it was suggested
    and with what probability it was drawn; conversion keeps it.
    """

    id: str
    sentences: tuple[str, ...]
    labels: Mapping[int, Mapping[str, str]]
    publisher: str = ""
    date: str = ""
    gate: str = ""
    primary: str = ""
    annotator: str = ""
    source: str = field(default="", compare=False)
    taxonomy: str = ""
    pending: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, str]:
        """Those of `FIELDS` that are known."""
        return {k: getattr(self, k) for k in FIELDS if getattr(self, k)}


def further(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What a native row holds beyond the known keys, as plain JSON values."""
    return {k: v for k, v in row.items() if isinstance(k, str) and k not in FIELDS and k not in _OTHERS and _plain(v)}


def _plain(value: Any) -> bool:
    """Whether JSON has such a value; a data set's images, dates and arrays stay behind."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and _plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or isinstance(value, (str, int, float, bool))


def native_row(article: LabelledArticle) -> dict[str, Any]:
    """The row of a native labels file; `labels` is null where nobody has labelled yet."""
    labels = {str(i): dict(carried) for i, carried in sorted(article.labels.items())}
    return {
        "id": article.id,
        "title": article.sentences[0],
        "sentences": list(article.sentences),
        "labels": None if article.pending else labels,
        **article.fields(),
        **article.extra,
    }
