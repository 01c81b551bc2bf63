"""Engines: who tags the shards of a plan. They only schedule; the shards, and how they are written, are ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bondlore.tag.batch import local
from bondlore.tag.batch.work import Order
from bondlore.tag.runtime import available_cores

__all__ = ["Engine", "Local"]


class Engine(Protocol):
    """Anything that gets shards done, in any order, on any number of workers."""

    def tag(self, order: Order) -> None:
        """Tag and write every shard of the order, calling its `done` for each.

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

    def tag(self, order: Order) -> None:
        """See `Engine.tag`."""
        if self.workers == 1:
            local.tag_here(order, threads=self.threads)
        else:
            local.tag_in_processes(order, workers=self.workers, threads=self.threads)
