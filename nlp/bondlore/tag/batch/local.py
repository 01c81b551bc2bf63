"""The local engine: one process, or several with one tagger each. The parent hands out shards and counts.

What kills a process (a fault in a library, memory) costs the work on one shard. The shard is then read again with
every article announced, so that one that kills again is known, and becomes an error row as any poison does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess

from bondlore.errors import BatchError, BondloreError
from bondlore.progress import Progress
from bondlore.tag.batch.folder import GO_ON, Shard
from bondlore.tag.batch.work import Job, Loader, Order, complaint, complete, ready

__all__ = ["tag_here", "tag_in_processes"]

_REPORT = 0.2  # seconds between two counts a worker sends
_DEATHS = 2  # processes that may die over one shard while no article is in hand (loading, writing)
_CULPRITS = 3  # articles of one shard that may kill a process: with more it is the machine
_PATIENCE = 5.0  # seconds a process is given to end


def tag_here(order: Order, *, threads: int) -> None:
    """Tag every shard in this process."""
    tagger = ready(order.job, order.load, threads)
    for shard in order.shards:
        try:
            record = complete(order.job, shard, tagger, step=lambda failed: order.progress.step(failed=int(failed)))
        except (BondloreError, OSError):
            raise
        except Exception as error:
            message, where, remedy = complaint(order.job, error)
            raise BatchError(message, where=where, remedy=remedy) from error
        order.done(record)


def tag_in_processes(order: Order, *, workers: int, threads: int) -> None:
    """Tag shards in `workers` processes, each with a tagger of `threads` threads.

    Raises BatchError when processes go on dying over a shard, or when a worker meets an error of its own.
    """
    progress = order.progress
    pool = _Pool(order.job, order.load, threads)
    queue = deque(order.shards)
    try:
        for _ in range(min(workers, len(queue))):
            pool.start(queue.popleft())
        while pool.members:
            for member in pool.ready():
                try:
                    kind, *values = member.pipe.recv()
                except (EOFError, OSError):  # also for a message cut short
                    progress.step(-member.counted, failed=-member.failed)
                    pool.forget(member)
                    pool.cases[member.shard.name].died(member)
                    pool.start(member.shard)
                    continue
                if kind == "count":
                    member.count(progress, *values)
                elif kind == "done":
                    order.done(values[0])
                    pool.assign(member, queue.popleft() if queue else None)
                else:
                    raise BatchError(values[0], where=values[1], remedy=values[2])
    finally:
        pool.stop()


@dataclass(eq=False, slots=True)
class _Member:
    """A worker process as its parent sees it; `counted` and `failed` are articles of the shard in hand.

    `loaded` once it has its tagger.
    """

    process: SpawnProcess
    pipe: Connection
    shard: Shard
    counted: int = 0
    failed: int = 0
    loaded: bool = False

    def count(self, progress: Progress, n: int, failed: int) -> None:
        self.loaded = True
        self.counted += n
        self.failed += failed
        progress.step(n, failed=failed)


@dataclass(slots=True)
class _Case:
    """The deaths over one shard, and what follows for the next process that is given it.

    `careful`: every article is announced. `refused`: place in the shard -> why that article is not to be read.
    """

    careful: bool = False
    refused: dict[int, str] = field(default_factory=dict)
    idle: int = 0  # deaths while no article was in hand

    def died(self, member: _Member) -> None:
        """Take note of a death. Raises BatchError when it is one too many."""
        code = member.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        if not member.loaded or member.counted >= member.shard.rows:
            self.idle += 1
        elif self.careful:
            self.refused[member.counted] = f"killed the process that read it ({how})"
        else:
            self.careful = True
        if self.idle >= _DEATHS or len(self.refused) > _CULPRITS:
            raise BatchError(
                f"{self.idle + self.careful + len(self.refused)} worker processes died on it ({how})",
                where=member.shard.name,
                remedy=f"use fewer --workers if memory is short, {GO_ON}",
            )


class _Pool:
    """The live workers. `concurrent.futures` is not used: one death there fails every task that is pending."""

    def __init__(self, job: Job, load: Loader, threads: int) -> None:
        self.members: list[_Member] = []
        self.cases: defaultdict[str, _Case] = defaultdict(_Case)
        self._job, self._load, self._threads = job, load, threads
        self._context: SpawnContext = multiprocessing.get_context("spawn")

    def start(self, shard: Shard) -> None:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(there, self._job, self._load, self._threads), daemon=True)
        process.start()
        there.close()  # ours would keep the pipe open after the worker's death
        member = _Member(process, here, shard)
        self.members.append(member)
        self._send(member)

    def assign(self, member: _Member, shard: Shard | None) -> None:
        """Give a worker its next shard, or let it end."""
        if shard is None:
            member.pipe.close()
            self.members.remove(member)
            member.process.join(_PATIENCE)
            return
        member.shard, member.counted, member.failed = shard, 0, 0
        self._send(member)

    def ready(self) -> list[_Member]:
        """Members that have sent something or died; blocks until there is one."""
        spoken = wait([member.pipe for member in self.members])
        return [member for member in self.members if member.pipe in spoken]

    def forget(self, member: _Member) -> None:
        self.members.remove(member)
        member.pipe.close()
        member.process.join(_PATIENCE)

    def stop(self) -> None:
        """End every worker at once. What it was writing is a temporary file, swept away by the next run."""
        for member in self.members:
            member.process.terminate()
        for member in self.members:
            member.process.join(_PATIENCE)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            member.pipe.close()
        self.members.clear()

    def _send(self, member: _Member) -> None:
        case = self.cases.get(member.shard.name) or _Case()
        with suppress(BrokenPipeError, ConnectionResetError):  # died already: the end of the pipe will say so
            member.pipe.send((member.shard, case.careful, case.refused))


def _serve(pipe: Connection, job: Job, load: Loader, threads: int) -> None:
    """A worker's life: load the tagger, take shards until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's pool, read when it is first used
    counter = _Counter(pipe)
    try:
        tagger = ready(job, load, threads)
        counter.flush()
        while True:
            shard, counter.each, refused = pipe.recv()
            record = complete(job, shard, tagger, refused=refused, careful=counter.each, step=counter.step)
            counter.flush()
            pipe.send(("done", record))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has no more work, or is gone
    except Exception as error:
        pipe.send(("failed", *complaint(job, error)))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Counter:
    """Gathers counts of articles and sends them now and then, or with `each` one by one."""

    def __init__(self, pipe: Connection) -> None:
        self.each = False
        self._pipe, self._n, self._failed, self._sent = pipe, 0, 0, time.monotonic()

    def step(self, failed: bool) -> None:
        self._n += 1
        self._failed += failed
        if self.each or time.monotonic() - self._sent >= _REPORT:
            self.flush()

    def flush(self) -> None:
        self._pipe.send(("count", self._n, self._failed))
        self._n, self._failed, self._sent = 0, 0, time.monotonic()
