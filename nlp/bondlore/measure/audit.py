"""Audit files: hand labels of articles as Parquet, CSV or JSON Lines, read into one table.

Columns of the table: `id`, `v_<narrative>` (promotes, rejects, contested, or null = absent) and, where the file has it,
`inclusion_prob`, the chance with which the article was drawn.
Parquet and CSV have these columns. A JSON line has them too (a narrative not named is absent), or is a line of a labels
file, `{"id", "labels": {"3": {"<narrative>": "support"}}}`, whose sentences are rolled up as a tagging's are. Labels in
another tool's form come by `bondlore labels convert --to audit`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bondlore.errors import InputError, LabelError
from bondlore.jsonlines import objects
from bondlore.tag.rollup import verdict
from bondlore.taxonomy import Taxonomy

__all__ = ["audit_table", "read_audit"]

_STANCES = ("support", "reject")
_PROBABILITY = "inclusion_prob"
_Located = tuple[str, dict[str, Any]]  # `file:row` and the row


def read_audit(path: Path | str, taxonomy: Taxonomy) -> pa.Table:
    """Read an audit by its name's ending. Raises InputError naming file and row; verdicts are checked where used."""
    path = Path(path)
    kind = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    try:
        if kind == ".parquet":
            return pq.read_table(path)
        if kind == ".csv":
            table = audit_table(_csv(path, taxonomy), taxonomy)
        elif kind.removesuffix(".gz") in (".jsonl", ".ndjson"):
            table = audit_table(((f"{path}:{number}", row) for number, row in objects(path)), taxonomy)
        else:
            remedy = "give .parquet, .csv, .jsonl or .jsonl.gz; bondlore labels convert --to audit reads other forms"
            raise InputError(f"unknown kind {kind!r}", where=str(path), remedy=remedy)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be read ({reason})", where=str(path), remedy="check the file") from error
    if not table.num_rows:
        raise InputError("holds no labelled article", where=str(path), remedy="give one row an article")
    return table


def audit_table(rows: Iterable[_Located], taxonomy: Taxonomy) -> pa.Table:
    """One row an article: `id`, `v_<narrative>` (null where absent), and `inclusion_prob` if the rows have it.

    A row has verdicts (`v_<narrative>`) or sentences' `labels`, which are rolled up. Raises LabelError that names the
    row: an unknown narrative or stance, no id or one twice, a probability that is missing or not in (0, 1].
    """
    found: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for where, row in rows:
        one = {"id": _id(row, where), _PROBABILITY: _chance(row, where), **_verdicts(row, taxonomy, where)}
        if one["id"] in seen:
            message = f"the id {one['id']!r} occurs twice (also {seen[one['id']]})"
            raise LabelError(message, where=where, remedy="keep one adjudicated row an article")
        seen[one["id"]] = where
        found.append(one)
    columns: dict[str, pa.Array] = {"id": pa.array(list(seen), pa.string())}
    columns |= {f"v_{n}": pa.array([r.get(f"v_{n}") for r in found], pa.string()) for n in taxonomy}
    chances = [r[_PROBABILITY] for r in found]
    if any(c is not None for c in chances):
        if None in chances:
            where = list(seen.values())[chances.index(None)]
            remedy = "keep what labels suggest --for audit wrote"
            raise LabelError(f"has no {_PROBABILITY}, other rows have", where=where, remedy=remedy)
        columns[_PROBABILITY] = pa.array(chances, pa.float64())
    return pa.table(columns)


def _csv(path: Path, taxonomy: Taxonomy) -> Iterator[_Located]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        wanted = ["id", *(f"v_{n}" for n in taxonomy)]
        if missing := [c for c in wanted if c not in (reader.fieldnames or ())]:
            raise InputError(
                f"has no column {', '.join(missing[:3])}", where=f"{path}:1", remedy="name one column a narrative"
            )
        try:
            for row in reader:
                verdicts: dict[str, Any] = {k: (row[k] or "").strip() or None for k in wanted}
                yield f"{path}:{reader.line_num}", verdicts | {_PROBABILITY: row.get(_PROBABILITY)}
        except csv.Error as error:
            raise InputError(f"is not CSV ({error})", where=f"{path}:{reader.line_num}", remedy="mend it") from error


def _verdicts(row: dict[str, Any], taxonomy: Taxonomy, where: str) -> dict[str, Any]:
    named = {k: v for k, v in row.items() if k.startswith("v_")}
    if unknown := [k for k in named if k[2:] not in taxonomy]:
        raise LabelError(f"unknown narrative {unknown[0][2:]!r}", where=where, remedy="see the taxonomy")
    if named:
        return named
    if "labels" not in row:
        raise LabelError("the row has neither v_<narrative> nor 'labels'", where=where, remedy='write "labels"')
    if row["labels"] is None:
        raise LabelError("the article is not labelled yet", where=where, remedy="label it, {} where it carries nothing")
    return _rolled(row["labels"], taxonomy, where)


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


def _id(row: dict[str, Any], where: str) -> str:
    if not (name := str(row.get("id") or "").strip()):
        raise LabelError("the row has no id", where=where, remedy="give the article's id as tagged")
    return name


def _chance(row: dict[str, Any], where: str) -> float | None:
    """The inclusion probability; None where the row has none."""
    given = row.get(_PROBABILITY)
    if given in (None, ""):
        return None
    try:
        chance = float(str(given))
    except ValueError as error:
        raise LabelError(f"the {_PROBABILITY} {given!r} is no number", where=where, remedy="mend it") from error
    if not 0 < chance <= 1:
        remedy = "keep what labels suggest --for audit wrote"
        raise LabelError(f"the {_PROBABILITY} {given!r} is not in (0, 1]", where=where, remedy=remedy)
    return chance
