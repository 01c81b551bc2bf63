"""A batch job from end to end: plan or take up the plan, tag what is missing, commit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bondlore.errors import InputError
from bondlore.ingest.archive import archive_files
from bondlore.progress import Progress, say
from bondlore.tag.batch import local
from bondlore.tag.batch.commit import Record, commit, read_record
from bondlore.tag.batch.fingerprint import Fingerprint, fingerprint, hash_sources, require_same
from bondlore.tag.batch.folder import Folder, Shard, writing
from bondlore.tag.batch.plan import Plan, Request, make_plan, read_plan, respool
from bondlore.tag.batch.shard import TaggerLike
from bondlore.tag.batch.work import Job, Loader
from bondlore.tag.runtime import available_cores

__all__ = ["SHARD_SIZE", "JobReport", "LoadModel", "run"]

SHARD_SIZE = 256  # articles: some seconds of work, so that a crash costs little and a million articles make 4,000 files


@dataclass(frozen=True, slots=True)
class JobReport:
    """What the folder holds now. `rows` are articles, of them `errors` untagged; `rejects` rows gave no article."""

    rows: int
    errors: int
    rejects: int
    shards_done: int
    shards_skipped: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadModel:
    """Loads a model folder, the shipped model, or one from the hub; travels to worker processes."""

    model: str | None

    def __call__(self, threads: int) -> TaggerLike:
        """A tagger of `threads` threads. Raises ModelError."""
        from bondlore.tag.tagger import Tagger

        return Tagger.load(self.model, threads=threads)


def run(
    inputs: Sequence[Path],
    out: Path,
    *,
    model: str | None = None,
    workers: int = 1,
    limit: int | None = None,
    mapping: Mapping[str, str] | None = None,
    shard_size: int = SHARD_SIZE,
    retry_errors: bool = False,
    load: Loader | None = None,
    quiet: bool = False,
) -> JobReport:
    """Tag the articles of `inputs` into the folder `out`; called again, it goes on where it was stopped.

    The result is the same table for any number of workers and however often the job was interrupted. `retry_errors`
    tags shards with error rows again. `load` replaces the model by another tagger (picklable where workers > 1).
    Raises InputError for unusable input, ModelError for the model, BatchError for the folder: another job's, in use by
    another run, not writable.
    """
    began = time.monotonic()
    for name, value in (("workers", workers), ("shard_size", shard_size), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}", where=str(out), remedy="give a whole number from 1")
    inputs, out = [Path(path) for path in inputs], Path(out)
    _outside(inputs, out)
    load = load or LoadModel(None if model is None else str(model))
    threads = max(1, available_cores() // workers)
    request = Request(hash_sources(list(archive_files(inputs))), mapping, limit, shard_size)
    tagger = load(threads)
    with writing(out), Folder(out).locked():
        folder = Folder(out)
        job = fingerprint(tagger.bundle, request.sources, mapping=mapping, limit=limit, shard_size=shard_size)
        plan = _planned(folder, request, job, tagger.bundle.taxonomy.ids, quiet=quiet)
        records = _records(folder, plan, retry_errors=retry_errors)
        missing = [shard for shard in plan.shards if shard.name not in records]
        skipped = len(records)
        if missing:
            folder.committed.unlink(missing_ok=True)  # readers must not meet half of a job tagged anew
            unspooled = [shard for shard in missing if not folder.articles(shard).is_file()]
            if unspooled:
                respool(folder, request, plan, unspooled, quiet=quiet)
            work = Job(str(out), job.id, tagger.bundle.id)
            _tag(missing, work, tagger, load, records, plan, workers=workers, threads=threads, quiet=quiet)
        ordered = [records[shard.name] for shard in plan.shards]
        if missing or not folder.committed.is_file():
            commit(
                folder,
                ordered,
                job=job.id,
                model=tagger.bundle.id,
                narratives=plan.narratives,
                rejects=plan.rejects,
            )
        for shard in plan.shards:  # no longer needed, and respooled from the input if ever they are
            folder.articles(shard).unlink(missing_ok=True)
    return JobReport(
        rows=plan.rows,
        errors=sum(record.errors for record in ordered),
        rejects=plan.rejects,
        shards_done=len(missing),
        shards_skipped=skipped,
        seconds=round(time.monotonic() - began, 3),
    )


def _outside(inputs: Sequence[Path], out: Path) -> None:
    """Refuse an output folder inside an input folder: the next run would read its own output."""
    for path in inputs:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"lies inside the input folder {path}", where=str(out), remedy="give an --out outside the input"
            )


def _planned(folder: Folder, request: Request, job: Fingerprint, narratives: Sequence[str], *, quiet: bool) -> Plan:
    plan = read_plan(folder)
    if plan is None:
        return make_plan(folder, request, job, narratives, quiet=quiet)
    require_same(plan.fingerprint, job, where=str(folder.root))
    return plan


def _records(folder: Folder, plan: Plan, *, retry_errors: bool) -> dict[str, Record]:
    """The records of shards that need no more work, by name."""
    found = (read_record(folder, shard, plan.fingerprint.id) for shard in plan.shards)
    return {r.name: r for r in found if r is not None and not (retry_errors and r.errors)}


def _tag(
    missing: Sequence[Shard],
    work: Job,
    tagger: TaggerLike,
    load: Loader,
    records: dict[str, Record],
    plan: Plan,
    *,
    workers: int,
    threads: int,
    quiet: bool,
) -> None:
    """Tag the missing shards; `records` grows as they are done."""

    def done(record: Record) -> None:
        records[record.name] = record

    if len(missing) < len(plan.shards) and not quiet:
        say(f"tag: {len(plan.shards) - len(missing)} of {len(plan.shards)} shards were done before")
    total = sum(shard.rows for shard in missing)
    try:
        with Progress("tag", total=total, unit="articles", quiet=quiet) as progress:
            if workers == 1:
                local.tag_here(missing, work, tagger, progress, done)
            else:
                local.tag_in_processes(missing, work, load, progress, done, workers=workers, threads=threads)
    except BaseException:
        if not quiet:
            count = f"{len(records)} of {len(plan.shards)} shards"
            say(f"tag: stopped with {count} done; run the same command again to go on from there")
        raise
