"""How articles with and without a narrative score: histograms of probabilities of hand-labelled, held-out articles.

The JSON form (the value of "scores" beside the confusion counts, or a file of its own):
`{"n": 355, "source": "..", "labels": "<12 hex>", "narratives": {"<id>": {"edges": [0.02, 0.1], "positive": [3, 5, 32],
"negative": [200, 90, 15], "support": {..}, "rejection": {..}}}}`; `edges` are the inner edges of the bins, ascending in
(0, 1). `support` and `rejection` have the same lists, of `coding.stance_scores`, and `opposite`: articles that carry
the narrative with the other stance alone; the last bin is of those with such a verdict. They may be absent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bondlore.errors import ModelError
from bondlore.measure.coding import Wanted, code, code_audit, stance_scores
from bondlore.measure.confusion import Confusion, Counts
from bondlore.taxonomy import Taxonomy

__all__ = ["GATES", "HeldOut", "Scores", "histograms", "load_held_out", "make_held_out", "parse_held_out"]

Floats = NDArray[np.float64]

GATES = ("causal", "topical")
MIN_POSITIVES, MIN_NEGATIVES = 10, 20
_STANCES = ("support", "rejection")
_LISTS = ("edges", "positive", "negative")
_FEW_OPPOSITE = 5  # below which articles of the other stance are taken for silent ones
_MAX_BINS, _EACH = 10, 6  # bins; labelled positives behind each, or the test of fit runs on noise
_MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class Scores:
    """One narrative: inner `edges` (B-1,) of the bins, and labelled articles (B,) with and without it.

    `opposite` (B,) of a stance: those with the other stance alone, which `negative` then leaves out.
    """

    edges: Floats
    positive: Floats
    negative: Floats
    opposite: Floats | None = None

    @property
    def unusable(self) -> str:
        """Why these cannot stand for a window; "" when they can."""
        positives, negatives = self.positive.sum(), self.negative.sum()
        if positives < MIN_POSITIVES or negatives < MIN_NEGATIVES or len(self.edges) < 2:
            return f"only {positives:g} positive and {negatives:g} negative held-out articles"
        return ""

    def to_dict(self) -> dict[str, list[float]]:
        """The JSON form of one histogram."""
        out = {key: getattr(self, key).tolist() for key in _LISTS}
        return out if self.opposite is None else out | {"opposite": self.opposite.tolist()}

    def bins(self, probability: NDArray[Any]) -> NDArray[np.int64]:
        """Which bin each probability falls in."""
        found: NDArray[np.int64] = np.searchsorted(self.edges, probability, side="right")
        return found


@dataclass(frozen=True)
class HeldOut:
    """Scores by narrative (of its presence), those of its stances (narrative, then support or rejection), and the
    confusion counts of the same articles where they are known.
    """

    narratives: Mapping[str, Scores]
    n: int = 0
    source: str = ""
    labels: str = ""
    confusion: Confusion | None = None
    stances: Mapping[str, Mapping[str, Scores]] = field(default_factory=dict)

    def scores(self, narrative: str, measure: str) -> Scores | None:
        """The histogram of one narrative and measure (presence, support, rejection), or None."""
        if measure == "presence":
            return self.narratives.get(narrative)
        return self.stances.get(narrative, {}).get(measure)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "n": self.n,
            "source": self.source,
            "labels": self.labels,
            "narratives": {
                name: s.to_dict() | {m: one.to_dict() for m, one in self.stances.get(name, {}).items()}
                for name, s in self.narratives.items()
            },
        }


def make_held_out(table: pa.Table, labels: pa.Table, taxonomy: Taxonomy, *, source: str = "held-out") -> HeldOut:
    """Histograms and confusion counts from tagged articles (`tagging.schema`) and their hand labels (as an audit).

    Articles off the subject do not count: shares are of articles on it. Raises InputError.
    """
    from datetime import time

    coded = code(table, taxonomy, GATES, time(0), Wanted(probabilities=True))
    audit = code_audit(labels, taxonomy)
    found = audit.positions(coded.keys)
    rows = np.flatnonzero(found >= 0)
    gold, said = audit.verdicts[found[rows]], coded.verdicts[rows]
    scores = stance_scores(said, coded.probabilities[rows])
    presence, stances, counts = {}, {}, {}
    for k, narrative in enumerate(taxonomy):
        truths, verdicts = ((bits[:, k] > 0, bits[:, k] & 1 > 0, bits[:, k] & 2 > 0) for bits in (gold, said))
        made = histograms(scores[:, k], gold[:, k])
        presence[narrative], stances[narrative] = made[0], dict(zip(_STANCES, made[1:], strict=True))
        cells = map(_cells, truths, verdicts)
        counts[narrative] = dict(zip(("presence", *_STANCES), cells, strict=True))
    confusion = Confusion(counts, source, len(rows))
    return HeldOut(presence, len(rows), source, audit.version, confusion, stances)


def _cells(truth: NDArray[np.bool_], verdict: NDArray[np.bool_]) -> Counts:
    def count(where: NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(where))

    return Counts(
        tp=count(verdict & truth), fp=count(verdict & ~truth), fn=count(~verdict & truth), tn=count(~verdict & ~truth)
    )


def histograms(scores: Floats, gold: NDArray[np.int8]) -> list[Scores]:
    """Presence, support and rejection of one narrative: (n, 3) `coding.stance_scores` and (n,) labels as bits."""
    presence = _histogram_of(scores[:, 0], gold > 0)
    return [
        presence,
        _of_stance(scores[:, 1], gold & 1 > 0, gold == 2),
        _of_stance(scores[:, 2], gold & 2 > 0, gold == 1),
    ]


def _of_stance(scores: Floats, truth: NDArray[np.bool_], other: NDArray[np.bool_]) -> Scores:
    inside = scores <= 1
    edges = np.append(_histogram_of(scores[inside], truth[inside]).edges, 1.5)
    apart = int(np.count_nonzero(other)) >= _FEW_OPPOSITE
    silent = ~truth & ~other if apart else ~truth
    made = Scores(edges, *(np.zeros(len(edges) + 1) for _ in range(2)))
    positive, negative, opposite = (
        np.bincount(made.bins(scores[who]), minlength=len(edges) + 1).astype(float) for who in (truth, silent, other)
    )
    return Scores(edges, positive, negative, opposite if apart else None)


def _histogram_of(probability: Floats, truth: NDArray[np.bool_]) -> Scores:
    """Bins are quantiles of an equal mixture of positives and negatives, at most ten, at least six positives each."""
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
    stances: dict[str, dict[str, Scores]] = {}
    for name, parts in data["narratives"].items():
        found[str(name)] = _histogram(parts, str(name), where)
        given = {m: _histogram(parts[m], f"{name}, {m}", where) for m in _STANCES if m in parts}
        if given:
            stances[str(name)] = given
    n = data.get("n", 0)
    counted = int(n) if _is_number(n) else 0
    return HeldOut(found, counted, str(data.get("source", "")), str(data.get("labels", "")), stances=stances)


def _histogram(parts: Any, name: str, where: str) -> Scores:
    remedy = "write it again from held-out articles"
    wanted = (*_LISTS, "opposite") if isinstance(parts, dict) and "opposite" in parts else _LISTS
    values = [parts.get(k) if isinstance(parts, dict) else None for k in wanted]
    if not all(isinstance(v, list) and all(_is_number(x) for x in v) for v in values):
        raise ModelError(f"{name!r} needs lists edges, positive, negative", where=where, remedy=remedy)
    edges, *counts = (np.array(v, dtype=float) for v in values)
    ordered = np.all(np.diff(edges) > 0) and np.all((edges > 0) & (edges < 2))
    if not ordered or any(len(c) != len(edges) + 1 for c in counts):
        raise ModelError(f"{name!r}: edges do not fit the counts", where=where, remedy=remedy)
    return Scores(edges, *counts)


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
