"""Shards as tasks of somebody else's scheduler: the plan first, then any shard anywhere, the last one commits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bondlore.cli import main
from bondlore.errors import BatchError, InputError
from bondlore.tag.batch import Pick, plan_only, read_tagged, run, run_shards
from bondlore.tag.batch.folder import Folder
from tiny_model import TinyLoader, archive, rows


@pytest.fixture
def source(tmp_path):
    return archive(tmp_path / "news.jsonl", rows(30))


@pytest.fixture
def untouched(source, tmp_path):
    run([source], tmp_path / "untouched", shard_size=8, load=TinyLoader(), quiet=True)
    return tmp_path / "untouched"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def plan(source, out, **options):
    return plan_only([source], out, load=TinyLoader(), quiet=True, **{"shard_size": 8} | options)


def task(out, text, **options):
    return run_shards(out, Pick.parse(text), quiet=True, **{"load": TinyLoader()} | options)


def result(out):
    return {
        str(p.relative_to(out)): p.read_bytes()
        for p in [*out.glob("shards/*"), out / "COMMITTED.json", out / "manifest.json", out / "rejects.jsonl"]
    }


def test_a_plan_tags_nothing_and_says_which_shards_are_missing(source, out):
    report = plan(source, out)
    assert (report.rows, report.shards, report.missing) == (30, 4, (0, 1, 2, 3))
    assert not (out / "shards").exists()
    with pytest.raises(BatchError, match="is not finished"):
        read_tagged(out)


def test_one_shard_a_task_in_any_order_gives_the_bytes_of_a_whole_run(source, out, untouched):
    plan(source, out)
    left = [task(out, k).left for k in ("2", "0", "3", "1")]
    assert left == [3, 2, 1, 0]
    assert result(out) == result(untouched)
    assert not list(out.glob("input/*"))


def test_the_input_may_be_gone_when_the_tasks_run(source, out, untouched):
    plan(source, out)
    source.unlink()
    assert [task(out, f"{k}/3", workers=2).shards_done for k in range(3)] == [2, 1, 1]
    assert result(out) == result(untouched)


def test_more_tasks_than_shards_leave_some_with_nothing_to_do(source, out):
    plan(source, out)
    reports = [task(out, f"{k}/6") for k in range(6)]
    assert [r.shards_done for r in reports] == [1, 1, 1, 1, 0, 0]
    assert read_tagged(out).num_rows == 30


def test_tasks_at_the_same_time_even_on_the_same_shard_do_no_harm(source, out, untouched):
    plan(source, out)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: task(out, k), ["0", "1", "2", "3", "3", "2", "1", "0"]))
    assert result(out) == result(untouched)


def test_a_task_overtaken_by_another_that_commits_and_tidies_up_does_no_harm(source, out, untouched):
    plan(source, out)
    reports = []

    class Slow(TinyLoader):
        def __call__(self, threads):
            tagger = super().__call__(threads)
            inner = tagger.tag_one

            def tag_one(article):
                if not reports:  # with the first article in hand, another task does the whole plan
                    reports.append(None)
                    reports.append(task(out, "0/1"))
                return inner(article)

            tagger.tag_one = tag_one
            return tagger

    assert task(out, "0/1", load=Slow()).left == 0
    assert reports[1].left == 0
    assert result(out) == result(untouched)
    assert not list(out.glob("input/*"))


def test_a_task_done_before_is_not_done_again(source, out):
    plan(source, out)
    task(out, "1")
    before = (out / "shards" / "shard-00001.parquet").stat().st_mtime_ns
    assert (task(out, "1").shards_done, task(out, "1").shards_skipped) == (0, 1)
    assert (out / "shards" / "shard-00001.parquet").stat().st_mtime_ns == before


def test_a_plain_run_takes_up_what_tasks_left_and_commits(source, out, untouched):
    plan(source, out)
    task(out, "2")
    report = run([source], out, shard_size=8, load=TinyLoader(), quiet=True)
    assert (report.shards_done, report.shards_skipped) == (3, 1)
    assert result(out) == result(untouched)


def test_tasks_take_up_what_a_plain_run_left(source, out, untouched):
    run([source], out, shard_size=8, load=TinyLoader(), quiet=True)
    (out / "done" / "shard-00001.json").unlink()
    with pytest.raises(BatchError, match=r"shard-00001.*its articles are gone; plan it with .* --plan-only"):
        task(out, "1")
    assert plan(source, out).missing == (1,)
    task(out, "1")
    assert result(out) == result(untouched)


def test_a_task_and_a_whole_run_keep_out_of_each_others_way(source, out):
    plan(source, out)
    with Folder(out).locked(), pytest.raises(BatchError, match=r"another run is working here \(process \d+\)"):
        task(out, "0")
    with Folder(out).shared(), pytest.raises(BatchError, match=r"working here \(tasks of single shards\); wait"):
        run([source], out, shard_size=8, load=TinyLoader(), quiet=True)
    assert task(out, "0").shards_done == 1


def test_a_neighbours_half_written_file_is_left_alone(source, out):
    plan(source, out)
    (out / "shards").mkdir()
    neighbours = out / "shards" / ".shard-00003.parquet.1.ab.tmp"
    neighbours.write_text("x")
    task(out, "0")
    assert neighbours.exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"load": TinyLoader("other")}, r"model \(tiny@\w+ there, other@\w+ now\)"),
        ({"limit": 3}, r"limit \(none there, 3 now\)"),
        ({"shard_size": 5}, r"shard size \(8 there, 5 now\)"),
        ({"mapping": {"title": "title"}}, r"columns \(guessed there, title=title now\)"),
    ],
)
def test_a_task_of_another_job_is_refused(source, out, options, named):
    plan(source, out)
    with pytest.raises(BatchError, match=f"belongs to another job: it differs in {named}"):
        task(out, "0", **options)
    assert not (out / "done").exists()


def test_what_was_planned_need_not_be_said_again_but_may_be(source, out, tmp_path):
    plan(source, out, limit=20)
    assert task(out, "0", inputs=[source], limit=20, shard_size=8).shards_done == 1
    other = archive(tmp_path / "other.jsonl", rows(30))
    with pytest.raises(BatchError, match="it was planned from other input"):
        task(out, "1", inputs=[other])


def test_a_shard_the_plan_lacks_is_said(source, out):
    plan(source, out)
    with pytest.raises(InputError, match="there is no shard 4; give a number from 0 to 3"):
        task(out, "4")


def test_a_folder_without_a_plan_is_said(out):
    with pytest.raises(BatchError, match=r"holds no plan; plan it with `bondlore tag INPUT"):
        task(out, "0")
    assert not out.exists()


@pytest.mark.parametrize("text", ["-1", "x", "3/3", "1/0", "1/x", ""])
def test_a_pick_of_nothing_is_a_usage_error(text, out, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["tag", "--out", str(out), f"--shard={text}"])
    assert stopped.value.code == 2
    assert "both count from 0" in capsys.readouterr().err


def test_a_plan_and_a_shard_do_not_go_together(source, out, capsys):
    with pytest.raises(SystemExit):
        main(["tag", str(source), "--out", str(out), "--plan-only", "--shard", "0"])
    assert "not allowed with" in capsys.readouterr().err


def test_the_command_plans_and_tags_with_the_shipped_model(root, out):
    def bondlore(*args):
        env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        return subprocess.Popen([sys.executable, "-m", "bondlore", *map(str, args)], env=env, stdout=subprocess.PIPE)

    source = root / "corpus" / "sample" / "archive.jsonl"
    planned = bondlore("tag", source, "--out", out, "--plan-only", "--limit", 6, "--shard-size", 2, "--json")
    assert json.loads(planned.communicate()[0]) == {"rows": 6, "rejects": 0, "shards": 3, "missing": [0, 1, 2]}
    tasks = [bondlore("tag", "--out", out, "--shard", f"{k}/2", "--json") for k in range(2)]  # at the same time
    reports = [json.loads(t.communicate()[0]) for t in tasks]
    assert [t.returncode for t in tasks] == [0, 0]
    assert [r["shards_done"] for r in reports] == [2, 1]
    assert min(r["left"] for r in reports) == 0
    assert read_tagged(out).num_rows == 6
