"""One task of somebody else's scheduler (Slurm, Kubernetes, a shell loop): some shards of a plan made before.

Tasks share nothing but the folder. Any number may run at once; whichever finds that nothing is left commits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bondlore.errors import BatchError, InputError
from bondlore.ingest.archive import archive_files
from bondlore.tag.batch.engine import Local
from bondlore.tag.batch.fingerprint import Fingerprint, fingerprint, require_same
from bondlore.tag.batch.folder import Folder, Shard, writing
from bondlore.tag.batch.inputs import expand
from bondlore.tag.batch.job import LoadModel
from bondlore.tag.batch.plan import Plan, read_plan
from bondlore.tag.batch.steps import done_records, finish, tag_missing
from bondlore.tag.batch.work import Loader

__all__ = ["Pick", "TaskReport", "run_shards"]

_PLAN = "plan it with `bondlore tag INPUT... --out DIR --plan-only`"


@dataclass(frozen=True, slots=True)
class Pick:
    """Shard `first`, or with `every` also each further one that many numbers on."""

    first: int
    every: int | None = None

    @classmethod
    def parse(cls, text: str) -> Pick:
        """`K`, or `K/N` for the Kth of N tasks, both from 0. Raises ValueError.

        >>> Pick.parse("7"), Pick.parse("7/100")
        (Pick(first=7, every=None), Pick(first=7, every=100))
        """
        first, slash, every = text.partition("/")
        pick = cls(int(first), int(every) if slash else None)
        if pick.first < 0 or (pick.every is not None and pick.first >= pick.every):
            raise ValueError(f"{text!r} picks no shard")
        return pick

    def of(self, shards: Sequence[Shard]) -> Sequence[Shard]:
        """The shards picked. Raises InputError for a single one that the plan does not have."""
        if self.every is not None:
            return shards[self.first :: self.every]
        if self.first >= len(shards):
            raise InputError(
                f"there is no shard {self.first}", where="--shard", remedy=f"give a number from 0 to {len(shards) - 1}"
            )
        return shards[self.first : self.first + 1]


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What one task did, its fields as in `JobReport`.

    `left` counts shards of the whole plan that have no record yet; at 0 it is committed.
    """

    rows: int
    errors: int
    copies: int
    shards_done: int
    shards_skipped: int
    left: int
    seconds: float


def run_shards(
    out: Path,
    pick: Pick,
    *,
    inputs: Sequence[Path] = (),
    model: str | None = None,
    workers: int = 1,
    limit: int | None = None,
    mapping: Mapping[str, str] | None = None,
    shard_size: int | None = None,
    load: Loader | None = None,
    quiet: bool = False,
) -> TaskReport:
    """Tag the picked shards of the plan in `out`; the task that leaves none undone commits the job.

    The input is not read: the articles lie in the folder since the plan. What is given of `inputs`, `limit`, `mapping`
    and `shard_size` must be as planned. Raises InputError for a shard the plan lacks, ModelError for the model,
    BatchError for the folder: no plan, another job's, in use by a whole run, not writable.
    """
    began = time.monotonic()
    folder = Folder(Path(out))
    load = load or LoadModel.of_folder(out, None if model is None else str(model))
    with writing(folder.root):
        plan = read_plan(folder)
        if plan is None:
            raise BatchError("holds no plan", where=str(out), remedy=_PLAN)
        shards = pick.of(plan.shards)
        engine = Local(min(workers, max(1, len(shards))))
        bundle = load.bundle()
        told = fingerprint(bundle, (), mapping=mapping, limit=limit, shard_size=shard_size or 0, runtime=load.runtime)
        now = _as_asked(plan, told, mapping=mapping, limit=limit, shard_size=shard_size)
        require_same(plan.fingerprint, now, where=str(out))
        _same_inputs(plan, inputs, where=str(out))
        with folder.shared():
            records = done_records(folder, plan, shards)
            skipped = len(records)
            _require_articles(folder, plan, [shard for shard in shards if shard.name not in records])
            tagged = tag_missing(folder, plan, shards, records, engine, load, model=bundle.id, quiet=quiet)
            left = _commit_if_last(folder, plan, bundle.id)
    return TaskReport(
        rows=sum(record.rows for record in records.values()),
        errors=sum(record.errors for record in records.values()),
        copies=sum(record.copies for record in records.values()),
        shards_done=tagged,
        shards_skipped=skipped,
        left=left,
        seconds=round(time.monotonic() - began, 3),
    )


def _as_asked(
    plan: Plan, told: Fingerprint, *, mapping: Mapping[str, str] | None, limit: int | None, shard_size: int | None
) -> Fingerprint:
    """The fingerprint this task would have planned with; what it was not told is taken from the plan."""
    there, parts = plan.fingerprint.parts, dict(told.parts)
    options = {"columns": mapping, "limit": limit, "shard size": shard_size, "input": None}
    parts |= {name: there.get(name, "none") for name, value in options.items() if value is None}
    return Fingerprint(parts)


def _same_inputs(plan: Plan, inputs: Sequence[Path], *, where: str) -> None:
    """Raise BatchError when `inputs` are other files than those planned, by name and size: hashing is the plan's."""
    if not inputs:
        return
    there = [(Path(source.path).name, source.size) for source in plan.sources]
    if [(path.name, path.stat().st_size) for path in archive_files(expand(inputs))] != there:
        raise BatchError(
            "belongs to another job: it was planned from other input", where=where, remedy="give another --out"
        )


def _require_articles(folder: Folder, plan: Plan, missing: Sequence[Shard]) -> None:
    for shard in missing:
        # looked for in this order: a task that is faster writes its record before it removes the articles
        if not folder.articles(shard).is_file() and not done_records(folder, plan, [shard]):
            raise BatchError(
                "the shard is not done and its articles are gone", where=str(folder.articles(shard)), remedy=_PLAN
            )


def _commit_if_last(folder: Folder, plan: Plan, model: str) -> int:
    """Commit if every shard is done; how many are not. Two tasks that both find so write the same bytes."""
    written = {path.stem for path in (folder.root / "done").glob("shard-*.json")}
    left = sum(shard.name not in written for shard in plan.shards)
    if left:  # without opening a file: thousands of tasks look here
        return left
    records = done_records(folder, plan, plan.shards)
    if len(records) == len(plan.shards):
        finish(folder, plan, records, model)
    return len(plan.shards) - len(records)
