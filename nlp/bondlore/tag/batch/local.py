"""The local engine: one process, or several with one tagger each. The parent hands out shards and counts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess

from bondlore.errors import BatchError, BondloreError
from bondlore.progress import Progress
from bondlore.tag.batch.commit import Record
from bondlore.tag.batch.folder import Shard
from bondlore.tag.batch.shard import TaggerLike
from bondlore.tag.batch.work import Job, Loader, complete

__all__ = ["tag_here", "tag_in_processes"]

_REPORT = 0.2  # seconds between two counts a worker sends
_DEATHS = 2  # processes that may die over one shard before the job stops
_PATIENCE = 5.0  # seconds a process is given to end


def tag_here(
    shards: Sequence[Shard], job: Job, tagger: TaggerLike, progress: Progress, done: Callable[[Record], None]
) -> None:
    """Tag every shard in this process."""
    for shard in shards:
        done(complete(job, shard, tagger, step=lambda failed: progress.step(failed=int(failed))))


def tag_in_processes(
    shards: Sequence[Shard],
    job: Job,
    load: Loader,
    progress: Progress,
    done: Callable[[Record], None],
    *,
    workers: int,
    threads: int,
) -> None:
    """Tag shards in `workers` processes, each with a tagger of `threads` threads.

    A process that dies (killed, out of memory) costs the work on one shard, which another process begins anew. Raises
    BatchError when a shard kills two, or when a worker meets an error of its own.
    """
    pool = _Pool(job, load, threads)
    queue = deque(shards)
    deaths: Counter[str] = Counter()
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
                    deaths[member.shard.name] += 1
                    if deaths[member.shard.name] >= _DEATHS:
                        raise _fatal(member) from None
                    pool.start(member.shard)
                    continue
                if kind == "count":
                    member.count(progress, *values)
                elif kind == "done":
                    done(values[0])
                    pool.assign(member, queue.popleft() if queue else None)
                else:
                    raise BatchError(values[0], where=values[1], remedy=values[2])
    finally:
        pool.stop()


@dataclass(eq=False, slots=True)
class _Member:
    """A worker process as its parent sees it; `counted` and `failed` are articles of the shard in hand."""

    process: SpawnProcess
    pipe: Connection
    shard: Shard
    counted: int = 0
    failed: int = 0

    def count(self, progress: Progress, n: int, failed: int) -> None:
        self.counted += n
        self.failed += failed
        progress.step(n, failed=failed)


class _Pool:
    """The live workers. `concurrent.futures` is not used: one death there fails every task that is pending."""

    def __init__(self, job: Job, load: Loader, threads: int) -> None:
        self.members: list[_Member] = []
        self._job, self._load, self._threads = job, load, threads
        self._context: SpawnContext = multiprocessing.get_context("spawn")

    def start(self, shard: Shard) -> None:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(there, self._job, self._load, self._threads), daemon=True)
        process.start()
        there.close()  # ours would keep the pipe open after the worker's death
        member = _Member(process, here, shard)
        self.members.append(member)
        _send(member, shard)

    def assign(self, member: _Member, shard: Shard | None) -> None:
        """Give a worker its next shard, or let it end."""
        if shard is None:
            member.pipe.close()
            self.members.remove(member)
            member.process.join(_PATIENCE)
            return
        member.shard, member.counted, member.failed = shard, 0, 0
        _send(member, shard)

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


def _send(member: _Member, shard: Shard) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # died already: the end of the pipe will say so
        member.pipe.send(shard)


def _fatal(member: _Member) -> BatchError:
    code = member.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return BatchError(
        f"{_DEATHS} worker processes died on it ({how})",
        where=member.shard.name,
        remedy="use fewer --workers if memory is short, then run the same command again: finished shards are kept",
    )


def _serve(pipe: Connection, job: Job, load: Loader, threads: int) -> None:
    """A worker's life: load the tagger, take shards until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's pool, read when it is first used
    counter = _Counter(pipe)
    try:
        tagger = load(threads)
        job.check(tagger)
        while True:
            shard: Shard = pipe.recv()
            record = complete(job, shard, tagger, step=counter.step)
            counter.flush()
            pipe.send(("done", record))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has no more work, or is gone
    except BondloreError as error:
        pipe.send(("failed", error.message, error.where, error.remedy))
    except Exception as error:
        reason = f"a worker failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
        pipe.send(("failed", reason, job.root, "mend the cause, then run the same command again"))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Counter:
    """Gathers counts of articles and sends them now and then."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._n, self._failed, self._sent = pipe, 0, 0, time.monotonic()

    def step(self, failed: bool) -> None:
        self._n += 1
        self._failed += failed
        if time.monotonic() - self._sent >= _REPORT:
            self.flush()

    def flush(self) -> None:
        self._pipe.send(("count", self._n, self._failed))
        self._n, self._failed, self._sent = 0, 0, time.monotonic()
