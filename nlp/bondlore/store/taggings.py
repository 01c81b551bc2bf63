"""Taggings in and out: rows of `tagging.row` by article and model; the tagged table that measure starts from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import pyarrow as pa
from pyarrow import json
from sqlalchemy import Connection, Row, Select, String, Text, and_, cast, or_, select, type_coerce
from sqlalchemy import func as sql

from bondlore import tagging as records
from bondlore.errors import InputError, StoreError
from bondlore.store import schema
from bondlore.store.engine import Database, chunks, upsert
from bondlore.taxonomy import Taxonomy

__all__ = ["last_published", "models", "save", "saved_times", "tagged", "untagged", "waiting"]

_EVIDENCE = {"narrative": str, "stance": str, "sentence": int, "text": str, "probability": float}
_PLAIN = (
    *("id", "url", "publisher", "title", "published_precision"),
    *("cluster", "gate", "primary", "model", "status", "error", "published_confidence"),
)
_TIMES = ("published_at", "first_seen_at")
_PACKED = ("probabilities", "verdicts", "evidence")
_PAGE = 5000


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


def waiting(connection: Connection, model: str, *, retry_errors: bool) -> int:
    """How many articles that SELECT gives, without reading them."""
    every = untagged(model, retry_errors=retry_errors)
    statement = every.with_only_columns(sql.count(), maintain_column_froms=True)
    return int(connection.execute(statement).scalar_one())


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


def saved_times(connection: Connection, model: str) -> dict[str, datetime]:
    """When this model's tagging of each article was kept, by the article's id."""
    article, table = schema.article, schema.tagging
    joined = select(article.c.id, table.c.saved_at).join(table, table.c.article == article.c.number)
    return {row.id: row.saved_at for row in connection.execute(joined.where(table.c.model == model))}


def tagged(database: Database, *, model: str | None, taxonomy: Taxonomy, since: datetime | None = None) -> pa.Table:
    """Every tagging of one model by (published_at nulls last, id): `tagging.schema`, then `published_confidence`.

    With `since`, of the articles published then or later and of the undated ones. Without `model`, the one most
    recently used; no taggings at all give an empty table. Raises StoreError for a model that tagged nothing while
    others did.
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
        rows = connection.execution_options(yield_per=_PAGE).execute(_joined(model, since))
        parts = [_part(some, taxonomy, form) for some in rows.partitions()]
    table = pa.Table.from_batches(parts, schema=form)
    # sorted here: the database would spill rows as wide as these to disk
    return table.sort_by([("published_at", "ascending"), ("id", "ascending")])  # nulls come last


def last_published(connection: Connection, model: str) -> datetime | None:
    """When the last dated article that `model` read was published; None without one."""
    article, tagging = schema.article, schema.tagging
    read = select(tagging.c.article).where(tagging.c.article == article.c.number, tagging.c.model == model).exists()
    dated = select(article.c.published_at).where(article.c.published_at.is_not(None), read)
    found: datetime | None = connection.scalar(dated.order_by(article.c.published_at.desc()).limit(1))
    return found


def _joined(model: str, since: datetime | None) -> Select[Any]:
    """The columns of `_PLAIN`, then the two times, then the three of JSON as text: pyarrow reads all of them faster."""
    article, tagging = schema.article, schema.tagging
    leader = article.alias("leader")
    plain = {c.name: c for c in (*article.c, *tagging.c)} | {"cluster": sql.coalesce(leader.c.id, article.c.id)}
    statement = (
        select(
            *(plain[name].label(name) for name in _PLAIN),
            *(type_coerce(article.c[name], String).label(name) for name in _TIMES),
            *(cast(tagging.c[name], Text).label(name) for name in _PACKED),
        )
        .join(tagging, tagging.c.article == article.c.number)
        .outerjoin(leader, leader.c.number == article.c.cluster)
    )
    if since is None:
        return statement.where(tagging.c.model == model)
    lately = or_(article.c.published_at.is_(None), article.c.published_at >= since)
    # SQLite would go by the model, which nearly every row has, and look up each article; an expression is in no index
    return statement.where(lately, tagging.c.model + "" == model)


def _part(rows: Sequence[Row[Any]], taxonomy: Taxonomy, form: pa.Schema) -> pa.RecordBatch:
    """Some rows of `_joined` as Arrow, column by column: several times faster than row by row."""
    values = list(zip(*rows, strict=True))
    given = dict(zip((*_PLAIN, *_TIMES), values, strict=False))
    columns = {name: pa.array(given[name], pa.string()) for name in _PLAIN}
    columns |= {name: _times(given[name]) for name in _TIMES}
    packed = _unpacked(values[len(given) :], taxonomy, form.field("evidence").type)
    for narrative in taxonomy.ids:
        columns[f"p_{narrative}"] = packed["probabilities"].field(narrative).cast(pa.float32())
        columns[f"v_{narrative}"] = packed["verdicts"].field(narrative)
    columns["evidence"] = packed["evidence"]
    return pa.record_batch([columns[name] for name in form.names], schema=form)


def _times(values: Sequence[Any]) -> pa.Array:
    """UTC times: SQLite gives its text, PostgreSQL a datetime."""
    kind = pa.timestamp("us", tz="UTC")
    if any(isinstance(value, str) for value in values):
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(kind)
    return pa.array(values, kind)


def _unpacked(values: Sequence[Sequence[str | None]], taxonomy: Taxonomy, evidence: pa.DataType) -> dict[str, pa.Array]:
    """The JSON columns of `_PACKED`; numbers are read as doubles and then rounded, as Python would."""
    item = [pa.field(f.name, pa.float64() if f.type == pa.float32() else f.type) for f in evidence.value_type]
    wanted = pa.schema(
        [
            ("probabilities", pa.struct([(n, pa.float64()) for n in taxonomy.ids])),
            ("verdicts", pa.struct([(n, pa.string()) for n in taxonomy.ids])),
            ("evidence", pa.list_(pa.struct(item))),
        ]
    )
    names = [f'"{name}":' for name in _PACKED]
    lines = [
        "{" + ",".join(name + (value or "null") for name, value in zip(names, row, strict=True)) + "}"
        for row in zip(*values, strict=True)
    ]
    data = "\n".join(lines).encode()
    table = json.read_json(
        pa.BufferReader(data),
        read_options=json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=json.ParseOptions(explicit_schema=wanted, unexpected_field_behavior="ignore"),
    )
    found = {name: table[name].combine_chunks() for name in _PACKED}
    return found | {"evidence": found["evidence"].cast(evidence)}


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
