"""`bondlore share`: each narrative's share of coverage over time."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore.cli.options import add_model, builder, parse_moment, parse_time, positive, print_json
from bondlore.errors import InputError
from bondlore.progress import say

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

    from bondlore.measure.shares import Options
    from bondlore.tag.bundle import Bundle

__all__ = ["add_errors", "add_measure", "add_period", "measuring", "parser", "run", "write_table"]

_EXAMPLE = """  bondlore share tagged/ --freq M
  bondlore share news.db --freq W --denominator causal --out shares.csv
  bondlore share news.db --freq rolling --window 7 --series presence --series contested
  bondlore share news.db --split publisher --audit audit.csv
  bondlore share tagged/ --method em --held-out tagged-labelled/ labels.jsonl
  bondlore share news.db --freq D --smooth
  bondlore share news.db --as-of 2025-04-09  # what was known at that day's fixing
  bondlore share power --from 20 --to 30     # how many articles such a change needs"""
_SERIES = ("presence", "support", "rejection", "contested")


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore share`."""
    p = builder("share", "Each narrative's share of coverage over time, with 95% intervals.", _EXAMPLE)
    p.add_argument("source", metavar="SOURCE", help="a folder written by bondlore tag, or a store")
    add_period(p)
    add_measure(p)
    p.add_argument("--series", choices=_SERIES, action="append", help="default: support; may be repeated")
    p.add_argument("--split", choices=("publisher",), help="a series for each publisher (or tier, see --tiers)")
    p.add_argument(
        "--smooth",
        action="store_true",
        help="also shares smoothed over time (local level on the logit scale, its step shared between narratives)",
    )
    p.add_argument("--audit", type=Path, metavar="FILE", help="hand labels: id, v_<narrative>, inclusion_prob")
    p.add_argument("--out", type=Path, metavar="FILE", help="write every column to .csv, .parquet or .json")
    p.add_argument("--json", action="store_true", help="every column as JSON on standard output")
    add_model(p)
    return p


def add_period(p: argparse.ArgumentParser) -> None:
    """--freq and --window."""
    p.add_argument(
        "--freq", choices=("D", "W", "M", "rolling"), default="W", help="day, week, month or rolling (default W)"
    )
    p.add_argument("--window", type=positive, default=7, metavar="DAYS", help="calendar days with --freq rolling (7)")


def add_measure(p: argparse.ArgumentParser) -> None:
    """What is counted, and how it is corrected."""
    p.add_argument(
        "--by",
        choices=("article", "cluster", "sighting"),
        help="what has one vote (default: cluster, where copies were joined); sightings are known to a store",
    )
    p.add_argument(
        "--denominator",
        choices=("bond", "causal", "mentions"),
        default="bond",
        help="share of bond articles, of those with a cause, or of narrative mentions (adds to 1)",
    )
    p.add_argument(
        "--mix",
        choices=("actual", "fixed"),
        default="actual",
        help="fixed: publishers weigh what they hold of the whole archive, whatever they published in a period",
    )
    p.add_argument("--tiers", type=Path, metavar="CSV", help="publisher,tier: tiers stand in the publishers' place")
    p.add_argument(
        "--method",
        choices=("auto", "uncorrected", "probability_sum", "adjusted_count", "em"),
        default="auto",
        help="without an audit of the period (default: adjusted_count, where the model knows its errors)",
    )
    p.add_argument(
        "--held-out",
        nargs=2,
        metavar=("TAGGED", "LABELS"),
        help="labelled articles the model never saw, as tagged: for EM and the drift test",
    )
    p.add_argument(
        "--as-of",
        type=parse_moment,
        metavar="DATE",
        help="a vintage: leave out what was published, first seen or (in a store) tagged later than that day's cut-off;"
        " what was imported from an archive was first seen on the day of the import",
    )
    p.add_argument("--hindsight", action="store_true", help="with --as-of: articles may have been tagged later")
    p.add_argument("--cutoff", type=parse_time, metavar="HH:MM", help="when a news day ends, New York time (15:30)")
    p.add_argument(
        "--drift",
        choices=("refuse", "flag", "off"),
        default="refuse",
        help="what to do where the drift test says that a correction's assumption fails (default: refuse)",
    )


def run(args: argparse.Namespace) -> int:
    """Print or write the series."""
    from bondlore import chain
    from bondlore.measure.audit import read_audit
    from bondlore.measure.shares import shares
    from bondlore.tag import bundle as bundles

    bundle = bundles.read(args.model, verify=())
    options = measuring(args, bundle)
    times = args.as_of is not None and not args.hindsight
    table = chain.open_tagged(args.source, bundle, sightings=options["by"] == "sighting", times=times)
    add_errors(options, args, bundle, table)
    options["smooth"] = args.smooth
    if args.audit:
        options["audit"] = read_audit(args.audit, bundle.taxonomy)
    options["split"] = args.split is not None
    options["series"] = tuple(args.series or ["support"])
    series = shares(table, bundle.taxonomy, freq=args.freq, window=args.window, **options)
    if later := series.excluded.get("later"):
        say(f"share: {later} articles became known after {args.as_of} and are left out")
    if args.out:
        write_table(series.table, args.out)
        print(f"{series.table.num_rows} rows in {args.out}")
    elif args.json:
        print_json(series.rows())
    else:
        _print(series.rows())
    return 0


def measuring(args: argparse.Namespace, bundle: Bundle) -> Options:
    """The options of `measure.shares` behind the arguments of `add_measure`. Raises InputError."""
    from bondlore import chain
    from bondlore.measure.calendar import CUTOFF, fixing

    options: Options = {
        "by": args.by or chain.voters(args.source),
        "denominator": args.denominator,
        "mix": args.mix,
        "method": args.method,
        "drift": args.drift,
        "labels": chain.label_version(bundle),
        "hindsight": args.hindsight,
    }
    if args.cutoff:
        options["cutoff"] = args.cutoff
    if args.as_of:
        given = args.as_of
        options["as_of"] = given if isinstance(given, datetime) else fixing(given, options.get("cutoff", CUTOFF))
    if args.tiers:
        options["tiers"] = _tiers(args.tiers)
    if args.held_out:
        from bondlore.measure.audit import read_audit
        from bondlore.measure.heldout import make_held_out

        tagged, labels = args.held_out
        rows = read_audit(labels, bundle.taxonomy)
        held_out = make_held_out(chain.read_tagged(tagged, bundle), rows, bundle.taxonomy, source=str(tagged))
        options |= {
            "held_out": held_out,
            "confusion": held_out.confusion,
            "labels": f"{options['labels']} held-out:{held_out.labels}".strip(),
        }
    return options


def add_errors(options: Options, args: argparse.Namespace, bundle: Bundle, table: pa.Table | ds.Dataset) -> None:
    """What the model itself says of its errors, where --held-out does not and a correction is wanted."""
    from bondlore import chain

    if options.get("held_out") is None and args.method != "uncorrected":
        options["confusion"] = chain.usable_confusion(table, bundle)
        if args.drift != "off" or args.method == "em":
            options["held_out"] = chain.usable_scores(table, bundle)


def _tiers(path: Path) -> dict[str, str]:
    """Publisher to tier. Raises InputError for a file without these two columns."""
    import csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), remedy="give a CSV of publisher,tier") from error
    if not rows or not {"publisher", "tier"} <= set(rows[0]):
        raise InputError("has no columns publisher and tier", where=str(path), remedy="name them in the first line")
    return {str(row["publisher"]): str(row["tier"]) for row in rows}


def _print(rows: list[dict[str, object]]) -> None:
    """Periods with their shares in percent; a refused period says why."""
    for r in rows:
        whose = f"{r['publisher']}  " if r["publisher"] else ""
        span = f"{r['period_start']} to {r['period_end']}  {whose}{r['narrative']:<18}{r['series']:<10}"
        if r["share"] is None:
            print(f"{span}     –  {r['reason'] or 'no articles'}")
        else:
            share, low, high = (100 * float(str(r[k])) for k in ("share", "low", "high"))
            smoothed = "" if r["smoothed"] is None else f"  smoothed {100 * float(str(r['smoothed'])):.1f}%"
            print(f"{span}{share:5.1f}%  ({low:.1f} to {high:.1f})  n={r['n']}  {r['method']}{smoothed}")


def write_table(table: pa.Table, path: Path) -> None:
    """Replace `path` by the table, in the form its ending names. Raises InputError for another ending."""
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    from bondlore import atomic
    from bondlore.spreadsheet import csv_table

    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet", ".json"):
        raise InputError(f"unknown kind {kind!r}", where=str(path), remedy="end the name in .csv, .parquet or .json")
    if kind == ".json":
        atomic.write_json(path, [{k: _plain(v) for k, v in r.items()} for r in table.to_pylist()])
        return
    with atomic.replacing(path) as temporary:
        if kind == ".csv":
            pc.write_csv(csv_table(table), temporary)
        else:
            pq.write_table(table, temporary)


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value
