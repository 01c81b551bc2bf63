"""From a drawn sample, labelled, to the table that corrects a share."""

from __future__ import annotations

import json

import pytest

from bondlore import taxonomy
from bondlore.cli import main
from bondlore.errors import LabelError
from bondlore.measure.coding import code_audit
from bondlore.train.labelling import convert
from bondlore.train.labelling.audit import audit_table

TAXONOMY = taxonomy.parse({"name": "t", "narratives": [{"id": "a"}, {"id": "b"}]}, where="t")


def row(i, labels=None, **changes):
    base = {"id": f"x{i}", "sentences": ["", "one", "two", "three"], "labels": labels or {}, "gate": "causal"}
    return base | {"inclusion_prob": 0.25, "why": "drawn at random"} | changes


def write(path, *rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_verdicts_and_probabilities_are_what_measuring_reads(tmp_path):
    both = {"1": {"a": "support"}, "2": {"a": "reject", "b": "reject"}}
    given = [row(1, both), row(2, gate="topical", inclusion_prob=1), row(3, {"1": {"b": "support"}})]
    table = audit_table([write(tmp_path / "l.jsonl", *given)], TAXONOMY)
    assert table.to_pylist() == [
        {"id": "x1", "v_a": "contested", "v_b": "rejects", "inclusion_prob": 0.25},
        {"id": "x2", "v_a": None, "v_b": None, "inclusion_prob": 1.0},
        {"id": "x3", "v_a": None, "v_b": "promotes", "inclusion_prob": 0.25},
    ]
    audit = code_audit(table, TAXONOMY)
    assert audit.inclusion.tolist() == [0.25, 1.0, 0.25]
    assert audit.verdicts.tolist() == [[3, 2], [0, 0], [0, 1]]


def test_without_probabilities_there_is_no_such_column(tmp_path):
    table = audit_table([write(tmp_path / "l.jsonl", row(1, {"1": {"a": "support"}}, inclusion_prob=None))], TAXONOMY)
    assert table.column_names == ["id", "v_a", "v_b"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(2, gate=""), "neither labels nor a gate"),
        (row(1), "occurs twice"),
        (row(2, inclusion_prob=0), r"inclusion_prob 0 is not in \(0, 1\]"),
        (row(2, inclusion_prob="often"), "inclusion_prob 'often'"),
        (row(2) | {"labels": None}, "not read yet"),
        (row(2, inclusion_prob=None), "has no inclusion_prob, other rows have"),
        (row(2, {"9": {"a": "support"}}), "label index '9'"),
    ],
)
def test_a_row_that_would_bias_the_audit_is_named(tmp_path, bad, reason):
    path = write(tmp_path / "l.jsonl", row(1), bad)
    with pytest.raises(LabelError, match=reason) as caught:
        audit_table([path], TAXONOMY)
    assert caught.value.where == f"{path}:2"


def test_a_sample_labelled_in_label_studio_keeps_its_probabilities(tmp_path):
    """The way of an audit: drawn, labelled in a tool, measured. Without the probabilities PPI++ would be biased."""
    drawn = [row(i, gate="") | {"labels": None, "inclusion_prob": 0.1 * (i + 1)} for i in range(2)]
    tasks = tmp_path / "tasks.json"
    convert.write(convert.read(write(tmp_path / "drawn.jsonl", *drawn), TAXONOMY), tasks, "label-studio", TAXONOMY)
    with pytest.raises(LabelError, match="not read yet"):
        audit_table([tasks], TAXONOMY)
    made = json.loads(tasks.read_text())
    region = {"type": "labels", "from_name": "label", "value": {"start": 1, "end": 4, "text": "one", "labels": ["b"]}}
    gate = {"type": "choices", "from_name": "gate", "value": {"choices": ["topical"]}}
    for task, result in zip(made, ([region], [gate]), strict=True):
        task["annotations"] = [{"result": result, "completed_by": 1}]
    tasks.write_text(json.dumps(made))
    assert audit_table([tasks], TAXONOMY).to_pylist() == [
        {"id": "x0", "v_a": None, "v_b": "promotes", "inclusion_prob": 0.1},
        {"id": "x1", "v_a": None, "v_b": None, "inclusion_prob": 0.2},
    ]


def test_the_command(tmp_path, capsys):
    mine = tmp_path / "t.yaml"
    mine.write_text("name: t\nnarratives:\n  - {id: a}\n  - {id: b}\n")
    path, out = write(tmp_path / "l.jsonl", row(1, {"1": {"a": "support"}})), tmp_path / "audit.parquet"
    given = ["labels", "convert", str(path), "--to", "audit", "--taxonomy", str(mine), "--out", str(out)]
    assert main(given) == 0
    assert capsys.readouterr().out.startswith("1 audited articles in ")
    assert main(given) == 1
    assert "is there already" in capsys.readouterr().err
