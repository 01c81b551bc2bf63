"""The tagged table as arrays: news days, cluster numbers, verdict bits. Checks what measuring relies on.

What only some measures need (publishers, sightings, probabilities) is read only when `Wanted` asks for it: ten million
rows of ten probabilities are 400 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure import calendar
from bondlore.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow.dataset as ds  # brings pandas along

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
    """The usable articles, all (n, ..): `keys` and `clusters` (hashes of names), `days`, `verdicts` (bits), .."""

    keys: NDArray[np.int64]
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

        return self.take(rows)

    def take(self, rows: NDArray[np.int64]) -> Coded:
        """Some of the articles."""

        def some(values: NDArray[Any]) -> NDArray[Any]:
            return values[rows] if len(values) else values

        return replace(
            self,
            keys=self.keys[rows],
            days=self.days[rows],
            clusters=self.clusters[rows],
            verdicts=self.verdicts[rows],
            publishers=some(self.publishers),
            sightings=some(self.sightings),
            probabilities=some(self.probabilities),
        )


@dataclass(frozen=True)
class Audit:
    """Hand-labelled articles: `keys`, `inclusion` probabilities (a,), `verdicts` (a, K) bits; `version` names them."""

    keys: NDArray[np.int64]
    inclusion: NDArray[np.float64]
    verdicts: NDArray[np.int8]
    version: str = ""

    def positions(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each of `keys` stands in the audit; -1 when it does not."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        order = np.argsort(self.keys)
        at = np.minimum(np.searchsorted(self.keys[order], keys), len(order) - 1)
        return np.where(self.keys[order[at]] == keys, order[at], -1)


def code(
    table: pa.Table | ds.Dataset, taxonomy: Taxonomy, gates: Sequence[str], cutoff: time, wanted: Wanted | None = None
) -> Coded:
    """Keep the articles that were tagged, dated, let through by one of `gates` and not repeated. Raises InputError.

    Batch by batch: strings become numbers at once, so that ten million rows never lie in memory as text.
    """
    wanted = wanted or Wanted()
    columns = [*_NEEDED, *(f"v_{n}" for n in taxonomy)]
    columns += ["publisher"] * wanted.publishers + ["first_seen_at"] * wanted.known
    columns += [f"p_{n}" for n in taxonomy] * wanted.probabilities
    names = table.schema.names
    _need(names, columns, "the tagged table")
    if wanted.sightings and "sightings" not in names:
        raise InputError("the tagged table does not say how often an article was seen", remedy="measure a store")
    columns += ["sightings"] * wanted.sightings
    excluded = dict.fromkeys(("error", "undated", "off_topic"), 0)
    publishers: dict[str, int] = {}
    models: set[str] = set()
    parts = [
        _batch(pa.table(batch), taxonomy, gates, cutoff, wanted, excluded, publishers, models)
        for batch in (
            table.select(columns).to_batches() if isinstance(table, pa.Table) else table.to_batches(columns=columns)
        )
    ]
    parts = parts or [_batch(_empty(table, columns), taxonomy, gates, cutoff, wanted, excluded, publishers, models)]
    coded = _joined(parts, _one_model(models), excluded)
    _, first = np.unique(coded.keys, return_index=True)
    excluded["repeated"] = len(coded.keys) - len(first)
    if excluded["repeated"]:
        coded = coded.take(np.sort(first).astype(np.int64))
    order = sorted(publishers)
    if wanted.publishers:
        number = np.array([order.index(name) for name in publishers], dtype=np.int64)
        coded = replace(coded, publishers=number[coded.publishers] if len(number) else coded.publishers)
    return replace(coded, names=tuple(order))


def _empty(table: pa.Table | ds.Dataset, columns: Sequence[str]) -> pa.Table:
    return pa.schema([table.schema.field(c) for c in columns]).empty_table()


def _joined(parts: Sequence[Coded], model: str, excluded: dict[str, int]) -> Coded:
    """One array of many, column by column."""

    def whole(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Coded(
        whole("keys"),
        whole("days"),
        whole("clusters"),
        whole("verdicts"),
        model,
        excluded,
        publishers=whole("publishers"),
        sightings=whole("sightings"),
        probabilities=whole("probabilities"),
    )


def _batch(
    whole: pa.Table,
    taxonomy: Taxonomy,
    gates: Sequence[str],
    cutoff: time,
    wanted: Wanted,
    excluded: dict[str, int],
    publishers: dict[str, int],
    models: set[str],
) -> Coded:
    """Code some rows; adds to `excluded`, to the numbers of `publishers` and to `models`."""
    tests: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
        ("error", "status", lambda values: pc.equal(values, "ok")),
        ("undated", "published_at", pc.is_valid),
        ("off_topic", "gate", lambda values: pc.is_in(values, value_set=pa.array(list(gates)))),
    )
    kept = np.ones(whole.num_rows, dtype=bool)
    for name, tested, test in tests:
        passed = pc.fill_null(test(_plain(tested, whole[tested])), False).to_numpy(zero_copy_only=False).astype(bool)
        excluded[name] += int(np.count_nonzero(kept & ~passed))
        kept &= passed
    mask = pa.array(kept)

    def column(name: str) -> pa.Array:
        values = _plain(name, whole[name]).filter(mask)
        return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values

    models.update(m for m in pc.unique(column("model")).to_pylist() if m)
    moments = pc.cast(column("published_at"), pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    if wanted.known:
        seen = pc.coalesce(column("first_seen_at"), column("published_at"))
        moments = np.maximum(moments, pc.cast(seen, pa.timestamp("us")).to_numpy().astype("datetime64[us]"))
    exact = pc.fill_null(pc.equal(column("published_precision"), "second"), False)
    days, _ = calendar.news_days(moments, ~exact.to_numpy(zero_copy_only=False).astype(bool), cutoff=cutoff)
    keys, cluster = _hashes(column("id")), column("cluster")
    blank = pc.fill_null(pc.equal(cluster, ""), True).to_numpy(zero_copy_only=False)
    clusters = np.where(blank, keys, _hashes(cluster))
    verdicts = np.zeros((len(keys), len(taxonomy)), dtype=np.int8)
    for k, narrative in enumerate(taxonomy):
        verdicts[:, k] = _bits(whole[f"v_{narrative}"].filter(mask), f"v_{narrative}", "the tagged table")
    coded = Coded(keys, days, clusters, verdicts, "", excluded)
    if wanted.publishers:
        coded = replace(coded, publishers=_publishers(column("publisher"), wanted.tiers, publishers))
    if wanted.sightings:
        # an article that is in the table was seen at least once
        seen = pc.max_element_wise(pc.fill_null(column("sightings"), 1.0), 1.0)
        coded = replace(coded, sightings=seen.to_numpy())
    if wanted.probabilities:
        found = np.column_stack([_probability(n, column(f"p_{n}")) for n in taxonomy])
        coded = replace(coded, probabilities=found)
    return coded


_TIME = pa.timestamp("us", tz="UTC")
_OTHERS = {"published_at": _TIME, "first_seen_at": _TIME, "sightings": pa.float64()}


def _plain(name: str, column: Any) -> Any:
    """Strings as plain strings (files may hold dictionaries), times as microseconds UTC."""
    wanted = pa.float32() if name.startswith("p_") else _OTHERS.get(name, pa.string())
    return column if column.type == wanted else pc.cast(column, wanted, safe=False)


_LONGEST = 4096
_WEIGHTS = np.random.default_rng(20250409).integers(0, 1 << 64, _LONGEST, dtype=np.uint64)


def _hashes(column: pa.Array) -> NDArray[np.int64]:
    """A number for each text, null as "": sums of its bytes times random odd weights, modulo 2^64.

    Two texts collide with a chance below 2^-56: among ten million ids once in a thousand archives or less.
    """
    texts = pc.binary_join_element_wise(pc.fill_null(column, ""), "\x01", "")  # ends them: "a" is not "a\0"
    if not len(texts):
        return np.array([], dtype=np.int64)
    _, offsets, data = texts.buffers()
    at = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    raw = np.frombuffer(data, dtype=np.uint8)[at[0] : at[-1]].astype(np.uint64)
    length = np.diff(at)
    place = np.arange(at[-1] - at[0]) - np.repeat(at[:-1] - at[0], length)
    raw *= (_WEIGHTS | np.uint64(1))[place % _LONGEST]
    return np.add.reduceat(raw, at[:-1] - at[0]).view(np.int64)


def _publishers(column: pa.Array, tiers: Mapping[str, str] | None, numbers: dict[str, int]) -> NDArray[np.int64]:
    """A number an article, in order of first appearance; new names are added to `numbers`."""
    coded = pc.fill_null(column, "").dictionary_encode()
    found = [v or UNNAMED for v in coded.dictionary.to_pylist()]
    found = found if tiers is None else [tiers.get(v, UNNAMED) for v in found]
    number = np.array([numbers.setdefault(v, len(numbers)) for v in found], dtype=np.int64)
    return number[coded.indices.to_numpy()] if len(column) else np.array([], np.int64)


def has_probabilities(table: pa.Table | ds.Dataset, taxonomy: Taxonomy) -> bool:
    """Whether every article that was tagged has a probability of every narrative."""
    names = [f"p_{n}" for n in taxonomy]
    if not {"status", *names} <= set(table.schema.names):
        return False
    whole = table if isinstance(table, pa.Table) else table.to_table(columns=["status", *names])
    tagged = whole.select(names).filter(pc.fill_null(pc.equal(pc.cast(whole["status"], pa.string()), "ok"), False))
    return all(tagged[n].null_count == 0 for n in names)


def _probability(narrative: str, column: pa.Array) -> NDArray[np.float32]:
    """(n,) in [0, 1]. Raises InputError where one is missing or none."""
    out: NDArray[np.float32] = pc.fill_null(column, np.nan).to_numpy()
    if not np.all((out >= 0) & (out <= 1)):
        raise InputError(
            "a probability is missing or not in [0, 1]",
            where=f"the tagged table, column p_{narrative}",
            remedy="tag again, or count verdicts",
        )
    return out


def code_audit(table: pa.Table, taxonomy: Taxonomy) -> Audit:
    """Check and code an audit: `id`, `v_<narrative>`, and `inclusion_prob` in (0, 1] or absent. Raises InputError."""
    what = "the audit"
    _need(table.column_names, ["id", *(f"v_{n}" for n in taxonomy)], what)
    ids = pa.array(table["id"].to_pylist(), pa.string())
    keys = _hashes(ids)
    if len(np.unique(keys)) < table.num_rows or ids.null_count:
        raise InputError(f"{what} repeats an id or lacks one", remedy="keep one adjudicated row an article")
    inclusion = np.ones(table.num_rows)
    if "inclusion_prob" in table.column_names:
        column = pc.cast(table["inclusion_prob"], pa.float64())
        inclusion = pc.fill_null(column, 0.0).to_numpy().astype(float)
        if not np.all((inclusion > 0) & (inclusion <= 1)):
            row = int(np.flatnonzero(~((inclusion > 0) & (inclusion <= 1)))[0]) + 1
            raise InputError("an inclusion probability is not in (0, 1]", where=f"{what}, row {row}", remedy="mend it")
    verdicts = np.column_stack([_bits(table[f"v_{n}"], f"v_{n}", what) for n in taxonomy])
    order = np.argsort(np.asarray(ids.to_pylist(), dtype=object))
    content = hashlib.sha256("\x1e".join(taxonomy).encode())
    content.update("\x1e".join(ids[int(i)].as_py() for i in order).encode())
    content.update(inclusion[order].tobytes() + verdicts[order].tobytes())
    return Audit(keys, inclusion, verdicts, content.hexdigest()[:12])


def _bits(column: pa.ChunkedArray, name: str, what: str) -> NDArray[np.int8]:
    """(n,) verdicts as bits. Raises InputError for one that is none."""
    known = pa.array(_VERDICTS)
    found = pc.index_in(_plain("", column), value_set=known)
    if found.null_count > column.null_count:
        odd = pc.filter(column, pc.and_(pc.is_valid(column), pc.is_null(found)))[0].as_py()
        raise InputError(
            f"the verdict {odd!r} is none of {', '.join(_VERDICTS)}",
            where=f"{what}, column {name}",
            remedy="leave absent narratives null",
        )
    bits: NDArray[np.int8] = pc.add(pc.fill_null(found, -1), 1).to_numpy().astype(np.int8)
    return bits


def _one_model(models: set[str]) -> str:
    if len(models) > 1:
        raise InputError(
            f"the tagged table mixes the models {', '.join(sorted(models))}",
            remedy="measure one model's taggings at a time",
        )
    return next(iter(models), "")


def _need(names: Sequence[str], columns: Sequence[str], what: str) -> None:
    if missing := [c for c in columns if c not in names]:
        raise InputError(
            f"{what} has no column {', '.join(missing[:3])}", remedy="tag with this taxonomy, see bondlore tag --help"
        )
