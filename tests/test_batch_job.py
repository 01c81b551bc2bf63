"""Jobs of `tag.batch`: every row accounted for, the same bytes from any number of workers."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest

from bondlore.errors import BatchError
from bondlore.ingest.archive import read_archive
from bondlore.progress import Progress
from bondlore.tag.batch import local, read_tagged
from bondlore.tag.batch.folder import Folder
from bondlore.tag.batch.plan import read_plan
from bondlore.tag.batch.work import Job, Order
from bondlore.tagging import row as tagging_row
from bondlore.tagging import schema
from tiny_jobs import shards, tag
from tiny_model import TAXONOMY, TinyLoader, archive, rows


@pytest.fixture
def source(tmp_path):
    return archive(tmp_path / "news.jsonl", rows(30))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_every_article_becomes_one_row_in_the_order_of_the_input(source, out):
    report = tag(source, out)
    table = read_tagged(out)
    assert table["id"].to_pylist() == [f"a{i}" for i in range(30)]
    assert table.schema.equals(schema(TAXONOMY.ids), check_metadata=True)
    assert (report.rows, report.errors, report.rejects, report.shards_done, report.shards_skipped) == (30, 0, 0, 4, 0)


def test_the_rows_are_what_the_tagger_says(source, out):
    tag(source, out)
    tagger = TinyLoader()(1)
    for article, row in zip(read_archive([source]), read_tagged(out).to_pylist(), strict=True):
        tagging = tagger.tag_one(article)
        assert (row["gate"], row["primary"], row["model"]) == (tagging.gate, tagging.primary, tagger.model)
        assert {n: row[f"v_{n}"] for n in TAXONOMY} == {
            n: tagging.narratives[n].verdict if n in tagging.narratives else None for n in TAXONOMY
        }
        assert row["published_at"] == article.published_at


def test_rows_that_give_no_article_are_counted_and_kept_with_their_reason(tmp_path, out):
    lines = [json.dumps(r) for r in rows(10)]
    lines[3], lines[7] = "{not json", json.dumps({"id": "x"})
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    report = tag(tmp_path / "a.jsonl", out)
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert (report.rows, report.rejects) == (8, 2)
    assert [r["row"] for r in rejects] == [4, 8]
    assert all(r["reason"] for r in rejects)


def test_rows_of_one_id_are_all_kept(tmp_path, out):
    source = archive(tmp_path / "a.jsonl", [*rows(3), *rows(3)])
    assert tag(source, out).rows == 6
    assert read_tagged(out)["id"].to_pylist() == ["a0", "a1", "a2"] * 2


def test_files_and_folders_follow_one_another(tmp_path, out):
    (tmp_path / "in").mkdir()
    archive(tmp_path / "in" / "b.jsonl", rows(3, start=10))
    archive(tmp_path / "in" / "a.jsonl", rows(3))
    last = archive(tmp_path / "c.jsonl", rows(2, start=20))
    tag([tmp_path / "in", last], out)
    assert read_tagged(out)["id"].to_pylist() == ["a0", "a1", "a2", "a10", "a11", "a12", "a20", "a21"]


def test_one_worker_and_three_write_the_same_bytes(source, out, tmp_path):
    tag(source, out)
    tag(source, tmp_path / "three", workers=3)
    assert shards(tmp_path / "three") == shards(out)
    assert (tmp_path / "three" / "COMMITTED.json").read_bytes() == (out / "COMMITTED.json").read_bytes()


def test_a_finished_job_is_not_done_again(source, out):
    tag(source, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    report = tag(source, out)
    assert (report.rows, report.shards_done, report.shards_skipped) == (30, 0, 4)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")} == before


def test_an_archive_may_be_moved_between_two_runs(source, out, tmp_path):
    tag(source, out)
    (tmp_path / "elsewhere").mkdir()
    assert tag(source.rename(tmp_path / "elsewhere" / source.name), out).shards_skipped == 4


def test_limit_takes_the_first_articles(source, out):
    assert tag(source, out, limit=5).rows == 5
    assert read_tagged(out)["id"].to_pylist() == [f"a{i}" for i in range(5)]


def test_a_date_that_lay_ahead_when_planned_does_not_change_the_articles_when_they_are_laid_out_anew(tmp_path, out):
    items = rows(10)
    items[4]["published"] = "2025-05-20T12:00:00Z"
    source = archive(tmp_path / "a.jsonl", items)
    tag(source, out, clock=lambda: datetime(2025, 5, 1, tzinfo=UTC))
    before = shards(out)
    assert read_tagged(out)["published_at"][4].as_py() is None
    (out / "shards" / "shard-00000.parquet").unlink()
    assert tag(source, out, clock=lambda: datetime(2025, 6, 1, tzinfo=UTC)).shards_done == 1
    assert shards(out) == before


def test_columns_can_be_named(tmp_path, out):
    odd = [{"id": r["id"], "kop": r["title"], "inhoud": r["text"]} for r in rows(4)]
    tag(archive(tmp_path / "a.jsonl", odd), out, mapping={"title": "kop", "text": "inhoud"})
    assert read_tagged(out)["title"].to_pylist() == [r["kop"] for r in odd]


# poison


def test_a_poison_article_becomes_an_error_row_and_costs_no_other(tmp_path, out):
    items = rows(20)
    items[5]["text"] = "w1 poison w2."
    report = tag(archive(tmp_path / "a.jsonl", items), out)
    table = read_tagged(out).to_pylist()
    assert report.errors == 1
    assert [r["id"] for r in table if r["status"] == "error"] == ["a5"]
    assert table[5]["error"] == "ValueError: a poisoned window"
    assert len(table) == 20


def test_shards_with_errors_can_be_tagged_again(tmp_path, out):
    items = rows(20)
    items[5]["text"] = "w1 poison w2."
    source = archive(tmp_path / "a.jsonl", items)
    tag(source, out)
    assert tag(source, out).shards_done == 0
    assert tag(source, out, retry_errors=True).shards_done == 1
    assert read_tagged(out).num_rows == 20


# workers


def test_a_killed_worker_costs_only_its_shard_which_is_tagged_again(tmp_path, out):
    items = rows(20)
    items[12]["text"] = "w1 deadly w2."
    source = archive(tmp_path / "a.jsonl", items)
    report = tag(source, out, workers=2, load=TinyLoader(marker=str(tmp_path / "died")))
    assert (tmp_path / "died").exists()
    assert (report.rows, report.errors) == (20, 0)
    assert read_tagged(out)["id"].to_pylist() == [f"a{i}" for i in range(20)]


def test_an_article_that_kills_every_process_becomes_an_error_row_and_costs_no_other(tmp_path, out, capsys):
    items = rows(24)
    items[20]["text"] = "w1 deadly w2."
    deadly = TinyLoader(marker=str(tmp_path / "died"), again=True)
    report = tag(archive(tmp_path / "a.jsonl", items), out, workers=2, load=deadly, quiet=False)
    table = read_tagged(out).to_pylist()
    assert [r["id"] for r in table] == [f"a{i}" for i in range(24)]
    assert [(r["id"], r["error"]) for r in table if r["status"] == "error"] == [
        ("a20", "killed the process that read it (signal 9)")
    ]
    assert (report.rows, report.errors) == (24, 1)
    assert "tag: 24/24 articles" in capsys.readouterr().err


def test_a_shard_of_which_many_articles_kill_stops_the_job_and_keeps_the_others(tmp_path, out):
    items = rows(24)
    for item in items[16:]:
        item["text"] = "w1 deadly w2."
    source = archive(tmp_path / "a.jsonl", items)
    deadly = TinyLoader(marker=str(tmp_path / "died"), again=True)
    with pytest.raises(BatchError, match=r"shard-00002: 5 worker processes died on it \(signal 9\).*finished shards"):
        tag(source, out, workers=2, load=deadly)
    assert tag(source, out).shards_skipped == 2


@dataclass(frozen=True)
class Unloadable(TinyLoader):
    def __call__(self, threads):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_model_that_kills_every_process_while_it_is_loaded_stops_the_job(source, out):
    with pytest.raises(BatchError, match=r"shard-0000\d: 2 worker processes died on it \(signal 9\)"):
        tag(source, out, workers=2, load=Unloadable())


# copies


def test_copies_are_read_once_and_counted_and_get_the_rows_they_would_have_had(tmp_path, out):
    items = rows(20)
    for k in (3, 9, 15):
        items[k] |= {"title": items[0]["title"], "text": items[0]["text"]}
    source = archive(tmp_path / "a.jsonl", items)
    report = tag(source, out)
    assert report.copies == 3
    table = read_tagged(out).to_pylist()
    assert [r["id"] for r in table] == [f"a{i}" for i in range(20)]
    tagger = TinyLoader()(1)
    for article, row in zip(read_archive([source]), table, strict=True):
        plain = {k: v for k, v in row.items() if k.startswith(("p_", "v_")) or k in ("id", "primary", "gate")}
        built = tagging_row(article, tagger.tag_one(article))
        assert plain == {k: pytest.approx(built.get(k), abs=1e-6) for k in plain}
    tag(source, tmp_path / "two", workers=2)
    assert shards(tmp_path / "two") == shards(out)
    assert tag(source, out).copies == 3, "also of shards done before"


def test_a_worker_with_another_model_is_refused(source, out):
    tag(source, out)
    plan = read_plan(Folder(out))
    (out / "done" / "shard-00000.json").unlink()
    job = Job(str(out), plan.fingerprint.id, "other@0")
    order = Order(plan.shards[:1], job, TinyLoader(), Progress("tag", quiet=True), print)
    for tag_them in (local.tag_here, partial(local.tag_in_processes, workers=1)):
        with pytest.raises(BatchError, match="the model changed during the job"):
            tag_them(order, threads=1)


def test_progress_tells_what_is_done_the_rate_the_time_left_and_errors(tmp_path, capsys, monkeypatch):
    items = rows(20)
    items[5]["text"] = "w1 poison w2."
    monkeypatch.setattr("bondlore.progress._EVERY", (0.0, 0.0))
    tag(archive(tmp_path / "a.jsonl", items), tmp_path / "out", load=TinyLoader(delay=0.005), quiet=False)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tag: ")]
    assert re.fullmatch(r"tag: 10/20 articles, [\d.]+ articles/s, 1 error, \d+s left", lines[9])


def test_progress_counts_articles_and_errors_whoever_tags(tmp_path, capsys):
    items = rows(20)
    items[5]["text"] = "w1 poison w2."
    source = archive(tmp_path / "a.jsonl", items)
    for workers in (1, 2):
        tag(source, tmp_path / f"out{workers}", workers=workers, quiet=False)
        assert "tag: 20/20 articles" in (said := capsys.readouterr().err)
        assert ", 1 error," in said
