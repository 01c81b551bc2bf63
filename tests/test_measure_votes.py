"""Who has a vote: sightings, publishers, tiers, fixed mixes, rolling windows, versions in every row."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bondlore.errors import InputError
from bondlore.measure import calendar
from bondlore.measure.series import SCHEMA, ShareSeries
from bondlore.measure.shares import shares
from bondlore.measure.voting import fixed_mix, overall_mix
from bondlore.tagging import schema
from bondlore.taxonomy import Narrative, Taxonomy

TAXONOMY = Taxonomy("test", "1", tuple(Narrative(n, n, "core", n) for n in ("a", "b")))
MONDAY = datetime(2025, 4, 7, 15, tzinfo=UTC)


def rows(publisher: str, carried: int, absent: int, *, day: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{publisher}-{day}-{i}",
            "publisher": publisher,
            "published_at": MONDAY + timedelta(days=day),
            "published_precision": "second",
            "first_seen_at": MONDAY + timedelta(days=day),
            "gate": "causal",
            "model": "m1",
            "status": "ok",
            "v_a": "promotes" if i < carried else None,
        }
        | more
        for i in range(carried + absent)
    ]


def measured(*given: dict[str, Any], sightings: list[int] | None = None, **options: Any) -> ShareSeries:
    table = pa.Table.from_pylist(list(given), schema=schema(TAXONOMY.ids))
    if sightings is not None:
        table = table.append_column("sightings", pa.array(sightings))
    return shares(table, TAXONOMY, **({"floor": 1, "series": ["presence"]} | options))


def presence(series: ShareSeries, publisher: str = "") -> list[float | None]:
    return [r["share"] for r in series.rows() if r["narrative"] == "a" and r["publisher"] == publisher]


def test_a_sighting_has_a_vote() -> None:
    got = measured(*rows("x", 1, 2), sightings=[4, 1, 1], by="sighting")
    assert presence(got) == [pytest.approx(4 / 6)]
    assert got.table["n"].to_pylist()[0] == 6
    assert got.table["stories"].to_pylist()[0] == 3


def test_an_article_without_sightings_was_seen_once() -> None:
    table = pa.Table.from_pylist(rows("x", 1, 1), schema=schema(TAXONOMY.ids))
    table = table.append_column("sightings", pa.array([None, 3], pa.int64()))
    assert presence(shares(table, TAXONOMY, floor=1, by="sighting", series=["presence"])) == [0.25]


def test_a_folder_knows_no_sightings() -> None:
    with pytest.raises(InputError, match="measure a store"):
        measured(*rows("x", 1, 1), by="sighting")


def test_the_store_counts_sightings(tmp_path: Any) -> None:
    from bondlore import Store
    from bondlore.article import Article

    with Store.open(tmp_path / "n.db") as store:
        article = Article(id="x", url="https://e.org/1", title="T", text="One. Two.")
        for source in ("feed", "archive", "feed"):
            store.add([article], source=source, seen_at=MONDAY)
        assert list(store.sighting_counts().values()) == [2]


def test_a_series_for_each_publisher() -> None:
    got = measured(*rows("x", 3, 1), *rows("y", 0, 5), *rows("", 1, 0), split=True)
    assert (presence(got, "x"), presence(got, "y"), presence(got, "(unnamed)")) == ([0.75], [0.0], [1.0])
    assert presence(got, "") == []


def test_a_publishers_gaps_stay_gaps() -> None:
    got = measured(*rows("x", 1, 1), *rows("x", 1, 1, day=2), *rows("y", 1, 0, day=1), split=True)
    assert presence(got, "x") == [0.5, None, 0.5]
    assert presence(got, "y") == [None, 1.0, None]


def test_small_publishers_are_left_out_and_counted() -> None:
    got = measured(*rows("x", 6, 6), *rows("y", 1, 2), split=True, floor=10)
    assert set(got.table["publisher"].to_pylist()) == {"x"}
    assert got.excluded["small_publisher"] == 3


def test_tiers_stand_in_for_publishers() -> None:
    got = measured(*rows("x", 3, 1), *rows("y", 0, 4), *rows("z", 1, 0), split=True, tiers={"x": "wire", "y": "wire"})
    assert presence(got, "wire") == [pytest.approx(3 / 8)]
    assert presence(got, "(unnamed)") == [1.0]


def test_a_fixed_mix_is_the_standardised_rate() -> None:
    """x holds 20 of 40 articles, y 20; on Tuesday x floods the news, and the share by fixed mix does not follow."""
    monday = [*rows("x", 4, 1), *rows("y", 0, 15)]
    tuesday = [*rows("x", 12, 3, day=1), *rows("y", 0, 5, day=1)]
    got = measured(*monday, *tuesday, mix="fixed")
    assert presence(got) == [pytest.approx(0.4), pytest.approx(0.4)]
    assert presence(measured(*monday, *tuesday)) == [pytest.approx(0.2), pytest.approx(0.6)]
    assert set(got.table["mix"].to_pylist()) == {"fixed"}
    assert got.table["n"].to_pylist()[0] == 20


def test_unequal_weights_widen_the_interval() -> None:
    monday = [*rows("x", 4, 1), *rows("y", 8, 7)]
    tuesday = [*rows("x", 12, 3, day=1), *rows("y", 2, 3, day=1)]
    first, plain = (measured(*monday, *tuesday, mix=m).rows()[0] for m in ("fixed", "actual"))
    assert first["high"] - first["low"] > plain["high"] - plain["low"]


def test_a_silent_publisher_is_named_and_too_much_silence_refused() -> None:
    given = [*rows("x", 4, 4), *rows("y", 0, 2), *rows("x", 2, 2, day=1), *rows("y", 1, 2, day=2)]
    got = measured(*given, mix="fixed").rows()
    by_day = [r for r in got if r["narrative"] == "a"]
    assert by_day[1]["share"] == 0.5
    assert by_day[1]["reason"] == "publishers that hold 29% of the fixed mix published nothing"
    assert by_day[2]["share"] is None
    assert by_day[2]["reason"].startswith("publishers that hold 71%")


def test_fixed_votes_keep_their_sum() -> None:
    votes, publishers = np.array([1.0, 1, 1, 0.5]), np.array([0, 0, 1, 2])
    mix = overall_mix(publishers, votes)
    assert mix.sum() == pytest.approx(1)
    fixed, absent = fixed_mix(votes[:3], publishers[:3], mix)
    assert fixed.sum() == pytest.approx(3)
    assert absent == pytest.approx(0.5 / 3.5)


def test_a_fixed_mix_by_cluster_adds_up() -> None:
    given = [r | {"cluster": f"c{i % 6}"} for i, r in enumerate([*rows("x", 5, 5), *rows("y", 2, 8)])]
    row = measured(*given, mix="fixed", by="cluster").rows()[0]
    assert (row["n"], row["stories"]) == (6, 6)
    assert 0 < row["low"] < row["share"] < row["high"] < 1


def test_a_rolling_window_pools_its_days() -> None:
    given = [*rows("x", 1, 3), *rows("x", 3, 1, day=1), *rows("x", 0, 4, day=2), *rows("x", 4, 0, day=7)]
    got = measured(*given, freq="rolling", window=3)
    kept = [r for r in got.rows() if r["narrative"] == "a"]
    assert [(r["period_start"].day, r["period_end"].day, r["share"]) for r in kept] == [
        (7, 9, pytest.approx(4 / 12)),
        (8, 10, pytest.approx(3 / 8)),
        (9, 11, 0.0),
        (12, 14, 1.0),
    ]
    assert {r["freq"] for r in kept} == {"3D"}


def test_rolling_windows_lie_within_the_archive() -> None:
    starts, ends = calendar.rolling_edges(date(2025, 4, 7), date(2025, 4, 14), 7)
    assert ([str(d) for d in starts], [str(d) for d in ends]) == (["2025-04-08"], ["2025-04-14"])


def test_a_window_of_a_day_is_refused() -> None:
    with pytest.raises(InputError, match="a rolling window of 1 days"):
        measured(*rows("x", 1, 1), freq="rolling", window=1)


def test_predictive_shares_count_from_when_an_article_was_seen() -> None:
    late = rows("x", 1, 0, first_seen_at=MONDAY + timedelta(days=3))
    assert measured(*late, known=True).periods[0][0] == date(2025, 4, 10)
    assert measured(*late).periods[0][0] == date(2025, 4, 7)


def test_every_row_names_its_versions() -> None:
    audit = pa.table({"id": [r["id"] for r in rows("x", 20, 20)], "v_a": ["promotes"] * 40, "v_b": pa.nulls(40)})
    got = measured(*rows("x", 20, 20), *rows("x", 1, 9, day=1), audit=audit, labels="train:abc")
    first, last = got.rows()[0], got.rows()[-1]
    assert got.table.schema == SCHEMA
    assert (first["method"], last["method"]) == ("ppi", "uncorrected")
    assert first["labels"].startswith("train:abc audit:")
    assert len(first["labels"]) == len("train:abc audit:") + 12
    assert (last["labels"], last["model"]) == ("train:abc", "m1")
    turned = measured(*rows("x", 20, 20), audit=audit.take(list(range(39, -1, -1))), labels="train:abc")
    assert turned.rows()[0]["labels"] == first["labels"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mix": "fixed", "split": True}, "exclude each other"),
        ({"mix": "even"}, "no mix 'even'"),
        ({"method": "guess"}, "no method 'guess'"),
        ({"method": "em"}, "EM needs held-out scores"),
        ({"method": "adjusted_count"}, "need the model's confusion counts"),
        ({"drift": "hide"}, "no drift 'hide'"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured(*rows("x", 1, 1), **options)


def test_a_misspelt_option_is_a_mistake_in_code() -> None:
    with pytest.raises(TypeError, match="no option 'florr'"):
        measured(*rows("x", 1, 1), florr=3)
