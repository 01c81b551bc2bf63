"""A batch job from end to end: plan or take up the plan, tag what is missing, commit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bondlore.clock import Clock, utc_now
from bondlore.errors import InputError
from bondlore.ingest.archive import archive_files
from bondlore.tag.batch.commit import Record
from bondlore.tag.batch.engine import Engine, Local
from bondlore.tag.batch.fingerprint import Fingerprint, fingerprint, hash_sources, require_same
from bondlore.tag.batch.folder import Folder, writing
from bondlore.tag.batch.inputs import expand
from bondlore.tag.batch.plan import Plan, Request, make_plan, read_plan, respool
from bondlore.tag.batch.steps import done_records, finish, tag_missing
from bondlore.tag.batch.work import Loader
from bondlore.tag.bundle import Bundle, read
from bondlore.tag.cache import TaggerLike
from bondlore.tag.runtime import PRECISIONS, Precision, best_precision

__all__ = ["SHARD_SIZE", "JobReport", "LoadModel", "PlanReport", "plan_only", "run"]

SHARD_SIZE = 256  # articles: some seconds of work, so that a crash costs little and a million articles make 4,000 files


@dataclass(frozen=True, slots=True)
class JobReport:
    """What the folder holds now. `rows` are articles, of them `errors` untagged and `copies` given the answer of an
    article of the same words; `rejects` rows gave no article.
    """

    rows: int
    errors: int
    copies: int
    rejects: int
    shards_done: int
    shards_skipped: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan and what of it is still to do: `missing` are numbers of shards, counted from 0."""

    rows: int
    rejects: int
    shards: int
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoadModel:
    """Loads a model folder, the shipped model, or one from the hub; travels to worker processes.

    All workers read it in one precision, whatever their processors: see `of_folder`.
    """

    model: str | None
    precision: Precision = field(default_factory=best_precision)

    @classmethod
    def of_folder(cls, out: Path, model: str | None, precision: Precision | None = None) -> LoadModel:
        """By default in the precision `out` was planned with, so that any machine can go on; else in the faster one.

        Raises BatchError for a plan that cannot be understood.
        """
        with writing(Path(out)):
            plan = None if precision else read_plan(Folder(Path(out)))
        planned = plan.fingerprint.parts.get("runtime") if plan else None
        return cls(model, precision or next((p for p in PRECISIONS if p == planned), None) or best_precision())

    @property
    def runtime(self) -> str:
        """The precision: the last digits of an answer depend on it."""
        return self.precision

    def __call__(self, threads: int) -> TaggerLike:
        """A tagger of `threads` threads. Raises ModelError."""
        from bondlore.tag.tagger import Tagger

        return Tagger.load(self.model, threads=threads, precision=self.precision)

    def bundle(self) -> Bundle:
        """The model but for its weights, its files checked. Raises ModelError."""
        return read(self.model)


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
    engine: Engine | None = None,
    load: Loader | None = None,
    clock: Clock = utc_now,
    quiet: bool = False,
) -> JobReport:
    """Tag the articles of `inputs` into the folder `out`; called again, it goes on where it was stopped.

    The result is the same table for any engine and number of workers, and however often the job was interrupted.
    `retry_errors` tags shards with error rows again. `engine` replaces `workers` local ones. `load` replaces the model
    by another tagger (picklable where it travels). Raises InputError for unusable input, ModelError for the model,
    BatchError for the folder: another job's, in use by another run, not writable.
    """
    began = time.monotonic()
    request, folder = _request(inputs, out, mapping, limit, shard_size, workers=workers)
    load = load or LoadModel.of_folder(out, None if model is None else str(model))
    engine = engine or Local(workers)
    bundle = load.bundle()
    with writing(folder.root), folder.locked():
        job = _fingerprint(request, bundle, load)
        plan, records = _prepare(folder, request, bundle, job, retry_errors=retry_errors, clock=clock, quiet=quiet)
        skipped = len(records)
        tagged = tag_missing(folder, plan, plan.shards, records, engine, load, model=bundle.id, quiet=quiet)
        ordered = finish(folder, plan, records, bundle.id)
    return JobReport(
        rows=plan.rows,
        errors=sum(record.errors for record in ordered),
        copies=sum(record.copies for record in ordered),
        rejects=plan.rejects,
        shards_done=tagged,
        shards_skipped=skipped,
        seconds=round(time.monotonic() - began, 3),
    )


def plan_only(
    inputs: Sequence[Path],
    out: Path,
    *,
    model: str | None = None,
    limit: int | None = None,
    mapping: Mapping[str, str] | None = None,
    shard_size: int = SHARD_SIZE,
    load: Loader | None = None,
    clock: Clock = utc_now,
    quiet: bool = False,
) -> PlanReport:
    """Do all that `run` does before it tags, for tasks of a scheduler (`task.run_shards`) to do the rest.

    Called again it says what is still missing, and lays out the articles of those shards anew. Raises as `run` does.
    """
    request, folder = _request(inputs, out, mapping, limit, shard_size)
    load = load or LoadModel.of_folder(out, None if model is None else str(model))
    bundle = load.bundle()
    with writing(folder.root), folder.locked():
        job = _fingerprint(request, bundle, load)
        plan, records = _prepare(folder, request, bundle, job, retry_errors=False, clock=clock, quiet=quiet)
    missing = tuple(shard.number for shard in plan.shards if shard.name not in records)
    return PlanReport(plan.rows, plan.rejects, len(plan.shards), missing)


def _request(
    inputs: Sequence[Path],
    out: Path,
    mapping: Mapping[str, str] | None,
    limit: int | None,
    shard_size: int,
    *,
    workers: int = 1,
) -> tuple[Request, Folder]:
    """What to read, hashed, and where to write. Raises InputError."""
    for name, value in (("workers", workers), ("shard_size", shard_size), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}", where=str(out), remedy="give a whole number from 1")
    inputs, out = expand(inputs), Path(out)
    _outside(inputs, out)
    return Request(hash_sources(list(archive_files(inputs))), mapping, limit, shard_size), Folder(out)


def _outside(inputs: Sequence[Path], out: Path) -> None:
    """Refuse an output folder inside an input folder: the next run would read its own output."""
    for path in inputs:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"lies inside the input folder {path}", where=str(out), remedy="give an --out outside the input"
            )


def _fingerprint(request: Request, bundle: Bundle, load: Loader) -> Fingerprint:
    return fingerprint(
        bundle,
        request.sources,
        mapping=request.mapping,
        limit=request.limit,
        shard_size=request.shard_size,
        runtime=load.runtime,
    )


def _prepare(
    folder: Folder,
    request: Request,
    bundle: Bundle,
    job: Fingerprint,
    *,
    retry_errors: bool,
    clock: Clock,
    quiet: bool,
) -> tuple[Plan, dict[str, Record]]:
    """The plan, the records of its finished shards, and on disk the articles of all others."""
    plan = read_plan(folder)
    if plan is None:
        plan = make_plan(folder, request, job, bundle.taxonomy.ids, clock=clock, quiet=quiet)
    require_same(plan.fingerprint, job, where=str(folder.root))
    records = done_records(folder, plan, plan.shards, retry_errors=retry_errors)
    missing = [shard for shard in plan.shards if shard.name not in records]
    if unspooled := [shard for shard in missing if not folder.articles(shard).is_file()]:
        respool(folder, request, plan, unspooled, clock=clock, quiet=quiet)
    return plan, records
