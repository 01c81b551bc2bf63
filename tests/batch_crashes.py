"""Run batch jobs in processes of their own and kill them: `python batch_crashes.py MODE ARGS`.

A job's process is forked from this one, so that a hundred crashes cost a hundred forks, not a hundred imports.
Killed means SIGKILL: no handler runs, nothing is flushed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bondlore.ingest.archive import read_archive
from bondlore.tag.batch import Pick, plan_only, run, run_shards, tag_shard
from tiny_model import TinyLoader

_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "fcntl.flock"}


def job(source: Path, out: Path, *, workers: int = 1, delay: float = 0.0) -> Any:
    return run([source], out, workers=workers, shard_size=6, load=TinyLoader(delay=delay), quiet=True)


def tasks(out: Path, delay: float) -> None:
    """All shards of a plan as one task of somebody else's scheduler."""
    run_shards(out, Pick(0, 1), load=TinyLoader(delay=delay), quiet=True)


def in_child(work: Callable[[], None]) -> int:
    """Fork a process that does `work`; its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(f"child: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def ended(pid: int) -> int:
    """Wait for the process; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_step(source: Path, out: Path, step: int, *, count_to: Path | None = None) -> int:
    """Run a job that kills itself just before its `step`th act on the output folder. Its exit code."""
    acts = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal acts
        if event in _EVENTS and (event == "fcntl.flock" or str(args[0]).startswith(str(out))):
            acts += 1
            if acts == step:
                os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        sys.addaudithook(hook)
        job(source, out)
        if count_to:
            count_to.write_text(str(acts))

    return ended(in_child(work))


def after(source: Path, out: Path, seconds: float, *, workers: int) -> int:
    """Run a job and kill it after so many seconds. Its exit code."""
    pid = in_child(lambda: job(source, out, workers=workers, delay=0.002))
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return ended(pid)


def state(out: Path) -> dict[str, Any]:
    """What a crash left behind."""
    tables, records = ({p.stem for p in (out / d).glob("shard-*")} for d in ("shards", "done"))
    return {
        "planned": (out / "manifest.json").exists(),
        "unrecorded": len(tables - records),
        "records": len(records),
        "committed": (out / "COMMITTED.json").exists(),
    }


def steps_mode(source: Path, work: Path, how_many: int, seed: int) -> list[dict[str, Any]]:
    """Crash at `how_many` steps (0: at every one), each in a folder of its own, every third twice; then resume."""
    counter = work / "steps"
    assert at_step(source, work / "counted", 0, count_to=counter) == 0
    total = int(counter.read_text())
    rng = random.Random(seed)
    steps = list(range(1, total + 1)) if not how_many else sorted(rng.sample(range(1, total + 1), how_many))
    out = []
    for step in steps:
        folder = work / f"step-{step}"
        codes = [at_step(source, folder, step)]
        left = state(folder)
        if step % 3 == 0:
            codes.append(at_step(source, folder, rng.randint(1, total)))
        codes.append(at_step(source, folder, 0))
        out.append({"folder": folder.name, "step": step, "of": total, "codes": codes, **left})
    return out


def times_mode(source: Path, work: Path, kills: int, seed: int, workers: int, longest: float) -> list[dict[str, Any]]:
    """Kill jobs after random times, each folder again and again until a run gets to its end."""
    rng = random.Random(seed)
    out: list[dict[str, Any]] = []
    done = 0
    while done < kills:
        folder = work / f"time-{len(out)}"
        codes = [1]
        while codes[-1] != 0 and done < kills:
            codes.append(after(source, folder, rng.uniform(0, longest), workers=workers))
            assert codes[-1] in (0, -signal.SIGKILL), codes
            done += codes[-1] != 0
        left = state(folder)
        codes.append(ended(in_child(lambda folder=folder: job(source, folder, workers=workers))))
        out.append({"folder": folder.name, "codes": codes[1:], **left})
    return out


def tasks_mode(source: Path, work: Path, kills: int, seed: int, longest: float) -> list[dict[str, Any]]:
    """Two tasks of the same shards at once, killed after random times until one gets to the end."""
    rng = random.Random(seed)
    out: list[dict[str, Any]] = []
    done = 0
    while done < kills:
        folder = work / f"tasks-{len(out)}"
        plan_only([source], folder, shard_size=6, load=TinyLoader(), quiet=True)
        codes = [1]
        while 0 not in codes[-2:]:
            pids = [in_child(lambda folder=folder: tasks(folder, 0.002)) for _ in range(2)]
            time.sleep(rng.uniform(0, longest))
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            codes += [ended(pid) for pid in pids]
            assert set(codes[1:]) <= {0, -signal.SIGKILL}, codes
            done += codes[-2:].count(-signal.SIGKILL)
        left = state(folder)
        codes.append(ended(in_child(lambda folder=folder: job(source, folder))))  # a whole run tidies up after tasks
        out.append({"folder": folder.name, "codes": codes[1:], **left})
    return out


def warm(source: Path) -> None:
    """Load here what a job loads lazily, so that it is loaded once; nothing that starts a thread."""
    tag_shard([next(iter(read_archive([source])))], TinyLoader()(1))
    for name in ("onnxruntime", "pyarrow", "tokenizers"):
        version(name)


def main(mode: str, source: str, work: str, *rest: str) -> None:
    if mode not in ("run", "ray"):
        warm(Path(source))
    if mode == "steps":
        result: Any = steps_mode(Path(source), Path(work), int(rest[0]), int(rest[1]))
    elif mode == "times":
        result = times_mode(Path(source), Path(work), int(rest[0]), int(rest[1]), int(rest[2]), float(rest[3]))
    elif mode == "tasks":
        result = tasks_mode(Path(source), Path(work), int(rest[0]), int(rest[1]), float(rest[2]))
    else:  # one slow job, not quiet, for the tests of Ctrl-C
        load, workers, engine = TinyLoader(delay=0.05), int(rest[0]), None
        if mode == "ray":
            from bondlore.tag.batch.cluster import Ray

            load, engine = TinyLoader(delay=0.2), Ray(workers)
        result = str(run([Path(source)], Path(work), workers=workers, shard_size=6, load=load, engine=engine))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
