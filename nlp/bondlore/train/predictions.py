"""Predictions kept in a file, one article a line: what `--predictions` of `bondlore evaluate` and `train` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bondlore import atomic
from bondlore.errors import InputError
from bondlore.jsonlines import objects
from bondlore.tag.bundle import Calibration
from bondlore.train.labels import LabelledArticle

__all__ = ["from_logits", "read_predictions", "write_predictions"]


def from_logits(
    logits: Mapping[int, tuple[Any, Any]],
    articles: Sequence[LabelledArticle],
    calibration: Calibration,
    narratives: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Rows of presence and stance logits by article number, each [sentences, narratives]; empty sentences left out."""
    slope, intercept = np.asarray(calibration.slope), np.asarray(calibration.intercept)
    for i, (presence, stance) in sorted(logits.items()):
        p = _sigmoid(slope * presence + intercept)
        denied = _sigmoid(stance) >= calibration.reject_threshold
        labels: dict[str, dict[str, str]] = {}
        scores: dict[str, dict[str, float]] = {}
        for s, sentence in enumerate(articles[i].sentences):
            if not sentence:
                continue
            scores[str(s)] = {n: round(float(p[s, k]), 4) for k, n in enumerate(narratives)}
            carried = [k for k, bar in enumerate(calibration.threshold) if p[s, k] >= bar]
            if carried:
                labels[str(s)] = {narratives[k]: "reject" if denied[s, k] else "support" for k in carried}
        yield {"id": articles[i].id, "labels": labels, "scores": scores}


def write_predictions(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Replace `path` with JSON Lines that `read_predictions` reads."""
    atomic.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


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


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
