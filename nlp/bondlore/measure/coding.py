"""The tagged table as arrays: news days, cluster numbers, verdict bits. Checks what measuring relies on.

What only some measures need (publishers, sightings, probabilities) is read only when `Wanted` asks for it: ten million
rows of ten probabilities are 400 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure import calendar
from bondlore.taxonomy import Taxonomy

__all__ = ["UNNAMED", "Audit", "Coded", "Wanted", "code", "code_audit", "has_probabilities"]

# As bits: 1 supports, 2 rejects, so a contested narrative (3) does both.
_VERDICTS = ("promotes", "rejects", "contested")
_NEEDED = ("id", "published_at", "published_precision", "cluster", "gate", "model", "status")
UNNAMED = "(unnamed)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read beyond verdicts. `tiers` maps a publisher to its tier and then stands in its place.

    `known`: an article counts from max(published_at, first_seen_at), when it could be read, not when it is dated.
    """

    publishers: bool = False
    sightings: bool = False
    probabilities: bool = False
    known: bool = False
    tiers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Coded:
    """The usable articles: `ids` and, all (n, ..): `days` datetime64[D], `clusters` int64, `verdicts` (n, K) bits."""

    ids: pa.Array
    days: NDArray[np.datetime64]
    clusters: NDArray[np.int64]
    verdicts: NDArray[np.int8]
    model: str
    excluded: dict[str, int]
    publishers: NDArray[np.int64] = field(default_factory=lambda: np.array([], np.int64))
    names: tuple[str, ...] = ()
    sightings: NDArray[np.float64] = field(default_factory=lambda: np.array([]))
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.array([], np.float32))

    def of(self, publisher: int) -> Coded:
        """The articles of one publisher (its number in `names`)."""
        rows = np.flatnonzero(self.publishers == publisher)

        def some(values: NDArray[Any]) -> NDArray[Any]:
            return values[rows] if len(values) else values

        return replace(
            self,
            ids=self.ids.take(pa.array(rows)),
            days=self.days[rows],
            clusters=self.clusters[rows],
            verdicts=self.verdicts[rows],
            publishers=self.publishers[rows],
            sightings=some(self.sightings),
            probabilities=some(self.probabilities),
        )


@dataclass(frozen=True)
class Audit:
    """Hand-labelled articles: `ids`, `inclusion` probabilities (a,), `verdicts` (a, K) bits; `version` names them."""

    ids: pa.Array
    inclusion: NDArray[np.float64]
    verdicts: NDArray[np.int8]
    version: str = ""

    def positions(self, ids: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each of `ids[rows]` stands in the audit; -1 when it does not."""
        found = pc.index_in(ids.take(pa.array(rows)), value_set=self.ids)
        positions: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        return positions


def code(
    table: pa.Table, taxonomy: Taxonomy, gates: Sequence[str], cutoff: time, wanted: Wanted | None = None
) -> Coded:
    """Keep the articles that were tagged, dated, let through by one of `gates` and not repeated. Raises InputError."""
    wanted = wanted or Wanted()
    columns = [*_NEEDED, *(f"v_{n}" for n in taxonomy)]
    columns += ["publisher"] * wanted.publishers + ["first_seen_at"] * wanted.known
    columns += [f"p_{n}" for n in taxonomy] * wanted.probabilities
    _need(table, columns, "the tagged table")
    if wanted.sightings and "sightings" not in table.column_names:
        raise InputError("the tagged table does not say how often an article was seen", remedy="measure a store")
    whole = _plain_types(table.select([*columns, *(["sightings"] * wanted.sightings)])).combine_chunks()
    excluded: dict[str, int] = {}
    tests: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
        ("error", "status", lambda values: pc.equal(values, "ok")),
        ("undated", "published_at", pc.is_valid),
        ("off_topic", "gate", lambda values: pc.is_in(values, value_set=pa.array(list(gates)))),
    )
    for name, column, test in tests:
        kept = whole.filter(pc.fill_null(test(whole[column]), False))
        excluded[name] = whole.num_rows - kept.num_rows
        whole = kept
    first = _first_of_each(whole["id"])
    excluded["repeated"] = whole.num_rows - len(first)
    if excluded["repeated"]:
        whole = whole.take(pa.array(first))
    return _arrays(whole.combine_chunks(), taxonomy, cutoff, excluded, wanted)


def _plain_types(table: pa.Table) -> pa.Table:
    """Strings as plain strings (files may hold dictionaries), times as microseconds UTC."""
    time_type, columns = pa.timestamp("us", tz="UTC"), {}
    others = {"published_at": time_type, "first_seen_at": time_type, "sightings": pa.float64()}
    for name in table.column_names:
        wanted = pa.float32() if name.startswith("p_") else others.get(name, pa.string())
        column = table[name]
        columns[name] = column if column.type == wanted else pc.cast(column, wanted, safe=False)
    return pa.table(columns)


def _arrays(table: pa.Table, taxonomy: Taxonomy, cutoff: time, excluded: dict[str, int], wanted: Wanted) -> Coded:
    moments = pc.cast(table["published_at"], pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    if wanted.known:
        seen = pc.coalesce(table["first_seen_at"], table["published_at"])
        moments = np.maximum(moments, pc.cast(seen, pa.timestamp("us")).to_numpy().astype("datetime64[us]"))
    coarse = pc.fill_null(pc.not_equal(table["published_precision"], "second"), True).to_numpy()
    days, _ = calendar.news_days(moments, coarse.astype(bool), cutoff=cutoff)
    blank = pc.fill_null(pc.equal(table["cluster"], ""), True)
    groups = pc.if_else(blank, table["id"], table["cluster"])
    ids = table["id"].combine_chunks() if isinstance(table["id"], pa.ChunkedArray) else table["id"]
    coded = Coded(ids, days, _numbers(groups), _bits(table, taxonomy, "the tagged table"), _model(table), excluded)
    if wanted.publishers:
        numbers, names = _publishers(table["publisher"], wanted.tiers)
        coded = replace(coded, publishers=numbers, names=names)
    if wanted.sightings:
        # an article that is in the table was seen at least once
        seen = pc.max_element_wise(pc.fill_null(table["sightings"], 1.0), 1.0)
        coded = replace(coded, sightings=seen.to_numpy())
    if wanted.probabilities:
        coded = replace(coded, probabilities=_probabilities(table, taxonomy))
    return coded


def _publishers(column: pa.ChunkedArray, tiers: Mapping[str, str] | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """A number an article, and the names by number in alphabetical order."""
    values = pc.fill_null(column, "")
    coded = (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).dictionary_encode()
    found = [v or UNNAMED for v in coded.dictionary.to_pylist()]
    found = found if tiers is None else [tiers.get(v, UNNAMED) for v in found]
    names = tuple(sorted(set(found)))
    number = np.array([names.index(v) for v in found], dtype=np.int64)
    return number[coded.indices.to_numpy()] if len(values) else number, names


def has_probabilities(table: pa.Table, taxonomy: Taxonomy) -> bool:
    """Whether every article that was tagged has a probability of every narrative."""
    names = [f"p_{n}" for n in taxonomy]
    if "status" not in table.column_names or not set(names) <= set(table.column_names):
        return False
    tagged = table.select(names).filter(pc.fill_null(pc.equal(table["status"], "ok"), False))
    return all(tagged[n].null_count == 0 for n in names)


def _probabilities(table: pa.Table, taxonomy: Taxonomy) -> NDArray[np.float32]:
    """(n, K) in [0, 1]. Raises InputError where one is missing or none."""
    out = np.empty((table.num_rows, len(taxonomy)), dtype=np.float32)
    for k, narrative in enumerate(taxonomy):
        out[:, k] = pc.fill_null(table[f"p_{narrative}"], np.nan).to_numpy()
        if not np.all((out[:, k] >= 0) & (out[:, k] <= 1)):
            raise InputError(
                "a probability is missing or not in [0, 1]",
                where=f"the tagged table, column p_{narrative}",
                remedy="tag again, or count verdicts",
            )
    return out


def code_audit(table: pa.Table, taxonomy: Taxonomy) -> Audit:
    """Check and code an audit: `id`, `v_<narrative>`, and `inclusion_prob` in (0, 1] or absent. Raises InputError."""
    what = "the audit"
    _need(table, ["id", *(f"v_{n}" for n in taxonomy)], what)
    if len(_first_of_each(table["id"])) < table.num_rows or table["id"].null_count:
        raise InputError(f"{what} repeats an id or lacks one", remedy="keep one adjudicated row an article")
    inclusion = np.ones(table.num_rows)
    if "inclusion_prob" in table.column_names:
        column = pc.cast(table["inclusion_prob"], pa.float64())
        inclusion = pc.fill_null(column, 0.0).to_numpy().astype(float)
        if not np.all((inclusion > 0) & (inclusion <= 1)):
            row = int(np.flatnonzero(~((inclusion > 0) & (inclusion <= 1)))[0]) + 1
            raise InputError("an inclusion probability is not in (0, 1]", where=f"{what}, row {row}", remedy="mend it")
    ids = pa.array(table["id"].to_pylist(), pa.string())
    verdicts = _bits(table, taxonomy, what)
    order = np.argsort(np.asarray(ids.to_pylist(), dtype=object))
    content = hashlib.sha256("\x1e".join(taxonomy).encode())
    content.update("\x1e".join(ids[int(i)].as_py() for i in order).encode())
    content.update(inclusion[order].tobytes() + verdicts[order].tobytes())
    return Audit(ids, inclusion, verdicts, content.hexdigest()[:12])


def _bits(table: pa.Table, taxonomy: Taxonomy, what: str) -> NDArray[np.int8]:
    out = np.zeros((table.num_rows, len(taxonomy)), dtype=np.int8)
    known = pa.array(_VERDICTS)
    for k, narrative in enumerate(taxonomy):
        column = table[f"v_{narrative}"]
        found = pc.index_in(pc.cast(column, pa.string()), value_set=known)
        if found.null_count > column.null_count:
            odd = pc.filter(column, pc.and_(pc.is_valid(column), pc.is_null(found)))[0].as_py()
            raise InputError(
                f"the verdict {odd!r} is none of {', '.join(_VERDICTS)}",
                where=f"{what}, column v_{narrative}",
                remedy="leave absent narratives null",
            )
        out[:, k] = pc.add(pc.fill_null(found, -1), 1).to_numpy()
    return out


def _first_of_each(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Row numbers of the first occurrence of every value, in order."""
    _, first = np.unique(_numbers(column), return_index=True)
    return np.sort(first).astype(np.int64)


def _numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    """Equal values get equal numbers."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    codes: NDArray[np.int64] = pc.fill_null(array.dictionary_encode().indices, -1).to_numpy().astype(np.int64)
    return codes


def _model(table: pa.Table) -> str:
    models = [m for m in pc.unique(table["model"]).to_pylist() if m]
    if len(models) > 1:
        raise InputError(
            f"the tagged table mixes the models {', '.join(sorted(models))}",
            remedy="measure one model's taggings at a time",
        )
    return models[0] if models else ""


def _need(table: pa.Table, columns: Sequence[str], what: str) -> None:
    if missing := [c for c in columns if c not in table.column_names]:
        raise InputError(
            f"{what} has no column {', '.join(missing[:3])}", remedy="tag with this taxonomy, see bondlore tag --help"
        )
