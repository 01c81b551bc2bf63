"""`bondlore import`: an archive into the store."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bondlore.cli.options import add_db, builder, database, mapping, positive, print_json
from bondlore.clock import utc_now
from bondlore.errors import InputError
from bondlore.progress import say

__all__ = ["parser", "run"]

_EXAMPLE = (
    "  bondlore import archive.jsonl.gz more.zip --map title=headline,text=body --db news.db --rejects refused.csv"
)


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore import`."""
    summary = (
        "Read an archive into the store: JSON Lines and CSV (also .gz, .zst), Parquet, Hugging Face data sets on disk, "
        "WARC, GDELT, ZIP, folders of text or HTML. Interrupted, it goes on where it stopped."
    )
    p = builder("import", summary, _EXAMPLE)
    p.add_argument("paths", metavar="PATH", nargs="+", type=Path)
    p.add_argument(
        "--map", metavar="FIELD=COLUMN,…", help="columns by name: title, text, published, publisher, url, id"
    )
    p.add_argument("--yes", action="store_true", help="take the guess of the columns without asking")
    p.add_argument("--zone", default="", metavar="ZONE", help="zone of times that name none, e.g. America/New_York")
    p.add_argument("--limit", type=positive, metavar="N", help="read the first N articles only")
    p.add_argument("--rejects", type=Path, metavar="CSV", help="write every refused row here: path, row, reason")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when some rows were refused."""
    from bondlore.chain import add_archive, interrupted
    from bondlore.ingest.archive import guess
    from bondlore.ingest.rejects import RejectsFile
    from bondlore.ingest.worker import Extractor
    from bondlore.store import Store

    columns = mapping(args.map)
    with Extractor() as extract:
        name, plan = guess(args.paths, mapping=columns, extract=extract)  # unusable input makes no store
    _agree(name, plan, ask=not (args.yes or columns))
    with Store.open(database(args)) as store:
        begun = {} if args.limit else interrupted(store, args.paths, mapping=columns, zone=args.zone)
        if begun:
            say("import: going on where an import was interrupted")
        with RejectsFile(args.rejects, done=begun) as rejects:
            done = add_archive(
                store,
                args.paths,
                clock=utc_now,
                mapping=columns,
                limit=args.limit,
                zone=args.zone,
                rejects=rejects,
            )
    for reject in done.rejects:
        say(f"import: {reject.path}:{reject.row}: {reject.reason}")
    if done.refused > len(done.rejects):
        say(f"import: and {done.refused - len(done.rejects)} rows more" + ("" if args.rejects else " (see --rejects)"))
    if args.json:
        shown = [{"path": r.path, "row": r.row, "reason": r.reason} for r in done.rejects]
        result = {"read": done.read, "new": done.new, "updated": done.updated, "refused": done.refused}
        print_json(result | {"rejects": shown})
    else:
        known = done.read - done.new - done.updated
        print(f"{done.new} new articles, {done.updated} updated, {known} already known; {done.refused} rows refused")
    return 3 if done.refused else 0


def _agree(name: str, plan: dict[str, str], *, ask: bool) -> None:
    """Show which column is read as what; on a terminal, ask. Raises InputError when the answer is no."""
    if not plan:
        return
    say(f"import: {name}: " + ", ".join(f"{field}={column}" for field, column in plan.items()))
    if ask and sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write("import: read the columns so? [Y/n] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
            raise InputError("the columns are not agreed", where=name, remedy="name them with --map title=COLUMN,…")
