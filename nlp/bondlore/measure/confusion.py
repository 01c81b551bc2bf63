"""How often the model errs: out-of-fold counts per narrative and measure, as kept in the model folder.

The JSON form (the value of "confusion" in the model's `bondlore.json`, or a file of its own):
`{"level": "article", "narratives": {"<id>": {"presence": {"tp": 40, "fp": 5, "fn": 10, "tn": 300}, "support": {..},
"rejection": {..}}}, "source": "..out-of-fold..", "n": 355}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bondlore.errors import ModelError

__all__ = ["Confusion", "Counts", "load_confusion", "parse_confusion"]

_MAX_BYTES = 10_000_000
_CELLS = ("tp", "fp", "fn", "tn")


@dataclass(frozen=True, slots=True)
class Counts:
    """One two-by-two table: model's verdict against the hand label."""

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def positives(self) -> float:
        """Hand-labelled positives, the base of tpr."""
        return self.tp + self.fn

    @property
    def negatives(self) -> float:
        """Hand-labelled negatives, the base of fpr."""
        return self.fp + self.tn

    @property
    def tpr(self) -> float:
        """Share of true positives found; NaN without positives."""
        return self.tp / self.positives if self.positives else math.nan

    @property
    def fpr(self) -> float:
        """Share of true negatives called positive; NaN without negatives."""
        return self.fp / self.negatives if self.negatives else math.nan


@dataclass(frozen=True)
class Confusion:
    """Counts by narrative, then by measure (presence, support, rejection)."""

    narratives: Mapping[str, Mapping[str, Counts]]
    source: str = ""
    n: int = 0
    level: str = "article"

    def counts(self, narrative: str, measure: str) -> Counts | None:
        """The table of one narrative and measure, or None when the model has none."""
        return self.narratives.get(narrative, {}).get(measure)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "level": self.level,
            "narratives": {
                narrative: {
                    measure: {cell: getattr(counts, cell) for cell in _CELLS} for measure, counts in measures.items()
                }
                for narrative, measures in self.narratives.items()
            },
            "source": self.source,
            "n": self.n,
        }


def parse_confusion(data: Any, *, where: str) -> Confusion:
    """Check and build from parsed JSON. Raises ModelError naming the narrative and measure."""

    def fail(message: str) -> ModelError:
        return ModelError(message, where=where, remedy="retrain or restore the model folder")

    if not isinstance(data, dict) or not isinstance(data.get("narratives"), dict):
        raise fail("the confusion counts have no mapping 'narratives'")
    if (level := data.get("level", "article")) != "article":
        raise fail(f"the confusion counts are of level {level!r}, not article")
    narratives: dict[str, dict[str, Counts]] = {}
    for narrative, measures in data["narratives"].items():
        if not isinstance(measures, dict):
            raise fail(f"the confusion counts of {narrative!r} are no mapping")
        narratives[str(narrative)] = {}
        for measure, cells in measures.items():
            if not isinstance(cells, dict) or not all(_is_count(cells.get(cell)) for cell in _CELLS):
                raise fail(f"{narrative!r}, {measure!r}: needs counts tp, fp, fn, tn, none negative")
            narratives[str(narrative)][str(measure)] = Counts(*(float(cells[cell]) for cell in _CELLS))
    n = data.get("n", 0)
    return Confusion(narratives, str(data.get("source", "")), int(n) if _is_count(n) else 0)


def load_confusion(path: Path | str) -> Confusion | None:
    """Read a model folder's `bondlore.json`, that file itself, or a file holding only the counts.

    None when the model states no confusion counts (an old or foreign model). Raises ModelError.
    """
    source = Path(path)
    source = source / "bondlore.json" if source.is_dir() else source
    try:
        with source.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ModelError(f"is larger than {_MAX_BYTES} bytes", where=str(source), remedy="check the path")
        data = json.loads(raw)
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=str(source), remedy="check the path") from error
    except (ValueError, RecursionError) as error:
        raise ModelError("is not JSON", where=str(source), remedy="retrain or restore the model folder") from error
    bare = isinstance(data, dict) and "level" in data  # the counts alone; a model's own file may list its narratives
    if isinstance(data, dict) and not bare:
        data = data.get("confusion")
        if data is None:
            return None
    return parse_confusion(data, where=str(source))


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
