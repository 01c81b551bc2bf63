"""Plan a job once: stream the input, cut it into shards, write `manifest.json` last.

Shards are ours, never an engine's blocks: a run with another number of workers finds the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TextIO, TypeVar

from bondlore import atomic
from bondlore.clock import Clock
from bondlore.errors import BatchError
from bondlore.ingest.archive import Reject, read_archive
from bondlore.progress import Progress
from bondlore.tag.batch.fingerprint import Fingerprint, Source
from bondlore.tag.batch.folder import Folder, Shard
from bondlore.tag.batch.spool import content_digest, write_articles

__all__ = ["FORMAT", "Plan", "Request", "make_plan", "read_plan", "respool"]

FORMAT = 1
_BEGIN_AGAIN = "remove the folder and tag again"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What to read: files already resolved and hashed, and how to read and cut them."""

    sources: tuple[Source, ...]
    mapping: Mapping[str, str] | None
    limit: int | None
    shard_size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The shards of one job, in the order of the input."""

    fingerprint: Fingerprint
    narratives: tuple[str, ...]
    shards: tuple[Shard, ...]
    rejects: int
    sources: tuple[Source, ...]

    @property
    def rows(self) -> int:
        """Articles in all shards."""
        return sum(shard.rows for shard in self.shards)


def make_plan(
    folder: Folder, request: Request, job: Fingerprint, narratives: Sequence[str], *, clock: Clock, quiet: bool = False
) -> Plan:
    """Read the input once, write every shard's articles, the rejects and the manifest.

    `clock` bounds the articles' dates: what lies ahead is no date of publication.
    A crash before the manifest leaves no plan, and the next run plans again. Raises InputError for unreadable
    input, BatchError when a file changes while it is read.
    """
    for stale in (folder.root / "input").glob("*.jsonl.gz"):
        stale.unlink()
    now = clock()
    atomic.write_json(folder.planned, {"at": now.isoformat()})
    with atomic.replacing(folder.rejects) as rejects:
        shards, rejected = _spool(folder, request, rejects, now, only=None, quiet=quiet)
    plan = Plan(job, tuple(narratives), tuple(shards), rejected, request.sources)
    atomic.write_json(
        folder.manifest,
        {
            "format": FORMAT,
            "id": job.id,
            "fingerprint": dict(job.parts),
            "narratives": list(plan.narratives),
            "rows": plan.rows,
            "rejects": plan.rejects,
            "inputs": [asdict(source) for source in plan.sources],
            "shards": [asdict(shard) for shard in plan.shards],
        },
    )
    return plan


def read_plan(folder: Folder) -> Plan | None:
    """The plan in the folder, None when none was finished. Raises BatchError for one that cannot be understood."""
    try:
        data = json.loads(folder.manifest.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BatchError(f"is not JSON ({error})", where=str(folder.manifest), remedy=_BEGIN_AGAIN) from error
    try:
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, this version writes {FORMAT}")
        plan = Plan(
            Fingerprint({str(k): str(v) for k, v in data["fingerprint"].items()}),
            tuple(map(str, data["narratives"])),
            tuple(Shard(int(s["number"]), str(s["id"]), int(s["rows"])) for s in data["shards"]),
            int(data["rejects"]),
            tuple(Source(**source) for source in data["inputs"]),
        )
        if plan.fingerprint.id != data["id"] or plan.rows != data["rows"]:
            raise ValueError("its parts contradict each other")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BatchError(f"is not a plan ({error})", where=str(folder.manifest), remedy=_BEGIN_AGAIN) from error
    return plan


def respool(
    folder: Folder, request: Request, plan: Plan, missing: Collection[Shard], *, clock: Clock, quiet: bool = False
) -> None:
    """Write the articles of `missing` shards anew from the input. Raises BatchError when it gives other shards."""
    only = {shard.number for shard in missing}
    with atomic.replacing(folder.rejects) as rejects:
        shards, _ = _spool(folder, request, rejects, _planned_at(folder) or clock(), only=only, quiet=quiet)
        if tuple(shards) != plan.shards:
            raise BatchError(
                "the input no longer gives the articles that were planned",
                where=str(folder.manifest),
                remedy="give another --out",
            )


def _planned_at(folder: Folder) -> datetime | None:
    """When the plan was made; None in a folder of before that was written down."""
    try:
        at = datetime.fromisoformat(json.loads(folder.planned.read_bytes())["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return at if at.tzinfo else None


def _spool(
    folder: Folder, request: Request, rejects: Path, now: datetime, *, only: Collection[int] | None, quiet: bool
) -> tuple[list[Shard], int]:
    """Cut the input into shards, write the articles of those in `only` (None: all); count the rows refused."""
    refused: list[Reject] = []
    shards: list[Shard] = []
    rejected = 0
    articles = read_archive(
        [Path(source.path) for source in request.sources],
        mapping=request.mapping,
        rejects=refused,
        limit=request.limit,
        clock=lambda: now,
    )
    with rejects.open("w", encoding="utf-8") as log, Progress("plan", unit="articles", quiet=quiet) as progress:
        for chunk in _chunks(articles, request.shard_size):
            shard = Shard(len(shards), content_digest(chunk), len(chunk))
            if only is None or shard.number in only:
                write_articles(folder.articles(shard), chunk)
            shards.append(shard)
            rejected += _log(refused, log)
            progress.step(len(chunk))
        rejected += _log(refused, log)
    changed = [source.path for source in request.sources if not source.unchanged()]
    if changed:
        raise BatchError("changed while it was read", where=changed[0], remedy="run again when it is complete")
    return shards, rejected


def _log(refused: list[Reject], log: TextIO) -> int:
    """Write the rejects gathered so far and let go of them: they may be millions."""
    log.writelines(json.dumps(asdict(reject)) + "\n" for reject in refused)
    count = len(refused)
    refused.clear()
    return count


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
