"""Shares of coverage over time, from the tagged table.

An article's presence of a narrative is a verdict of any kind; support is `promotes` or `contested`; rejection is
`rejects` or `contested`; the contested ratio is contested over presence. Shares are of all bond articles (gate causal
or topical), of causal articles, or of mentions (article-narrative pairs; presence then adds to 1). `by="cluster"` gives
every near-copy cluster one vote a period: the mean of its articles; `by="sighting"` gives an article one vote for each
place it was seen in.

>>> import pyarrow as pa
>>> from bondlore import taxonomy
>>> from bondlore.tagging import schema
>>> t = taxonomy.load()
>>> len(shares(schema(t.ids).empty_table(), t))
0
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure import calendar, posterior
from bondlore.measure.coding import Coded, article_scores, stance_scores
from bondlore.measure.collect import collect
from bondlore.measure.correction import Audited
from bondlore.measure.drift import edge_drift
from bondlore.measure.estimate import MIN_AUDITED, Estimate, Units, adjusted, blank, empty, plain, powered, refuse
from bondlore.measure.planning import FLOOR, METHODS, Options, Plan, make_plan
from bondlore.measure.series import ShareSeries
from bondlore.measure.smoothing import smooth
from bondlore.measure.voting import LEAST_MIX, fixed_mix, overall_mix, votes
from bondlore.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow.dataset as ds

__all__ = ["FLOOR", "METHODS", "Options", "ShareSeries", "shares", "trailing"]


def shares(
    table: pa.Table | ds.Dataset, taxonomy: Taxonomy, *, freq: str = "D", window: int = 7, **options: Unpack[Options]
) -> ShareSeries:
    """Share of each narrative in every period, with 95% intervals.

    `table` (or a data set of Parquet files, read batch by batch) has `tagging.schema(taxonomy.ids)`; rows with an
    error, without a date or repeating an id are left out and counted in `ShareSeries.excluded`. `freq`: D, W, M, or
    `rolling`, `window` calendar days up to each business day. In
    periods with at least 30 audited articles the method is `ppi`; else the one asked for; see `Options`.
    Raises InputError for a table, audit or option that cannot be used.
    """
    plan = make_plan(taxonomy, options)
    coded = plan.code(table)
    if freq == "rolling" and window < 2:
        raise InputError(f"a rolling window of {window} days", remedy="use 2 or more")
    if freq == "rolling" and options.get("smooth", False):
        raise InputError("rolling windows overlap, which smooths them already", remedy="smooth days, weeks or months")
    name = f"{window}D" if freq == "rolling" else freq
    starts = ends = np.array([], "datetime64[D]")
    if len(coded.days):
        first, last = coded.days.min().item(), coded.days.max().item()
        if freq == "rolling":
            starts, ends = calendar.rolling_edges(first, last, window)
        else:
            starts, ends = calendar.period_edges(first, last, freq)
    return _measure(coded, plan, name, starts, ends)


def trailing(table: pa.Table, taxonomy: Taxonomy, *, end: date, days: int, **options: Unpack[Options]) -> ShareSeries:
    """One pooled period: the news days among the `days` calendar days up to and including `end`. See `shares`."""
    if days < 1:
        raise InputError(f"a window of {days} days", remedy="use 1 or more")
    plan = make_plan(taxonomy, options)
    coded = plan.code(table)
    start = np.array([end - timedelta(days=days - 1)], dtype="datetime64[D]")
    return _measure(coded, plan, "window", start, np.array([end], dtype="datetime64[D]"))


def _measure(
    coded: Coded, plan: Plan, freq: str, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]
) -> ShareSeries:
    """Every period, together or of every publisher with at least `floor` articles."""
    whole, excluded, parts = _split(coded, plan), dict(coded.excluded), []
    articles = 0
    for name, some in whole:
        estimates, counted = _periods(some, plan, starts, ends)
        if plan.options.get("smooth", False):
            smooth(estimates, _periods(some, plan.knowing_rates(), starts, ends)[0])
        parts.append((name, estimates))
        articles += counted
    if small := len(coded.days) - sum(len(some.days) for _, some in whole):
        excluded["small_publisher"] = small
    stamp = f"{plan.taxonomy.name}/{plan.taxonomy.version}/{plan.taxonomy.digest}"
    same = {
        "by": plan.by,
        "denominator": plan.denominator,
        "freq": freq,
        "mix": "fixed" if plan.fixed else "actual",
        "model": coded.model,
        "taxonomy": stamp,
        "labels": plan.labels,
    }
    version = plan.audit.version if plan.audit else ""
    latest = None if np.isnat(coded.as_of) else datetime.fromisoformat(str(coded.as_of)).replace(tzinfo=UTC)
    table = collect(
        parts,
        starts,
        ends,
        taxonomy=plan.taxonomy,
        series=plan.series,
        audit=version,
        same=same,
        as_of=plan.options.get("as_of") or latest,
    )
    return ShareSeries(table, freq, plan.by, plan.denominator, coded.model, stamp, articles, excluded)


def _split(coded: Coded, plan: Plan) -> list[tuple[str, Coded]]:
    if not plan.options.get("split", False):
        return [("", coded)]
    numbers = np.bincount(coded.publishers, minlength=len(coded.names)).tolist()
    return [(name, coded.of(k)) for k, name in enumerate(coded.names) if numbers[k] >= plan.floor]


def _periods(
    coded: Coded, plan: Plan, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]
) -> tuple[list[Estimate], int]:
    mix = np.array([])
    if plan.fixed and len(coded.days):
        order = np.argsort(coded.clusters, kind="stable")
        _, copies = _runs(coded.clusters[order])
        mix = overall_mix(coded.publishers[order], _votes(coded, plan, order, copies))
    estimates, articles = [], 0
    for start, rows in zip(starts, _slices(coded, starts, ends), strict=True):
        articles += len(rows)
        estimates.append(_estimate(coded, plan, rows, int(start.astype("datetime64[D]").astype(np.int64)), mix))
    return estimates, articles


def _slices(coded: Coded, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each period, grouped by cluster."""
    order = np.lexsort((coded.clusters, coded.days))
    days = coded.days[order]
    lows, highs = np.searchsorted(days, starts, "left"), np.searchsorted(days, ends, "right")
    for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
        rows = order[low:high]
        yield rows[np.argsort(coded.clusters[rows], kind="stable")]


def _runs(clusters: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each run of equal numbers begins, and its length."""
    begins = np.flatnonzero(np.concatenate([[True], clusters[1:] != clusters[:-1]]))
    return begins, np.diff(np.append(begins, len(clusters)))


def _votes(coded: Coded, plan: Plan, rows: NDArray[np.int64], copies: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) votes of `rows`, which are grouped by cluster in runs of `copies`."""
    sightings = coded.sightings[rows] if plan.by == "sighting" else np.array([])
    return votes(plan.by, np.repeat(copies, copies).astype(float), sightings)


def _estimate(coded: Coded, plan: Plan, rows: NDArray[np.int64], ordinal: int, mix: NDArray[np.float64]) -> Estimate:
    if not len(rows):
        out = empty(len(plan.taxonomy))
        refuse(out, plan.floor)
        return out
    begins, copies = _runs(coded.clusters[rows])
    weight, absent = _votes(coded, plan, rows, copies), 0.0
    if plan.fixed:
        weight, absent = fixed_mix(weight, coded.publishers[rows], mix)
    indicators = _indicators(coded.verdicts[rows])
    whole = indicators if plan.by == "article" and not plan.fixed else indicators * weight[:, None, None]
    hits = np.add.reduceat(whole, begins, axis=0, dtype=float)
    units = Units(hits, np.add.reduceat(weight, begins), plan.denominator == "mentions")
    out = plain(units)
    unit = np.repeat(np.arange(len(copies)), copies)
    if len(copies) >= plan.floor:
        # A generator a period: adding days to an archive leaves the intervals of the others as they were.
        rng = np.random.default_rng([plan.seed, ordinal & 0xFFFFFFFF])
        _correct(out, units, coded, plan, rows, unit, weight, rng)
    if plan.audit is not None:
        _apply_audit(out, coded, plan, rows, unit, weight, units)
    if absent > 1e-9:
        silent = f"publishers that hold {100 * absent:.0f}% of the fixed mix published nothing"
        (blank if absent > 1 - LEAST_MIX else Estimate.say)(out, np.ones_like(out.share, dtype=bool), silent)
    refuse(out, plan.floor)
    return out


def _correct(
    out: Estimate,
    units: Units,
    coded: Coded,
    plan: Plan,
    rows: NDArray[np.int64],
    unit: NDArray[np.int64],
    weight: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """The method asked for, and the drift test of what it assumes."""
    names = plan.taxonomy.ids
    reasons = [""] * len(names)
    if plan.rates is not None:
        counted = adjusted(out, units, plan.rates, plan.draws, rng)
        found = edge_drift(counted[:, :, 0], plan.rates.tpr_draws[:, :, 0], plan.rates.fpr_draws[:, :, 0], len(names))
        reasons = [reason if ok else "" for reason, ok in zip(found, plan.rates.usable[:, 0].tolist(), strict=True)]
    if plan.shift is not None:
        scores = stance_scores(coded.verdicts[rows], coded.probabilities[rows]).reshape(len(rows), -1)
        bins = posterior.scored(scores, unit, weight, plan.shift.edges, plan.shift.ratio.shape[1])
        posterior.shifted(out, units, bins, plan.shift, plan.draws, rng)
    if plan.method == "probability_sum":
        begins = np.flatnonzero(np.diff(unit, prepend=-1))
        sums = np.add.reduceat(coded.probabilities[rows] * weight[:, None], begins, axis=0)
        posterior.summed(out, units, sums)
    if plan.held_out is not None:
        story = 1 / np.bincount(unit)[unit]
        found = posterior.drifted(coded.probabilities[rows], story, plan.held_out, names)
        reasons = [f or r for f, r in zip(found, reasons, strict=True)]
    if plan.drift == "off":
        return
    assuming = (out.method == "adjusted_count") | (out.method == "em")
    for k in (k for k, reason in enumerate(reasons) if reason):
        where = np.zeros_like(assuming)
        where[k] = assuming[k]
        (blank if plan.drift == "refuse" else Estimate.say)(out, where, reasons[k])


def _apply_audit(
    out: Estimate,
    coded: Coded,
    plan: Plan,
    rows: NDArray[np.int64],
    unit: NDArray[np.int64],
    weight: NDArray[np.float64],
    units: Units,
) -> None:
    assert plan.audit is not None
    found = plan.audit.positions(coded.keys[rows])
    here = np.flatnonzero(found >= 0)
    if len(here) < MIN_AUDITED:
        if len(here):
            reason = f"{len(here)} audited articles, fewer than the {MIN_AUDITED} needed to use them"
            out.say(np.ones_like(out.share, dtype=bool), reason)
        return
    at = found[here]
    guesses = _indicators(coded.verdicts[rows]).astype(float)
    if len(coded.probabilities):
        # PPI++ is right with any guess, and narrower with a better one than the verdict
        guesses[:, :, :3] = article_scores(coded.verdicts[rows], coded.probabilities[rows])
        begins = np.flatnonzero(np.diff(unit, prepend=-1))
        units = replace(units, hits=np.add.reduceat(guesses * weight[:, None, None], begins, axis=0))
    audited = Audited(
        unit[here],
        weight[here],
        1 / plan.audit.inclusion[at],
        guesses[here].reshape(len(here), -1),
        _indicators(plan.audit.verdicts[at]).reshape(len(here), -1).astype(float),
    )
    out.reason[:] = ""
    powered(out, units, audited)


def _indicators(verdicts: NDArray[np.int8]) -> NDArray[np.uint8]:
    """(n, K) bit codes (1 supports, 2 rejects) to (n, K, 4) indicators in the order of `SERIES`."""
    out = np.stack([verdicts > 0, verdicts & 1, verdicts >> 1, verdicts == 3], axis=-1)
    return out.astype(np.uint8)
