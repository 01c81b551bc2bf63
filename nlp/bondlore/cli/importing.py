"""`bondlore import`: an archive into the store."""

from __future__ import annotations

import argparse
from pathlib import Path

from bondlore.cli.options import add_db, builder, database, mapping, positive, print_json
from bondlore.clock import utc_now
from bondlore.progress import say

__all__ = ["parser", "run"]

_EXAMPLE = "  bondlore import archive.jsonl.gz more.csv --map title=headline,text=body --db news.db"
_SHOWN = 10


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore import`."""
    summary = "Read an archive into the store: JSON Lines (also .gz), CSV, Parquet, folders of text or HTML."
    p = builder("import", summary, _EXAMPLE)
    p.add_argument("paths", metavar="PATH", nargs="+", type=Path)
    p.add_argument(
        "--map", metavar="FIELD=COLUMN,…", help="columns by name: title, text, published, publisher, url, id"
    )
    p.add_argument("--zone", default="", metavar="ZONE", help="zone of times that name none, e.g. America/New_York")
    p.add_argument("--limit", type=positive, metavar="N", help="read the first N articles only")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when some rows were refused."""
    from bondlore.chain import add_archive
    from bondlore.ingest.archive import read_archive
    from bondlore.store import Store

    next(read_archive(args.paths, mapping=mapping(args.map), rejects=[]))  # unusable input makes no store
    with Store.open(database(args)) as store:
        done = add_archive(
            store, args.paths, clock=utc_now, mapping=mapping(args.map), limit=args.limit, zone=args.zone
        )
    for reject in done.rejects[:_SHOWN]:
        say(f"import: {reject.path}:{reject.row}: {reject.reason}")
    if len(done.rejects) > _SHOWN:
        say(f"import: and {len(done.rejects) - _SHOWN} rows more")
    if args.json:
        rejects = [{"path": r.path, "row": r.row, "reason": r.reason} for r in done.rejects]
        print_json({"read": done.read, "new": done.new, "updated": done.updated, "rejects": rejects})
    else:
        known = done.read - done.new - done.updated
        print(
            f"{done.new} new articles, {done.updated} updated, {known} already known; {len(done.rejects)} rows refused"
        )
    return 3 if done.rejects else 0
