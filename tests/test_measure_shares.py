from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import bondlore
from bondlore.errors import InputError
from bondlore.measure.changes import latest_change
from bondlore.measure.confusion import Confusion, Counts
from bondlore.measure.series import SCHEMA, ShareSeries
from bondlore.measure.shares import shares, trailing
from bondlore.tagging import schema
from bondlore.taxonomy import Narrative, Taxonomy

TAXONOMY = Taxonomy("test", "1", tuple(Narrative(n, n, "core", n) for n in ("a", "b")))
WEDNESDAY = datetime(2025, 4, 9, 15, tzinfo=UTC)
GOOD = Counts(tp=75, fp=10, fn=25, tn=190)
MEASURES = ("presence", "support", "rejection")


def article(number: int, *, at: datetime | None = WEDNESDAY, gate: str = "causal", **more: Any) -> dict[str, Any]:
    row = {
        "id": f"x{number}",
        "published_at": at,
        "published_precision": "second",
        "cluster": f"x{number}",
        "gate": gate,
        "model": "m1",
        "status": "ok",
    }
    return row | more


def table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema(TAXONOMY.ids))


def day(*verdicts: tuple[str | None, str | None], start: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [article(start + i, v_a=a, v_b=b, **more) for i, (a, b) in enumerate(verdicts)]


def one(series: ShareSeries, narrative: str = "a", kind: str = "presence") -> dict[str, Any]:
    found: list[dict[str, Any]] = series.select(narrative=narrative, series=kind).to_pylist()
    assert len(found) == 1
    return found[0]


def measured(*rows: dict[str, Any], **options: Any) -> ShareSeries:
    return shares(table(rows), TAXONOMY, **({"floor": 1} | options))


FOUR = day(("promotes", None), ("rejects", "promotes"), ("contested", None), (None, None))


@pytest.mark.parametrize(
    ("kind", "share", "n"), [("presence", 0.75, 4), ("support", 0.5, 4), ("rejection", 0.5, 4), ("contested", 1 / 3, 3)]
)
def test_what_each_series_counts(kind: str, share: float, n: int) -> None:
    row = one(measured(*FOUR), kind=kind)
    assert (row["share"], row["n"], row["uncorrected"]) == (pytest.approx(share), n, pytest.approx(share))


def test_the_table_has_the_schema_and_its_order() -> None:
    got = measured(*FOUR)
    assert got.table.schema == SCHEMA
    assert got.table["narrative"].to_pylist() == ["a"] * 4 + ["b"] * 4
    assert got.table["series"].to_pylist() == ["presence", "support", "rejection", "contested"] * 2


def test_rows_say_how_they_were_made() -> None:
    row = one(measured(*FOUR))
    assert (row["method"], row["by"], row["denominator"], row["freq"], row["model"], row["reason"]) == (
        "uncorrected",
        "article",
        "bond",
        "D",
        "m1",
        "",
    )
    assert row["taxonomy"] == f"test/1/{TAXONOMY.digest}"


def test_the_interval_of_plain_counting_is_wilson() -> None:
    row = one(measured(*day(*[("promotes", None)] * 2, *[(None, None)] * 18)))
    assert (row["low"], row["high"]) == (pytest.approx(0.0279, abs=5e-5), pytest.approx(0.3010, abs=5e-5))


def test_denominators() -> None:
    rows = [*FOUR, article(8, gate="topical", v_a="promotes"), article(9, gate="off_topic", v_a="promotes")]
    got = {d: one(measured(*rows, denominator=d)) for d in ("bond", "causal", "mentions")}
    assert {d: (r["share"], r["n"]) for d, r in got.items()} == {
        "bond": (pytest.approx(4 / 5), 5),
        "causal": (pytest.approx(3 / 4), 4),
        "mentions": (pytest.approx(4 / 5), 5),
    }


@pytest.mark.parametrize("confusion", [None, Confusion({n: dict.fromkeys(MEASURES, GOOD) for n in ("a", "b")})])
@pytest.mark.parametrize("by", ["article", "cluster"])
def test_shares_of_mentions_add_to_one(confusion: Confusion | None, by: str) -> None:
    rows = day(*[("promotes", None)] * 15, *[("rejects", "promotes")] * 10, *[(None, None)] * 9)
    got = measured(*rows, denominator="mentions", by=by, confusion=confusion)
    assert sum(got.select(series="presence")["share"].to_pylist()) == pytest.approx(1)


def test_a_cluster_has_one_vote() -> None:
    copies = day(("promotes", None), ("promotes", None), (None, None), cluster="wire")
    rows = [*copies, *day((None, None), start=5)]
    row = one(measured(*rows, by="cluster"))
    assert (row["share"], row["n"], row["stories"]) == (pytest.approx(1 / 3), 2, 2)


def test_copies_widen_the_interval() -> None:
    single = one(measured(*day(*[("promotes", None)] * 20, *[(None, None)] * 20)))
    rows = day(*[("promotes", None)] * 20, *[(None, None)] * 20)
    copied = one(measured(*[r | {"cluster": f"c{i // 4}"} for i, r in enumerate(rows)]))
    assert copied["share"] == single["share"]
    assert copied["high"] - copied["low"] > 1.5 * (single["high"] - single["low"])
    assert (copied["n"], copied["stories"]) == (40, 10)


def test_a_cluster_votes_once_in_every_period() -> None:
    later = WEDNESDAY + timedelta(days=1)
    rows = [*day(("promotes", None), cluster="w"), *day(("promotes", None), start=1, cluster="w", at=later)]
    assert measured(*rows, by="cluster").table["n"].to_pylist()[::4] == [1, 1, 1, 1]


def test_the_floor_is_on_independent_stories() -> None:
    row = one(measured(*day(*[("promotes", None)] * 12, cluster="wire"), floor=10))
    assert (row["share"], row["low"], row["high"]) == (None, None, None)
    assert row["reason"] == "1 independent story, fewer than 10"
    assert (row["uncorrected"], row["n"]) == (1.0, 12)


def test_gaps_stay_gaps() -> None:
    rows = [*FOUR, *day(("promotes", None), start=10, at=WEDNESDAY + timedelta(days=5))]
    got = measured(*rows).select(narrative="a", series="presence").to_pylist()
    assert [(str(r["period_start"]), r["share"], r["reason"]) for r in got] == [
        ("2025-04-09", 0.75, ""),
        ("2025-04-10", None, "no article"),
        ("2025-04-11", None, "no article"),
        ("2025-04-14", 1.0, ""),
    ]


def test_an_evening_article_is_tomorrows() -> None:
    got = measured(*day(("promotes", None), at=datetime(2025, 4, 9, 20, tzinfo=UTC)))
    assert got.periods == [(date(2025, 4, 10), date(2025, 4, 10))]


def test_a_date_without_a_time_is_not_cut_off() -> None:
    at = datetime(2025, 4, 9, 20, tzinfo=UTC)
    assert measured(*day(("promotes", None), at=at, published_precision="day")).periods[0][0] == date(2025, 4, 9)


@pytest.mark.parametrize(
    ("freq", "period"),
    [("W", (date(2025, 4, 7), date(2025, 4, 11))), ("M", (date(2025, 4, 1), date(2025, 4, 30)))],
)
def test_weeks_and_months(freq: str, period: tuple[date, date]) -> None:
    got = measured(*FOUR, freq=freq)
    assert (got.periods, one(got)["share"]) == ([period], 0.75)


def test_a_trailing_window_pools_its_days() -> None:
    rows = [*FOUR, *day(("promotes", None), start=10, at=WEDNESDAY + timedelta(days=1))]
    rows += day(("promotes", None), start=20, at=WEDNESDAY - timedelta(days=7))
    row = one(trailing(table(rows), TAXONOMY, end=date(2025, 4, 10), days=7, floor=1))
    assert (row["share"], row["n"], row["freq"]) == (pytest.approx(4 / 5), 5, "window")


def test_what_is_left_out_is_counted() -> None:
    rows = [
        *FOUR,
        article(10, status="error", gate=None),
        article(11, at=None),
        article(12, gate="off_topic"),
        article(0, v_a="promotes"),
    ]
    got = measured(*rows)
    assert got.excluded == {"error": 1, "undated": 1, "off_topic": 1, "repeated": 1}
    assert (got.articles, one(got)["n"]) == (4, 4)


def test_a_missing_cluster_is_a_story_of_its_own() -> None:
    assert one(measured(*day(*[(None, None)] * 3, cluster=None)))["stories"] == 3


def test_a_story_keeps_its_number_beside_names_of_other_lengths() -> None:
    alike = table([article(1, cluster="s1"), article(2, cluster="s2")])
    mixed = table([article(3, cluster="s1"), article(40, cluster="a much longer name"), article(5, cluster="s2")])
    row = one(shares(pa.concat_tables([alike, mixed]), TAXONOMY, floor=1))
    assert (row["n"], row["stories"]) == (5, 3)


def test_an_empty_table_gives_an_empty_series() -> None:
    got = shares(schema(TAXONOMY.ids).empty_table(), TAXONOMY)
    assert (len(got), got.table.schema, got.periods) == (0, SCHEMA, [])
    assert got.latest().num_rows == 0


def test_dictionaries_and_other_clocks_in_a_file_are_read() -> None:
    given = table(FOUR)
    fields = [
        (n, given[n].dictionary_encode() if n in ("gate", "v_a", "model") else given[n]) for n in given.column_names
    ]
    changed = pa.table(dict(fields))
    at = changed.column_names.index("published_at")
    changed = changed.set_column(
        at, "published_at", given["published_at"].cast(pa.timestamp("ns", tz="America/New_York"))
    )
    assert shares(changed, TAXONOMY, floor=1).table == measured(*FOUR).table


def test_a_narrative_nobody_mentions_may_have_an_untyped_column() -> None:
    given = table(FOUR).drop_columns(["v_b"]).append_column("v_b", pa.nulls(4))
    assert one(shares(given, TAXONOMY, floor=1), "b")["share"] == 0


def test_series_can_be_picked() -> None:
    assert measured(*FOUR, series=["support"]).table["series"].to_pylist() == ["support", "support"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "outlet"}, "no by 'outlet'"),
        ({"denominator": "all"}, "no denominator 'all'"),
        ({"freq": "Q"}, "no frequency 'Q'"),
        ({"series": ["stance"]}, "no series 'stance'"),
        ({"draws": 5}, "at least 100 draws"),
    ],
)
def test_options_that_do_not_exist(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured(*FOUR, **options)


def test_two_models_are_not_mixed() -> None:
    with pytest.raises(InputError, match="mixes the models m1, m2"):
        measured(*FOUR, article(9, model="m2"))


def test_an_unknown_verdict_is_not_taken_for_absence() -> None:
    with pytest.raises(InputError, match="v_b: the verdict 'support' is none of"):
        measured(*FOUR, article(9, v_b="support"))


def test_a_table_of_another_taxonomy_is_refused() -> None:
    with pytest.raises(InputError, match="no column v_b"):
        shares(table(FOUR).drop_columns(["v_b"]), TAXONOMY)


def many(n: int, share: float, *, counts: Counts = GOOD, seed: int = 0) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Articles whose verdicts on `a` err at the rates of `counts`, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    seen = np.where(truth, rng.random(n) < counts.tpr, rng.random(n) < counts.fpr)
    return day(*[("promotes" if s else None, None) for s in seen]), truth


def test_the_adjusted_count_is_rogan_gladen() -> None:
    rows, _ = many(400, 0.3)
    row = one(measured(*rows, confusion=Confusion({"a": dict.fromkeys(MEASURES, GOOD)})))
    assert row["method"] == "adjusted_count"
    assert row["share"] == pytest.approx((row["uncorrected"] - 0.05) / (0.75 - 0.05))
    assert row["low"] < 0.3 < row["high"]


def test_the_adjusted_interval_is_wider_than_sampling_alone() -> None:
    rows, _ = many(400, 0.3)
    raw = one(measured(*rows))
    row = one(measured(*rows, confusion=Confusion({"a": dict.fromkeys(MEASURES, GOOD)})))
    assert row["high"] - row["low"] > 1.3 * (raw["high"] - raw["low"])


def test_a_negative_correction_is_clipped_visibly() -> None:
    row = one(measured(*day(*[(None, None)] * 50), confusion=Confusion({"a": dict.fromkeys(MEASURES, GOOD)})))
    assert (row["share"], row["low"]) == (0, 0)
    assert "fell below 0 and was clipped" in row["reason"]
    assert row["high"] > 0


def test_no_positive_among_fifty_is_not_certainty() -> None:
    """Every draw is clipped to zero; the interval still reaches what fifty articles leave possible."""
    sure = Counts(tp=7500, fp=3000, fn=2500, tn=17000)
    confusion = Confusion({"a": dict.fromkeys(MEASURES, sure)})
    row = one(measured(*day(*[(None, None)] * 50), confusion=confusion, drift="off"))
    assert (row["share"], row["low"]) == (0, 0)
    assert 0.06 < row["high"] < 0.09


def test_unusable_counts_leave_the_plain_count_and_say_so() -> None:
    confusion = Confusion({"a": dict.fromkeys(MEASURES, Counts(3, 1, 2, 300))})
    row = one(measured(*FOUR, confusion=confusion))
    assert (row["method"], row["share"]) == ("uncorrected", 0.75)
    assert "only 5 positive" in row["reason"]


def test_the_contested_ratio_is_never_adjusted() -> None:
    confusion = Confusion({"a": dict.fromkeys(MEASURES, GOOD)})
    row = one(measured(*FOUR, confusion=confusion), kind="contested")
    assert (row["method"], row["reason"]) == ("uncorrected", "the adjusted count does not cover this ratio")


def test_support_beyond_presence_is_held_and_says_so() -> None:
    tables = {"presence": Counts(90, 20, 10, 180), "support": Counts(60, 2, 40, 198), "rejection": GOOD}
    rows = day(*[("promotes", None)] * 20, *[(None, None)] * 80)
    got = measured(*rows, confusion=Confusion({"a": tables}))
    assert one(got, kind="support")["share"] == one(got, kind="presence")["share"]
    assert "held at presence" in one(got, kind="support")["reason"]


def test_the_same_seed_gives_the_same_intervals() -> None:
    rows, _ = many(100, 0.3)
    confusion = Confusion({"a": dict.fromkeys(MEASURES, GOOD)})
    assert measured(*rows, confusion=confusion).table == measured(*rows, confusion=confusion).table


def test_the_order_of_rows_does_not_matter() -> None:
    rows, _ = many(100, 0.3)
    got, turned = measured(*rows), measured(*rows[::-1])
    assert got.table == turned.table


def test_new_days_leave_the_old_intervals_alone() -> None:
    rows, _ = many(100, 0.3)
    confusion = Confusion({"a": dict.fromkeys(MEASURES, GOOD)})
    before = measured(*rows, confusion=confusion)
    later = day(("promotes", None), start=500, at=WEDNESDAY + timedelta(days=1))
    after = measured(*rows, *later, confusion=confusion)
    # the moment the series stands on is a later one; nothing else is another
    assert after.table.drop_columns(["as_of"]).slice(0, len(before)) == before.table.drop_columns(["as_of"])


def audited(truth: np.ndarray, at: np.ndarray, **more: Any) -> pa.Table:
    rows = [{"id": f"x{i}", "v_a": "promotes" if truth[i] else None, "v_b": None} | more for i in at]
    fields = [("id", pa.string()), ("v_a", pa.string()), ("v_b", pa.string())]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields + [(k, pa.float64()) for k in more]))


def test_an_audit_of_everything_gives_the_truth() -> None:
    rows, truth = many(200, 0.3)
    row = one(measured(*rows, audit=audited(truth, np.arange(200), inclusion_prob=1.0)))
    assert (row["method"], row["n_audited"]) == ("ppi", 200)
    assert row["share"] == pytest.approx(truth.mean())
    assert row["uncorrected"] != pytest.approx(truth.mean())


def test_an_audit_counts_before_the_confusion() -> None:
    rows, truth = many(200, 0.3)
    confusion = Confusion({"a": dict.fromkeys(MEASURES, GOOD)})
    got = measured(*rows, audit=audited(truth, np.arange(0, 200, 3)), confusion=confusion)
    assert {r["method"] for r in got.rows() if r["narrative"] == "a" and r["series"] == "presence"} == {"ppi"}
    assert one(got)["reason"] == ""


def test_a_small_audit_is_not_used() -> None:
    rows, truth = many(200, 0.3)
    row = one(measured(*rows, audit=audited(truth, np.arange(12))))
    assert row["method"] == "uncorrected"
    assert "12 audited articles, fewer than the 30" in row["reason"]


def test_an_audit_by_cluster_and_mentions_stays_within_bounds() -> None:
    rows, truth = many(200, 0.3)
    rows = [r | {"cluster": f"c{i // 2}", "v_b": "rejects" if i % 3 else None} for i, r in enumerate(rows)]
    audit = audited(truth, np.arange(0, 200, 2))
    got = measured(*rows, audit=audit, by="cluster", denominator="mentions")
    kept = [r for r in got.rows() if r["method"] == "ppi"]
    assert sum(r["share"] for r in kept if r["series"] == "presence") == pytest.approx(1)
    assert all(0 <= r["low"] <= r["share"] <= r["high"] <= 1 for r in kept)


def test_an_impossible_inclusion_probability_is_refused() -> None:
    with pytest.raises(InputError, match=r"row 1: an inclusion probability is not in \(0, 1\]"):
        measured(*FOUR, audit=audited(np.ones(4), np.arange(4), inclusion_prob=0.0))


def test_a_repeated_audit_is_refused() -> None:
    with pytest.raises(InputError, match="repeats an id"):
        measured(*FOUR, audit=audited(np.ones(4), np.array([1, 1])))


def two_days(now: int, before: int, gap: int = 7) -> ShareSeries:
    rows = day(*[("promotes", None)] * now, *[(None, None)] * (50 - now))
    early = day(
        *[("promotes", None)] * before, *[(None, None)] * (50 - before), start=100, at=WEDNESDAY - timedelta(days=gap)
    )
    return measured(*early, *rows)


def test_the_latest_change() -> None:
    change = next(c for c in latest_change(two_days(30, 10), days=[7]) if (c.narrative, c.series) == ("a", "presence"))
    assert (change.now, change.before, change.change) == (0.6, 0.2, pytest.approx(0.4))
    assert (change.before_end, change.clear) == (date(2025, 4, 2), True)


def test_publishers_are_compared_with_themselves() -> None:
    """Wire: 1 of 20, then 19; Paper the reverse."""
    rows = []
    for week, (wire, paper) in enumerate(((1, 19), (19, 1))):
        for name, hits in (("Wire", wire), ("Paper", paper)):
            at = WEDNESDAY + timedelta(days=7 * week)
            rows += [
                article(len(rows) + i, at=at, publisher=name, v_a="promotes" if i < hits else None) for i in range(20)
            ]
    found = latest_change(shares(table(rows), TAXONOMY, freq="W", split=True, series=("presence",)), days=(7,))
    moved = {c.publisher: c.change for c in found if c.narrative == "a"}
    assert moved == {"Wire": pytest.approx(0.9), "Paper": pytest.approx(-0.9)}


def test_a_small_change_is_not_clear() -> None:
    change = latest_change(two_days(12, 10), days=[7])[0]
    assert change.low is not None
    assert change.low < 0
    assert not change.clear


def test_a_change_without_a_past_says_so() -> None:
    change = latest_change(two_days(12, 10), days=[30])[0]
    assert (change.change, change.reason) == (None, "nothing was measured 30 days before")


def test_a_refused_past_gives_no_change() -> None:
    change = latest_change(two_days(12, 10, gap=14), days=[7])[0]
    assert (change.change, change.reason) == (None, "7 days before: no article")


def test_importing_is_light() -> None:
    code = (
        "import sys, bondlore.measure.shares, bondlore.measure.yields_sources, bondlore.measure.changes;"
        "print([m for m in ('pandas', 'matplotlib', 'sklearn', 'torch', 'scipy') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(bondlore.__file__).parent.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    assert done.stdout.strip() == "[]"
