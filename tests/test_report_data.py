from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bondlore.errors import InputError
from bondlore.report.data import SCHEMA_FILE, ReportData, from_json, json_schema, to_json
from report_samples import hostile, made_up, tagged


def test_json_round_trip() -> None:
    data = made_up()
    assert from_json(to_json(data)) == data


def test_an_empty_report_round_trips() -> None:
    data = made_up(tagged([]), yields=None)
    assert from_json(to_json(data)) == data


def test_the_schema_file_is_current() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema()


@pytest.fixture(scope="module")
def published() -> Draft202012Validator:
    schema = json.loads(SCHEMA_FILE.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize(
    "data",
    [
        made_up(),
        hostile(),
        made_up(tagged([]), yields=None),
        made_up(in_sample=[(date(2025, 4, 1), date(2025, 4, 4))]),
    ],
    ids=["spring", "hostile", "nothing", "in-sample"],
)
def test_reports_conform_to_the_published_schema(data: ReportData, published: Draft202012Validator) -> None:
    published.validate(json.loads(to_json(data)))


def test_the_golden_reports_conform_to_the_published_schema(published: Draft202012Validator) -> None:
    found = sorted((Path(__file__).parent / "golden" / "report").glob("*.json"))
    assert found
    for path in found:
        published.validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("key", "value"), [("extra", 1), ("date", 3), ("narratives", [{}]), ("quality", None)])
def test_the_published_schema_refuses_what_is_no_report(key: str, value: Any, published: Draft202012Validator) -> None:
    assert not published.is_valid(json.loads(to_json(made_up())) | {key: value})


@pytest.mark.parametrize(
    "change",
    [
        {"version": "bondlore.report/0"},
        {"date": "11 April"},
        {"extra": 1},
        {"headline": []},
        {"tenors": [3]},
        {"publishers_omitted": True},
        {"narratives": "none"},
    ],
)
def test_a_changed_report_is_refused(change: dict[str, Any]) -> None:
    raw = json.loads(to_json(made_up())) | change
    with pytest.raises(InputError, match=r"report\.json"):
        from_json(json.dumps(raw))


@pytest.mark.parametrize(("key", "value"), [("colour", "red;}body{display:none"), ("id", "../x")])
def test_a_narrative_cannot_carry_css(key: str, value: str) -> None:
    raw = json.loads(to_json(made_up()))
    raw["narratives"][0][key] = value
    with pytest.raises(InputError, match="unusable narrative"):
        from_json(json.dumps(raw))


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        from_json(text)


def test_the_stamp_is_one_field() -> None:
    one, two = (json.loads(to_json(made_up(stamp=s))) for s in ("run 1", "run 2"))
    assert {k for k in one if one[k] != two[k]} == {"stamp"}
