"""A taxonomy that changes: labels are carried over by its recorded history, and never silently."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from bondlore import taxonomy
from bondlore.cli import main
from bondlore.errors import InputError, LabelError, TaxonomyError
from bondlore.measure.shares import shares
from bondlore.tagging import schema
from bondlore.train.labelling.mapping import carry_files
from bondlore.train.labels import read_all

NEW = {
    "name": "t",
    "version": "3",
    "narratives": [{"id": n} for n in ("official", "private", "inflation", "growth", "haven")],
    "history": [
        {
            "version": "1",
            "narratives": ["foreign", "oil", "wages", "weather", "recession"],
            "map": {"oil": "prices", "wages": "prices", "weather": None},
        },
        {
            "version": "2",
            "narratives": ["foreign", "prices", "recession"],
            "map": {"foreign": ["official", "private"], "prices": "inflation", "recession": "growth"},
            "note": "prices are inflation",
        },
    ],
}
TAXONOMY = taxonomy.parse(NEW, where="t.yaml")


def write(tmp_path, *rows):
    path = tmp_path / "old.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def row(i, labels, **given):
    return {"id": f"x{i}", "sentences": ["", "one", "two"], "labels": labels, "gate": "causal"} | given


def test_what_became_of_each_narrative_over_two_versions():
    assert TAXONOMY.successors("1") == {
        "foreign": {"official", "private"},
        "oil": {"inflation"},
        "wages": {"inflation"},
        "weather": {None},
        "recession": {"growth"},
    }
    assert TAXONOMY.added_since("1") == TAXONOMY.added_since("2") == ("haven",)
    assert TAXONOMY.edition("2").ids == ("foreign", "prices", "recession")
    with pytest.raises(TaxonomyError, match=r"does not record the version '0' \(its history has 1, 2\)"):
        TAXONOMY.successors("0")


def test_a_split_that_was_merged_again_is_decided():
    back = {"version": "3", "narratives": ["official", "private"], "map": {"official": "foreign", "private": "foreign"}}
    first = {"version": "1", "narratives": ["foreign"], "map": {"foreign": ["official", "private"]}}
    again = {"name": "t", "version": "4", "narratives": [{"id": "foreign"}], "history": [first, back]}
    assert taxonomy.parse(again, where="t").successors("1") == {"foreign": {"foreign"}}


def test_a_model_carries_the_history_and_taxonomies_without_one_do_not():
    assert taxonomy.parse(taxonomy.dump(TAXONOMY), where="x") == TAXONOMY
    assert "history" not in taxonomy.dump(taxonomy.load())


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("1", "history 1 has no version"),
        ({"version": "2", "narratives": ["a"]}, "repeats the version '2'"),
        ({"version": "1", "narratives": "a"}, "has no list of narratives"),
        ({"version": "1", "narratives": ["a"], "map": ["a"]}, "'map' is not a mapping"),
        ({"version": "1", "narratives": ["a"], "map": {"b": "a"}}, "maps 'b', which it did not have"),
        ({"version": "1", "narratives": ["a"], "map": {"a": "c"}}, "a became 'c', not in the next version"),
        ({"version": "1", "narratives": ["a"], "map": {"a": []}}, "a became an empty list"),
        ({"version": "1", "narratives": ["a"], "map": {"a": [["a"]]}}, "became ['a'], not in"),
        ({"version": "1", "narratives": ["a", "b"]}, "'b' is gone and not mapped; add to its map: b: null"),
    ],
)
def test_a_history_that_leaves_something_open_is_refused(entry, reason):
    with pytest.raises(TaxonomyError, match=re.escape(reason)):
        taxonomy.parse({"version": "2", "narratives": [{"id": "a"}], "history": [entry]}, where="t.yaml")


def test_labels_are_renamed_merged_retired_or_left_to_decide(tmp_path):
    rows = [
        row(0, {"1": {"oil": "support", "wages": "support"}, "2": {"recession": "reject"}}, primary="oil"),
        row(1, {"1": {"weather": "support"}}, primary="weather"),
        row(2, {"1": {"foreign": "reject"}, "2": {"oil": "support"}}, primary="foreign"),
        row(3, {"1": {"oil": "support", "wages": "reject"}}, primary="wages"),
        row(4, {"1": {"prices": "support"}}, taxonomy="t/2", why="drawn"),
        row(5, {}, gate="topical", primary="none"),
    ]
    found = carry_files([write(tmp_path, *rows)], TAXONOMY, "1")
    told = {r["id"]: (r["labels"], r["gate"], r.get("primary", "")) for r in found.rows}
    assert told == {
        "x0": ({"1": {"inflation": "support"}, "2": {"growth": "reject"}}, "causal", "inflation"),
        "x1": ({}, "topical", "none"),
        "x4": ({"1": {"inflation": "support"}}, "causal", ""),
        "x5": ({}, "topical", "none"),
    }
    assert [(r["id"], r["labels"], r["review"], r.get("primary", "")) for r in found.review] == [
        ("x2", {"2": {"inflation": "support"}}, {"1": ["official:reject", "private:reject"]}, ""),
        ("x3", {}, {"1": ["inflation", "inflation:reject"]}, "inflation"),
    ]
    assert found.counts == Counter(renamed=5, retired=1, undecided=3)
    assert found.added == ("haven",)
    assert all(r["taxonomy"] == "t/3" for r in (*found.rows, *found.review))
    assert found.rows[2]["why"] == "drawn"


@pytest.mark.parametrize(
    ("bad", "error", "reason"),
    [
        (row(0, {}), LabelError, "does not say under which version"),
        (row(0, {}, taxonomy="other/1"), LabelError, "another taxonomy, 'other'"),
        (row(0, {}, taxonomy="t/9"), TaxonomyError, "does not record the version '9'"),
        (row(0, {"1": {"inflation": "support"}}, taxonomy="t/1"), LabelError, "unknown narrative 'inflation'"),
    ],
)
def test_labels_of_no_known_version_are_refused(tmp_path, bad, error, reason):
    with pytest.raises(error, match=reason):
        carry_files([write(tmp_path, bad)], TAXONOMY)


@pytest.fixture
def mine(tmp_path):
    import yaml

    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(NEW))
    return path


def test_the_command_writes_nothing_until_somebody_will_decide(tmp_path, mine, capsys):
    old = write(tmp_path, row(0, {"1": {"oil": "support"}}), row(2, {"1": {"foreign": "support"}}))
    out, review = tmp_path / "new.jsonl", tmp_path / "review.jsonl"
    given = ["labels", "map", str(old), "--taxonomy", str(mine), "--since", "1", "--out", str(out)]
    assert main(given) == 1
    assert "1 articles have labels that the mapping leaves open, e.g. sentence 1 of 'x2'" in capsys.readouterr().err
    assert not out.exists()
    assert main([*given, "--review", str(review)]) == 0
    said = capsys.readouterr()
    assert "1 articles under t/3" in said.out
    assert "warning: haven came later" in said.err
    assert [a.labels for a in read_all([out], TAXONOMY)] == [{1: {"inflation": "support"}}]
    with pytest.raises(LabelError, match="sentences wait for a decision"):
        read_all([review], TAXONOMY)
    assert main([*given, "--review", str(review)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_labels_of_a_former_version_do_not_train_the_present_one(tmp_path):
    with pytest.raises(LabelError, match="labelled under t/2, not t/3; carry them over with bondlore labels map"):
        read_all([write(tmp_path, row(0, {}, taxonomy="t/2"))], TAXONOMY)


def test_a_series_keeps_the_version_it_was_measured_under():
    """What was tagged under a former version is not measured under the present one: its columns are not there."""
    old = TAXONOMY.edition("2")
    moment = datetime(2025, 4, 9, 15, tzinfo=UTC)
    one = {"published_at": moment, "published_precision": "second", "gate": "causal", "model": "m", "status": "ok"}
    rows = [one | {"id": f"x{i}", "cluster": f"x{i}", "v_prices": "promotes"} for i in range(40)]
    table = pa.Table.from_pylist(rows, schema=schema(old.ids))
    stamps = shares(table, old, freq="D", method="uncorrected").table["taxonomy"].to_pylist()
    assert {s.rpartition("/")[0] for s in stamps} == {"t/2"}
    with pytest.raises(InputError, match="has no column v_official"):
        shares(table, TAXONOMY, freq="D")
