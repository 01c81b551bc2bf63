"""The tagged table as arrays: news days, cluster numbers, verdict bits. Checks what measuring relies on.

What only some measures need (publishers, sightings, probabilities) is read only when `Wanted` asks for it: ten million
rows of ten probabilities are 400 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
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

__all__ = [
    "UNNAMED",
    "Audit",
    "Coded",
    "Wanted",
    "article_scores",
    "code",
    "code_audit",
    "has_probabilities",
    "stance_scores",
]

# As bits: 1 supports, 2 rejects, so a contested narrative (3) does both.
_VERDICTS = ("promotes", "rejects", "contested")
_NEEDED = ("id", "published_at", "published_precision", "cluster", "gate", "model", "status")
_TO_MIDNIGHT = np.timedelta64(17, "h")  # from noon UTC, where dates without a time are kept, to 05:00 of the next day
UNNAMED = "(unnamed)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read beyond verdicts. `tiers` maps a publisher to its tier and then stands in its place.

    `known`: an article counts from max(published_at, first_seen_at), when it could be read, not when it is dated.
    `as_of`: what was published, first seen or tagged later is left out; with `hindsight` it may have been tagged later.
    """

    publishers: bool = False
    sightings: bool = False
    probabilities: bool = False
    known: bool = False
    as_of: datetime | None = None
    hindsight: bool = False
    tiers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Coded:
    """The usable articles, all (n, ..): `keys` and `clusters` (hashes of names), `days`, `verdicts` (bits), ..

    `as_of`: the last moment at which one of them was published, first seen or tagged; NaT without articles.
    """

    keys: NDArray[np.int64]
    days: NDArray[np.datetime64]
    clusters: NDArray[np.int64]
    verdicts: NDArray[np.int8]
    model: str
    excluded: dict[str, int]
    as_of: np.datetime64 = field(default_factory=lambda: np.datetime64("NaT", "us"))
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
    columns += ["publisher"] * wanted.publishers
    columns += [f"p_{n}" for n in taxonomy] * wanted.probabilities
    names = table.schema.names
    _need(names, columns, "the tagged table")
    if wanted.sightings and "sightings" not in names:
        raise InputError("the tagged table does not say how often an article was seen", remedy="measure a store")
    columns += ["sightings"] * wanted.sightings
    if wanted.known:
        _need(names, ["first_seen_at"], "the tagged table")
    columns += [c for c in ("first_seen_at", *["tagged_at"] * (not wanted.hindsight)) if c in names]
    excluded = dict.fromkeys(("error", "undated", "off_topic", *["later"] * (wanted.as_of is not None)), 0)
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
        max((p.as_of for p in parts if not np.isnat(p.as_of)), default=np.datetime64("NaT", "us")),
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
    moments, seen = _moments(whole["published_at"]), _moments(whole["published_at"])
    for name in ("first_seen_at", "tagged_at"):
        if name in whole.column_names:
            seen = np.fmax(seen, _moments(whole[name]))
            moments = seen if wanted.known and name == "first_seen_at" else moments
    exact = pc.fill_null(pc.equal(_plain("", whole["published_precision"]), "second"), False)
    coarse = ~exact.to_numpy(zero_copy_only=False).astype(bool)
    if wanted.as_of is not None:
        # an article of which only the date is known may have come as late as that day's midnight in New York
        late = np.fmax(seen, _moments(whole["published_at"]) + np.where(coarse, _TO_MIDNIGHT, np.timedelta64(0, "h")))
        passed = late <= np.datetime64(wanted.as_of.astimezone(UTC).replace(tzinfo=None), "us")
        excluded["later"] += int(np.count_nonzero(kept & ~passed))
        kept &= passed
    moments, seen, coarse = moments[kept], seen[kept], coarse[kept]
    mask = pa.array(kept)

    def column(name: str) -> pa.Array:
        values = _plain(name, whole[name]).filter(mask)
        return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values

    models.update(m for m in pc.unique(column("model")).to_pylist() if m)
    days, _ = calendar.news_days(moments, coarse, cutoff=cutoff)
    keys, cluster = _hashes(column("id")), column("cluster")
    blank = pc.fill_null(pc.equal(cluster, ""), True).to_numpy(zero_copy_only=False)
    clusters = np.where(blank, keys, _hashes(cluster))
    verdicts = np.zeros((len(keys), len(taxonomy)), dtype=np.int8)
    for k, narrative in enumerate(taxonomy):
        verdicts[:, k] = _bits(whole[f"v_{narrative}"].filter(mask), f"v_{narrative}", "the tagged table")
    coded = Coded(keys, days, clusters, verdicts, "", excluded, seen.max() if len(seen) else np.datetime64("NaT", "us"))
    if wanted.publishers:
        coded = replace(coded, publishers=_publishers(column("publisher"), wanted.tiers, publishers))
    if wanted.sightings:
        # an article that is in the table was seen at least once
        places = pc.max_element_wise(pc.fill_null(column("sightings"), 1.0), 1.0)
        coded = replace(coded, sightings=places.to_numpy())
    if wanted.probabilities:
        found = np.column_stack([_probability(n, column(f"p_{n}")) for n in taxonomy])
        coded = replace(coded, probabilities=found)
    return coded


_TIME = pa.timestamp("us", tz="UTC")
_OTHERS = {"published_at": _TIME, "first_seen_at": _TIME, "tagged_at": _TIME, "sightings": pa.float64()}


def _plain(name: str, column: Any) -> Any:
    """Strings as plain strings (files may hold dictionaries), times as microseconds UTC."""
    wanted = pa.float32() if name.startswith("p_") else _OTHERS.get(name, pa.string())
    return column if column.type == wanted else pc.cast(column, wanted, safe=False)


def _moments(column: Any) -> NDArray[np.datetime64]:
    """(n,) UTC, NaT where unknown."""
    out: NDArray[np.datetime64] = pc.cast(_plain("published_at", column), pa.timestamp("us")).to_numpy()
    return out.astype("datetime64[us]")


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
    raw = np.frombuffer(data, dtype=np.uint8)[at[0] : at[-1]]
    weights, length = _WEIGHTS | np.uint64(1), np.diff(at)
    longest = int(length.max())
    if longest == length.min() and longest <= _LONGEST:
        # ids of one length, the usual case: the same sum in a third of the time
        return (raw.reshape(-1, longest).astype(np.uint64) @ weights[:longest]).view(np.int64)
    place = np.arange(at[-1] - at[0]) - np.repeat(at[:-1] - at[0], length)
    weighed = raw.astype(np.uint64) * weights[place % _LONGEST]
    return np.add.reduceat(weighed, at[:-1] - at[0]).view(np.int64)


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
    parts = [table] if isinstance(table, pa.Table) else table.to_batches(columns=["status", *names])
    for part in parts:
        tagged = pc.fill_null(pc.equal(_plain("", part["status"]), "ok"), False)
        if any(part[n].filter(tagged).null_count for n in names):
            return False
    return True


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


def article_scores(verdicts: NDArray[np.int8], probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """(n, K) verdict bits and probabilities to (n, K, 3): how surely each article carries, supports and rejects it.

    Presence: the probability; support: the same unless the verdict is a rejection; rejection: where it is one or half
    of one. 0 elsewhere.
    """
    p = probabilities.astype(float)
    return np.stack([p, p * (verdicts != 2), p * (verdicts >= 2)], axis=-1)


def stance_scores(verdicts: NDArray[np.int8], probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """(n, K) verdict bits and probabilities to (n, K, 3), what EM bins for presence, support and rejection.

    The probability; for a stance 2 where the verdict is the other stance alone: articles that deny a story are told
    from those silent of it, because how many there are changes how many look like support.
    """
    p = probabilities.astype(float)
    return np.stack([p, np.where(verdicts == 2, 2.0, p), np.where(verdicts == 1, 2.0, p)], axis=-1)


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
