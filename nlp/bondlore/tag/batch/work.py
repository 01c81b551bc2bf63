"""One shard from its articles on disk to its done-record: what every engine calls for every shard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

import bondlore
from bondlore.errors import BatchError
from bondlore.tag.batch.commit import Record, write_shard
from bondlore.tag.batch.folder import Folder, Shard, writing
from bondlore.tag.batch.machine import describe
from bondlore.tag.batch.shard import TaggerLike, printable, tag_shard
from bondlore.tag.batch.spool import parse_articles

__all__ = ["Answer", "Job", "Loader", "Step", "answer", "complete", "fetch", "store"]

Loader = Callable[[int], TaggerLike]  # threads -> tagger; picklable, as other processes call it
Step = Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker must know besides the shard. Plain strings: it travels to other processes."""

    root: str
    fingerprint: str
    model: str
    code: str = bondlore.__version__

    def check(self, tagger: TaggerLike) -> None:
        """Raise BatchError when a worker runs other code, or another model, than the job was planned with."""
        if self.code != bondlore.__version__:
            raise BatchError(
                f"a worker has bondlore {bondlore.__version__}, the job was planned with {self.code}",
                where=self.root,
                remedy="install the same version everywhere, then run the same command again",
            )
        if tagger.bundle.id != self.model:
            raise BatchError(
                f"the model changed during the job (planned with {self.model}, now {tagger.bundle.id})",
                where=self.root,
                remedy="restore the model folder, then run the same command again",
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """A shard's table before it is written: all that must come back from a machine without the folder."""

    table: pa.Table
    ids: tuple[str, ...]
    seconds: float
    machine: dict[str, str]


def complete(job: Job, shard: Shard, tagger: TaggerLike, *, step: Step = lambda _: None) -> Record:
    """Tag and write one shard. Raises BatchError when its articles are damaged or its files cannot be written."""
    path = Folder(Path(job.root)).articles(shard)
    return store(job, shard, answer(fetch(job, shard), shard, tagger, where=str(path), step=step))


def fetch(job: Job, shard: Shard) -> bytes:
    """The shard's articles as they lie on disk. Raises BatchError when they cannot be read."""
    path = Folder(Path(job.root)).articles(shard)
    try:
        return path.read_bytes()
    except OSError as error:
        raise BatchError(
            f"cannot be read ({error.strerror or error})",
            where=str(path),
            remedy="run `bondlore tag` on the input again: it lays the articles out anew",
        ) from error


def answer(data: bytes, shard: Shard, tagger: TaggerLike, *, where: str, step: Step = lambda _: None) -> Answer:
    """Tag one shard from the bytes of `fetch`; touches no disk. Raises BatchError when they are damaged."""
    began = time.perf_counter()
    articles = parse_articles(data, digest=shard.id, where=where)
    table = tag_shard(articles, tagger, step=step)
    ids = tuple(printable(article.id) for article in articles)
    return Answer(table, ids, time.perf_counter() - began, describe())


def store(job: Job, shard: Shard, found: Answer) -> Record:
    """Write one shard's answer and its done-record. Raises BatchError when they cannot be written."""
    folder = Folder(Path(job.root))
    with writing(folder.root):
        return write_shard(
            folder,
            shard,
            found.table,
            ids=found.ids,
            job=job.fingerprint,
            seconds=found.seconds,
            machine=found.machine,
        )
