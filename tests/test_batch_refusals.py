"""What `tag.batch` refuses, and how it says so: other jobs, other input, folders it may not or cannot write."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bondlore.errors import BatchError, InputError
from bondlore.tag.batch import plan_only, read_tagged, run
from bondlore.tag.batch.folder import Folder
from tiny_jobs import shards, tag
from tiny_model import TinyLoader, archive, rows


@pytest.fixture
def source(tmp_path):
    return archive(tmp_path / "news.jsonl", rows(30))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"load": TinyLoader(name="other")}, r"model \(tiny@\w+ there, other@\w+ now\)"),
        ({"limit": 3}, r"limit \(none there, 3 now\)"),
        ({"shard_size": 5}, r"shard size \(8 there, 5 now\)"),
        ({"mapping": {"title": "title"}}, r"columns \(guessed there, title=title now\)"),
    ],
)
def test_a_folder_of_another_job_is_refused_and_left_alone(source, out, change, named):
    tag(source, out)
    before = shards(out)
    with pytest.raises(BatchError, match=f"belongs to another job: it differs in {named}; give another --out"):
        tag(source, out, **change)
    assert shards(out) == before
    assert read_tagged(out).num_rows == 30


def reworded(taxonomy):
    first, *others = taxonomy.narratives
    return replace(taxonomy, narratives=(replace(first, definition="something else"), *others))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda b: replace(b, files={"tokenizer.json": "0" * 64}), "model"),
        (lambda b: replace(b, files={"model.onnx": "0" * 64}), "model"),
        (lambda b: replace(b, window=replace(b.window, context=1)), "model"),
        (lambda b: replace(b, calibration=replace(b.calibration, threshold=(0.6, 0.7))), "model"),
        (lambda b: replace(b, taxonomy=reworded(b.taxonomy)), "taxonomy"),
    ],
)
def test_whatever_decides_an_answer_makes_another_job(source, out, change, named):
    class Changed(TinyLoader):
        def bundle(self):
            return change(super().bundle())

    plan_only([source], out, load=TinyLoader(), quiet=True)
    with pytest.raises(BatchError, match=rf"belongs to another job: it differs in .*{named} \("):
        plan_only([source], out, load=Changed(), quiet=True)


def test_other_code_is_another_job(source, out, monkeypatch):
    plan_only([source], out, load=TinyLoader(), quiet=True)
    monkeypatch.setattr("bondlore.__version__", "99.0")
    with pytest.raises(BatchError, match=r"differs in code \(0.* there, 99.0 now\)"):
        plan_only([source], out, load=TinyLoader(), quiet=True)


def test_a_finished_job_needs_no_weights(source, out):
    class Weightless(TinyLoader):
        def __call__(self, threads):
            raise AssertionError("loaded")

    tag(source, out)
    assert tag(source, out, load=Weightless()).shards_done == 0


def test_every_file_is_on_the_disk_before_its_name_is_and_the_commit_comes_last(source, out, monkeypatch):
    acts = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor):
        acts.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(out).as_posix()))
        fsync(descriptor)

    def renamed(self, target):
        acts.append(("name", self.relative_to(out).as_posix(), Path(target).relative_to(out).as_posix()))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    tag(source, out)
    order = [act[2] for act in acts if act[0] == "name"]
    for place, act in enumerate(acts):
        if act[0] == "name":
            assert acts[place - 1] == ("sync", act[1])
            assert acts[place + 1] == ("sync", Path(act[2]).parent.as_posix())
    assert order[-1] == "COMMITTED.json"
    assert order.index("manifest.json") == 6, "after the articles of four shards, the time of the plan, the rejects"
    for k in range(4):
        table, record = order.index(f"shards/shard-0000{k}.parquet"), order.index(f"done/shard-0000{k}.json")
        assert order.index("manifest.json") < table < record


def test_changed_input_is_another_job(source, out):
    tag(source, out)
    archive(source, rows(31))
    with pytest.raises(BatchError, match=r"differs in input \("):
        tag(source, out)


def test_a_second_run_on_one_folder_is_refused(source, out):
    with (
        Folder(out).locked(),
        pytest.raises(BatchError, match=rf"another run is working here \(process {os.getpid()}\); wait for it"),
    ):
        tag(source, out)
    assert tag(source, out).rows == 30


def test_a_folder_with_other_things_in_it_is_refused(source, out):
    out.mkdir()
    (out / "thesis.docx").write_text("x")
    with pytest.raises(BatchError, match=r"holds thesis\.docx"):
        tag(source, out)
    assert [p.name for p in out.iterdir()] == ["thesis.docx"]


def test_output_inside_the_input_folder_is_refused(tmp_path):
    archive(tmp_path / "a.jsonl", rows(3))
    with pytest.raises(InputError, match="lies inside the input folder"):
        tag(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("option", ["workers", "limit", "shard_size"])
def test_nonsense_numbers_are_refused(source, out, option):
    with pytest.raises(InputError, match=f"{option} is 0"):
        tag(source, out, **{option: 0})


def test_a_missing_model_leaves_no_folder_behind(source, out):
    from bondlore.errors import ModelError

    with pytest.raises(ModelError):
        run([source], out, model=str(out.parent / "none"), quiet=True)
    assert not out.exists()


def test_a_truncated_input_is_named_and_the_mended_one_can_follow(tmp_path, out):
    whole = io.BytesIO()
    with gzip.GzipFile(fileobj=whole, mode="wb") as stream:
        stream.write("".join(json.dumps(r) + "\n" for r in rows(300, words=30)).encode())
    source = tmp_path / "news.jsonl.gz"
    source.write_bytes(whole.getvalue()[:-2000])
    with pytest.raises(InputError, match=r"news.jsonl.gz, after row \d+: is not a whole gzip file"):
        tag(source, out)
    with pytest.raises(BatchError, match="is not a tagged archive"):
        read_tagged(out)
    source.write_bytes(whole.getvalue())
    assert tag(source, out).rows == 300


def test_input_that_grows_while_it_is_read_is_refused(source, out, monkeypatch):
    from bondlore.tag.batch import plan

    def growing(*args, **kwargs):
        yield from read(*args, **kwargs)
        with source.open("a") as stream:
            stream.write(json.dumps(rows(1, start=99)[0]) + "\n")

    read = plan.read_archive
    monkeypatch.setattr(plan, "read_archive", growing)
    with pytest.raises(BatchError, match=r"news.jsonl: changed while it was read"):
        tag(source, out)
    assert not (out / "manifest.json").exists()


@contextmanager
def small_files(size):
    """No file of this process may grow past `size` bytes: what a full disk does, with another errno."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_nothing_is_lost(source, out, tmp_path):
    tag(source, tmp_path / "untouched")
    with small_files(3000), pytest.raises(BatchError, match=r"cannot be written.*run the same command again"):
        tag(source, out)
    assert (out / "manifest.json").exists()
    assert not list(out.glob("**/*.tmp"))
    tag(source, out)
    assert shards(out) == shards(tmp_path / "untouched")


def test_an_output_path_that_is_a_file_is_said(source, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(BatchError, match=r"out: cannot be written \(File exists\); free space or mend the rights"):
        tag(source, tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_folder_is_said(source, out):
    out.mkdir(mode=0o500)
    with pytest.raises(BatchError, match="cannot be written"):
        tag(source, out)


def test_a_read_only_file_system_is_said(source):
    with pytest.raises(BatchError, match="cannot be written"):
        tag(source, Path("/proc/bondlore-out"))
