"""Shares of coverage over time, from the tagged table.

An article's presence of a narrative is a verdict of any kind; support is `promotes` or `contested`; rejection is
`rejects` or `contested`; the contested ratio is contested over presence. Shares are of all bond articles (gate causal
or topical), of causal articles, or of mentions (article-narrative pairs; presence then adds to 1). `by="cluster"` gives
every near-copy cluster one vote a period: the mean of its articles.

>>> import pyarrow as pa
>>> from bondlore import taxonomy
>>> from bondlore.tagging import schema
>>> t = taxonomy.load()
>>> len(shares(schema(t.ids).empty_table(), t))
0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure import calendar
from bondlore.measure.coding import Audit, Coded, code, code_audit
from bondlore.measure.confusion import Confusion
from bondlore.measure.correction import Audited, Rates, error_rates
from bondlore.measure.estimate import MIN_AUDITED, SERIES, Estimate, Units, adjusted, empty, plain, powered, refuse
from bondlore.measure.series import SCHEMA, ShareSeries
from bondlore.taxonomy import Taxonomy

__all__ = ["FLOOR", "ShareSeries", "shares", "trailing"]

FLOOR = 10
_DENOMINATORS = {"bond": ("causal", "topical"), "causal": ("causal",), "mentions": ("causal", "topical")}


@dataclass(frozen=True)
class _Plan:
    """What to estimate and how; checked once."""

    taxonomy: Taxonomy
    by: str
    denominator: str
    series: tuple[str, ...]
    rates: Rates | None
    audit: Audit | None
    draws: int
    seed: int
    floor: int


def shares(
    table: pa.Table,
    taxonomy: Taxonomy,
    *,
    freq: str = "D",
    by: str = "article",
    denominator: str = "bond",
    series: Sequence[str] = SERIES,
    confusion: Confusion | None = None,
    audit: pa.Table | None = None,
    draws: int = 500,
    seed: int = 0,
    floor: int = FLOOR,
    cutoff: time = calendar.CUTOFF,
) -> ShareSeries:
    """Share of each narrative in every period, with 95% intervals.

    `table` has `tagging.schema(taxonomy.ids)`; rows with an error, without a date or repeating an id are left out and
    counted in `ShareSeries.excluded`. In periods with at least 30 audited articles the method is `ppi`; else, given
    `confusion`, `adjusted_count`; else `uncorrected` with a Wilson interval. `audit` has a row a hand-labelled
    article: `id`, `v_<narrative>` (null = absent) and `inclusion_prob` (without it the audit counts as a simple random
    sample of its period). Fewer than `floor` independent stories: refused.
    Raises InputError for a table, audit or option that cannot be used.
    """
    plan = _plan(taxonomy, by, denominator, series, confusion, audit, draws, seed, floor)
    coded = code(table, taxonomy, _DENOMINATORS[denominator], cutoff)
    if not len(coded.days):
        return _collect([], [], coded, plan, freq, np.array([], "datetime64[D]"), np.array([], "datetime64[D]"))
    starts, ends = calendar.period_edges(coded.days.min().item(), coded.days.max().item(), freq)
    return _measure(coded, plan, freq, starts, ends)


def trailing(
    table: pa.Table,
    taxonomy: Taxonomy,
    *,
    end: date,
    days: int,
    by: str = "article",
    denominator: str = "bond",
    series: Sequence[str] = SERIES,
    confusion: Confusion | None = None,
    audit: pa.Table | None = None,
    draws: int = 500,
    seed: int = 0,
    floor: int = FLOOR,
    cutoff: time = calendar.CUTOFF,
) -> ShareSeries:
    """One pooled period: the news days among the `days` calendar days up to and including `end`. See `shares`."""
    if days < 1:
        raise InputError(f"a window of {days} days", remedy="use 1 or more")
    plan = _plan(taxonomy, by, denominator, series, confusion, audit, draws, seed, floor)
    coded = code(table, taxonomy, _DENOMINATORS[denominator], cutoff)
    start = np.array([end - timedelta(days=days - 1)], dtype="datetime64[D]")
    return _measure(coded, plan, "window", start, np.array([end], dtype="datetime64[D]"))


def _plan(
    taxonomy: Taxonomy,
    by: str,
    denominator: str,
    series: Sequence[str],
    confusion: Confusion | None,
    audit: pa.Table | None,
    draws: int,
    seed: int,
    floor: int,
) -> _Plan:
    for name, value, allowed in (("by", by, ("article", "cluster")), ("denominator", denominator, _DENOMINATORS)):
        if value not in allowed:
            raise InputError(f"no {name} {value!r}", remedy=f"use {' or '.join(allowed)}")
    if unknown := [s for s in series if s not in SERIES]:
        raise InputError(f"no series {unknown[0]!r}", remedy=f"use {', '.join(SERIES)}")
    if draws < 100 or seed < 0 or floor < 1:
        raise InputError("needs at least 100 draws, a seed of 0 or more and a floor of 1 or more")
    rates = None if confusion is None else error_rates(confusion, taxonomy.ids, draws, seed)
    coded = None if audit is None else code_audit(audit, taxonomy)
    order = tuple(s for s in SERIES if s in series)
    return _Plan(taxonomy, by, denominator, order, rates, coded, draws, seed, floor)


def _measure(
    coded: Coded, plan: _Plan, freq: str, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]
) -> ShareSeries:
    estimates, articles = [], []
    for start, rows in zip(starts, _slices(coded, starts, ends), strict=True):
        articles.append(len(rows))
        estimates.append(_estimate(coded, plan, rows, int(start.astype("datetime64[D]").astype(np.int64))))
    return _collect(estimates, articles, coded, plan, freq, starts, ends)


def _slices(coded: Coded, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each period, grouped by cluster."""
    order = np.lexsort((coded.clusters, coded.days))
    days = coded.days[order]
    lows, highs = np.searchsorted(days, starts, "left"), np.searchsorted(days, ends, "right")
    for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
        rows = order[low:high]
        yield rows[np.argsort(coded.clusters[rows], kind="stable")]


def _estimate(coded: Coded, plan: _Plan, rows: NDArray[np.int64], ordinal: int) -> Estimate:
    if not len(rows):
        out = empty(len(plan.taxonomy))
        refuse(out, plan.floor)
        return out
    clusters = coded.clusters[rows]
    begins = np.flatnonzero(np.concatenate([[True], clusters[1:] != clusters[:-1]]))
    copies = np.diff(np.append(begins, len(rows))).astype(float)
    hits = np.add.reduceat(_indicators(coded.verdicts[rows]), begins, axis=0, dtype=float)
    vote = 1 / copies if plan.by == "cluster" else np.ones_like(copies)
    units = Units(hits * vote[:, None, None], copies * vote, plan.denominator == "mentions")
    out = plain(units)
    if plan.rates is not None and len(copies) >= plan.floor:
        # A generator a period: adding days to an archive leaves the intervals of the others as they were.
        adjusted(out, units, plan.rates, plan.draws, np.random.default_rng([plan.seed, ordinal & 0xFFFFFFFF]))
    if plan.audit is not None:
        _apply_audit(out, coded, plan, rows, np.repeat(np.arange(len(copies)), copies.astype(int)), vote, units)
    refuse(out, plan.floor)
    return out


def _apply_audit(
    out: Estimate,
    coded: Coded,
    plan: _Plan,
    rows: NDArray[np.int64],
    unit: NDArray[np.int64],
    vote: NDArray[np.float64],
    units: Units,
) -> None:
    assert plan.audit is not None
    found = plan.audit.positions(coded.ids, rows)
    here = np.flatnonzero(found >= 0)
    if len(here) < MIN_AUDITED:
        if len(here):
            reason = f"{len(here)} audited articles, fewer than the {MIN_AUDITED} needed to use them"
            out.say(np.ones_like(out.share, dtype=bool), reason)
        return
    at = found[here]
    audited = Audited(
        unit[here],
        vote[unit[here]],
        1 / plan.audit.inclusion[at],
        _indicators(coded.verdicts[rows[here]]).reshape(len(here), -1).astype(float),
        _indicators(plan.audit.verdicts[at]).reshape(len(here), -1).astype(float),
    )
    out.reason[:] = ""
    powered(out, units, audited)


def _indicators(verdicts: NDArray[np.int8]) -> NDArray[np.uint8]:
    """(n, K) bit codes (1 supports, 2 rejects) to (n, K, 4) indicators in the order of `SERIES`."""
    out = np.stack([verdicts > 0, verdicts & 1, verdicts >> 1, verdicts == 3], axis=-1)
    return out.astype(np.uint8)


def _collect(
    estimates: list[Estimate],
    articles: list[int],
    coded: Coded,
    plan: _Plan,
    freq: str,
    starts: NDArray[np.datetime64],
    ends: NDArray[np.datetime64],
) -> ShareSeries:
    narratives, picked = plan.taxonomy.ids, [SERIES.index(s) for s in plan.series]
    each = len(narratives) * len(picked)
    total = each * len(estimates)
    stamp = f"{plan.taxonomy.name}/{plan.taxonomy.version}/{plan.taxonomy.digest}"

    def gather(read: Callable[[Estimate], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([read(e)[:, picked].ravel() for e in estimates]) if estimates else np.array([])

    def same(value: str) -> pa.Array:
        return pa.repeat(pa.scalar(value, pa.string()), total)

    def numbers(read: Callable[[Estimate], NDArray[Any]]) -> pa.Array:
        return pa.array(gather(read).astype(float), pa.float64(), from_pandas=True)  # NaN becomes null

    columns = {
        "period_start": pa.array(np.repeat(starts, each), pa.date32()),
        "period_end": pa.array(np.repeat(ends, each), pa.date32()),
        "narrative": pa.array(np.tile(np.repeat(narratives, len(picked)), len(estimates)).tolist(), pa.string()),
        "series": pa.array(list(plan.series) * (len(narratives) * len(estimates)), pa.string()),
        "share": numbers(lambda e: e.share),
        "low": numbers(lambda e: e.low),
        "high": numbers(lambda e: e.high),
        "uncorrected": numbers(lambda e: e.uncorrected),
        "n": pa.array(gather(lambda e: e.n).astype(np.int64)),
        "stories": pa.array(gather(lambda e: e.stories).astype(np.int64)),
        "n_audited": pa.array(gather(lambda e: e.n_audited).astype(np.int64)),
        "method": pa.array(gather(lambda e: e.method).tolist(), pa.string()),
        "by": same(plan.by),
        "denominator": same(plan.denominator),
        "freq": same(freq),
        "model": same(coded.model),
        "taxonomy": same(stamp),
        "reason": pa.array(gather(lambda e: e.reason).tolist(), pa.string()),
    }
    table = pa.table(columns, schema=SCHEMA)
    return ShareSeries(table, freq, plan.by, plan.denominator, coded.model, stamp, sum(articles), coded.excluded)
