"""The demo: the main job, offline, twice."""

from __future__ import annotations

import json
import sqlite3

import pytest

from bondlore.cli import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out)]) == 0
    return out


def without_stamp(path):
    return {k: v for k, v in json.loads(path.read_text()).items() if k != "stamp"}


def test_it_writes_every_format(demo):
    assert {p.name for p in demo.iterdir()} >= {"report.html", "report.png", "report.md", "report.json", "demo.db"}


def test_it_reads_feeds_and_archive(demo):
    assert without_stamp(demo / "report.json")["quality"]["articles"] >= 320


def test_a_second_run_changes_nothing(demo, capsys):
    before = without_stamp(demo / "report.json")
    html = (demo / "report.html").read_text().replace(json.loads((demo / "report.json").read_text())["stamp"], "")
    assert main(["demo", "--out", str(demo), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["new"], counts["tagged"]) == (0, 0)
    assert without_stamp(demo / "report.json") == before
    stamp = json.loads((demo / "report.json").read_text())["stamp"]
    assert (demo / "report.html").read_text().replace(stamp, "") == html


def test_wire_copies_share_a_cluster(demo):
    with sqlite3.connect(demo / "demo.db") as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    connection.close()
    assert "article" in tables
    quality = without_stamp(demo / "report.json")["quality"]
    assert quality["clusters"] < quality["articles"]


def test_the_core_stories_rise_and_fade(demo):
    data = json.loads((demo / "report.json").read_text())
    lines = {x["narrative"]: x["points"] for x in data["lines"] if x["series"] == "support"}
    for narrative in ("tariff_inflation", "deleveraging", "foreign_selling"):
        shares = [p["share"] for p in lines[narrative] if p["share"] is not None]
        assert max(shares) > 2 * min(shares) + 0.05
