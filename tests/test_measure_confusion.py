from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bondlore.errors import ModelError
from bondlore.measure.confusion import Counts, load_confusion, parse_confusion

CELLS = {"tp": 40, "fp": 5, "fn": 10, "tn": 300}
FORM = {"level": "article", "narratives": {"a": {"presence": CELLS}}, "source": "5-fold, out-of-fold", "n": 355}


def test_counts_give_rates() -> None:
    counts = Counts(**CELLS)
    assert (counts.tpr, counts.fpr) == (0.8, pytest.approx(5 / 305))


def test_the_form_goes_through_unchanged() -> None:
    assert parse_confusion(FORM, where="x").to_dict() == FORM


def test_read_from_a_model_folder(tmp_path: Path) -> None:
    (tmp_path / "bondlore.json").write_text(json.dumps({"narratives": ["a"], "confusion": FORM}))
    got = load_confusion(tmp_path)
    assert got is not None
    assert got.counts("a", "presence") == Counts(**CELLS)


def test_read_from_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "confusion.json").write_text(json.dumps(FORM))
    got = load_confusion(tmp_path / "confusion.json")
    assert got is not None
    assert got.n == 355


def test_a_model_without_counts_has_none(tmp_path: Path) -> None:
    (tmp_path / "bondlore.json").write_text(json.dumps({"narratives": ["a"]}))
    assert load_confusion(tmp_path) is None


def test_an_unknown_narrative_has_no_counts() -> None:
    assert parse_confusion(FORM, where="x").counts("b", "presence") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no mapping 'narratives'"),
        (FORM | {"level": "sentence"}, "level 'sentence'"),
        (FORM | {"narratives": {"a": 3}}, "'a' are no mapping"),
        (FORM | {"narratives": {"a": {"presence": CELLS | {"tp": -1}}}}, "'a', 'presence'"),
        (FORM | {"narratives": {"a": {"presence": {"tp": 1}}}}, "'a', 'presence'"),
        (FORM | {"narratives": {"a": {"presence": CELLS | {"tn": True}}}}, "'a', 'presence'"),
    ],
)
def test_what_is_refused(data: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_confusion(data, where="x")


def test_a_file_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "bondlore.json").write_text("{")
    with pytest.raises(ModelError, match="is not JSON"):
        load_confusion(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_confusion(tmp_path)
