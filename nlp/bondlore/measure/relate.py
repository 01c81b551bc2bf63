"""Shares beside yields: the lead-lag profile of every narrative and tenor, and the days on which yields moved most.

What comes out is association. Most coverage of day t explains the move of day t, so a slope at h = 0 says that the
press writes about moves; only slopes at h > 0 could be of use to anybody, and only by articles counted from when they
could be read (`known`). Articles of which only the date is known stay out of the profile: they may have been written
before the fixing or after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure.confusion import Confusion
from bondlore.measure.correction import error_rates
from bondlore.measure.hac import benjamini_hochberg, holm
from bondlore.measure.intervals import Z95
from bondlore.measure.projections import HORIZONS, project
from bondlore.measure.series import ShareSeries
from bondlore.measure.yields import Yields

__all__ = ["NOTES", "Profile", "align", "as_table", "dated_to_the_second", "events", "profiles", "scales"]

Floats = NDArray[np.float64]

_ASSOCIATION = (
    "These are associations. Market reports are written because yields moved: a slope at horizon 0 or below says that"
    " coverage follows or explains the move of the day, not that it caused it."
)
_UNITS = (
    "Slopes are basis points for each percentage point of share, the sampling error of shares taken out; p-values are"
    " adjusted over all narratives, tenors and horizons together."
)
NOTES = (_ASSOCIATION, _UNITS)
_STALE = 5  # days a fixing may lie before the end of its period


@dataclass(frozen=True, slots=True)
class Profile:
    """One narrative, tenor and horizon, in periods: `projections.Projection` with both adjusted p-values."""

    narrative: str
    series: str
    tenor: str
    horizon: int
    n: int
    slope: float | None
    low: float | None
    high: float | None
    observed: float | None
    reliability: float | None
    p: float | None
    p_holm: float | None
    p_fdr: float | None
    lags: int
    reason: str


def dated_to_the_second(table: pa.Table) -> tuple[pa.Table, int]:
    """The articles whose time of day is known, and how many others there were."""
    exact = pc.fill_null(pc.equal(pc.cast(table["published_precision"], pa.string()), "second"), False)
    kept = table.filter(exact)
    return kept, table.num_rows - kept.num_rows


def align(series: ShareSeries, narrative: str, kind: str) -> tuple[Floats, Floats, NDArray[np.datetime64]]:
    """Shares in points, their variances in points squared, and the periods' ends, oldest first; gaps are NaN.

    The intervals must hold sampling error only (`shares(.., rates_known=True)`): the error of the rates is common to
    all periods and leaves a change alone but for its scale.
    """
    rows = series.select(narrative=narrative, series=kind)
    share, low, high = (rows[c].to_numpy(zero_copy_only=False).astype(float) * 100 for c in ("share", "low", "high"))
    ends = rows["period_end"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    return share, np.square((high - low) / (2 * Z95)), ends


def scales(confusion: Confusion | None, narratives: tuple[str, ...], kind: str, draws: int = 2000) -> dict[str, float]:
    """Relative variance of 1/(tpr - fpr), which multiplies every change of an adjusted count; 0 for a plain count."""
    if confusion is None or kind == "contested":
        return dict.fromkeys(narratives, 0.0)
    m = ("presence", "support", "rejection").index(kind)
    rates = error_rates(confusion, narratives, draws, 0)
    factor = 1 / np.maximum(rates.tpr_draws - rates.fpr_draws, 0.05)[:, :, m]
    relative = factor.var(axis=0) / np.square(factor.mean(axis=0))
    return dict(zip(narratives, relative.tolist(), strict=True))


def _fixings(yields: Yields, tenor: str, ends: NDArray[np.datetime64], daily: bool) -> Floats:
    """The last fixing of each period in percent; a day without one is a gap, and so is a stale fixing."""
    column, out = yields.column(tenor), np.full(len(ends), np.nan)
    known = np.flatnonzero(~np.isnan(column))
    at = np.searchsorted(yields.dates[known], ends, side="right") - 1
    found = at >= 0
    age = (ends[found] - yields.dates[known][at[found]]).astype(int)
    fresh = age <= (0 if daily else _STALE)
    out[np.flatnonzero(found)[fresh]] = column[known][at[found][fresh]]
    return out


def profiles(
    series: ShareSeries,
    yields: Yields,
    *,
    kind: str,
    tenors: Sequence[str],
    horizons: Sequence[int] = HORIZONS,
    lags: int = 2,
    scale: dict[str, float] | None = None,
) -> list[Profile]:
    """Every narrative and tenor. Raises InputError for overlapping periods or a tenor that is not there."""
    if series.freq not in ("D", "W", "M"):
        raise InputError(f"periods of {series.freq!r} overlap or are alone", remedy="use D, W or M")
    found = []
    for narrative in series.narratives:
        share, variance, ends = align(series, narrative, kind)
        for tenor in tenors:
            level = _fixings(yields, tenor, ends, series.freq == "D")
            common = (scale or {}).get(narrative, 0.0)
            some = project(share, variance, level, horizons=horizons, lags=lags, scale=common)
            found += [(narrative, tenor, one) for one in some]
    p = np.array([one.p for _, _, one in found], dtype=float)
    adjusted = zip(found, holm(p).tolist(), benjamini_hochberg(p).tolist(), strict=True)
    return [
        Profile(
            narrative,
            kind,
            tenor,
            one.horizon,
            one.n,
            one.slope,
            one.low,
            one.high,
            one.observed,
            one.reliability,
            one.p,
            None if one.p is None else by_holm,
            None if one.p is None else by_fdr,
            one.lags,
            one.reason,
        )
        for (narrative, tenor, one), by_holm, by_fdr in adjusted
    ]


def events(
    series: ShareSeries,
    yields: Yields,
    *,
    kind: str,
    tenor: str,
    days: int = 10,
    in_sample: Sequence[tuple[date, date]] = (),
) -> list[dict[str, Any]]:
    """The days of the largest moves within the series, largest first, a row a narrative.

    `before`: share of the news day that ended at the fixing (what was said until then), `after`: of the next one, each
    with its plain count `k of n`, which stands also where a share is refused. `in_sample`: whether the model's training
    labels come from that day, None when no periods are given.
    """
    if series.freq != "D":
        raise InputError("days of large moves need daily shares", remedy="use D")
    rows: dict[tuple[date, str], dict[str, Any]] = {
        (r["period_start"], r["narrative"]): r for r in series.rows() if r["series"] == kind
    }
    dates = sorted({day for day, _ in rows})
    if not dates:
        return []
    level = _fixings(yields, tenor, np.array(dates, dtype="datetime64[D]"), daily=True)
    moved = np.diff(level, prepend=np.nan) * 100
    order = [i for i in np.argsort(-np.abs(np.nan_to_num(moved)), kind="stable") if np.isfinite(moved[i])][:days]
    out = []
    for i in order:
        seen = any(start <= dates[i] <= end for start, end in in_sample) if in_sample else None
        for narrative in series.narratives:
            row: dict[str, Any] = {
                "day": dates[i],
                "tenor": tenor,
                "change_bp": round(float(moved[i]), 2),
                "in_sample": seen,
                "narrative": narrative,
                "series": kind,
            }
            for name, at in (("before", i), ("after", i + 1)):
                found = rows.get((dates[at], narrative)) if at < len(dates) else None
                row |= {f"share_{name}": None, f"low_{name}": None, f"high_{name}": None, f"n_{name}": 0}
                row |= {f"k_{name}": 0}
                if found:
                    row |= {f"{key}_{name}": found[key] for key in ("share", "low", "high", "n")}
                    row[f"k_{name}"] = round((found["uncorrected"] or 0) * found["n"])
            out.append(row)
    return out


def as_table(found: Sequence[Profile]) -> pa.Table:
    """Profiles as a table, a row each."""
    return pa.Table.from_pylist([asdict(one) for one in found])
