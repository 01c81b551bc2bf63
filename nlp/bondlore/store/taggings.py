"""Taggings in and out: rows of `tagging.row` by article and model; the tagged table that measure starts from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import pyarrow as pa
from sqlalchemy import Connection, Row, Select, and_, select
from sqlalchemy import func as sql

from bondlore import tagging as records
from bondlore.errors import InputError, StoreError
from bondlore.store import schema
from bondlore.store.engine import Database, chunks, upsert
from bondlore.taxonomy import Taxonomy

__all__ = ["models", "save", "tagged", "untagged"]

_EVIDENCE = {"narrative": str, "stance": str, "sentence": int, "text": str, "probability": float}
_PAGE = 2000


def untagged(model: str, *, retry_errors: bool) -> Select[Any]:
    """SELECT of articles whose present text this model has not read (or failed on, with `retry_errors`)."""
    article, tagging = schema.article, schema.tagging
    read = and_(
        tagging.c.article == article.c.number,
        tagging.c.model == model,
        tagging.c.revision == article.c.revision,
    )
    if retry_errors:
        read &= tagging.c.status == "ok"
    return select(article).where(~select(tagging.c.article).where(read).exists())


def save(
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    *,
    model: str,
    saved_at: datetime,
    revisions: Mapping[str, int],
) -> None:
    """Insert or replace taggings. `revisions` says which text of an article was read; without it, the present one.

    A reading of an older text never replaces one of a newer. Raises InputError for a row that is not one of
    `tagging.row`, StoreError for an article the store lacks.
    """
    article = schema.article
    known: dict[str, Any] = {}
    for some in chunks(sorted({str(row.get("id", "")) for row in rows})):
        found = select(article.c.id, article.c.number, article.c.revision).where(article.c.id.in_(some))
        known.update((row.id, row) for row in connection.execute(found))
    ready: dict[tuple[int, str], dict[str, Any]] = {}
    for row in rows:
        identity = str(row.get("id", ""))
        if identity not in known:
            raise StoreError(
                "is not in the store", where=f"article {identity!r}", remedy="add articles before taggings"
            )
        number, revision = known[identity].number, revisions.get(identity, known[identity].revision)
        made = _columns(row, model) | {"article": number, "revision": revision, "saved_at": saved_at}
        ready[number, made["model"]] = made
    if not ready:
        return
    table = schema.tagging
    statement = upsert(connection, table)
    changes = {c.name: statement.excluded[c.name] for c in table.c if c.name not in ("article", "model")}
    statement = statement.on_conflict_do_update(
        index_elements=["article", "model"],
        set_=changes,
        where=statement.excluded.revision >= table.c.revision,
    )
    connection.execute(statement, list(ready.values()))


def models(connection: Connection) -> dict[str, int]:
    """Articles tagged (failures included) by model, the most recently used model first."""
    table = schema.tagging
    rows = connection.execute(
        select(table.c.model, sql.count())
        .group_by(table.c.model)
        .order_by(sql.max(table.c.saved_at).desc(), table.c.model)
    )
    return {model: int(n) for model, n in rows}


def tagged(database: Database, *, model: str | None, taxonomy: Taxonomy) -> pa.Table:
    """Every tagging of one model by (published_at nulls last, id): `tagging.schema`, then `published_confidence`.

    Without `model`, the one most recently used; no taggings at all give an empty table. Raises StoreError for a model
    that tagged nothing while others did.
    """
    form = records.schema(taxonomy.ids).append(pa.field("published_confidence", pa.string()))
    with database.read() as connection:
        known = models(connection)
        if model is not None and known and model not in known:
            raise StoreError(
                f"nothing is tagged by the model {model!r}", where=database.where, remedy=f"known: {', '.join(known)}"
            )
        model = model or next(iter(known), None)
        if model is None:
            return form.empty_table()
        batches = [
            pa.RecordBatch.from_pylist([_row(row, taxonomy) for row in some], schema=form)
            for some in connection.execute(_joined(model)).partitions(_PAGE)
        ]
    return pa.Table.from_batches(batches, schema=form)


def _joined(model: str) -> Select[Any]:
    article, tagging = schema.article, schema.tagging
    leader = article.alias("leader")
    columns = [c for c in tagging.c if c.name not in ("article", "revision", "saved_at")]
    return (
        select(
            *article.c["id", "url", "publisher", "title", "published_at", "published_precision", "first_seen_at"],
            article.c.published_confidence,
            sql.coalesce(leader.c.id, article.c.id).label("cluster"),
            *columns,
        )
        .join(tagging, tagging.c.article == article.c.number)
        .outerjoin(leader, leader.c.number == article.c.cluster)
        .where(tagging.c.model == model)
        .order_by(article.c.published_at.is_(None), article.c.published_at, article.c.id)
    )


def _row(row: Row[Any], taxonomy: Taxonomy) -> dict[str, Any]:
    out = dict(row._mapping)
    probabilities, verdicts = out.pop("probabilities"), out.pop("verdicts")
    for narrative in taxonomy:
        out[f"p_{narrative}"] = probabilities.get(narrative)
        out[f"v_{narrative}"] = verdicts.get(narrative)
    return out


def _columns(row: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The columns of the tagging table that a row of `tagging.row` fills. Raises InputError."""
    name = row.get("model") or model
    status = row.get("status")
    if not name:
        raise _refused(row, "names no model")
    if status not in ("ok", "error"):
        raise _refused(row, f"has the status {status!r}")
    if status == "ok" and row.get("gate") not in get_args(records.Gate):
        raise _refused(row, f"has the gate {row.get('gate')!r}")
    evidence = row.get("evidence")
    return {
        "model": str(name),
        "status": status,
        "error": row.get("error"),
        "gate": row.get("gate"),
        "primary": row.get("primary"),
        "probabilities": dict(_probabilities(row)),
        "verdicts": dict(_verdicts(row)),
        "evidence": None if evidence is None else [_evidence(row, item) for item in evidence],
    }


def _probabilities(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in row.items():
        if key.startswith("p_") and value is not None:
            p = float(value)
            if not (math.isfinite(p) and 0.0 <= p <= 1.0):
                raise _refused(row, f"has {key} = {value}, which is no probability")
            yield key.removeprefix("p_"), p


def _verdicts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in row.items():
        if key.startswith("v_") and value is not None:
            if value not in get_args(records.Verdict):
                raise _refused(row, f"has {key} = {value!r}, which is no verdict")
            yield key.removeprefix("v_"), value


def _evidence(row: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {key: kind(item[key]) for key, kind in _EVIDENCE.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(row, f"has evidence without {', '.join(_EVIDENCE)}") from error


def _refused(row: Mapping[str, Any], problem: str) -> InputError:
    return InputError(
        problem, where=f"tagging of article {row.get('id')!r}", remedy="make rows with bondlore.tagging.row"
    )
