"""The Ray engine: our shards over actors, one tagger each, on one machine or many. Ray schedules; it stores nothing.

Articles travel to the actors and tables back, so that no disk has to be shared: only this process writes the folder.
Ray's own checkpoints and block layouts are not used; a run with another cluster finds the same shards.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from bondlore.errors import BatchError, InputError, MissingExtraError
from bondlore.tag.batch.folder import GO_ON, Shard
from bondlore.tag.batch.work import Answer, Job, Loader, Order, answer, complaint, fetch, ready, store
from bondlore.tag.cache import Remembering
from bondlore.tag.runtime import available_cores

__all__ = ["Ray"]

_DEATHS = 3  # workers that may die over one shard before the job stops; whole machines may go, so more than locally
_TICK = 1.0  # seconds between two looks at the progress line while no shard ends
_ANSWERS = 10.0  # seconds for an address to accept a connection
_TRIES = 3  # to start a cluster here: on a machine busy with other work the first may run out of time
_STORE = 256 << 20  # bytes of shared memory of a cluster we start: a shard is some megabytes, one a worker is out
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Ray:
    """`workers` actors (None: one a CPU of the cluster) of `threads` threads on the cluster at `address`.

    Without an address RAY_ADDRESS is joined, else a cluster of this machine's cores is started, and ended afterwards.
    Raises MissingExtraError where Ray is not installed.
    """

    workers: int | None = None
    address: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers is {self.workers}", where="--engine ray", remedy="give a whole number from 1")
        _library()

    def tag(self, order: Order) -> None:
        """See `Engine.tag`. A worker that dies costs the work on one shard, which another worker begins anew."""
        ray = _library()
        with _joined(ray, self.address):
            workers = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // self.threads)
            crew = _Crew(ray, order.job, order.load, self.threads)
            try:
                _drive(crew, order, workers=workers)
            finally:
                crew.dismiss()


def _drive(crew: _Crew, order: Order, *, workers: int) -> None:
    queue = deque(order.shards)
    deaths: Counter[str] = Counter()
    for _ in range(min(workers, len(queue))):
        crew.assign(crew.hire(), queue.popleft())
    while crew.busy:
        for ref in crew.ready():
            actor, shard = crew.busy.pop(ref)
            found = crew.result(ref)
            if isinstance(found, _Death):
                crew.forget(actor)
                deaths[shard.name] += 1
                if deaths[shard.name] >= _DEATHS:
                    raise BatchError(
                        f"{_DEATHS} Ray workers died on it ({found.reason})",
                        where=shard.name,
                        remedy=f"see Ray's logs, use fewer --workers if memory is short, {GO_ON}",
                    )
                crew.assign(crew.hire(), shard)
                continue
            if isinstance(found, _Failure):
                raise BatchError(found.message, where=found.where, remedy=found.remedy)
            if queue:  # before writing: the worker need not wait for our disk
                crew.assign(actor, queue.popleft())
            else:
                crew.forget(actor)
            record = store(order.job, shard, found)
            order.done(record)
            order.progress.step(record.rows, failed=record.errors)
        order.progress.step(0)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error a worker met, in the parts of a BondloreError."""

    message: str
    where: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Death:
    """A worker, its machine, or the answer on its way was lost."""

    reason: str


class _Worker:
    """The actor: loads its tagger with the first shard, so that what goes wrong there comes back as an answer."""

    def __init__(self, job: Job, load: Loader, threads: int) -> None:
        self._job, self._load, self._threads = job, load, threads
        self._tagger: Remembering | None = None
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's pool, read when it is first used

    def tag(self, data: bytes, shard: Shard) -> Answer | _Failure:
        try:
            self._tagger = self._tagger or ready(self._job, self._load, self._threads)
            return answer(data, shard, self._tagger, where=shard.name)
        except Exception as error:
            return _Failure(*complaint(self._job, error))


class _Crew:
    """The live actors and what each has in hand, by the reference of the answer to come."""

    def __init__(self, ray: Any, job: Job, load: Loader, threads: int) -> None:
        self.busy: dict[Any, tuple[Any, Shard]] = {}
        self._ray, self._job, self._load, self._threads = ray, job, load, threads
        # no restarts by Ray: a shard that kills its workers must be counted, not begun for ever
        self._remote = ray.remote(num_cpus=threads, max_restarts=0, max_task_retries=0)(_Worker)

    def hire(self) -> Any:
        """A new actor. It starts as soon as the cluster has a free CPU."""
        return self._remote.remote(self._job, self._load, self._threads)

    def assign(self, actor: Any, shard: Shard) -> None:
        self.busy[actor.tag.remote(fetch(self._job, shard), shard)] = actor, shard

    def ready(self) -> list[Any]:
        """References of answers that are there; none after a second of silence."""
        return list(self._ray.wait(list(self.busy), timeout=_TICK)[0])

    def result(self, ref: Any) -> Answer | _Failure | _Death:
        try:
            found: Answer | _Failure = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            return _Death(_reason(error))
        return found

    def forget(self, actor: Any) -> None:
        """End one actor; its CPU may be wanted by one that waits."""
        self._ray.kill(actor)

    def dismiss(self) -> None:
        """End every actor at once: none of them writes anything that could be left half done."""
        for actor, _ in self.busy.values():
            self.forget(actor)
        self.busy.clear()


def _reason(error: Exception) -> str:
    """The first and the last line of Ray's report, without colours: what happened, and the cause where it has one."""
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()] or [
        type(error).__name__
    ]
    return " … ".join(dict.fromkeys((lines[0][:200], lines[-1][:200])))


def _library() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray


@contextmanager
def _joined(ray: Any, address: str | None) -> Iterator[None]:
    """Be part of a cluster. One the caller is already in is used as it is and left as it is."""
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # ours tells nobody that it runs
        options |= {"num_cpus": available_cores(), "include_dashboard": False, "object_store_memory": _STORE}
        options |= {"_node_ip_address": "127.0.0.1"}  # nobody else is to join it
    with redirect_stdout(sys.stderr):  # Ray tells of a lost machine on standard output, where results go
        _enter(ray, address, options)
        try:
            yield
        finally:
            ray.shutdown()


def _enter(ray: Any, address: str, options: dict[str, Any]) -> None:
    host, _, port = address.rpartition(":")
    if port.isdecimal() and not host.startswith("ray:"):
        try:  # Ray itself asks an address where nobody answers for seven minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS).close()
        except OSError as error:
            raise _nobody(address, error) from error
    for left in reversed(range(_TRIES)):
        try:
            ray.init(address=address, **options)
        except Exception as error:  # a bare one, when Ray's own processes are not up in its fixed half a minute
            ray.shutdown()
            if left and address == "local" and "timed out" in str(error):
                continue
            raise _nobody(address, error) from error
        return


def _nobody(address: str, error: Exception) -> BatchError:
    return BatchError(
        f"no Ray cluster can be joined or started there ({_reason(error)})",
        where=address,
        remedy="check with `ray status --address HOST:PORT`, or leave --address out to start one here",
    )
