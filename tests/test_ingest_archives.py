"""ZIP, WARC, GDELT, Hugging Face data sets; rejects, and going on after an interruption."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bondlore.article import Article
from bondlore.cli import main
from bondlore.errors import InputError, StoreError
from bondlore.ingest.archive import Reject, read_archive, read_placed
from bondlore.store import Store

NOW = datetime(2025, 6, 1, tzinfo=UTC)
LINE = b'{"id": "%d", "title": "Yields rise %d", "text": "Ten-year up."}\n'
PAGE = "".join(
    f"<p>Treasury yields rose {n} basis points as dealers spoke of forced sales by funds.</p>" for n in range(9)
)
HTML = f"<html><head><title>Yields rise</title></head><body><article><h1>Yields rise</h1>{PAGE}</article></body></html>"


def read(*paths: Path, rejects: list[Reject] | None = None) -> list[Article]:
    return list(read_archive(paths, clock=lambda: NOW, rejects=rejects))


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"title": ["In Parquet"]}), out)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return bytes(out.getvalue())


def test_a_zip_is_read_by_its_members(tmp_path: Path) -> None:
    members = {
        "a/lines.jsonl": LINE % (1, 1),
        "a/page.html": HTML.encode(),
        "b.csv": b"title\nIn CSV\n",
        "c.parquet": parquet(),
        "d.csv.gz": gzip.compress(b"title\nIn gzip\n"),
        "e.csv.zst": zstd(b"title\nIn zstd\n"),
        "readme.md": b"not read",
        "__MACOSX/._b.csv": b"not read",
        ".hidden.csv": b"not read",
    }
    got = read(zipped(tmp_path / "a.zip", members))
    assert [a.title for a in got] == ["Yields rise 1", "Yields rise", "In CSV", "In Parquet", "In gzip", "In zstd"]


@pytest.mark.parametrize("name", ["../../etc/a.jsonl", "/etc/a.jsonl", "a/../../b.jsonl", "C:\\a.jsonl", "..\\a.jsonl"])
def test_a_member_whose_name_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    rejects: list[Reject] = []
    path = zipped(tmp_path / "a.zip", {name: LINE % (1, 1), "good.jsonl": LINE % (2, 2)})
    assert [a.id for a in read(path, rejects=rejects)] == ["2"]
    assert [(r.path, r.row, r.reason) for r in rejects] == [(f"{path}!{name}", 0, "its name leads out of the archive")]


def test_a_member_that_is_a_link_is_refused(tmp_path: Path) -> None:
    path, rejects = tmp_path / "a.zip", list[Reject]()
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.jsonl", LINE % (2, 2))
    assert [a.id for a in read(path, rejects=rejects)] == ["2"]
    assert [r.reason for r in rejects] == ["it is a link"]


def test_a_zip_within_a_zip_is_refused_and_said(tmp_path: Path) -> None:
    rejects: list[Reject] = []
    inner = zipped(tmp_path / "inner.zip", {"a.jsonl": LINE % (1, 1)}).read_bytes()
    path = zipped(tmp_path / "a.zip", {"old/inner.zip": inner, "good.jsonl": LINE % (2, 2)})
    assert [a.id for a in read(path, rejects=rejects)] == ["2"]
    assert [(r.path, r.reason) for r in rejects] == [
        (f"{path}!old/inner.zip", "it is a ZIP within a ZIP: unpack it first")
    ]


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    lines = b'{"title": "T", "text": "' + b"x" * 1_000_000 + b'"}\n'
    path = zipped(tmp_path / "a.zip", {"bomb.jsonl": lines * 90})
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match=r"bomb\.jsonl: swells to more than 200 times"):
        read(path)


def test_a_file_that_is_no_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match=r"a\.zip: is not a readable ZIP"):
        read(tmp_path / "a.zip")


def warc(path: Path, *, zipped: bool) -> Path:
    """Three records in the form of ISO 28500, each a gzip member of its own where the file is `.gz`."""
    with path.open("wb") as file:
        for url, status, kind in (
            ("https://example.org/a", "200 OK", "text/html; charset=utf-8"),
            ("https://example.org/b", "404 Not Found", "text/html"),
            ("https://example.org/c.png", "200 OK", "image/png"),
        ):
            answer = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n{HTML}".encode()
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2025-04-09T14:05:00Z\r\n"
                "WARC-Record-ID: <urn:uuid:12345678-1234-1234-1234-123456789012>\r\n"
                f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(answer)}\r\n\r\n"
            )
            record = head.encode() + answer + b"\r\n\r\n"
            file.write(gzip.compress(record) if zipped else record)
    return path


@pytest.mark.parametrize(("name", "zipped"), [("a.warc", False), ("a.warc.gz", True)])
def test_a_web_archive_gives_its_pages(tmp_path: Path, name: str, zipped: bool) -> None:
    rejects: list[Reject] = []
    (got,) = read(warc(tmp_path / name, zipped=zipped), rejects=rejects)
    assert (got.title, got.url, got.text_status) == ("Yields rise", "https://example.org/a", "full")
    assert got.first_seen_at == datetime(2025, 4, 9, 14, 5, tzinfo=UTC)
    assert [(r.row, r.reason) for r in rejects] == [(2, "the page answered 404")]


def test_pages_known_already_are_not_extracted_again(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(HTML)
    paths = [tmp_path / "page.html", warc(tmp_path / "a.warc", zipped=False)]
    placed = list(read_placed(paths, rejects=[], clock=lambda: NOW))
    done = {one.source.key: one.row for one in placed}

    def extract(html: bytes, **_: object) -> Article:
        raise AssertionError("extracted again")

    assert len(placed) == len(done) == 2
    assert list(read_placed(paths, rejects=[], clock=lambda: NOW, done=done, extract=extract)) == []


def test_a_broken_web_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(b"nothing of the kind\r\n" * 9)
    with pytest.raises(InputError, match=r"a\.warc.*not a readable WARC"):
        read(tmp_path / "a.warc")


def gkg(title: str = "Yields &amp; bonds", precise: str = "", url: str = "https://example.org/a") -> bytes:
    extras = f"<PAGE_TITLE>{title}</PAGE_TITLE>" if title else ""
    if precise:
        extras += f"<PAGE_PRECISEPUBTIMESTAMP>{precise}</PAGE_PRECISEPUBTIMESTAMP>"
    fields = ["20250409141500-1", "20250409141500", "1", "example.org", url, *[""] * 21, extras]
    return "\t".join(fields).encode() + b"\n"


def test_gdelt_gives_titles_and_says_how_far_its_dates_go(tmp_path: Path) -> None:
    rejects: list[Reject] = []
    lines = gkg() + gkg(precise="20250409100000", url="https://example.org/b") + gkg(title="") + b"too\tfew\n"
    path = zipped(tmp_path / "a.zip", {"20250409141500.gkg.csv": lines})
    first, second = read(path, rejects=rejects)
    assert (first.title, first.publisher, first.text_status) == ("Yields & bonds", "example.org", "teaser")
    assert (first.published_at, first.published_confidence) == (datetime(2025, 4, 9, 14, 15, tzinfo=UTC), "low")
    assert (second.published_at, second.published_confidence) == (datetime(2025, 4, 9, 10, tzinfo=UTC), "high")
    assert [(r.row, r.reason) for r in rejects] == [(3, "no title"), (4, "2 fields where GDELT's GKG has 27")]


def test_gdelts_article_list_is_read(tmp_path: Path) -> None:
    row = {"url": "https://e.org/a", "title": "Yields", "seendate": "20250409T140500Z", "domain": "e.org"}
    (tmp_path / "a.json").write_text(json.dumps({"articles": [row]}))
    (got,) = read(tmp_path / "a.json")
    assert (got.publisher, got.published_confidence) == ("e.org", "low")
    assert got.published_at == datetime(2025, 4, 9, 14, 5, tzinfo=UTC)


def test_a_data_set_on_disk_is_read_without_its_library(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    table = pa.table({"title": ["A", "B"], "text": ["a", "b"], "other": [1, 2]})
    for name in ("data-00000-of-00001.arrow", "cache-1234.arrow"):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text("{}")
    (folder / "dataset_info.json").write_text("{}")
    assert [a.title for a in read(tmp_path / "set")] == ["A", "B"]


def test_a_data_set_saved_by_its_own_library_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"headline": ["A", "B"], "body": ["a", "b"]})
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "set"))
    assert [(a.title, a.text) for a in read(tmp_path / "set")] == [("A", "a"), ("B", "b")]


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, dict[str, Any], str]:
    code = main([str(arg) for arg in ("import", *args, "--json")])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_rejects_go_to_a_file_with_row_and_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, refused = tmp_path / "a.jsonl", tmp_path / "refused.csv"
    path.write_bytes(LINE % (1, 1) + b"{broken\n" * 30 + LINE % (2, 2))
    code, got, err = run(capsys, path, "--db", tmp_path / "n.db", "--rejects", refused)
    assert (code, got["read"], got["refused"], len(got["rejects"])) == (3, 2, 30, 10)
    rows = list(csv.reader(refused.read_text().splitlines()))
    assert rows[0] == ["path", "row", "reason"]
    assert [row[:2] for row in rows[1:]] == [[str(path), str(n)] for n in range(2, 32)]
    assert all("not JSON" in row[2] for row in rows[1:])
    assert "title=title, text=text" in err


def test_an_import_killed_half_way_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, db = tmp_path / "a.jsonl", tmp_path / "n.db"
    total = 6_000
    path.write_bytes(b"".join(LINE % (n, n) for n in range(total)))
    child = subprocess.Popen(
        [sys.executable, "-m", "bondlore", "import", str(path), "--db", str(db)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        if db.exists():
            try:
                with Store.open(db) as store:
                    if sum(store.marks().values()) >= 1_000:
                        break
            except StoreError:  # the file is being made
                pass
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with Store.open(db) as store:
        (mark,) = store.marks().values()
        assert store.counts().articles == mark < total
    code, got, err = run(capsys, path, "--db", db)
    assert (code, got["new"], got["read"]) == (0, total - mark, total - mark)
    assert "going on" in err
    with Store.open(db) as store:
        assert (store.counts().articles, store.marks()) == (total, {})
    assert run(capsys, path, "--db", db)[1] == {"read": total, "new": 0, "updated": 0, "refused": 0, "rejects": []}


class Crash(BaseException):
    """What no code catches."""


@pytest.mark.parametrize(("step", "survived"), [("add_marked", 0), ("add_marked", 1), ("forget_marks", 0)])
def test_every_reject_is_in_the_file_once_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str, survived: int
) -> None:
    lines = [b"{broken\n" if n % 7 == 3 else LINE % (n, n) for n in range(650)] + [b"{broken too\n"] * 3
    inner = zipped(tmp_path / "z.zip", {"in.zip": b"PK", "b.jsonl": b"".join(lines[:20])})
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
    paths, refused = [tmp_path / "a.jsonl", inner], tmp_path / "refused.csv"
    real, calls = getattr(Store, step), []

    def breaking(*args: Any, **kwargs: Any) -> Any:
        if len(calls) == survived:
            raise Crash
        calls.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(Store, step, breaking)
    with pytest.raises(Crash):
        main(["import", *map(str, paths), "--db", str(tmp_path / "n.db"), "--rejects", str(refused)])
    monkeypatch.undo()
    with refused.open("a") as file:
        file.write(f"{paths[0]},14")  # torn off
    assert run(capsys, *paths, "--db", tmp_path / "n.db", "--rejects", refused)[0] == 3
    whole = tmp_path / "whole.csv"
    assert run(capsys, *paths, "--db", tmp_path / "other.db", "--rejects", whole)[0] == 3
    assert sorted(refused.read_text().splitlines()) == sorted(whole.read_text().splitlines())


def test_a_limit_always_begins_at_the_first_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, db = tmp_path / "a.jsonl", tmp_path / "n.db"
    path.write_bytes(b"".join(LINE % (n, n) for n in range(9)))
    assert run(capsys, path, "--db", db, "--limit", 4)[1]["new"] == 4
    assert run(capsys, path, "--db", db, "--limit", 4)[1] | {"rejects": 0} == {
        "read": 4,
        "new": 0,
        "updated": 0,
        "refused": 0,
        "rejects": 0,
    }
    code, got, err = run(capsys, path, "--db", db)
    assert (code, got["read"], got["new"], "going on" in err) == (0, 9, 5, False)
