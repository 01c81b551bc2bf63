"""`bondlore tag`: archives into Parquet, or whatever in the store is untagged."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bondlore.cli.options import add_db, add_model, builder, database, mapping, positive, print_json
from bondlore.errors import InputError, MissingExtraError
from bondlore.progress import say
from bondlore.tag.runtime import PRECISIONS

if TYPE_CHECKING:
    from bondlore.tag.batch import Pick
    from bondlore.tag.batch.engine import Engine
    from bondlore.tag.batch.work import Loader

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore tag archive.jsonl.gz --out tagged/     # run it again after an interruption: it goes on
  bondlore tag --db news.db                       # what in the store this model has not read
  bondlore tag archive.jsonl.gz --out tagged/ --plan-only && bondlore tag --out tagged/ --shard 0/8"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore tag`."""
    p = builder("tag", "Tag articles: an archive into Parquet, resumable and exactly once; or the store.", _EXAMPLE)
    p.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="*",
        type=Path,
        help="JSON Lines, CSV (also .gz, .zst), Parquet, folders, 'patterns'",
    )
    p.add_argument("--out", type=Path, metavar="DIR", help="where the tagged Parquet goes")
    p.add_argument("--workers", type=positive, metavar="N", help="processes, or Ray actors (default: one a core)")
    p.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="who tags: this machine, or a Ray cluster"
    )
    p.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the Ray cluster to join (default: $RAY_ADDRESS, else one is started here)",
    )
    p.add_argument(
        "--device",
        choices=("cpu", "cuda", "torch-cpu"),
        default="cpu",
        help="where the model runs: the processor; a GPU in bf16, or torch in fp32 (both need bondlore[train])",
    )
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of --device cpu (default: what a job was begun in, else the faster one here)",
    )
    p.add_argument("--limit", type=positive, metavar="N", help="the first N articles only")
    p.add_argument("--shard-size", type=positive, metavar="N", help="articles a file (default 256)")
    way = p.add_mutually_exclusive_group()
    way.add_argument("--plan-only", action="store_true", help="cut the archive into shards and stop, for --shard")
    way.add_argument(
        "--shard",
        type=pick,
        metavar="K[/N]",
        help="tag only shard K of a plan, or the Kth of N parts (from 0), as one task of a scheduler; the last commits",
    )
    p.add_argument("--retry-errors", action="store_true", help="tag articles again that failed in an earlier run")
    p.add_argument(
        "--map", metavar="FIELD=COLUMN,…", help="columns by name: title, text, published, publisher, url, id"
    )
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_model(p)
    add_db(p)
    return p


def pick(text: str) -> Pick:
    """An argparse type: which shards a task takes."""
    from bondlore.tag.batch import Pick

    try:
        return Pick.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither K nor K/N with K below N; both count from 0") from error


def run(args: argparse.Namespace) -> int:
    """Exit code 3 when some articles or rows could not be read."""
    if (args.inputs or args.plan_only or args.shard) and not args.out:
        raise InputError("no output folder", where="bondlore tag", remedy="add --out DIR")
    if args.address and args.engine != "ray":
        raise InputError("--address is of no use here", where="bondlore tag", remedy="add --engine ray")
    if args.engine == "ray" and (args.shard or args.plan_only or not args.inputs):
        raise InputError(
            "--engine ray tags whole archives", where="bondlore tag", remedy="name an INPUT, or leave --engine out"
        )
    if args.device != "cpu" and (args.engine == "ray" or not args.out):
        raise InputError(
            f"--device {args.device} is for archives tagged on this machine",
            where="bondlore tag",
            remedy="name an INPUT and --out with --engine local, or leave --device out",
        )
    if args.shard:
        return _shards(args)
    if not args.inputs and args.out:
        raise InputError(
            "no input", where="bondlore tag", remedy="name an archive, or leave --out away to tag the store"
        )
    return _archive(args) if args.inputs else _store(args)


def _archive(args: argparse.Namespace) -> int:
    from bondlore.ingest.archive import read_archive
    from bondlore.tag.batch import plan_only
    from bondlore.tag.batch import run as run_batch
    from bondlore.tag.batch.inputs import expand
    from bondlore.tag.batch.job import SHARD_SIZE

    columns = mapping(args.map)
    engine, load = _engine(args), _load(args)
    next(read_archive(expand(args.inputs), mapping=columns, rejects=[]))  # unusable input leaves no folder behind
    size = args.shard_size or SHARD_SIZE
    if args.plan_only:
        plan = plan_only(args.inputs, args.out, load=load, limit=args.limit, mapping=columns, shard_size=size)
        if args.json:
            print_json(asdict(plan))
        else:
            print(
                f"{plan.rows} articles in {plan.shards} shards, numbered from 0, planned in {args.out}"
                f" ({plan.rejects} rows refused); {len(plan.missing)} to tag with --shard"
            )
        return 3 if plan.rejects else 0
    done = run_batch(
        args.inputs,
        args.out,
        load=load,
        workers=_workers(args),
        limit=args.limit,
        mapping=columns,
        shard_size=size,
        retry_errors=args.retry_errors,
        engine=engine,
    )
    if args.json:
        print_json(asdict(done))
    else:
        print(
            f"{done.rows} articles in {args.out} ({done.errors} errors, {done.rejects} rows refused);"
            f" {done.shards_done} shards tagged now, {done.shards_skipped} done before{_copies(done.copies, done.rows)}"
        )
    return 3 if done.errors or done.rejects else 0


def _copies(copies: int, rows: int) -> str:
    return f"; {copies} articles ({copies / rows:.1%}) are word for word others, read once" if copies else ""


def _engine(args: argparse.Namespace) -> Engine | None:
    """None for the local one."""
    if args.engine == "local":
        return None
    from bondlore.tag.batch.cluster import Ray

    return Ray(args.workers, args.address)


def _load(args: argparse.Namespace) -> Loader:
    """What loads the model where it is to run. Raises MissingExtraError, InputError where there is no such device."""
    if args.device == "cpu":
        from bondlore.tag.batch.job import LoadModel

        return LoadModel.of_folder(args.out, args.model, args.precision)
    try:
        from bondlore.train.device import LoadOnDevice
    except ImportError as error:
        raise MissingExtraError("train", str(error.name)) from error
    load = LoadOnDevice(args.model, args.device)
    if not args.plan_only:  # that may be done on a machine without one
        load.check()
    return load


def _workers(args: argparse.Namespace) -> int:
    from bondlore.tag.runtime import available_cores

    if args.workers:
        return int(args.workers)
    return 1 if args.device == "cuda" else available_cores()  # several on one GPU would share its memory


def _shards(args: argparse.Namespace) -> int:
    from bondlore.tag.batch import run_shards

    done = run_shards(
        args.out,
        args.shard,
        inputs=args.inputs,
        load=_load(args),
        workers=_workers(args),
        limit=args.limit,
        mapping=mapping(args.map),
        shard_size=args.shard_size,
    )
    if args.json:
        print_json(asdict(done))
    else:
        rest = f"{done.left} of the plan are left" if done.left else "that was the last: the archive is committed"
        print(
            f"{done.rows} articles ({done.errors} errors); {done.shards_done} shards tagged now,"
            f" {done.shards_skipped} done before{_copies(done.copies, done.rows)}; {rest}"
        )
    return 3 if done.errors else 0


def _store(args: argparse.Namespace) -> int:
    from bondlore.chain import tag_store
    from bondlore.store import Store
    from bondlore.tag.tagger import Tagger

    with Store.open(database(args), create=False) as store:
        tagger = Tagger.load(args.model, precision=args.precision)
        done = tag_store(store, tagger)
    if done.failed:
        say(f"tag: {done.failed} articles failed; their rows keep the reason, and the next run tries them again")
    if args.json:
        print_json({"done": done.done, "failed": done.failed, "copies": done.copies, "model": tagger.model})
    else:
        print(f"{done.done} articles tagged by {tagger.model}, {done.failed} failed{_copies(done.copies, done.done)}")
    return 3 if done.failed else 0
