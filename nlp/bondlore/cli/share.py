"""`bondlore share`: each narrative's share of coverage over time."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore.cli.options import add_model, builder, print_json
from bondlore.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore share tagged/ --freq M
  bondlore share news.db --freq W --denominator causal --out shares.csv
  bondlore share power --from 20 --to 30     # how many articles such a change needs"""
_SERIES = ("presence", "support", "rejection", "contested")


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore share`."""
    p = builder("share", "Each narrative's share of coverage over time, with 95% intervals.", _EXAMPLE)
    p.add_argument("source", metavar="SOURCE", help="a folder written by bondlore tag, or a store")
    p.add_argument("--freq", choices=("D", "W", "M"), default="W", help="day, week or month (default W)")
    p.add_argument(
        "--by",
        choices=("article", "cluster"),
        help="what has one vote (default: cluster, where copies were joined)",
    )
    p.add_argument(
        "--denominator",
        choices=("bond", "causal", "mentions"),
        default="bond",
        help="share of bond articles, of those with a cause, or of narrative mentions (adds to 1)",
    )
    p.add_argument("--series", choices=_SERIES, action="append", help="default: support; may be repeated")
    p.add_argument("--audit", type=Path, metavar="PARQUET", help="hand labels: id, v_<narrative>, inclusion_prob")
    p.add_argument("--out", type=Path, metavar="FILE", help="write every column to .csv, .parquet or .json")
    p.add_argument("--json", action="store_true", help="every column as JSON on standard output")
    add_model(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Print or write the series."""
    from bondlore import chain
    from bondlore.measure.shares import shares
    from bondlore.tag import bundle as bundles

    bundle = bundles.read(args.model, verify=())
    table = chain.read_tagged(args.source, bundle)
    series = shares(
        table,
        bundle.taxonomy,
        freq=args.freq,
        by=args.by or chain.voters(args.source),
        denominator=args.denominator,
        series=tuple(args.series or ["support"]),
        confusion=chain.usable_confusion(table, bundle),
        audit=_audit(args.audit),
    )
    if args.out:
        _write(series.table, args.out)
        print(f"{series.table.num_rows} rows in {args.out}")
    elif args.json:
        print_json(series.rows())
    else:
        _print(series.rows())
    return 0


def _print(rows: list[dict[str, object]]) -> None:
    """Periods with their shares in percent; a refused period says why."""
    for r in rows:
        span = f"{r['period_start']} to {r['period_end']}  {r['narrative']:<18}{r['series']:<10}"
        if r["share"] is None:
            print(f"{span}     –  {r['reason'] or 'no articles'}")
        else:
            share, low, high = (100 * float(str(r[k])) for k in ("share", "low", "high"))
            print(f"{span}{share:5.1f}%  ({low:.1f} to {high:.1f})  n={r['n']}  {r['method']}")


def _audit(path: Path | None) -> pa.Table | None:
    if path is None:
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), remedy="give a Parquet file") from error


def _write(table: pa.Table, path: Path) -> None:
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    from bondlore import atomic

    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet", ".json"):
        raise InputError(f"unknown kind {kind!r}", where=str(path), remedy="end the name in .csv, .parquet or .json")
    if kind == ".json":
        atomic.write_json(path, [{k: _plain(v) for k, v in r.items()} for r in table.to_pylist()])
        return
    with atomic.replacing(path) as temporary:
        (pc.write_csv if kind == ".csv" else pq.write_table)(table, temporary)


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value
