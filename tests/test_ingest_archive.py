from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bondlore.article import Article, content_id
from bondlore.errors import InputError
from bondlore.ingest.archive import Reject, read_archive
from bondlore.ingest.page import extract_page

NOW = datetime(2025, 6, 1, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"id": "a1", "publisher": "Wire", "date": "2025-04-09", "title": "Yields rise", "text": "Ten-year up."},
    {"id": "a2", "publisher": "Wire", "date": "2025-04-10T14:05:00Z", "title": "Yields fall", "text": "Down."},
]


def read(*paths: Path, **options: Any) -> list[Article]:
    return list(read_archive(paths, clock=lambda: NOW, **options))


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def table(path: Path, *rows: dict[str, Any], delimiter: str = ",") -> Path:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue())
    return path


WANT = [
    Article(
        id="a1",
        title="Yields rise",
        text="Ten-year up.",
        publisher="Wire",
        published_at=datetime(2025, 4, 9, 12, tzinfo=UTC),
        published_raw="2025-04-09",
        published_precision="day",
        published_source="archive:date",
        published_confidence="high",
    ),
    Article(
        id="a2",
        title="Yields fall",
        text="Down.",
        publisher="Wire",
        published_at=datetime(2025, 4, 10, 14, 5, tzinfo=UTC),
        published_raw="2025-04-10T14:05:00Z",
        published_precision="second",
        published_source="archive:date",
        published_confidence="high",
    ),
]


def test_json_lines(tmp_path: Path) -> None:
    assert read(jsonl(tmp_path / "a.jsonl", *ROWS)) == WANT


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return bytes(out.getvalue())


PACK = {".gz": gzip.compress, ".zst": zstd}


@pytest.mark.parametrize("packing", PACK)
def test_packed_json_lines(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"a.jsonl{packing}"
    path.write_bytes(PACK[packing](jsonl(tmp_path / "x.ndjson", *ROWS).read_bytes()))
    assert read(path) == WANT


@pytest.mark.parametrize("packing", PACK)
def test_packed_parts_one_after_another_are_one_file(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"A.JSONL{packing.upper()}"
    parts = (PACK[packing](jsonl(tmp_path / f"{i}.ndjson", row).read_bytes()) for i, row in enumerate(ROWS))
    path.write_bytes(b"".join(parts))
    assert read(path) == WANT


@pytest.mark.parametrize("packing", PACK)
def test_a_bomb_is_stopped(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"bomb.jsonl{packing}"
    path.write_bytes(PACK[packing]((b" " * 1_000_000 + b"\n") * 60))
    assert path.stat().st_size < 100_000
    with pytest.raises(
        InputError, match=r"bomb\.jsonl\..*: swells to more than 200 times its size; unpack it yourself"
    ):
        read(path)


def test_zstd_that_asks_for_more_memory_than_decompressors_give_is_refused(tmp_path: Path) -> None:
    """A frame whose header claims a window of 1.75 TB, the format's largest."""
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(bytes.fromhex("28b52ffd 00 ff") + zstd(b"x" * 50)[6:])
    with pytest.raises(InputError, match=r"is not a whole zstd file \(.*(memory|window)"):
        read(path)


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_csv(tmp_path: Path, name: str, delimiter: str) -> None:
    assert read(table(tmp_path / name, *ROWS, delimiter=delimiter)) == WANT


def test_csv_with_a_byte_order_mark_and_line_ends_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufefftitle,text\r\n"A ""b""","one\ntwo"\r\n'.encode())
    (got,) = read(path)
    assert (got.title, got.text) == ('A "b"', "one\ntwo")


@pytest.mark.parametrize("packing", PACK)
def test_packed_csv(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"a.csv{packing}"
    path.write_bytes(PACK[packing](table(tmp_path / "x.csv", *ROWS).read_bytes()))
    assert read(path) == WANT


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == WANT


def test_parquet_timestamps_and_dates(tmp_path: Path) -> None:
    rows = {
        "title": ["a", "b", "c"],
        "published": pa.array([datetime(2025, 4, 9, 14, 5, tzinfo=UTC), None, datetime(2025, 4, 9, tzinfo=UTC)]),
    }
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    assert [a.published_precision for a in read(tmp_path / "a.parquet")] == ["second", "none", "day"]
    pq.write_table(pa.table({"title": ["a"], "date": [date(2025, 4, 9)]}), tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet")[0].published_at == WANT[0].published_at


def test_a_folder_is_read_by_name_without_hidden_files(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", ROWS[1])
    (tmp_path / "a").mkdir()
    jsonl(tmp_path / "a" / "x.jsonl", ROWS[0])
    jsonl(tmp_path / ".hidden.jsonl", "not json")
    (tmp_path / "notes.pdf").write_bytes(b"x")
    assert [article.id for article in read(tmp_path)] == ["a1", "a2"]


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    outside = jsonl(tmp_path / "secret.jsonl", ROWS[0])
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.jsonl").symlink_to(outside)
    jsonl(folder / "own.jsonl", ROWS[1])
    assert [article.id for article in read(folder)] == ["a2"]


def test_text_files_have_title_text_and_the_day_of_their_name(tmp_path: Path) -> None:
    (tmp_path / "2025-04-09-yields.txt").write_text("Yields rise\n\nTen-year up.\n")
    (got,) = read(tmp_path)
    assert (got.title, got.text, got.published_at) == ("Yields rise", "Ten-year up.", WANT[0].published_at)


PAGE = """<html><head><title>Yields rise | Wire</title><meta property="og:site_name" content="The Wire">
<meta property="article:published_time" content="2025-04-09T10:05:00-04:00">
<link rel="canonical" href="https://wire.example/yields"></head><body><nav>Home Markets</nav><article>
<h1>Yields rise</h1><p>@</p><p>Traders pointed to tariffs and to selling from abroad on Wednesday.</p></article>
<footer>Terms</footer></body></html>""".replace(
    "@", "The yield on the ten-year Treasury note climbed to 4.5 percent. " * 5
)


def test_html_files(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(PAGE)
    (got,) = read(tmp_path)
    assert got.title == "Yields rise"
    assert "tariffs" in got.text
    assert "Terms" not in got.text
    assert (got.published_at, got.published_precision) == (datetime(2025, 4, 9, 14, 5, tzinfo=UTC), "second")
    assert (got.publisher, got.url, got.id) == (
        "The Wire",
        "https://wire.example/yields",
        "https://wire.example/yields",
    )


def test_a_page_without_text_is_one_reject(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html><body></body></html>")
    (tmp_path / "b.html").write_text(PAGE)
    rejects: list[Reject] = []
    assert len(read(tmp_path, rejects=rejects)) == 1
    assert [(r.path, r.reason) for r in rejects] == [(str(tmp_path / "a.html"), "has no article text")]


def test_json_ld_gives_headline_date_and_publisher() -> None:
    ld = {
        "@graph": [
            {"@type": "WebSite", "name": "x"},
            {
                "@type": "NewsArticle",
                "headline": "Bonds &amp; tariffs",
                "datePublished": "2025-04-09T14:05:00Z",
                "publisher": {"@type": "Organization", "name": "Desk"},
            },
        ]
    }
    html = PAGE.replace("</head>", f'<script type="application/ld+json">{json.dumps(ld)}</script></head>')
    got = extract_page(html.encode(), url="https://desk.example/1?utm_source=x", now=NOW)
    assert (got.title, got.publisher, got.id) == ("Bonds & tariffs", "Desk", "https://desk.example/1")


@pytest.mark.parametrize("html", [b"", b"\x00\xff", b"<html>", b"<script>alert(1)</script>", b"<p>" * 5_000])
def test_a_page_with_nothing_to_read_says_so(html: bytes) -> None:
    with pytest.raises(InputError, match="no article text"):
        extract_page(html, url="https://a.example/", now=NOW)


@pytest.mark.parametrize(
    "row",
    [
        {"headline": "T", "body": "B", "published_at": "2025-04-09", "source": "S", "link": "https://a.example/1"},
        {"Title": "T", "Content": "B", "Publish Date": "2025-04-09", "outlet": "S", "URL": "https://a.example/1"},
        {"title": "T", "content": "B", "publishedAt": "2025-04-09", "source": {"id": 1, "name": "S"}, "url": "https://a.example/1"},
        {"title": "T", "maintext": "B", "date_publish": "2025-04-09", "source_domain": "S", "url": "https://a.example/1"},
        {"title": "T", "text": ["B"], "time": 1744207500, "publisher": "S", "url": "https://a.example/1"},
    ],
)  # fmt: skip
def test_column_names_are_guessed(tmp_path: Path, row: dict[str, Any]) -> None:
    (got,) = read(jsonl(tmp_path / "a.jsonl", row))
    assert (got.title, got.text, got.publisher, got.url) == ("T", "B", "S", "https://a.example/1")
    assert got.published_at is not None
    assert got.published_at.date() == date(2025, 4, 9)


def test_a_mapping_overrides_the_guess(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"title": "wrong", "hed": "right", "text": "B"})
    assert read(path, mapping={"title": "hed"})[0].title == "right"


def test_a_mapping_to_no_field_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no field 'headline' to map"):
        read_archive([tmp_path], mapping={"headline": "x"})


def test_a_mapped_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'hed' for title"):
        read(table(tmp_path / "a.csv", *ROWS), mapping={"title": "hed"})


def test_a_header_without_text_lists_its_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="foo, bar"):
        read(table(tmp_path / "a.csv", {"foo": 1, "bar": 2}))


def test_sentences_are_kept_as_given(tmp_path: Path) -> None:
    sentences = ["Title", "First one.", "", "Third."]
    (got,) = read(jsonl(tmp_path / "a.jsonl", {"id": 7, "sentences": sentences}))
    assert got.sentences == tuple(sentences)
    assert (got.id, got.title, got.text) == ("7", "Title", "First one.  Third.")


def test_an_id_is_made_from_content_and_repeats(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"title": "T", "text": "B"})
    assert read(path)[0].id == read(path)[0].id == content_id("T", "B")


def test_a_zone_is_for_times_that_name_none(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"title": "T", "date": "2025-04-09 10:05:00"})
    assert read(path)[0].published_precision == "day"
    assert read(path, zone="America/New_York")[0].published_at == datetime(2025, 4, 9, 14, 5, tzinfo=UTC)


def test_a_bad_date_keeps_the_article_and_its_raw_string(tmp_path: Path) -> None:
    (got,) = read(jsonl(tmp_path / "a.jsonl", {"title": "T", "date": "2999-01-01"}))
    assert (got.published_at, got.published_raw, got.published_precision) == (None, "2999-01-01", "none")


BAD = [
    ("{broken", "not JSON"),
    ("[1, 2]", "not a JSON object"),
    ("[" * 100_000, "not JSON"),
    ({"id": "x"}, "neither title nor text"),
    ({"title": True}, "true or false"),
    ({"title": "T", "text": {"a": [1]}, "sentences": "x"}, "Expecting value"),
    ({"title": "T", "sentences": [1]}, "not a list of strings"),
    ({"title": "x" * 3_000}, "title over"),
    ({"title": "T", "text": "x" * 1_000_001}, "text over"),
    ({"title": "T", "id": "x" * 501}, "id over"),
    ('{"title": "' + "x" * 8_000_001 + '"}', "line over"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_row_is_rejected_with_its_place(tmp_path: Path, row: Any, reason: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", ROWS[0], row, ROWS[1])
    rejects: list[Reject] = []
    assert read(path, rejects=rejects) == WANT
    (reject,) = rejects
    assert (reject.path, reject.row) == (str(path), 2)
    assert reason in reject.reason


def test_without_a_list_the_first_bad_row_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.jsonl, row 2: not JSON"):
        read(jsonl(tmp_path / "a.jsonl", ROWS[0], "{"))


def test_a_ragged_csv_row_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("title,text\nT,B\nonly one\n")
    rejects: list[Reject] = []
    assert len(read(path, rejects=rejects)) == 1
    assert rejects == [Reject(str(path), 3, "1 fields where the header has 2")]


def test_null_and_lone_surrogates_are_survived(tmp_path: Path) -> None:
    row = '{"title": "T\\ud800x", "text": null, "publisher": null, "date": null, "url": "javascript:alert(1)"}'
    (got,) = read(jsonl(tmp_path / "a.jsonl", row))
    assert (got.title, got.text, got.publisher, got.url, got.published_raw) == ("Tx", "", "", "", "")


def unreadable(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    files = {
        "empty.jsonl": (b"", "no article"),
        "blank.jsonl": (b"\n\n", "no article"),
        "empty.csv": (b"", "is empty"),
        "header.csv": (b"title,text\n", "no article"),
        "words.jsonl": (b"these are words\nand more\n", "no row can be read"),
        "not.jsonl.gz": (b"not gzip", "not a whole gzip file"),
        "cut.jsonl.gz": (gzip.compress(b'{"title": "T"}\n' * 5000)[:-20], "after row"),
        "not.jsonl.zst": (b"not zstd", "not a whole zstd file"),
        "cut.jsonl.zst": (zstd(b'{"title": "T"}\n' * 5000)[:-5], r"after row \d+: is not a whole zstd file"),
        "empty.csv.zst": (zstd(b""), "is empty"),
        "odd.parquet.zst": (b"x", "no known format"),
        "not.parquet": (b"PAR1 nonsense", "not a readable Parquet"),
        "latin.csv": ("title\nÜber\n".encode("latin-1"), "row 2: is not UTF-8"),
        "quote.csv": (b'title,text\n"open,b\n', "is not CSV"),
        "odd.xyz": (b"x", "no known format"),
    }
    made = {}
    for name, (data, reason) in files.items():
        (tmp_path / name).write_bytes(data)
        made[name] = (tmp_path / name, reason)
    (tmp_path / "folder").mkdir()
    return made | {"folder": (tmp_path / "folder", "no file in a known"), "none": (tmp_path / "no.jsonl", "not exist")}


NAMES = (
    "empty.jsonl blank.jsonl empty.csv header.csv words.jsonl not.jsonl.gz cut.jsonl.gz not.parquet latin.csv "
    "not.jsonl.zst cut.jsonl.zst empty.csv.zst odd.parquet.zst quote.csv odd.xyz folder none"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_an_unreadable_file_is_named(tmp_path: Path, name: str) -> None:
    path, reason = unreadable(tmp_path)[name]
    with pytest.raises(InputError, match=reason) as error:
        read(path, rejects=[])
    assert path.name in str(error.value)
    assert error.value.remedy


def test_a_file_of_something_else_is_given_up_early(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("words\n" * 5_000)
    rejects: list[Reject] = []
    with pytest.raises(InputError, match="none of 1000 rows"):
        read(path, rejects=rejects)
    assert len(rejects) == 1_000


def test_a_limit_stops_reading(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ROWS[0], "{broken")
    assert read(path, limit=1) == WANT[:1]


def test_importing_the_reader_is_light() -> None:
    code = (
        "import sys, bondlore.ingest.archive, bondlore.ingest.poll, bondlore.ingest.opml;"
        "print(*({'trafilatura', 'feedparser', 'urllib3', 'lxml', 'pyarrow', 'numpy'} & set(sys.modules)))"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert got.stdout.strip() == ""


@pytest.mark.slow
@pytest.mark.shared
def test_the_real_archive_is_read_whole() -> None:
    path = Path(__file__).parents[2] / "shared" / "news" / "archive.jsonl.gz"
    if not path.exists():
        pytest.skip("the material folder is not here")
    rejects: list[Reject] = []
    assert sum(1 for _ in read_archive([path], rejects=rejects)) > 20_000
    assert rejects == []
