"""kill -9 at any moment, then resume: the output is that of a run nobody touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bondlore.tag.batch import read_tagged, run
from tiny_model import TinyLoader, archive, rows

ARTICLES = 40
DRIVER = Path(__file__).with_name("batch_crashes.py")


def command(*args):
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {"args": [sys.executable, str(DRIVER), *map(str, args)], "env": env, "text": True}


def drive(*args):
    done = subprocess.run(**command(*args), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def source(tmp_path):
    return archive(tmp_path / "news.jsonl", rows(ARTICLES))


@pytest.fixture
def untouched(source, tmp_path):
    out = tmp_path / "untouched"
    run([source], out, shard_size=6, load=TinyLoader(), quiet=True)
    return out


def files(out):
    """Every file that is the result, with its bytes; done-records hold times and are left out."""
    return {
        str(p.relative_to(out)): p.read_bytes()
        for p in [*out.glob("shards/*"), out / "COMMITTED.json", out / "manifest.json", out / "rejects.jsonl"]
    }


def check_all(results, work, untouched, *, workers=1):
    expected, table = files(untouched), read_tagged(untouched)
    assert table["id"].to_pylist() == [f"a{i}" for i in range(ARTICLES)]
    for result in results:
        out = work / result["folder"]
        assert result["codes"][-1] == 0, result
        assert files(out) == expected, result
        assert read_tagged(out).equals(table), result
        assert result["unrecorded"] <= workers, "more than one shard a worker was lost"
        assert not list(out.glob("**/.*.tmp")), "a temporary file was left behind"
        assert not list(out.glob("input/*"))


def test_killed_at_any_step_a_resumed_job_ends_as_if_nothing_had_happened(source, untouched, tmp_path):
    results = drive("steps", source, tmp_path, 12, time.time_ns() % 10_000)
    assert all(r["codes"][0] == -signal.SIGKILL for r in results)
    check_all(results, tmp_path, untouched)


def test_a_killed_parent_takes_its_workers_along_and_the_job_resumes(source, untouched, tmp_path):
    results = drive("times", source, tmp_path, 1, time.time_ns() % 10_000, 2, 1.5)
    check_all(results, tmp_path, untouched, workers=2)


@pytest.mark.slow
def test_killed_at_every_step(source, untouched, tmp_path):
    results = drive("steps", source, tmp_path, 0, 1)
    assert len(results) >= 100
    assert all(r["codes"][0] == -signal.SIGKILL for r in results)
    stages = {(r["planned"], r["records"] > 0, r["committed"]) for r in results}
    assert len(stages) == 4, "planning, the first shard, later shards and the tidying after the commit"
    check_all(results, tmp_path, untouched)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills", "longest"), [(1, 100, 0.25), (2, 8, 3.0)])
def test_killed_at_random_times(source, untouched, tmp_path, workers, kills, longest):
    results = drive("times", source, tmp_path, kills, 2, workers, longest)
    check_all(results, tmp_path, untouched, workers=workers)


@pytest.mark.slow
def test_tasks_of_the_same_shards_killed_at_random_times(source, untouched, tmp_path):
    results = drive("tasks", source, tmp_path, 40, 3, 0.25)
    check_all(results, tmp_path, untouched, workers=2)
    assert all(r["committed"] for r in results), "the task that got to the end committed"


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_says_how_to_go_on_and_leaves_nothing_half_written(source, untouched, tmp_path, workers):
    out = tmp_path / "out"
    process = subprocess.Popen(
        **command("run", source, out, workers),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # a shell's background job ignores SIGINT, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("done/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "shards done; run the same command again to go on from there" in said
    assert "KeyboardInterrupt" in said
    assert said.count("Traceback") <= 1, "a worker complained as well"
    before = len(list(out.glob("done/*.json")))
    assert 0 < before < 7
    report = run([source], out, shard_size=6, load=TinyLoader(), quiet=True)
    assert report.shards_skipped == before
    assert files(out) == files(untouched)
