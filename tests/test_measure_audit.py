from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bondlore.errors import InputError
from bondlore.measure.audit import read_audit
from bondlore.measure.coding import code_audit
from bondlore.taxonomy import Narrative, Taxonomy

TAXONOMY = Taxonomy("test", "1", tuple(Narrative(n, n, "core", n) for n in ("a", "b")))
TABLE = pa.table(
    {
        "id": ["x1", "x2"],
        "v_a": pa.array(["promotes", None], pa.string()),
        "v_b": pa.array([None, "contested"], pa.string()),
        "inclusion_prob": [0.5, 0.25],
    }
)
NATIVE = [
    {"id": "x1", "sentences": ["T", "s"], "labels": {"1": {"a": "support"}}, "inclusion_prob": 0.5},
    {"id": "x2", "labels": {"1": {"b": "support"}, "2": {"b": "reject"}}, "inclusion_prob": 0.25},
]


def write(path: Path, rows: list[object]) -> Path:
    text = "\n".join(json.dumps(r) if isinstance(r, dict) else str(r) for r in rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "labels.jsonl", "labels.jsonl.gz"])
def test_every_form_gives_the_same_table(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"audit.{kind}"
    if kind == "parquet":
        pq.write_table(TABLE, path)
    elif kind == "csv":
        write(path, ["inclusion_prob,id,v_a,v_b,note", '0.5,x1,promotes,,"a, b"', "0.25,x2,,contested,"])
    elif kind == "jsonl":
        write(path, [{k: v for k, v in row.items() if v is not None} for row in TABLE.to_pylist()])
    else:
        write(path, [*NATIVE, ""])
    got = read_audit(path, TAXONOMY)
    assert got.select(TABLE.column_names).equals(TABLE)


def test_an_audit_without_chances_has_no_such_column(tmp_path: Path) -> None:
    got = read_audit(write(tmp_path / "a.csv", ["id,v_a,v_b", "x1,promotes,"]), TAXONOMY)
    assert "inclusion_prob" not in got.column_names
    assert code_audit(got, TAXONOMY).inclusion.tolist() == [1.0]


def test_an_article_without_a_label_carries_nothing(tmp_path: Path) -> None:
    got = read_audit(write(tmp_path / "a.jsonl", [{"id": "x1", "labels": {}}]), TAXONOMY)
    assert got.to_pylist() == [{"id": "x1", "v_a": None, "v_b": None}]


def test_one_denial_among_four_claims_is_a_nuance(tmp_path: Path) -> None:
    stances = [*["support"] * 4, "reject"]
    row = {"id": "x", "labels": {str(i): {"a": s} for i, s in enumerate(stances)}}
    assert read_audit(write(tmp_path / "a.jsonl", [row]), TAXONOMY)["v_a"].to_pylist() == ["promotes"]


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("a.txt", ["x"], "unknown kind '.txt'"),
        ("a.csv", ["id,v_a", "x1,"], "a.csv:1: has no column v_b"),
        ("a.csv", ["id,v_a,v_b", ",promotes,"], "a.csv:2: the row has no id"),
        ("a.csv", ["id,v_a,v_b,inclusion_prob", "x,,,half"], "a.csv:2: the inclusion_prob 'half' is no number"),
        ("a.csv", ["id,v_a,v_b"], "holds no labelled article"),
        ("a.jsonl", ["{"], "a.jsonl:1: the row is not JSON"),
        ("a.jsonl", ["[]"], "a.jsonl:1: the row is not a JSON object"),
        ("a.jsonl", [{"id": "x"}], "neither v_<narrative> nor 'labels'"),
        ("a.jsonl", [{"id": "x", "v_c": "promotes"}], "unknown narrative 'c'"),
        ("a.jsonl", [{"id": "x", "labels": {"1": {"c": "support"}}}], "unknown label 'c'"),
        ("a.jsonl", [{"id": "x", "labels": ["a"]}], "maps no sentence"),
        ("a.jsonl", [{"id": "x", "labels": None}], "a.jsonl:1: the article is not labelled yet"),
        ("a.jsonl", [{"id": "x", "labels": {}}, {"id": "x", "labels": {}}], "a.jsonl:2: the id 'x' occurs twice"),
        ("a.jsonl", [{"id": "x", "labels": {}, "inclusion_prob": 1.5}], "a.jsonl:1: the inclusion_prob 1.5 is not in"),
        (
            "a.jsonl",
            [{"id": "x", "labels": {}, "inclusion_prob": 1}, {"id": "y", "labels": {}}],
            "a.jsonl:2: has no inclusion_prob",
        ),
    ],
)
def test_what_cannot_be_read_is_named(name: str, rows: list[object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        read_audit(write(tmp_path / name, rows), TAXONOMY)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_audit(tmp_path / "no.csv", TAXONOMY)
