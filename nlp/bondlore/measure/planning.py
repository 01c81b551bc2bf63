"""What to measure and how, checked once: the options of `shares`, and the plan made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import TYPE_CHECKING, TypedDict

import pyarrow as pa

from bondlore.errors import InputError
from bondlore.measure import calendar, posterior
from bondlore.measure.coding import Audit, Coded, Wanted, code, code_audit, has_probabilities
from bondlore.measure.confusion import Confusion
from bondlore.measure.correction import Rates, error_rates
from bondlore.measure.estimate import SERIES
from bondlore.measure.heldout import HeldOut
from bondlore.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow.dataset as ds

__all__ = ["FLOOR", "METHODS", "Options", "Plan", "make_plan"]

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
    as_of: datetime | None  # [None]: a vintage; what was published, first seen or tagged later is left out
    hindsight: bool  # [False]: with as_of, articles may have been tagged later
    smooth: bool  # [False]: also the shares smoothed over time, see `smoothing`
    known: bool  # [False]: an article counts from max(published, first seen), for anything predictive
    rates_known: bool  # [False]: leave the uncertainty of the error rates out of the interval
    labels: str  # [""]: version of the labels behind model and rates
    draws: int  # [500]
    seed: int  # [0]
    floor: int  # [10]: fewer independent stories are refused
    cutoff: time  # [15:30]


@dataclass(frozen=True)
class Plan:
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
    confusion: Confusion | None

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
            as_of=options.get("as_of"),
            hindsight=options.get("hindsight", False),
            tiers=options.get("tiers"),
        )
        cutoff = options.get("cutoff", calendar.CUTOFF)
        return code(table, self.taxonomy, _DENOMINATORS[self.denominator], cutoff, wanted)

    def knowing_rates(self) -> Plan:
        """The same with the classifier's errors taken for certain: its intervals hold sampling error alone."""
        ids, draws, seed = self.taxonomy.ids, self.draws, self.seed
        rates, shift = self.rates, self.shift
        if rates is not None and self.confusion is not None:
            rates = error_rates(self.confusion, ids, draws, seed, known=True)
        if shift is not None:
            shift = posterior.prepare(self.held_out, self.confusion, ids, draws, seed, known=True)
        return replace(self, rates=rates, shift=shift)


def make_plan(taxonomy: Taxonomy, options: Options) -> Plan:
    """Check the options and prepare what every period needs. Raises InputError for one that cannot be used."""
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
    as_of, held_out, audit = options.get("as_of"), options.get("held_out"), options.get("audit")
    if as_of is not None and as_of.tzinfo is None:
        raise InputError("a vintage without a zone", where=as_of.isoformat(), remedy="give its zone")
    confusion = options.get("confusion") or (held_out.confusion if held_out else None)
    if method == "adjusted_count" and confusion is None:
        raise InputError("adjusted counts need the model's confusion counts", remedy="use another method")
    counted = confusion is not None and method in ("auto", "adjusted_count", "em")
    known = options.get("rates_known", False)
    return Plan(
        taxonomy,
        options,
        by,
        denominator,
        tuple(s for s in SERIES if s in series),
        mix == "fixed",
        method,
        error_rates(confusion, taxonomy.ids, draws, seed, known=known) if counted and confusion else None,
        posterior.prepare(held_out, confusion, taxonomy.ids, draws, seed, known=known) if method == "em" else None,
        held_out,
        drift,
        None if audit is None else code_audit(audit, taxonomy),
        options.get("labels", ""),
        draws,
        seed,
        floor,
        confusion,
    )
