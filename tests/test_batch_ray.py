"""The Ray engine on a real cluster of two nodes on this machine: the same bytes, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bondlore.cli import main
from bondlore.errors import BatchError, InputError
from bondlore.progress import Progress
from bondlore.tag.batch import plan_only, read_tagged, run
from bondlore.tag.batch.folder import Folder
from bondlore.tag.batch.plan import read_plan
from bondlore.tag.batch.work import Job, Order
from tiny_model import TinyLoader, archive, rows

HERE = Path(__file__).parent
# what Ray itself warns of: its own child processes and settings
QUIET = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def with_ray(test):
    """Mark a test that starts Ray."""
    for mark in [*QUIET, pytest.mark.slow]:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU each; workers find the tests' modules by PYTHONPATH."""
    ray = pytest.importorskip("ray", reason="needs bondlore[ray]")
    from ray.cluster_utils import Cluster

    settings = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_register_timeout_seconds": "300"}
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", *settings)}
    os.environ["PYTHONPATH"] = os.pathsep.join(p for p in [str(HERE), *sys.path] if p)
    os.environ.update(settings)
    made = Cluster()
    for _ in range(2):
        add_node(made)
    yield made
    ray.shutdown()
    made.shutdown()
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def add_node(cluster):
    # Ray takes 127.0.0.1 for the machine's outward address; this one is loopback and stays so
    return cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2", object_store_memory=100 << 20)


def tag(source, out, cluster=None, *, workers=2, load=None, **options):
    if cluster:
        from bondlore.tag.batch.cluster import Ray

        options["engine"] = Ray(workers, cluster.address)
    return run([source], out, shard_size=6, load=load or TinyLoader(), **{"quiet": True} | options)


def result(out):
    return {
        str(p.relative_to(out)): p.read_bytes()
        for p in [*out.glob("shards/*"), out / "COMMITTED.json", out / "manifest.json", out / "rejects.jsonl"]
    }


@pytest.fixture
def source(tmp_path):
    return archive(tmp_path / "news.jsonl", rows(40))


@pytest.fixture
def untouched(source, tmp_path):
    tag(source, tmp_path / "untouched")
    return result(tmp_path / "untouched")


@with_ray
@pytest.mark.parametrize("workers", [1, 2, None])
def test_any_number_of_ray_workers_write_the_bytes_of_a_local_run(source, untouched, tmp_path, cluster, workers):
    report = tag(source, tmp_path / "out", cluster, workers=workers)
    assert (report.rows, report.shards_done) == (40, 7)
    assert result(tmp_path / "out") == untouched


@with_ray
def test_ray_and_local_go_on_where_the_other_was_stopped(source, untouched, tmp_path, cluster):
    out = tmp_path / "out"
    tag(source, out)
    for k in (1, 4):
        (out / "done" / f"shard-0000{k}.json").unlink()
    assert tag(source, out, cluster).shards_done == 2
    assert result(out) == untouched


@with_ray
def test_a_killed_worker_costs_only_its_shard_which_is_tagged_again(tmp_path, cluster):
    items = rows(40)
    items[12]["text"] = "w1 deadly w2."
    source = archive(tmp_path / "a.jsonl", items)
    marker = tmp_path / "died"
    report = tag(source, tmp_path / "out", cluster, load=TinyLoader(marker=str(marker)))
    assert marker.exists(), "no worker was killed"
    assert (report.rows, report.errors) == (40, 0)
    tag(source, tmp_path / "local")
    assert result(tmp_path / "out") == result(tmp_path / "local")


@with_ray
def test_a_lost_machine_costs_only_what_was_on_it(source, untouched, tmp_path, cluster):
    out = tmp_path / "out"
    third = add_node(cluster)
    lost = []

    def lose():
        deadline = time.monotonic() + 120
        while not list(out.glob("done/*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        cluster.remove_node(third, allow_graceful=False)
        lost.append(len(list(out.glob("done/*.json"))))

    thread = threading.Thread(target=lose)
    thread.start()
    tag(source, out, cluster, workers=3, load=TinyLoader(delay=0.15))
    thread.join()
    assert 0 < lost[0] < 7, "the machine was not lost in the middle"
    assert result(out) == untouched


@with_ray
def test_a_shard_that_kills_every_worker_stops_the_job_and_keeps_the_others(tmp_path, cluster):
    items = rows(18)
    items[17]["text"] = "w1 deadly w2."
    source = archive(tmp_path / "a.jsonl", items)
    deadly = TinyLoader(marker=str(tmp_path / "died"), again=True)
    with pytest.raises(BatchError, match=r"shard-00002: 3 Ray workers died on it .*finished shards are kept"):
        tag(source, tmp_path / "out", cluster, load=deadly)
    assert tag(source, tmp_path / "out", cluster).shards_skipped == 2


@with_ray
def test_poison_is_a_row_and_the_progress_line_counts_it(tmp_path, cluster, capsys):
    items = rows(20)
    items[5]["text"] = "w1 poison w2."
    report = tag(archive(tmp_path / "a.jsonl", items), tmp_path / "out", cluster, quiet=False)
    assert report.errors == 1
    assert read_tagged(tmp_path / "out")["error"][5].as_py() == "ValueError: a poisoned window"
    said = capsys.readouterr().err
    assert "tag: 20/20 articles" in said
    assert ", 1 error," in said


@with_ray
def test_a_worker_with_another_model_is_refused(source, tmp_path, cluster):
    from bondlore.tag.batch.cluster import Ray

    out = tmp_path / "out"
    plan_only([source], out, shard_size=6, load=TinyLoader(), quiet=True)
    plan = read_plan(Folder(out))
    job = Job(str(out), plan.fingerprint.id, TinyLoader().bundle().id)
    order = Order(plan.shards[:1], job, TinyLoader("other"), Progress("tag", quiet=True), print)
    with pytest.raises(BatchError, match="the model changed during the job"):
        Ray(1, cluster.address).tag(order)
    assert not (out / "done").exists()


@with_ray
def test_ctrl_c_on_a_cluster_started_for_the_job_loses_nothing(source, untouched, tmp_path):
    out = tmp_path / "out"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in [str(HERE), *sys.path] if p)}
    env.pop("RAY_ADDRESS", None)
    command = [sys.executable, str(HERE / "batch_crashes.py"), "ray", str(source), str(out), "2"]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(out.glob("done/*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: Ray's processes get it too
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "shards done; run the same command again to go on from there" in said
    before = len(list(out.glob("done/*.json")))
    assert 0 < before < 7, said
    assert not list(out.glob("**/.*.tmp"))
    assert tag(source, out).shards_skipped == before
    assert result(out) == untouched


@with_ray
def test_the_command_joins_a_cluster_by_its_address(root, tmp_path, cluster, capsys):
    out, source = str(tmp_path / "out"), str(root / "corpus" / "sample" / "archive.jsonl")
    options = ["--limit", "8", "--shard-size", "3", "--json"]
    assert main(["tag", source, "--out", out, "--engine", "ray", "--address", cluster.address, *options]) == 0
    assert json.loads(capsys.readouterr().out)["shards_done"] == 3
    assert main(["tag", source, "--out", str(tmp_path / "local"), *options]) == 0
    assert result(tmp_path / "out") == result(tmp_path / "local")


@with_ray
def test_no_cluster_at_an_address_is_said(source, tmp_path):
    pytest.importorskip("ray", reason="needs bondlore[ray]")
    from bondlore.tag.batch.cluster import Ray

    with pytest.raises(BatchError, match=r"127.0.0.1:9: no Ray cluster can be joined .*; check with `ray status"):
        run([source], tmp_path / "out", load=TinyLoader(), quiet=True, engine=Ray(1, "127.0.0.1:9"))


# without Ray


def test_without_the_extra_the_remedy_is_named_and_nothing_is_written(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # as Python itself marks a module that must not be imported
    assert main(["tag", str(source), "--out", str(tmp_path / "out"), "--engine", "ray"]) == 1
    assert "ray is not installed; pip install 'bondlore[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--address", "127.0.0.1:1"], "--address is of no use here; add --engine ray"),
        (["--engine", "ray", "--shard", "0"], "--engine ray tags whole archives"),
    ],
)
def test_options_that_contradict_each_other_are_refused(source, tmp_path, capsys, options, said):
    assert main(["tag", str(source), "--out", str(tmp_path / "out"), *options]) == 1
    assert said in capsys.readouterr().err


def test_no_ray_worker_at_all_is_refused():
    pytest.importorskip("ray", reason="needs bondlore[ray]")
    from bondlore.tag.batch.cluster import Ray

    with pytest.raises(InputError, match="workers is 0"):
        Ray(0)
