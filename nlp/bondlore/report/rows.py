"""The tagged table as arrays: what the page counts and quotes, cut at the report's news day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure import calendar
from bondlore.tagging import schema
from bondlore.taxonomy import Taxonomy

__all__ = ["Rows", "read_rows", "up_to"]

_BOND = ("causal", "topical")


@dataclass(frozen=True)
class Rows:
    """The rows of `table` up to the report's day. All arrays are (n,); `pushed` and `denied` are (n, K).

    `days` is NaT for an undated article. `bond` marks rows that were read without error and are about bonds.
    """

    table: pa.Table
    days: NDArray[np.datetime64]
    bond: NDArray[np.bool_]
    pushed: NDArray[np.bool_]
    denied: NDArray[np.bool_]
    clusters: NDArray[np.object_]

    def between(self, start: date, end: date) -> NDArray[np.bool_]:
        """Which bond articles have their news day in [start, end]."""
        low, high = np.datetime64(start, "D"), np.datetime64(end, "D")
        return self.bond & (self.days >= low) & (self.days <= high)


def up_to(table: pa.Table, day: date) -> pa.Table:
    """The rows whose news day is not after `day`, and the undated ones: what could be known at that day's cut-off."""
    days = _days(table)
    return table.filter(pa.array(np.isnat(days) | (days <= np.datetime64(day, "D"))))


def read_rows(table: pa.Table, taxonomy: Taxonomy, day: date) -> Rows:
    """Cut and decode the table; a repeated id counts once. Raises InputError when a column is missing."""
    missing = [name for name in schema(taxonomy.ids).names if name not in table.column_names]
    if missing:
        raise InputError(
            f"the tagged table has no column {missing[0]!r}",
            where="tagged table",
            remedy="use the taxonomy it was tagged with",
        )
    table = _once(up_to(table, day))
    good = pc.and_(pc.equal(table["status"], "ok"), pc.is_in(table["gate"], pa.array(_BOND)))
    return Rows(
        table,
        _days(table),
        _flags(good),
        _verdicts(table, taxonomy, ("promotes", "contested")),
        _verdicts(table, taxonomy, ("rejects", "contested")),
        np.array(pc.coalesce(table["cluster"], table["id"]).to_pylist(), dtype=object),
    )


def _once(table: pa.Table) -> pa.Table:
    ids = np.array(table["id"].to_pylist(), dtype=object).astype(str)
    _, first = np.unique(ids, return_index=True)
    return table if len(first) == len(ids) else table.take(pa.array(np.sort(first)))


def _days(table: pa.Table) -> NDArray[np.datetime64]:
    stamps = table["published_at"].cast(pa.timestamp("us")).to_numpy()
    stamps = np.asarray(stamps, dtype="datetime64[us]")
    out = np.full(len(stamps), np.datetime64("NaT"), dtype="datetime64[D]")
    dated = ~np.isnat(stamps)
    whole_day = _flags(pc.equal(table["published_precision"], "day"))
    out[dated] = calendar.news_days(stamps[dated], whole_day[dated])[0]
    return out


def _verdicts(table: pa.Table, taxonomy: Taxonomy, wanted: tuple[str, ...]) -> NDArray[np.bool_]:
    columns = [_flags(pc.is_in(table[f"v_{n}"], pa.array(wanted))) for n in taxonomy.ids]
    return np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0), dtype=bool)


def _flags(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(values, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)
