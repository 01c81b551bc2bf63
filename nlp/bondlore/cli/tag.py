"""`bondlore tag`: archives into Parquet, or whatever in the store is untagged."""

from __future__ import annotations

import argparse
from pathlib import Path

from bondlore.cli.options import add_db, add_model, builder, database, mapping, positive, print_json
from bondlore.errors import InputError
from bondlore.progress import say

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore tag archive.jsonl.gz --out tagged/     # run it again after an interruption: it goes on
  bondlore tag --db news.db                       # what in the store this model has not read"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore tag`."""
    p = builder("tag", "Tag articles: an archive into Parquet, resumable and exactly once; or the store.", _EXAMPLE)
    p.add_argument("inputs", metavar="INPUT", nargs="*", type=Path, help="JSON Lines (also .gz), CSV, Parquet, folders")
    p.add_argument("--out", type=Path, metavar="DIR", help="where the tagged Parquet goes")
    p.add_argument("--workers", type=positive, metavar="N", help="processes (default: one a core)")
    p.add_argument("--limit", type=positive, metavar="N", help="the first N articles only")
    p.add_argument("--shard-size", type=positive, default=256, metavar="N", help="articles a file (default 256)")
    p.add_argument("--retry-errors", action="store_true", help="tag articles again that failed in an earlier run")
    p.add_argument(
        "--map", metavar="FIELD=COLUMN,…", help="columns by name: title, text, published, publisher, url, id"
    )
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_model(p)
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when some articles or rows could not be read."""
    if args.inputs and not args.out:
        raise InputError("no output folder", where="bondlore tag", remedy="add --out DIR")
    if not args.inputs and args.out:
        raise InputError(
            "no input", where="bondlore tag", remedy="name an archive, or leave --out away to tag the store"
        )
    return _archive(args) if args.inputs else _store(args)


def _archive(args: argparse.Namespace) -> int:
    from bondlore.ingest.archive import read_archive
    from bondlore.tag.batch import run as run_batch
    from bondlore.tag.runtime import available_cores

    next(read_archive(args.inputs, mapping=mapping(args.map), rejects=[]))  # unusable input leaves no folder behind
    done = run_batch(
        args.inputs,
        args.out,
        model=args.model,
        workers=args.workers or available_cores(),
        limit=args.limit,
        mapping=mapping(args.map),
        shard_size=args.shard_size,
        retry_errors=args.retry_errors,
    )
    if args.json:
        print_json({k: getattr(done, k) for k in done.__dataclass_fields__})
    else:
        print(
            f"{done.rows} articles in {args.out} ({done.errors} errors, {done.rejects} rows refused);"
            f" {done.shards_done} shards tagged now, {done.shards_skipped} done before"
        )
    return 3 if done.errors or done.rejects else 0


def _store(args: argparse.Namespace) -> int:
    from bondlore.chain import tag_store
    from bondlore.store import Store
    from bondlore.tag.tagger import Tagger

    with Store.open(database(args), create=False) as store:
        tagger = Tagger.load(args.model)
        done = tag_store(store, tagger)
    if done.failed:
        say(f"tag: {done.failed} articles failed; their rows keep the reason, and the next run tries them again")
    if args.json:
        print_json({"done": done.done, "failed": done.failed, "model": tagger.model})
    else:
        print(f"{done.done} articles tagged by {tagger.model}, {done.failed} failed")
    return 3 if done.failed else 0
