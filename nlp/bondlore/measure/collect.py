"""Estimates of periods, and of publishers, as the one table that `series` describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bondlore.measure.estimate import SERIES, Estimate
from bondlore.measure.series import SCHEMA
from bondlore.taxonomy import Taxonomy

__all__ = ["collect"]


def collect(
    parts: Sequence[tuple[str, Sequence[Estimate]]],
    starts: NDArray[np.datetime64],
    ends: NDArray[np.datetime64],
    *,
    taxonomy: Taxonomy,
    series: Sequence[str],
    audit: str,
    same: Mapping[str, str],
    as_of: datetime | None,
) -> pa.Table:
    """The table of `SCHEMA`. `parts`: (publisher, its estimates by period); `same`: columns that never change.

    `labels` of rows by PPI++ also name the version of the `audit`.
    """
    narratives, picked = taxonomy.ids, [SERIES.index(s) for s in series]
    each, estimates = len(narratives) * len(picked), [e for _, some in parts for e in some]
    total = each * len(estimates)

    def gather(read: Callable[[Estimate], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([read(e)[:, picked].ravel() for e in estimates]) if estimates else np.array([])

    def numbers(read: Callable[[Estimate], NDArray[Any]]) -> pa.Array:
        return pa.array(gather(read).astype(float), pa.float64(), from_pandas=True)  # NaN becomes null

    def whole(read: Callable[[Estimate], NDArray[Any]]) -> pa.Array:
        return pa.array(gather(read).astype(np.int64))

    method = gather(lambda e: e.method).tolist()
    steps = gather(lambda e: e.step)
    model = "local level on the logit scale, a random walk of step {:.2g} a period"
    by_audit = f"{same['labels']} audit:{audit}".strip()
    columns = {name: pa.repeat(pa.scalar(value, pa.string()), total) for name, value in same.items()}
    columns |= {
        "period_start": pa.array(np.repeat(np.tile(starts, len(parts)), each), pa.date32()),
        "period_end": pa.array(np.repeat(np.tile(ends, len(parts)), each), pa.date32()),
        "narrative": pa.array(np.tile(np.repeat(narratives, len(picked)), len(estimates)).tolist(), pa.string()),
        "series": pa.array(list(series) * (len(narratives) * len(estimates)), pa.string()),
        "share": numbers(lambda e: e.share),
        "low": numbers(lambda e: e.low),
        "high": numbers(lambda e: e.high),
        "uncorrected": numbers(lambda e: e.uncorrected),
        "smoothed": numbers(lambda e: e.smoothed),
        "smoothed_low": numbers(lambda e: e.smoothed_low),
        "smoothed_high": numbers(lambda e: e.smoothed_high),
        "smoothing": pa.array(["" if np.isnan(step) else model.format(step) for step in steps.tolist()], pa.string()),
        "n": whole(lambda e: e.n),
        "stories": whole(lambda e: e.stories),
        "n_audited": whole(lambda e: e.n_audited),
        "method": pa.array(method, pa.string()),
        "publisher": pa.array([name for name, some in parts for _ in range(each * len(some))], pa.string()),
        "labels": pa.array([by_audit if m == "ppi" else same["labels"] for m in method], pa.string()),
        "as_of": pa.repeat(pa.scalar(as_of, SCHEMA.field("as_of").type), total),
        "reason": pa.array(gather(lambda e: e.reason).tolist(), pa.string()),
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)
