"""How articles with and without a narrative score: histograms of probabilities of hand-labelled, held-out articles.

The JSON form (the value of "scores" beside the confusion counts, or a file of its own):
`{"n": 355, "source": "..", "labels": "<12 hex>", "narratives": {"<id>": {"edges": [0.02, 0.1], "positive": [3, 5, 32],
"negative": [200, 90, 15]}}}`; `edges` are the inner edges of the bins, ascending in (0, 1).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bondlore.errors import ModelError
from bondlore.measure.coding import Wanted, code, code_audit
from bondlore.measure.confusion import Confusion, Counts
from bondlore.taxonomy import Taxonomy

__all__ = ["GATES", "HeldOut", "Scores", "load_held_out", "make_held_out", "parse_held_out"]

Floats = NDArray[np.float64]

GATES = ("causal", "topical")
MIN_POSITIVES, MIN_NEGATIVES = 10, 20
_MAX_BINS, _EACH = 10, 6  # bins; labelled positives behind each, or the test of fit runs on noise
_MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class Scores:
    """One narrative: inner `edges` (B-1,) of the bins, and labelled articles (B,) with and without it."""

    edges: Floats
    positive: Floats
    negative: Floats

    @property
    def unusable(self) -> str:
        """Why these cannot stand for a window; "" when they can."""
        positives, negatives = self.positive.sum(), self.negative.sum()
        if positives < MIN_POSITIVES or negatives < MIN_NEGATIVES or len(self.edges) < 2:
            return f"only {positives:g} positive and {negatives:g} negative held-out articles"
        return ""

    def bins(self, probability: NDArray[Any]) -> NDArray[np.int64]:
        """Which bin each probability falls in."""
        found: NDArray[np.int64] = np.searchsorted(self.edges, probability, side="right")
        return found


@dataclass(frozen=True)
class HeldOut:
    """Scores by narrative, and the confusion counts of the same articles where they are known."""

    narratives: Mapping[str, Scores]
    n: int = 0
    source: str = ""
    labels: str = ""
    confusion: Confusion | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "n": self.n,
            "source": self.source,
            "labels": self.labels,
            "narratives": {
                name: {key: getattr(s, key).tolist() for key in ("edges", "positive", "negative")}
                for name, s in self.narratives.items()
            },
        }


def make_held_out(table: pa.Table, labels: pa.Table, taxonomy: Taxonomy, *, source: str = "held-out") -> HeldOut:
    """Histograms and confusion counts from tagged articles (`tagging.schema`) and their hand labels (as an audit).

    Articles off the subject do not count: shares are of articles on it. Bins are quantiles of an equal mixture of
    positives and negatives, at most ten and at least six positives each. Raises InputError.
    """
    from datetime import time

    coded = code(table, taxonomy, GATES, time(0), Wanted(probabilities=True))
    audit = code_audit(labels, taxonomy)
    found = audit.positions(coded.keys)
    rows = np.flatnonzero(found >= 0)
    gold, said = audit.verdicts[found[rows]], coded.verdicts[rows]
    scores, counts = {}, {}
    for k, narrative in enumerate(taxonomy):
        scores[narrative] = _scores(coded.probabilities[rows, k].astype(float), gold[:, k] > 0)
        counts[narrative] = {
            measure: _cells(truth, verdict)
            for measure, truth, verdict in (
                ("presence", gold[:, k] > 0, said[:, k] > 0),
                ("support", gold[:, k] & 1 > 0, said[:, k] & 1 > 0),
                ("rejection", gold[:, k] & 2 > 0, said[:, k] & 2 > 0),
            )
        }
    confusion = Confusion(counts, source, len(rows))
    return HeldOut(scores, len(rows), source, audit.version, confusion)


def _cells(truth: NDArray[np.bool_], verdict: NDArray[np.bool_]) -> Counts:
    def count(where: NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(where))

    return Counts(
        tp=count(verdict & truth), fp=count(verdict & ~truth), fn=count(~verdict & truth), tn=count(~verdict & ~truth)
    )


def _scores(probability: Floats, truth: NDArray[np.bool_]) -> Scores:
    positives, negatives = probability[truth], probability[~truth]
    bins = min(_MAX_BINS, max(len(positives) // _EACH, 1))
    edges = np.array([])
    if len(positives) and len(negatives) and bins > 1:
        values = np.concatenate([positives, negatives])
        weights = np.concatenate([np.full(len(c), 0.5 / len(c)) for c in (positives, negatives)])
        order = np.argsort(values, kind="stable")
        cumulated = np.cumsum(weights[order])
        at = np.searchsorted(cumulated, np.arange(1, bins) / bins)
        edges = np.unique(values[order][np.minimum(at, len(values) - 1)])
        edges = edges[(edges > 0) & (edges < 1)]
    made = Scores(edges, np.zeros(len(edges) + 1), np.zeros(len(edges) + 1))
    return Scores(
        edges,
        *(np.bincount(made.bins(c), minlength=len(edges) + 1).astype(float) for c in (positives, negatives)),
    )


def parse_held_out(data: Any, *, where: str) -> HeldOut:
    """Check and build from parsed JSON. Raises ModelError naming the narrative."""
    remedy = "write it again from held-out articles"
    if not isinstance(data, dict) or not isinstance(data.get("narratives"), dict):
        raise ModelError("the held-out scores have no mapping 'narratives'", where=where, remedy=remedy)
    found: dict[str, Scores] = {}
    for name, parts in data["narratives"].items():
        values = [parts.get(k) if isinstance(parts, dict) else None for k in ("edges", "positive", "negative")]
        if not all(isinstance(v, list) and all(_is_number(x) for x in v) for v in values):
            raise ModelError(f"{name!r} needs lists edges, positive, negative", where=where, remedy=remedy)
        edges, positive, negative = (np.array(v, dtype=float) for v in values)
        ordered = np.all(np.diff(edges) > 0) and np.all((edges > 0) & (edges < 1))
        if not ordered or len(positive) != len(edges) + 1 or len(negative) != len(positive):
            raise ModelError(f"{name!r}: edges do not fit the counts", where=where, remedy=remedy)
        found[str(name)] = Scores(edges, positive, negative)
    n = data.get("n", 0)
    counted = int(n) if _is_number(n) else 0
    return HeldOut(found, counted, str(data.get("source", "")), str(data.get("labels", "")))


def load_held_out(path: Path | str) -> HeldOut:
    """Read a file in the JSON form. Raises ModelError."""
    where = str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ModelError(f"is larger than {_MAX_BYTES} bytes", where=where, remedy="check the path")
        return parse_held_out(json.loads(raw), where=where)
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=where, remedy="check the path") from error
    except (ValueError, RecursionError) as error:
        raise ModelError("is not JSON", where=where, remedy="give a file of held-out scores") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
