from __future__ import annotations

import json
from typing import Any

import pytest

from bondlore.errors import InputError
from bondlore.report.data import SCHEMA_FILE, from_json, json_schema, to_json
from report_samples import made_up, tagged


def test_json_round_trip() -> None:
    data = made_up()
    assert from_json(to_json(data)) == data


def test_an_empty_report_round_trips() -> None:
    data = made_up(tagged([]), yields=None)
    assert from_json(to_json(data)) == data


def test_the_schema_file_is_current() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema()


def conforms(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """The part of JSON Schema that ours uses."""
    if "$ref" in schema:
        return conforms(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(conforms(value, s, root) for s in schema["anyOf"])
    kind = schema["type"]
    if kind == "object":
        return set(value) == set(schema["required"]) and all(
            conforms(value[k], s, root) for k, s in schema["properties"].items()
        )
    if kind == "array":
        return isinstance(value, list) and all(conforms(v, schema["items"], root) for v in value)
    types: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    return isinstance(value, types[kind])


def test_reports_conform_to_the_schema() -> None:
    schema = json_schema()
    assert conforms(json.loads(to_json(made_up())), schema, schema)


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
