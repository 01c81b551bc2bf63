"""Predictions kept in a file, one article a line: what `bondlore evaluate --predictions` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bondlore.errors import InputError
from bondlore.jsonlines import objects

__all__ = ["read_predictions"]

_MAX_LINE = 100_000_000  # bytes: scores of every narrative in every sentence are longer than the article


def read_predictions(path: Path) -> dict[str, dict[str, Any]]:
    """`labels` and `scores` (both may be absent) by article id. Raises InputError naming file and row."""
    out: dict[str, dict[str, Any]] = {}
    for number, row in objects(path, max_line=_MAX_LINE):
        try:
            key, labels, scores = str(row["id"]), row.get("labels") or {}, row.get("scores") or {}
            if not all(isinstance(v, dict) for part in (labels, scores) for v in [part, *part.values()]):
                raise TypeError("labels and scores map sentences to narratives")
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"is no row of predictions ({error})",
                where=f"{path}:{number}",
                remedy="write them with bondlore evaluate --predictions",
            ) from error
        out[key] = {"labels": labels, "scores": scores}
    return out
