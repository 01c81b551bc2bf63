"""What a whole run and one task of a scheduler have in common: see what is done, tag what is missing, commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bondlore.progress import Progress, say
from bondlore.tag.batch.commit import Record, commit, read_record
from bondlore.tag.batch.engine import Engine
from bondlore.tag.batch.folder import Folder, Shard
from bondlore.tag.batch.plan import Plan
from bondlore.tag.batch.work import Job, Loader, Order

__all__ = ["done_records", "finish", "tag_missing"]


def done_records(
    folder: Folder, plan: Plan, shards: Sequence[Shard], *, retry_errors: bool = False
) -> dict[str, Record]:
    """The records of those `shards` that need no more work, by name."""
    found = (read_record(folder, shard, plan.fingerprint.id) for shard in shards)
    return {r.name: _slim(r) for r in found if r is not None and not (retry_errors and r.errors)}


def tag_missing(
    folder: Folder,
    plan: Plan,
    shards: Sequence[Shard],
    records: dict[str, Record],
    engine: Engine,
    load: Loader,
    *,
    model: str,
    quiet: bool,
) -> int:
    """Tag those of `shards` that `records` lacks; it grows as they are done. Returns how many they were.

    `model` is the id of the one planned with.
    """
    missing = [shard for shard in shards if shard.name not in records]
    if not missing:
        return 0

    def done(record: Record) -> None:
        records[record.name] = _slim(record)

    if len(missing) < len(shards) and not quiet:
        say(f"tag: {len(shards) - len(missing)} of {len(shards)} shards were done before")
    folder.committed.unlink(missing_ok=True)  # readers must not meet half of a job tagged anew
    job = Job(str(folder.root), plan.fingerprint.id, model)
    total = sum(shard.rows for shard in shards)
    before = total - sum(shard.rows for shard in missing)
    try:
        with Progress("tag", total=total, before=before, unit="articles", quiet=quiet) as progress:
            engine.tag(Order(missing, job, load, progress, done))
    except BaseException:
        if not quiet:
            count = f"{len(records)} of {len(shards)} shards"
            say(f"tag: stopped with {count} done; run the same command again to go on from there")
        raise
    return len(missing)


def _slim(record: Record) -> Record:
    """Without the machine, which only the file needs: of ten million articles there are forty thousand records."""
    return replace(record, machine={})


def finish(folder: Folder, plan: Plan, records: dict[str, Record], model: str) -> list[Record]:
    """Commit the job whose every shard is in `records`, drop what is no longer needed; the records in order."""
    ordered = [records[shard.name] for shard in plan.shards]
    commit(folder, ordered, job=plan.fingerprint.id, model=model, narratives=plan.narratives, rejects=plan.rejects)
    for shard in plan.shards:  # respooled from the input if ever they are needed
        folder.articles(shard).unlink(missing_ok=True)
    return ordered
