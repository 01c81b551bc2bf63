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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bondlore.errors import InputError
from bondlore.measure import calendar, posterior
from bondlore.measure.coding import Audit, Coded, Wanted, code, code_audit, has_probabilities
from bondlore.measure.collect import collect
from bondlore.measure.confusion import Confusion
from bondlore.measure.correction import Audited, Rates, error_rates
from bondlore.measure.drift import edge_drift
from bondlore.measure.estimate import (
    MIN_AUDITED,
    SERIES,
    Estimate,
    Units,
    adjusted,
    blank,
    empty,
    plain,
    powered,
    refuse,
)
from bondlore.measure.heldout import HeldOut
from bondlore.measure.series import ShareSeries
from bondlore.measure.voting import LEAST_MIX, fixed_mix, overall_mix, votes
from bondlore.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow.dataset as ds

__all__ = ["FLOOR", "METHODS", "Options", "ShareSeries", "shares", "trailing"]

FLOOR = 10
METHODS = ("auto", "uncorrected", "probability_sum", "adjusted_count", "em")
_DENOMINATORS = {"bond": ("causal", "topical"), "causal": ("causal",), "mentions": ("causal", "topical")}


class Options(TypedDict, total=False):
    """What `shares` and `trailing` share. Defaults in brackets."""

    by: str  # [article] | cluster | sighting: what has one vote
    denominator: str  # [bond] | causal | mentions
    series: Sequence[str]  # [all four]
    mix: str  # [actual] | fixed: publishers weigh what they hold of the whole archive
    split: bool  # [False]: rows of each publisher instead of all together
    tiers: Mapping[str, str] | None  # publisher -> tier, which then stands in its place
    method: str  # [auto]: adjusted_count with `confusion`, else uncorrected; an audit of a period goes before it
    confusion: Confusion | None  # the model's held-out error counts
    held_out: HeldOut | None  # how labelled articles score: for EM and the drift test
    drift: str  # [refuse] | flag | off: what to do where the drift test fires
    audit: pa.Table | None  # `id`, `v_<narrative>` (null = absent), `inclusion_prob` (without it a simple sample)
    known: bool  # [False]: an article counts from max(published, first seen), for anything predictive
    rates_known: bool  # [False]: leave the uncertainty of the error rates out of the interval
    labels: str  # [""]: version of the labels behind model and rates
    draws: int  # [500]
    seed: int  # [0]
    floor: int  # [10]: fewer independent stories are refused
    cutoff: time  # [15:30]


@dataclass(frozen=True)
class _Plan:
    """What to estimate and how; checked once."""

    taxonomy: Taxonomy
    options: Options
    by: str
    denominator: str
    series: tuple[str, ...]
    fixed: bool
    method: str
    rates: Rates | None
    shift: posterior.Shift | None
    held_out: HeldOut | None
    drift: str
    audit: Audit | None
    labels: str
    draws: int
    seed: int
    floor: int

    def code(self, table: pa.Table | ds.Dataset) -> Coded:
        """The usable articles, with what this plan needs of them."""
        options = self.options
        wanted = Wanted(
            publishers=self.fixed or options.get("split", False),
            sightings=self.by == "sighting",
            probabilities=self.method in ("em", "probability_sum")
            or self.held_out is not None
            or (self.audit is not None and has_probabilities(table, self.taxonomy)),
            known=options.get("known", False),
            tiers=options.get("tiers"),
        )
        cutoff = options.get("cutoff", calendar.CUTOFF)
        return code(table, self.taxonomy, _DENOMINATORS[self.denominator], cutoff, wanted)


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
    plan = _plan(taxonomy, options)
    coded = plan.code(table)
    if freq == "rolling" and window < 2:
        raise InputError(f"a rolling window of {window} days", remedy="use 2 or more")
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
    plan = _plan(taxonomy, options)
    coded = plan.code(table)
    start = np.array([end - timedelta(days=days - 1)], dtype="datetime64[D]")
    return _measure(coded, plan, "window", start, np.array([end], dtype="datetime64[D]"))


def _plan(taxonomy: Taxonomy, options: Options) -> _Plan:
    if unknown := set(options) - set(Options.__annotations__):
        raise TypeError(f"no option {min(unknown)!r}")
    by, denominator = options.get("by", "article"), options.get("denominator", "bond")
    mix, method, drift = options.get("mix", "actual"), options.get("method", "auto"), options.get("drift", "refuse")
    for name, value, allowed in (
        ("by", by, ("article", "cluster", "sighting")),
        ("denominator", denominator, tuple(_DENOMINATORS)),
        ("mix", mix, ("actual", "fixed")),
        ("method", method, METHODS),
        ("drift", drift, ("refuse", "flag", "off")),
    ):
        if value not in allowed:
            raise InputError(f"no {name} {value!r}", remedy=f"use {' or '.join(allowed)}")
    series = options.get("series", SERIES)
    if unknown_series := [s for s in series if s not in SERIES]:
        raise InputError(f"no series {unknown_series[0]!r}", remedy=f"use {', '.join(SERIES)}")
    draws, seed, floor = options.get("draws", 500), options.get("seed", 0), options.get("floor", FLOOR)
    if draws < 100 or seed < 0 or floor < 1:
        raise InputError("needs at least 100 draws, a seed of 0 or more and a floor of 1 or more")
    if mix == "fixed" and options.get("split", False):
        raise InputError("a fixed mix of publishers and a split by publisher exclude each other", remedy="choose one")
    held_out, audit = options.get("held_out"), options.get("audit")
    confusion = options.get("confusion") or (held_out.confusion if held_out else None)
    if method == "adjusted_count" and confusion is None:
        raise InputError("adjusted counts need the model's confusion counts", remedy="use another method")
    counted = confusion is not None and method in ("auto", "adjusted_count", "em")
    known = options.get("rates_known", False)
    return _Plan(
        taxonomy,
        options,
        by,
        denominator,
        tuple(s for s in SERIES if s in series),
        mix == "fixed",
        method,
        error_rates(confusion, taxonomy.ids, draws, seed, known=known) if counted and confusion else None,
        posterior.prepare(held_out, confusion, taxonomy.ids, draws, seed) if method == "em" else None,
        held_out,
        drift,
        None if audit is None else code_audit(audit, taxonomy),
        options.get("labels", ""),
        draws,
        seed,
        floor,
    )


def _measure(
    coded: Coded, plan: _Plan, freq: str, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]
) -> ShareSeries:
    """Every period, together or of every publisher with at least `floor` articles."""
    whole, excluded, parts = _split(coded, plan), dict(coded.excluded), []
    articles = 0
    for name, some in whole:
        estimates, counted = _periods(some, plan, starts, ends)
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
    table = collect(parts, starts, ends, taxonomy=plan.taxonomy, series=plan.series, audit=version, same=same)
    return ShareSeries(table, freq, plan.by, plan.denominator, coded.model, stamp, articles, excluded)


def _split(coded: Coded, plan: _Plan) -> list[tuple[str, Coded]]:
    if not plan.options.get("split", False):
        return [("", coded)]
    numbers = np.bincount(coded.publishers, minlength=len(coded.names)).tolist()
    return [(name, coded.of(k)) for k, name in enumerate(coded.names) if numbers[k] >= plan.floor]


def _periods(
    coded: Coded, plan: _Plan, starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]
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


def _votes(coded: Coded, plan: _Plan, rows: NDArray[np.int64], copies: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) votes of `rows`, which are grouped by cluster in runs of `copies`."""
    sightings = coded.sightings[rows] if plan.by == "sighting" else np.array([])
    return votes(plan.by, np.repeat(copies, copies).astype(float), sightings)


def _estimate(coded: Coded, plan: _Plan, rows: NDArray[np.int64], ordinal: int, mix: NDArray[np.float64]) -> Estimate:
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
    plan: _Plan,
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
        for k in np.flatnonzero(plan.rates.usable[:, 0]).tolist():
            tpr, fpr = plan.rates.tpr_draws[:, k, 0], plan.rates.fpr_draws[:, k, 0]
            reasons[k] = edge_drift(counted[:, k, 0], tpr, fpr, len(names))
    if plan.shift is not None:
        bins = posterior.scored(coded.probabilities[rows], unit, weight, plan.shift.edges, plan.shift.ratio.shape[1])
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
    plan: _Plan,
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
        guesses = _sharper(guesses, coded.probabilities[rows])
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


def _sharper(indicators: NDArray[np.float64], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities in the place of verdicts: PPI++ is right with any guess, and narrower with a better one.

    Presence: the probability; support: the same unless the verdict is a rejection; rejection: where it is one.
    """
    presence, support, rejection, contested = np.moveaxis(indicators, -1, 0)
    p = probabilities.astype(float)
    return np.stack([p, p * np.maximum(support, 1 - presence), p * rejection, contested], axis=-1)


def _indicators(verdicts: NDArray[np.int8]) -> NDArray[np.uint8]:
    """(n, K) bit codes (1 supports, 2 rejects) to (n, K, 4) indicators in the order of `SERIES`."""
    out = np.stack([verdicts > 0, verdicts & 1, verdicts >> 1, verdicts == 3], axis=-1)
    return out.astype(np.uint8)
