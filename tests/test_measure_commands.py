"""`bondlore share` on tagged articles made up for it: methods, mixes, audits and files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bondlore import chain
from bondlore.cli import main
from bondlore.tag import bundle as bundles
from bondlore.tagging import schema

MODEL = bundles.read(None, verify=())
FIRST, *OTHERS = MODEL.taxonomy.ids
START = datetime(2025, 3, 3, 15, tzinfo=UTC)


def tagged(n: int, share: float, seed: int, prefix: str = "x") -> tuple[pa.Table, np.ndarray]:
    """Articles of two weeks by two publishers; the first narrative scores apart, the others never occur."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    p = 1 / (1 + np.exp(-rng.normal(np.where(truth, 1.5, -2.5), 1.2)))
    columns: dict[str, Any] = {
        "id": [f"{prefix}{i}" for i in range(n)],
        "publisher": ["Wire" if i % 3 else "Paper" for i in range(n)],
        "published_at": [START + timedelta(days=7 * (i % 2)) for i in range(n)],
        "published_precision": ["second"] * n,
        "gate": ["causal"] * n,
        "model": [MODEL.id] * n,
        "status": ["ok"] * n,
        f"p_{FIRST}": p,
        f"v_{FIRST}": ["promotes" if v else None for v in p > 0.4],
    } | {f"p_{name}": [0.01] * n for name in OTHERS}
    form = schema(MODEL.taxonomy.ids)
    return pa.table({f.name: pa.array(columns.get(f.name, [None] * n), f.type) for f in form}, schema=form), truth


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two folders that read as tagged articles, and the labels of both."""
    tables = {}
    for name, share, seed in (("tagged", 0.15, 1), ("held-out", 0.4, 2)):
        tables[str(tmp_path / name)], truth = tagged(600, share, seed, name[0])
        (tmp_path / name).mkdir()
        labels = [{"id": f"{name[0]}{i}", f"v_{FIRST}": "promotes" if t else None} for i, t in enumerate(truth)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    for name in ("read_tagged", "open_tagged"):
        monkeypatch.setattr(chain, name, lambda source, *_, **__: tables[str(source)])
    return tmp_path


def rows(sources: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    command = ["share", str(sources / "tagged"), "--series", "presence", "--json", *options]
    assert main(command) == 0
    found: list[dict[str, Any]] = [r for r in json.loads(capsys.readouterr().out) if r["narrative"] == FIRST]
    return found


def test_em_from_held_out_articles(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held_out = ["--held-out", str(sources / "held-out"), str(sources / "held-out.jsonl")]
    found = rows(sources, capsys, "--method", "em", *held_out)
    assert [r["method"] for r in found] == ["em", "em"]
    assert all(r["low"] < 0.15 < r["high"] for r in found)
    assert all("train:" in r["labels"] and "held-out:" in r["labels"] for r in found)


def test_the_models_own_scores_serve_em_and_the_drift_test(
    sources: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bondlore.measure.audit import read_audit
    from bondlore.measure.heldout import make_held_out

    taxonomy = MODEL.taxonomy
    gold = read_audit(sources / "held-out.jsonl", taxonomy)
    known = make_held_out(chain.read_tagged(sources / "held-out", MODEL), gold, taxonomy)
    assert known.confusion is not None
    whole = replace(MODEL, scores=known.to_dict(), confusion=known.confusion.to_dict())
    monkeypatch.setattr(bundles, "read", lambda *_, **__: whole)
    assert [r["method"] for r in rows(sources, capsys, "--method", "em")] == ["em", "em"]
    shifted = known.to_dict()
    scores = shifted["narratives"][FIRST]
    scores["positive"], scores["negative"] = scores["negative"][::-1], scores["positive"][::-1]
    scores["negative"][0] = scores["positive"][-1] = 900.0  # a window that is no mixture of these
    monkeypatch.setattr(bundles, "read", lambda *_, **__: replace(whole, scores=shifted))
    found = rows(sources, capsys)
    assert [r["share"] for r in found] == [None, None]
    assert all("drift: scores are no mixture" in r["reason"] for r in found)
    assert all(r["share"] is not None for r in rows(sources, capsys, "--drift", "off"))


def test_a_vintage_and_a_cutoff(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [r["n"] for r in rows(sources, capsys, "--as-of", "2025-03-05")] == [300]
    assert {r["as_of"] for r in rows(sources, capsys, "--as-of", "2025-03-05")} == {"2025-03-05T20:30:00+00:00"}
    assert rows(sources, capsys, "--as-of", "2025-03-03T14:59:00Z") == []
    assert rows(sources, capsys, "--as-of", "2025-03-03T15:00:00Z", "--freq", "D")[0]["n"] == 300
    # 15:00 UTC is 10:00 in New York: with a day that ended at 9:30 it is the next one's
    early = rows(sources, capsys, "--freq", "D", "--cutoff", "09:30")
    assert early[0]["period_start"] == "2025-03-04"


def test_a_smoothed_series_on_request(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(r["smoothed"] is None for r in rows(sources, capsys, "--smooth"))  # two weeks are too few
    assert main(["share", str(sources / "tagged"), "--freq", "rolling", "--smooth"]) == 1
    assert "rolling windows overlap" in capsys.readouterr().err


def test_an_audit_file_is_used_and_named(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(sources, capsys, "--audit", str(sources / "tagged.jsonl"))
    assert [(r["method"], r["n_audited"]) for r in found] == [("ppi", 300), ("ppi", 300)]
    assert "audit:" in found[0]["labels"]


def test_publishers_and_tiers(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {r["publisher"] for r in rows(sources, capsys, "--split", "publisher")} == {"Paper", "Wire"}
    (sources / "tiers.csv").write_text("publisher,tier\nWire,agency\nPaper,press\n")
    tiers = ["--split", "publisher", "--tiers", str(sources / "tiers.csv")]
    assert {r["publisher"] for r in rows(sources, capsys, *tiers)} == {"agency", "press"}
    assert {r["mix"] for r in rows(sources, capsys, "--mix", "fixed")} == {"fixed"}


def test_a_tiers_file_without_tiers(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sources / "tiers.csv").write_text("name\nWire\n")
    assert main(["share", str(sources / "tagged"), "--tiers", str(sources / "tiers.csv")]) == 1
    assert "no columns publisher and tier" in capsys.readouterr().err


def test_every_column_is_in_every_file(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("csv", "json", "parquet"):
        out = sources / f"s.{kind}"
        assert main(["share", str(sources / "tagged"), "--freq", "rolling", "--out", str(out)]) == 0
    capsys.readouterr()
    with (sources / "s.csv").open() as file:
        first = next(csv.DictReader(file))
    assert set(first) == set(json.loads((sources / "s.json").read_text())[0])
    stamped = {"method", "n", "n_audited", "low", "high", "model", "taxonomy", "labels"}
    assert stamped <= set(first)
    assert first["labels"].startswith("train:")
    assert first["freq"] == "7D"


def test_the_same_archive_as_files_gives_the_same_shares(tmp_path: Path) -> None:
    """A data set of Parquet files, read batch by batch, and the table in memory."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    from bondlore.measure.shares import shares

    table, _ = tagged(600, 0.3, 4)
    for i in range(3):
        pq.write_table(table.slice(200 * i, 200), tmp_path / f"{i}.parquet")
    whole = shares(table, MODEL.taxonomy, freq="W")
    assert shares(ds.dataset(tmp_path, format="parquet"), MODEL.taxonomy, freq="W").table == whole.table
