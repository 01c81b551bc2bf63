"""A labelled audit sample -> the table `bondlore share --audit` takes: verdicts and inclusion probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bondlore import atomic
from bondlore.errors import InputError, LabelError
from bondlore.measure import audit as measuring
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelling.forms import native_rows
from bondlore.train.labels import parse

__all__ = ["audit_table", "write_audit"]


def audit_table(paths: Sequence[Path], taxonomy: Taxonomy, form: str = "") -> pa.Table:
    """`measure.audit.audit_table` of labels files in any form, every row checked as for training.

    Raises LabelError naming file and row: what that raises, an unusable row, and an article nobody has read (not
    labelled yet, or neither label nor gate), for silence would count as absence.
    """
    return measuring.audit_table(_read(paths, taxonomy, form), taxonomy)


def _read(paths: Sequence[Path], taxonomy: Taxonomy, form: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in paths:
        for where, row in native_rows(path, form):
            article = parse(row, taxonomy, where)
            if article.pending or not (article.labels or article.gate):
                remedy = "label it, or give it the gate topical or off_topic where it carries nothing"
                raise LabelError("the article has neither labels nor a gate: not read yet?", where=where, remedy=remedy)
            yield where, {**article.extra, "id": article.id, "labels": article.labels}


def write_audit(paths: Sequence[Path], taxonomy: Taxonomy, target: Path, form: str = "") -> int:
    """Write the table as Parquet and give its rows. Raises as `audit_table`; InputError when something is there."""
    if target.exists():
        raise InputError("is there already", where=str(target), remedy="choose another --out")
    table = audit_table(paths, taxonomy, form)
    with atomic.replacing(target) as temporary:
        pq.write_table(table, temporary)
    return int(table.num_rows)
