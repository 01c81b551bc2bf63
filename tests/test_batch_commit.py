"""What counts as done, what readers may open, and what a damaged folder says."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from bondlore.article import Article
from bondlore.errors import BatchError
from bondlore.tag.batch import open_tagged, read_tagged, run, tag_shard
from bondlore.tag.batch.commit import write_shard
from bondlore.tag.batch.folder import Folder, Shard
from bondlore.tag.batch.plan import read_plan
from bondlore.tag.batch.spool import content_digest, read_articles, write_articles
from bondlore.tagging import schema
from tiny_model import TAXONOMY, TinyLoader, archive, rows


@pytest.fixture
def source(tmp_path):
    return archive(tmp_path / "news.jsonl", rows(30))


@pytest.fixture
def again(source, tmp_path):
    def tag():
        return run([source], tmp_path / "out", shard_size=8, load=TinyLoader(), quiet=True)

    return tag


@pytest.fixture
def out(again, tmp_path):
    again()
    return tmp_path / "out"


def articles(n):
    return [Article(f"a{i}", f"w{i}", f"w{i} w2.") for i in range(n)]


def test_committed_names_every_shard_with_its_hash(out):
    committed = json.loads((out / "COMMITTED.json").read_text())
    assert [f["name"] for f in committed["files"]] == [f"shard-0000{i}" for i in range(4)]
    assert (committed["rows"], committed["errors"], committed["rejects"]) == (30, 0, 0)


def test_the_articles_on_disk_go_when_the_job_is_committed(out):
    assert not list((out / "input").iterdir())


def test_readers_open_only_what_is_committed(out):
    (out / "shards" / "shard-00009.parquet").write_bytes((out / "shards" / "shard-00000.parquet").read_bytes())
    assert read_tagged(out).num_rows == 30


def test_an_unfinished_job_is_not_read_but_partial_gives_what_is_done(out):
    (out / "COMMITTED.json").unlink()
    (out / "done" / "shard-00001.json").unlink()
    with pytest.raises(BatchError, match=r"is not finished \(3 shards done\); run the same `bondlore tag` again"):
        read_tagged(out)
    ids = read_tagged(out, partial=True)["id"].to_pylist()
    assert ids == [f"a{i}" for i in range(30) if i // 8 != 1]


def test_a_folder_that_is_none_of_ours_is_not_read(tmp_path):
    for partial in (False, True):
        with pytest.raises(BatchError, match="is not a tagged archive"):
            read_tagged(tmp_path, partial=partial)


def test_a_lost_commit_is_made_again_without_tagging(out, again):
    before = (out / "COMMITTED.json").read_bytes()
    (out / "COMMITTED.json").unlink()
    assert again().shards_done == 0
    assert (out / "COMMITTED.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 9}'])
def test_a_damaged_commit_is_said_and_made_again_without_tagging(out, again, text):
    before = (out / "COMMITTED.json").read_bytes()
    (out / "COMMITTED.json").write_text(text)
    with pytest.raises(BatchError, match=r"cannot be understood .*; run the same `bondlore tag` again"):
        read_tagged(out)
    assert again().shards_done == 0
    assert (out / "COMMITTED.json").read_bytes() == before


def test_a_commit_that_names_a_shard_since_made_anew_is_made_anew_too(out, again):
    """As after a power cut between the two: the new shard is there, but so is the old commit."""
    old = (out / "COMMITTED.json").read_text()
    data = json.loads(old)
    data["files"][1]["sha256"] = "0" * 64
    (out / "COMMITTED.json").write_text(json.dumps(data))
    with pytest.raises(BatchError, match="hash differs"):
        read_tagged(out)
    assert again().shards_done == 0
    assert (out / "COMMITTED.json").read_text() == old


@pytest.mark.parametrize("damage", ["missing", "truncated", "footer", "inside"])
def test_a_shard_is_done_only_if_its_parquet_file_agrees(out, again, damage):
    path = out / "shards" / "shard-00002.parquet"
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(whole[:100])
    elif damage == "inside":  # size and magic bytes are right, what the footer says is not
        size = int.from_bytes(whole[-8:-4], "little")
        path.write_bytes(whole[: -8 - size] + b"\xff" * size + whole[-8:])
    else:
        path.write_bytes(whole[:-8] + b"garbage!")
    with pytest.raises(BatchError, match=r"shard-00002.parquet: (is not the file|cannot be read)"):
        read_tagged(out)
    report = again()
    assert (report.shards_done, report.shards_skipped) == (1, 3)
    assert path.read_bytes() == whole
    assert read_tagged(out).num_rows == 30


def test_an_altered_shard_is_refused_by_its_hash_and_made_anew_when_deleted(out, again):
    path = out / "shards" / "shard-00000.parquet"
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    with pytest.raises(BatchError, match=r"hash differs\); delete it and run the same"):
        read_tagged(out)
    path.unlink()
    assert again().shards_done == 1
    assert read_tagged(out).num_rows == 30


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"name": 3}', "\x00"])
def test_a_damaged_record_is_no_record(out, again, record):
    (out / "done" / "shard-00000.json").write_text(record)
    assert again().shards_done == 1


def test_a_record_of_another_job_is_no_record(out, again):
    path = out / "done" / "shard-00000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"job": "0" * 16}))
    assert again().shards_done == 1


@pytest.mark.parametrize("text", ["", "[]", '{"format": 9}', '{"format": 1}'])
def test_a_damaged_manifest_is_said(out, again, text):
    (out / "manifest.json").write_text(text)
    with pytest.raises(BatchError, match=r"manifest.json: is not .*; remove the folder and tag again"):
        again()


@pytest.mark.parametrize("name", ["../../etc/passwd", "shard-1", "/etc/passwd"])
def test_a_commit_cannot_name_files_elsewhere(out, name):
    committed = json.loads((out / "COMMITTED.json").read_text())
    committed["files"][0]["name"] = name
    (out / "COMMITTED.json").write_text(json.dumps(committed))
    with pytest.raises(BatchError, match="cannot be understood"):
        read_tagged(out)


def test_a_shard_that_does_not_read_back_as_planned_is_not_written(tmp_path):
    table = tag_shard(articles(3), TinyLoader()(1))
    folder, shard = Folder(tmp_path), Shard(0, "x", 3)
    for ids in (["a0", "a1"], ["a0", "a2", "a1"]):
        with pytest.raises(BatchError, match="reads back 3 rows"):
            write_shard(folder, shard, table, ids=ids, job="j", seconds=0)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_record_says_on_what_machine_the_shard_was_tagged(out):
    record = json.loads((out / "done" / "shard-00000.json").read_text())
    assert {"cpu", "flags", "onnxruntime", "pyarrow"} <= record["machine"].keys()
    assert record["rows"] == 8
    assert record["seconds"] >= 0


# articles on disk


def test_articles_come_back_from_disk_as_they_went(tmp_path):
    odd = [Article("a", "t\ud800", "x\u2028y\n", "p", "https://x", sentences=("t", "s")), *articles(2)]
    write_articles(tmp_path / "s.gz", odd)
    assert read_articles(tmp_path / "s.gz", digest=content_digest(odd)) == odd


@pytest.mark.parametrize("data", [b"", b"\x1f\x8bjunk", b"plain"])
def test_damaged_articles_on_disk_are_said(tmp_path, data):
    (tmp_path / "s.gz").write_bytes(data)
    with pytest.raises(BatchError, match=r"s.gz: .*; delete this file and run the same command again"):
        read_articles(tmp_path / "s.gz", digest="0")


def test_a_shard_is_named_by_its_content(source, out, tmp_path):
    run([source], tmp_path / "b", shard_size=8, workers=2, load=TinyLoader("other"), quiet=True)
    assert read_plan(Folder(out)).shards == read_plan(Folder(tmp_path / "b")).shards


# tag_shard


class Wild:
    """A tagger whose answer for one article cannot be put into Parquet."""

    def __init__(self, inner):
        self._inner, self.bundle = inner, inner.bundle

    def tag_one(self, article):
        tagging = self._inner.tag_one(article)
        if article.id == "a1":
            object.__setattr__(tagging, "primary", {"not": "a string"})
        return tagging


def test_an_answer_that_parquet_cannot_hold_becomes_an_error_row():
    table = tag_shard(articles(3), Wild(TinyLoader()(1)))
    assert table["status"].to_pylist() == ["ok", "error", "ok"]
    assert "Arrow" in table["error"][1].as_py()


def test_a_lone_surrogate_costs_one_row():
    table = tag_shard([*articles(1), Article("b\ud800", "\udfff", "w1."), *articles(1)], TinyLoader()(1))
    assert table["status"].to_pylist() == ["ok", "error", "ok"]
    assert table["id"].to_pylist() == ["a0", "b?", "a0"]


def test_step_hears_of_every_article():
    heard = []
    tag_shard([*articles(1), Article("p", "", "poison.")], TinyLoader()(1), step=heard.append)
    assert heard == [False, True]


def test_an_empty_shard_is_an_empty_table():
    table = tag_shard([], TinyLoader()(1))
    assert table.num_rows == 0
    assert table.schema.equals(schema(TAXONOMY.ids))


def test_ctrl_c_is_no_poison():
    class Stopped(Wild):
        def tag_one(self, article):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_shard(articles(1), Stopped(TinyLoader()(1)))


def test_a_data_set_gives_the_same_rows_and_refuses_the_same_damage(out):
    assert open_tagged(out).to_table().equals(read_tagged(out))
    path = out / "shards" / "shard-00000.parquet"
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    with pytest.raises(BatchError, match="hash differs"):
        open_tagged(out)
    path.unlink()
    with pytest.raises(BatchError, match="cannot be read"):
        open_tagged(out)
    (out / "COMMITTED.json").unlink()
    with pytest.raises(BatchError, match="is not finished"):
        open_tagged(out)


def test_the_table_is_arrow(out):
    assert isinstance(read_tagged(out), pa.Table)
