"""One shard from its articles on disk to its done-record: what every engine calls for every shard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bondlore.errors import BatchError
from bondlore.tag.batch.commit import Record, write_shard
from bondlore.tag.batch.folder import Folder, Shard, writing
from bondlore.tag.batch.shard import TaggerLike, printable, tag_shard
from bondlore.tag.batch.spool import read_articles

__all__ = ["Job", "Loader", "Step", "complete"]

Loader = Callable[[int], TaggerLike]  # threads -> tagger; picklable, as other processes call it
Step = Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker must know besides the shard. Plain strings: it travels to other processes."""

    root: str
    fingerprint: str
    model: str

    def check(self, tagger: TaggerLike) -> None:
        """Raise BatchError when a worker has loaded another model than the job was planned with."""
        if tagger.bundle.id != self.model:
            raise BatchError(
                f"the model changed during the job (planned with {self.model}, now {tagger.bundle.id})",
                where=self.root,
                remedy="restore the model folder, then run the same command again",
            )


def complete(job: Job, shard: Shard, tagger: TaggerLike, *, step: Step = lambda _: None) -> Record:
    """Tag and write one shard. Raises BatchError when its articles are damaged or its files cannot be written."""
    folder = Folder(Path(job.root))
    began = time.perf_counter()
    with writing(folder.root):
        articles = read_articles(folder.articles(shard), digest=shard.id)
    table = tag_shard(articles, tagger, step=step)
    with writing(folder.root):
        return write_shard(
            folder,
            shard,
            table,
            ids=[printable(article.id) for article in articles],
            job=job.fingerprint,
            seconds=time.perf_counter() - began,
        )
