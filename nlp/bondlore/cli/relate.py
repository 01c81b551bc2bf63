"""`bondlore relate`: shares beside yields."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bondlore.cli.options import add_model, builder, parse_span, positive, print_json
from bondlore.cli.share import add_errors, add_measure, measuring, write_table
from bondlore.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bondlore.measure.relate import Profile

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore relate news.db --tenor 10Y
  bondlore relate tagged/ --freq W --series support --tenor 2Y --tenor 10Y --out profile.csv
  bondlore relate news.db --in-sample 2025-03-01:2025-05-31 --json"""
_LEVEL = 0.05


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore relate`."""
    summary = "Changes of yields (basis points) beside changes of shares: lead-lag profile and days of large moves."
    p = builder("relate", f"{summary} Association, never cause.", _EXAMPLE)
    p.add_argument("source", metavar="SOURCE", help="a folder written by bondlore tag, or a store")
    p.add_argument("--freq", choices=("D", "W", "M"), default="D", help="day, week or month (default D)")
    p.add_argument("--series", choices=("presence", "support", "rejection"), default="support")
    p.add_argument("--tenor", action="append", metavar="T", help="2Y, 10Y, 30Y; may be repeated (default 10Y)")
    p.add_argument("--yields", type=Path, metavar="FILE", help="yields of your own (default: the shipped table)")
    p.add_argument("--lags", type=positive, default=2, help="lags of both changes as controls (default 2)")
    p.add_argument("--events", type=positive, default=10, metavar="N", help="how many days of large moves (10)")
    p.add_argument(
        "--clock",
        choices=("published", "known"),
        default="published",
        help="known: an article counts from max(published, first seen), as a forecast must have it",
    )
    p.add_argument(
        "--in-sample",
        type=parse_span,
        action="append",
        default=[],
        metavar="FROM:TO",
        help="where the model's training labels come from; such days are marked",
    )
    p.add_argument("--out", type=Path, metavar="FILE", help="write the profile to .csv, .parquet or .json")
    p.add_argument("--json", action="store_true", help="profile, events and notes as JSON on standard output")
    add_measure(p)
    add_model(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Print or write the profile."""
    from bondlore import chain
    from bondlore.measure import relate
    from bondlore.measure.shares import shares
    from bondlore.tag import bundle as bundles

    bundle = bundles.read(args.model, verify=())
    options = measuring(args, bundle)
    times = args.as_of is not None and not args.hindsight
    whole = chain.read_tagged(args.source, bundle, sightings=options["by"] == "sighting", times=times)
    table, coarse = relate.dated_to_the_second(whole)
    add_errors(options, args, bundle, table)
    options |= {"rates_known": True, "known": args.clock == "known", "series": (args.series,)}
    series = shares(table, bundle.taxonomy, freq=args.freq, **options)
    yields = chain.load_yields(args.yields)
    tenors = args.tenor or ["10Y"]
    corrected = None if args.method in ("uncorrected", "probability_sum") else options.get("confusion")
    scale = relate.scales(corrected, bundle.taxonomy.ids, args.series)
    found = relate.profiles(series, yields, kind=args.series, tenors=tenors, lags=args.lags, scale=scale)
    days: list[dict[str, Any]] = []
    if args.freq == "D":
        for tenor in tenors:
            days += relate.events(
                series, yields, kind=args.series, tenor=tenor, days=args.events, in_sample=args.in_sample
            )
    notes = _notes(args, coarse)
    if args.out:
        write_table(relate.as_table(found), args.out)
        say(f"relate: {len(found)} rows in {args.out}")
    if args.json:
        print_json({"profile": [asdict(one) for one in found], "events": days, "notes": notes})
    elif not args.out:
        _print(found, days, notes)
    return 0


def _notes(args: argparse.Namespace, coarse: int) -> list[str]:
    from bondlore.measure.relate import NOTES

    notes = list(NOTES)
    if args.clock == "published":
        notes.append(
            "Articles count from their own date: slopes at horizons above 0 are no forecast (--clock known counts them"
            " from when they were seen)."
        )
    if coarse:
        notes.append(f"{coarse} articles without a time of day are left out.")
    if args.in_sample:
        spans = ", ".join(f"{a} to {b}" for a, b in args.in_sample)
        notes.append(f"The model was trained on labels from {spans}: its figures there are in-sample.")
    else:
        notes.append("The model does not state from when its training labels come: some days may be in-sample.")
    return notes


def _print(found: Sequence[Profile], days: list[dict[str, Any]], notes: list[str]) -> None:
    for narrative, tenor in dict.fromkeys((one.narrative, one.tenor) for one in found):
        mine = [one for one in found if (one.narrative, one.tenor) == (narrative, tenor)]
        print(f"{narrative}, {mine[0].series}, {tenor}")
        tested = [one for one in mine if one.slope is not None]
        if not tested:
            print(f"  nothing to say: {mine[0].reason}")
        for one in tested:
            mark = "  *" if one.p_holm is not None and one.p_holm < _LEVEL else ""
            print(
                f"  h={one.horizon:+3d}  {one.slope:+7.2f} bp/point  ({one.low:+.2f} to {one.high:+.2f})"
                f"  p={one.p:.3f}  adjusted {one.p_holm:.3f}  n={one.n}{mark}"
            )
    if days:
        print("days of the largest moves: the most told stories until the fixing, and the day after")
    for day, tenor in dict.fromkeys((r["day"], r["tenor"]) for r in days):
        mine_ = [r for r in days if (r["day"], r["tenor"]) == (day, tenor)]
        marked = "  in-sample" if mine_[0]["in_sample"] else ""
        print(f"  {day}  {tenor} {mine_[0]['change_bp']:+.0f} bp{marked}")
        for name in ("before", "after"):
            print(f"    {name:<7}{_told(mine_, name)}")
    for note in notes:
        print(f"note: {note}")


def _told(rows: list[dict[str, Any]], name: str) -> str:
    """The three narratives most told, as counts and, where it is not refused, the corrected share."""
    most = sorted((r for r in rows if r[f"k_{name}"]), key=lambda r: -r[f"k_{name}"])[:3]

    def one(r: dict[str, Any]) -> str:
        share = r[f"share_{name}"]
        corrected = "" if share is None else f" ({100 * share:.0f}% corrected)"
        return f"{r['narrative']} {r[f'k_{name}']} of {r[f'n_{name}']}{corrected}"

    return ", ".join(map(one, most)) or "no story"
