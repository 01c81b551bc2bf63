"""What can be named as the input of a batch job."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bondlore.cli import main
from bondlore.errors import InputError
from bondlore.tag.batch import read_tagged, run
from bondlore.tag.batch.inputs import expand
from tiny_model import TinyLoader, archive, rows


def ids(inputs, out):
    run(inputs, out, shard_size=8, load=TinyLoader(), quiet=True)
    return read_tagged(out)["id"].to_pylist()


def as_csv(path, items):
    fields = list(items[0])
    lines = [",".join(fields), *(",".join(item[f] for f in fields) for item in items)]
    path.write_text("\n".join(lines) + "\n")


def as_gzip(path, items):
    path.write_bytes(gzip.compress("".join(json.dumps(item) + "\n" for item in items).encode()))


def as_zstd(path, items):
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write("".join(json.dumps(item) + "\n" for item in items).encode())


def as_parquet(path, items):
    pq.write_table(pa.Table.from_pylist(items), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", archive),
        ("a.jsonl.gz", as_gzip),
        ("a.jsonl.zst", as_zstd),
        ("a.csv", as_csv),
        ("a.parquet", as_parquet),
    ],
)
def test_every_format_gives_the_same_table(tmp_path, name, write):
    write(tmp_path / name, rows(20))
    assert ids([tmp_path / name], tmp_path / "out") == [f"a{i}" for i in range(20)]
    archive(tmp_path / "plain.jsonl", rows(20))
    ids([tmp_path / "plain.jsonl"], tmp_path / "plain")
    assert read_tagged(tmp_path / "out").equals(read_tagged(tmp_path / "plain"))


@pytest.fixture
def folders(tmp_path):
    for k, name in enumerate(("2024/jan.jsonl", "2024/feb.jsonl", "2025/deep/jan.jsonl")):
        path = tmp_path / "news" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        archive(path, rows(2, start=10 * k))
    return tmp_path / "news"


def test_a_pattern_stands_for_its_files_by_name(folders, tmp_path):
    assert ids([folders / "2024" / "*.jsonl"], tmp_path / "out") == ["a10", "a11", "a0", "a1"]


def test_two_stars_go_to_any_depth(folders, tmp_path):
    assert ids([folders / "**" / "jan.jsonl"], tmp_path / "out") == ["a0", "a1", "a20", "a21"]


def test_a_pattern_may_match_folders(folders):
    assert expand([str(folders / "20*")]) == [folders / "2024", folders / "2025"]


def test_what_exists_is_no_pattern(tmp_path):
    odd = archive(tmp_path / "news[1].jsonl", rows(2))
    archive(tmp_path / "news1.jsonl", rows(2, start=50))
    assert ids([odd], tmp_path / "out") == ["a0", "a1"]


def test_a_pattern_that_matches_nothing_is_said_and_leaves_nothing_behind(tmp_path, capsys):
    with pytest.raises(InputError, match=r"none\*.jsonl: matches no file"):
        expand([tmp_path / "none*.jsonl"])
    assert main(["tag", str(tmp_path / "none*.jsonl"), "--out", str(tmp_path / "out")]) == 1
    assert "matches no file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_takes_a_pattern(root, tmp_path, capsys):
    pattern = str(root / "corpus" / "sample" / "archive*.jsonl")
    assert main(["tag", pattern, "--out", str(tmp_path / "out"), "--limit", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 3
