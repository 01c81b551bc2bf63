"""Audit files: hand labels of articles as Parquet, CSV or JSON Lines, read into one table.

Columns of the table: `id`, `v_<narrative>` (promotes, rejects, contested, or null = absent) and, where the file has it,
`inclusion_prob`, the chance with which the article was drawn.
Parquet and CSV have these columns. A JSON line has them too (a narrative not named is absent), or is a line of a labels
file, `{"id", "labels": {"3": {"<narrative>": "support"}}}`, whose sentences are rolled up as a tagging's are.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bondlore.errors import InputError, LabelError
from bondlore.tag.rollup import verdict
from bondlore.taxonomy import Taxonomy

__all__ = ["read_audit"]

_MAX_LINE = 10_000_000
_STANCES = ("support", "reject")


def read_audit(path: Path | str, taxonomy: Taxonomy) -> pa.Table:
    """Read an audit by its name's ending. Raises InputError naming file and row; verdicts are checked where used."""
    path = Path(path)
    kind = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    try:
        if kind == ".parquet":
            return pq.read_table(path)
        if kind == ".csv":
            rows = list(_csv(path, taxonomy))
        elif kind in (".jsonl", ".ndjson", ".jsonl.gz"):
            rows = list(_json(path, taxonomy))
        else:
            raise InputError(
                f"unknown kind {kind!r}", where=str(path), remedy="give .parquet, .csv, .jsonl or .jsonl.gz"
            )
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be read ({reason})", where=str(path), remedy="check the file") from error
    if not rows:
        raise InputError("holds no labelled article", where=str(path), remedy="give one row an article")
    columns: dict[str, pa.Array] = {"id": pa.array([r["id"] for r in rows], pa.string())}
    columns |= {f"v_{n}": pa.array([r.get(f"v_{n}") for r in rows], pa.string()) for n in taxonomy}
    chances = [r.get("inclusion_prob") for r in rows]
    if any(c is not None for c in chances):
        columns["inclusion_prob"] = pa.array(chances, pa.float64())
    return pa.table(columns)


def _csv(path: Path, taxonomy: Taxonomy) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        wanted = ["id", *(f"v_{n}" for n in taxonomy)]
        if missing := [c for c in wanted if c not in (reader.fieldnames or ())]:
            raise InputError(
                f"has no column {', '.join(missing[:3])}", where=f"{path}:1", remedy="name one column a narrative"
            )
        try:
            for row in reader:
                where = f"{path}:{reader.line_num}"
                out: dict[str, Any] = {k: (row[k] or "").strip() or None for k in wanted}
                yield out | _common(row, where)
        except csv.Error as error:
            raise InputError(f"is not CSV ({error})", where=f"{path}:{reader.line_num}", remedy="mend it") from error


def _json(path: Path, taxonomy: Taxonomy) -> Iterator[dict[str, Any]]:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > _MAX_LINE:
                raise LabelError(f"the row is longer than {_MAX_LINE} bytes", where=where, remedy="split the file")
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise LabelError(f"the row is not JSON ({error})", where=where, remedy="one object a line") from error
            if not isinstance(row, dict):
                raise LabelError("the row is not a JSON object", where=where, remedy="one object a line")
            named = {k: v for k, v in row.items() if k.startswith("v_")}
            if unknown := [k for k in named if k[2:] not in taxonomy]:
                raise LabelError(f"unknown narrative {unknown[0][2:]!r}", where=where, remedy="see the taxonomy")
            if not named and "labels" not in row:
                raise LabelError("the row has neither v_<narrative> nor 'labels'", where=where, remedy='write "labels"')
            yield (named or _rolled(row["labels"], taxonomy, where)) | _common(row, where)


def _rolled(labels: Any, taxonomy: Taxonomy, where: str) -> dict[str, Any]:
    """Sentences' labels to verdicts, every sentence of the same weight, as the model's own errors were counted."""
    sides: Counter[tuple[str, str]] = Counter()
    carried = labels.values() if isinstance(labels, dict) else [None]
    for stances in carried:
        if not isinstance(stances, dict):
            raise LabelError("'labels' maps no sentence to narratives", where=where, remedy='{"3": {"x": "support"}}')
        for narrative, stance in stances.items():
            if narrative not in taxonomy or stance not in _STANCES:
                problem = f"unknown label {narrative!r}: {stance!r}"
                raise LabelError(problem, where=where, remedy="see the taxonomy; support or reject")
            sides[narrative, stance] += 1
    narratives = {n for n, _ in sides}
    return {f"v_{n}": verdict(sides[n, "support"], sides[n, "reject"]) for n in narratives}


def _common(row: dict[str, Any], where: str) -> dict[str, Any]:
    """The id and the inclusion probability."""
    if not (name := str(row.get("id") or "").strip()):
        raise LabelError("the row has no id", where=where, remedy="give the article's id as tagged")
    chance = row.get("inclusion_prob")
    if chance in (None, ""):
        return {"id": name}
    try:
        return {"id": name, "inclusion_prob": float(str(chance))}
    except ValueError as error:
        raise LabelError(f"the inclusion_prob {chance!r} is no number", where=where, remedy="mend it") from error
