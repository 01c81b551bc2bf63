"""Disks that fill up or turn read-only, cut input, two runs at once: a clear refusal, and nothing is lost."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bondlore.errors import BatchError, InputError
from bondlore.tag.batch import read_tagged, run
from tiny_model import TinyLoader, archive, rows

ARTICLES = 60


def tag(source, out, **options):
    return run([source], out, shard_size=8, load=TinyLoader(), quiet=True, **options)


def result(out):
    return {
        str(p.relative_to(out)): p.read_bytes()
        for p in [*out.glob("shards/*"), out / "COMMITTED.json", out / "manifest.json", out / "rejects.jsonl"]
    }


@pytest.fixture
def source(tmp_path):
    return archive(tmp_path / "news.jsonl", rows(ARTICLES))


@pytest.fixture
def untouched(source, tmp_path):
    tag(source, tmp_path / "untouched")
    return result(tmp_path / "untouched")


class Disk:
    """A file system in memory."""

    def __init__(self, root):
        self.root = root
        root.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", root)

    def set(self, option):
        self._mount("-o", f"remount,{option}", self.root)

    def close(self):
        gc.collect()  # the traceback of a refused write may still hold its file
        # lazily: what is gone from the tree is freed when its last user is
        subprocess.run(["umount", "--lazy", str(self.root)], check=True)

    def _mount(self, *args):
        done = subprocess.run(["mount", *map(str, args)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here ({done.stderr.strip()})")


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk")
    yield made
    made.close()


@pytest.mark.parametrize(("workers", "step"), [(1, 8), (2, 64)])
def test_a_disk_that_is_full_again_and_again_loses_nothing(source, untouched, disk, workers, step):
    out, refusals, done = disk.root / "out", [], 0
    for size in range(8, 1024, step):
        disk.set(f"size={size}k")
        try:
            tag(source, out, workers=workers)
            break
        except BatchError as error:
            refusals.append(error)
        assert not list(out.glob("**/*.tmp"))
        before, done = done, len(list(out.glob("done/*.json")))
        assert done >= before, "a finished shard was lost"
    assert len(refusals) >= 2
    assert all(error.where.startswith(str(out)) for error in refusals)
    assert all("No space left on device" in error.message for error in refusals)
    assert all(error.remedy.startswith("free space") for error in refusals)
    assert any("shard-0" in error.where for error in refusals), "the disk was never full while tagging"
    assert result(out) == untouched


def test_a_disk_that_turns_read_only_is_said_and_what_is_there_can_be_read(source, disk):
    out = disk.root / "out"
    tag(source, out)
    disk.set("ro")
    assert read_tagged(out).num_rows == ARTICLES
    for folder in (out, disk.root / "new"):
        with pytest.raises(
            BatchError, match=rf"{folder}.*: cannot be written \(Read-only file system\); free space or"
        ):
            tag(source, folder)
    disk.set("rw")
    assert tag(source, out).shards_skipped == 8


def test_two_runs_at_once_on_one_folder_the_second_is_refused(source, untouched, tmp_path):
    out, here = tmp_path / "out", Path(__file__).parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in [str(here), *sys.path] if p)}
    first = subprocess.Popen([sys.executable, here / "batch_crashes.py", "run", source, out, "1"], env=env)
    deadline = time.monotonic() + 60
    while not list(out.glob("done/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(BatchError, match=rf"another run is working here \(process {first.pid}\); wait for it"):
        run([source], out, shard_size=6, load=TinyLoader(), quiet=True)
    assert first.wait(60) == 0
    assert run([source], out, shard_size=6, load=TinyLoader(), quiet=True).shards_done == 0
    assert read_tagged(out)["id"].to_pylist() == [f"a{i}" for i in range(ARTICLES)]


def test_cut_parquet_input_is_named_and_the_whole_file_can_follow(tmp_path):
    source, out = tmp_path / "news.parquet", tmp_path / "out"
    pq.write_table(pa.Table.from_pylist(rows(300)), source)
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"news.parquet: is not a readable Parquet file .*; give files with"):
        tag(source, out)
    source.write_bytes(whole)
    assert tag(source, out).rows == 300


def test_a_csv_cut_in_the_middle_of_a_quote_is_named(tmp_path):
    source = tmp_path / "news.csv"
    lines = ["id,title,text", *(f'{r["id"]},{r["title"]},"{r["text"]}"' for r in rows(30))]
    source.write_text("\n".join(lines)[:-20])
    with pytest.raises(InputError, match=r"news.csv, row 3\d: is not CSV .*; check the quotes there"):
        tag(source, tmp_path / "out")


def test_json_lines_cut_in_the_last_line_cost_that_line_which_is_kept_with_its_reason(source, tmp_path):
    source.write_bytes(source.read_bytes()[:-30])
    report = tag(source, tmp_path / "out")
    assert (report.rows, report.rejects) == (ARTICLES - 1, 1)
    reject = json.loads((tmp_path / "out" / "rejects.jsonl").read_text())
    assert reject["row"] == ARTICLES
    assert "not JSON" in reject["reason"]
