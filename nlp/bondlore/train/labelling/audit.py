"""A labelled audit sample -> the table `bondlore share --audit` takes: verdicts and inclusion probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bondlore import atomic
from bondlore.errors import InputError, LabelError
from bondlore.tag.rollup import verdict
from bondlore.taxonomy import Taxonomy
from bondlore.train.labels import LabelledArticle, parse, rows

__all__ = ["audit_table", "write_audit"]

_PROBABILITY = "inclusion_prob"


def audit_table(paths: Sequence[Path], taxonomy: Taxonomy) -> pa.Table:
    """One row an article: `id`, `v_<narrative>` (null where absent), `inclusion_prob`, null where no row has one.

    A verdict counts sentences as the model's roll-up weighs them. Raises LabelError naming file and row: an unusable
    row, an id twice, a probability that is missing or not in (0, 1], and an article nobody has read (neither label
    nor gate), for silence would count as absence.
    """
    out: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for path in paths:
        for where, row in rows(path):
            article = parse(row, taxonomy, where)
            if article.id in seen:
                message = f"the id {article.id!r} occurs twice (also {seen[article.id]})"
                raise LabelError(message, where=where, remedy="keep one adjudicated row an article")
            seen[article.id] = where
            if not article.labels and not article.gate:
                remedy = "label it, or give it the gate topical or off_topic where it carries nothing"
                raise LabelError("the article has neither labels nor a gate: not read yet?", where=where, remedy=remedy)
            out.append({"id": article.id, _PROBABILITY: _probability(row, where), **_verdicts(article)})
    given = [r[_PROBABILITY] is not None for r in out]
    if any(given) and not all(given):
        message = f"has no {_PROBABILITY}, other rows have"
        where = list(seen.values())[given.index(False)]
        raise LabelError(message, where=where, remedy="keep what labels suggest --for audit wrote")
    columns = [("id", pa.string()), *((f"v_{n}", pa.string()) for n in taxonomy)]
    if any(given):
        columns.append((_PROBABILITY, pa.float64()))
    return pa.Table.from_pylist(out, schema=pa.schema(columns))


def write_audit(paths: Sequence[Path], taxonomy: Taxonomy, target: Path) -> int:
    """Write the table as Parquet and give its rows. Raises as `audit_table`; InputError when something is there."""
    if target.exists():
        raise InputError("is there already", where=str(target), remedy="choose another --out")
    table = audit_table(paths, taxonomy)
    with atomic.replacing(target) as temporary:
        pq.write_table(table, temporary)
    return int(table.num_rows)


def _probability(row: dict[str, Any], where: str) -> float | None:
    given = row.get(_PROBABILITY)
    if given in (None, ""):
        return None
    try:
        p = float(given)
    except (TypeError, ValueError):
        p = 0.0
    if not 0 < p <= 1:
        remedy = "keep what labels suggest --for audit wrote"
        raise LabelError(f"the {_PROBABILITY} {given!r} is not in (0, 1]", where=where, remedy=remedy)
    return p


def _verdicts(article: LabelledArticle) -> dict[str, str]:
    counts = Counter((n, stance) for carried in article.labels.values() for n, stance in carried.items())
    narratives = {n for n, _ in counts}
    return {f"v_{n}": verdict(counts[n, "support"], counts[n, "reject"]) for n in narratives}
