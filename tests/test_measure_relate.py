"""Shares beside yields, from tagged articles to the profile, and the command."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bondlore import chain, taxonomy
from bondlore.cli import main
from bondlore.errors import InputError, YieldsError
from bondlore.measure import calendar, relate
from bondlore.measure.confusion import Confusion, Counts
from bondlore.measure.series import ShareSeries
from bondlore.measure.shares import shares
from bondlore.measure.yields import Yields
from bondlore.tag import bundle as bundles
from bondlore.tagging import schema
from bondlore.taxonomy import Narrative, Taxonomy

TAXONOMY = Taxonomy("test", "1", tuple(Narrative(n, n, "core", n) for n in ("a", "b")))
GOOD = Confusion({n: {"support": Counts(tp=800, fp=50, fn=200, tn=950)} for n in ("a", "b")})
DAYS = calendar.business_days(date(2024, 1, 2), date(2024, 9, 30)).tolist()
EACH = 80


def archive(slope: float = 0.0, names: tuple[str, ...] = ("a", "b"), **more: Any) -> tuple[pa.Table, Yields]:
    """80 articles each business day; the first narrative's true share wanders, and yields move with it that day."""
    rng = np.random.default_rng(0)
    share = np.clip(0.35 + 0.13 * rng.normal(size=len(DAYS)), 0.05, 0.75)
    true = rng.random((len(DAYS), EACH)) < share[:, None]
    said = np.where(true, rng.random(true.shape) < 0.8, rng.random(true.shape) < 0.05)
    other = rng.random(true.shape) < 0.2
    days = [datetime.combine(d, time(14), UTC) for d in DAYS]
    columns: dict[str, Any] = {
        "id": [f"x{i}" for i in range(said.size)],
        "published_at": [d for d in days for _ in range(EACH)],
        "published_precision": ["second"] * said.size,
        "first_seen_at": [d for d in days for _ in range(EACH)],
        "gate": ["causal"] * said.size,
        "model": ["m1"] * said.size,
        "status": ["ok"] * said.size,
        f"v_{names[0]}": ["promotes" if s else None for s in said.ravel()],
        f"v_{names[1]}": ["promotes" if s else None for s in other.ravel()],
    } | {k: [v] * said.size for k, v in more.items()}
    form = schema(names)
    table = pa.table({f.name: pa.array(columns.get(f.name, [None] * said.size), f.type) for f in form}, schema=form)
    moved = rng.normal(0, 4, len(DAYS)) + slope * np.diff(share, prepend=share[0]) * 100
    level = (4 + np.cumsum(moved) / 100)[:, None]
    return table, Yields(np.array(DAYS, dtype="datetime64[D]"), ("10Y",), level, "test")


def measured(table: pa.Table, **options: Any) -> ShareSeries:
    chosen = {"confusion": GOOD, "rates_known": True, "draws": 200, "series": ("support",)} | options
    return shares(table, TAXONOMY, **chosen)


@pytest.fixture(scope="module")
def linked() -> tuple[ShareSeries, Yields]:
    table, yields = archive(slope=0.4)
    return measured(table), yields


def test_a_link_is_found_where_it_is_and_with_its_size(linked: tuple[ShareSeries, Yields]) -> None:
    series, yields = linked
    scale = relate.scales(GOOD, TAXONOMY.ids, "support")
    found = relate.profiles(series, yields, kind="support", tenors=["10Y"], scale=scale)
    clear = {(one.narrative, one.horizon) for one in found if one.p_holm is not None and one.p_holm < 0.01}
    # a share that jumped falls back the day after, and takes the yield of that day with it
    assert {("a", 0)} <= clear <= {("a", 0), ("a", 1)}
    one = max((f for f in found if f.slope is not None), key=lambda f: abs(f.slope or 0))
    assert (one.narrative, one.horizon) == ("a", 0)
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0.4 < one.high
    assert one.observed is not None
    assert one.slope is not None
    assert one.observed < one.slope
    assert len(found) == 2 * 16


def test_adjusted_p_values_are_over_all_tests(linked: tuple[ShareSeries, Yields]) -> None:
    series, yields = linked
    found = relate.profiles(series, yields, kind="support", tenors=["10Y"])
    smallest = min(found, key=lambda f: f.p if f.p is not None else 1)
    tests = sum(f.p is not None for f in found)
    assert smallest.p_holm == pytest.approx(smallest.p * tests)
    assert all(f.p <= f.p_fdr <= f.p_holm for f in found if f.p is not None and f.p_fdr and f.p_holm)


def test_sampling_alone_makes_the_variances(linked: tuple[ShareSeries, Yields]) -> None:
    """q (1 - q) / n / (tpr - fpr)^2, in points squared, near the mean."""
    share, variance, ends = relate.align(linked[0], "a", "support")
    q = 0.05 + 0.75 * 0.35
    assert np.median(variance) == pytest.approx(1e4 * q * (1 - q) / EACH / 0.75**2, rel=0.15)
    assert len(share) == len(ends) == len(DAYS)


def test_the_scale_of_rates_is_their_relative_variance() -> None:
    counts = Confusion({"a": {"support": Counts(tp=75, fp=0, fn=25, tn=10**6)}})
    got = relate.scales(counts, ("a", "b"), "support")
    assert got["a"] == pytest.approx(0.25 / 0.75 / 100, rel=0.15)
    assert got["b"] == 0
    assert relate.scales(None, ("a",), "support") == {"a": 0.0}


def test_articles_without_a_time_of_day_stay_out() -> None:
    table, _ = archive()
    precision = pa.array(["day", None, "second"] * (table.num_rows // 3) + ["second"] * (table.num_rows % 3))
    at = table.column_names.index("published_precision")
    kept, left = relate.dated_to_the_second(table.set_column(at, "published_precision", precision))
    assert (kept.num_rows + left, left) == (table.num_rows, 2 * (table.num_rows // 3))


def test_overlapping_periods_are_refused(linked: tuple[ShareSeries, Yields]) -> None:
    table, yields = archive()
    with pytest.raises(InputError, match="'7D' overlap"):
        relate.profiles(measured(table, freq="rolling"), yields, kind="support", tenors=["10Y"])


def test_an_unknown_tenor_is_refused(linked: tuple[ShareSeries, Yields]) -> None:
    with pytest.raises(YieldsError, match="no tenor '3Y'"):
        relate.profiles(*linked, kind="support", tenors=["3Y"])


def test_a_week_takes_its_last_fixing() -> None:
    table, yields = archive()
    weekly = measured(table, freq="W")
    ends = relate.align(weekly, "a", "support")[2]
    level = relate._fixings(yields, "10Y", ends, daily=False)
    # Good Friday 2024, 29 March, has no fixing: Thursday's stands for the week
    week = ends.tolist().index(date(2024, 3, 29))
    assert level[week] == yields.at(date(2024, 3, 28), "10Y")
    assert np.isnan(relate._fixings(yields, "10Y", ends, daily=True)[week])


def test_the_days_of_the_largest_moves(linked: tuple[ShareSeries, Yields]) -> None:
    series, yields = linked
    found = relate.events(
        series, yields, kind="support", tenor="10Y", days=3, in_sample=[(date(2024, 1, 1), date(2024, 6, 30))]
    )
    moves = np.diff(yields.column("10Y")) * 100
    assert [r["day"] for r in found[::2]] == [DAYS[1 + i] for i in np.argsort(-np.abs(moves))[:3]]
    assert found[0]["change_bp"] == pytest.approx(moves[np.argmax(np.abs(moves))], abs=0.01)
    assert all(r["in_sample"] == (r["day"] <= date(2024, 6, 30)) for r in found)
    by_day = {(r["period_start"], r["narrative"]): r for r in series.rows()}
    first = found[0]
    after = by_day[DAYS[DAYS.index(first["day"]) + 1], "a"]
    assert (first["share_after"], first["n_after"]) == (after["share"], EACH)
    assert first["share_before"] == by_day[first["day"], "a"]["share"]
    assert first["k_before"] == round(by_day[first["day"], "a"]["uncorrected"] * EACH)


def test_what_was_said_after_the_last_day_is_not_known_yet(linked: tuple[ShareSeries, Yields]) -> None:
    series, yields = linked
    last = relate.events(series, yields, kind="support", tenor="10Y", days=len(DAYS))
    row = next(r for r in last if r["day"] == DAYS[-1])
    assert (row["share_after"], row["n_after"], row["in_sample"]) == (None, 0, None)


def test_a_forecast_counts_articles_from_when_they_were_seen() -> None:
    table, _ = archive()
    at = table.column_names.index("first_seen_at")
    seen = pa.array([t + timedelta(days=1) for t in table["published_at"].to_pylist()], pa.timestamp("us", tz="UTC"))
    later = measured(table.set_column(at, "first_seen_at", seen), known=True, series=("support",))
    assert later.periods[0][0] == DAYS[1]


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that reads as the synthetic archive under the shipped model's taxonomy."""
    model = bundles.read(None, verify=())
    names = taxonomy.load().ids
    table, yields = archive(0.4, names, model=model.id)
    monkeypatch.setattr(chain, "read_tagged", lambda *_, **__: table)
    monkeypatch.setattr(chain, "load_yields", lambda *_: yields)
    return tmp_path


def test_the_command_prints_profile_days_and_notes(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relate", str(source), "--method", "uncorrected", "--events", "2"]) == 0
    out = capsys.readouterr().out
    assert "h= +0" in out
    assert "bp/point" in out
    assert "associations" in out
    assert "no forecast" in out
    assert out.count("before ") >= 2
    assert "caused it" in out
    assert "because of" not in out


def test_the_command_gives_json_and_files(source: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    command = ["relate", str(source), "--method", "uncorrected", "--in-sample", "2024-01-01:2024-03-31"]
    assert main([*command, "--json", "--out", str(tmp_path / "p.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["profile"]) == 16 * len(taxonomy.load())
    assert found["events"][0]["in_sample"] in (True, False)
    assert any("2024-01-01 to 2024-03-31" in note for note in found["notes"])
    assert (tmp_path / "p.csv").read_text().startswith('"narrative","series","tenor","horizon"')


def test_a_span_must_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["relate", "x", "--in-sample", "2025-03-01"])
    assert caught.value.code == 2
    assert "is no span" in capsys.readouterr().err
