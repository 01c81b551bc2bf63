"""One shard from its articles on disk to its done-record: what every engine calls for every shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

import bondlore
from bondlore.errors import BatchError, BondloreError
from bondlore.progress import Progress
from bondlore.tag.batch.commit import Record, read_record, write_shard
from bondlore.tag.batch.folder import GO_ON, Folder, Shard, writing
from bondlore.tag.batch.machine import describe
from bondlore.tag.batch.shard import NONE, printable, tag_shard
from bondlore.tag.batch.spool import parse_articles
from bondlore.tag.bundle import Bundle
from bondlore.tag.cache import Remembering, TaggerLike

__all__ = ["Answer", "Job", "Loader", "Order", "Step", "answer", "complaint", "complete", "fetch", "ready", "store"]

Step = Callable[[bool], None]


class Loader(Protocol):
    """Makes taggers of one model. Picklable, as other processes call it."""

    @property
    def runtime(self) -> str:
        """What besides the model decides the bytes of an answer; "" for nothing."""

    def __call__(self, threads: int) -> TaggerLike:
        """A tagger of `threads` threads."""

    def bundle(self) -> Bundle:
        """The model but for its weights: all that planning and committing need."""


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
class Order:
    """What an engine is asked for: tag and write `shards`, tell `progress`, and give each one's record to `done`."""

    shards: Sequence[Shard]
    job: Job
    load: Loader
    progress: Progress
    done: Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A shard's table before it is written: all that must come back from a machine without the folder."""

    table: pa.Table
    ids: tuple[str, ...]
    seconds: float
    machine: dict[str, str]
    copies: int


def ready(job: Job, load: Loader, threads: int) -> Remembering:
    """A worker's tagger, which reads copies once. Raises ModelError, or BatchError when it is not the job's."""
    tagger = load(threads)
    job.check(tagger)
    return Remembering(tagger)


def complete(
    job: Job,
    shard: Shard,
    tagger: Remembering,
    *,
    refused: Mapping[int, str] = NONE,
    careful: bool = False,
    step: Step = lambda _: None,
) -> Record:
    """Tag and write one shard; articles in `refused` become error rows unread, with `careful` none is read ahead.

    Raises BatchError when its articles are damaged or its files cannot be written.
    """
    folder = Folder(Path(job.root))
    try:
        data = fetch(job, shard)
    except BatchError:
        # a task beside this one may have done the shard meanwhile, committed the job and tidied up
        if record := read_record(folder, shard, job.fingerprint):
            return record
        raise
    where = str(folder.articles(shard))
    return store(job, shard, answer(data, shard, tagger, where=where, refused=refused, careful=careful, step=step))


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


def answer(
    data: bytes,
    shard: Shard,
    tagger: Remembering,
    *,
    where: str,
    refused: Mapping[int, str] = NONE,
    careful: bool = False,
    step: Step = lambda _: None,
) -> Answer:
    """Tag one shard from the bytes of `fetch`; touches no disk. Raises BatchError when they are damaged."""
    began, copies = time.perf_counter(), tagger.copies
    articles = parse_articles(data, digest=shard.id, where=where)
    if not careful:
        tagger.expect(articles)
    table = tag_shard(articles, tagger, refused=refused, step=step)
    ids = tuple(printable(article.id) for article in articles)
    return Answer(table, ids, time.perf_counter() - began, describe(), tagger.copies - copies)


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
            copies=found.copies,
        )


def complaint(job: Job, error: Exception) -> tuple[str, str, str]:
    """What a worker tells of an error of its own: the message, place and remedy of a BondloreError."""
    if isinstance(error, BondloreError):
        return error.message, error.where, error.remedy
    reason = f"a worker failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
    return reason, job.root, f"mend the cause, {GO_ON}"
