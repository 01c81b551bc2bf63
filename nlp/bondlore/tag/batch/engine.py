"""Engines: who tags the shards of a plan. They only schedule; the shards, and how they are written, are ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bondlore.progress import Progress
from bondlore.tag.batch import local
from bondlore.tag.batch.commit import Record
from bondlore.tag.batch.folder import Shard
from bondlore.tag.batch.shard import TaggerLike
from bondlore.tag.batch.work import Job, Loader
from bondlore.tag.runtime import available_cores

__all__ = ["Engine", "Local"]


class Engine(Protocol):
    """Anything that gets shards done, in any order, on any number of workers."""

    @property
    def threads(self) -> int:
        """Threads of one tagger."""

    def tag(
        self,
        shards: Sequence[Shard],
        job: Job,
        tagger: TaggerLike,
        load: Loader,
        progress: Progress,
        done: Callable[[Record], None],
    ) -> None:
        """Tag and write every shard, calling `done` for each. `tagger` may be used here, `load` makes one elsewhere.

        Raises BatchError when a shard cannot be done; those already given to `done` stay done.
        """


@dataclass(frozen=True, slots=True)
class Local:
    """The machine we run on: one process, or several with a tagger each and the cores divided among them."""

    workers: int = 1

    @property
    def threads(self) -> int:
        """The cores divided among the workers, at least one."""
        return max(1, available_cores() // self.workers)

    def tag(
        self,
        shards: Sequence[Shard],
        job: Job,
        tagger: TaggerLike,
        load: Loader,
        progress: Progress,
        done: Callable[[Record], None],
    ) -> None:
        """See `Engine.tag`."""
        if self.workers == 1:
            local.tag_here(shards, job, tagger, progress, done)
        else:
            local.tag_in_processes(shards, job, load, progress, done, workers=self.workers, threads=self.threads)
