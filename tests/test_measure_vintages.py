"""Vintages: a series as it could have been known at a moment, and rows that say which moment they stand on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from bondlore.errors import InputError
from bondlore.measure.calendar import fixing
from bondlore.measure.shares import shares
from test_measure_shares import TAXONOMY, WEDNESDAY, article, one, table

HOUR = timedelta(hours=1)


def known(*moments: tuple[datetime, datetime | None, datetime | None]) -> pa.Table:
    """An article each by (published, first seen, tagged)."""
    rows = [article(i, at=p, first_seen_at=s, v_a="promotes") for i, (p, s, _) in enumerate(moments)]
    times = pa.array([t for *_, t in moments], pa.timestamp("us", tz="UTC"))
    return table(rows).append_column("tagged_at", times)


THREE = known(
    (WEDNESDAY, WEDNESDAY + HOUR, WEDNESDAY + 2 * HOUR),
    (WEDNESDAY, WEDNESDAY + 5 * HOUR, WEDNESDAY + 6 * HOUR),
    (WEDNESDAY, None, WEDNESDAY + 20 * HOUR),
)


@pytest.mark.parametrize(
    ("hours", "hindsight", "articles"), [(1.5, False, 0), (2, False, 1), (7, False, 2), (21, False, 3), (1.5, True, 2)]
)
def test_only_what_was_seen_and_tagged_counts(hours: float, hindsight: bool, articles: int) -> None:
    got = shares(THREE, TAXONOMY, as_of=WEDNESDAY + hours * HOUR, hindsight=hindsight, floor=1)
    assert (got.articles, got.excluded["later"]) == (articles, 3 - articles)
    assert set(got.table["as_of"].to_pylist()) <= {WEDNESDAY + hours * HOUR}


def test_a_date_without_a_time_is_known_at_the_end_of_its_day() -> None:
    noon = datetime(2025, 4, 9, 12, tzinfo=UTC)
    row = table([article(1, at=noon, published_precision="day", v_a="promotes")])
    at_fixing, next_morning = (
        shares(row, TAXONOMY, as_of=fixing(day), floor=1).articles for day in (date(2025, 4, 9), date(2025, 4, 10))
    )
    assert (at_fixing, next_morning) == (0, 1)


def test_a_row_says_what_it_stands_on() -> None:
    assert one(shares(THREE, TAXONOMY, floor=1))["as_of"] == WEDNESDAY + 20 * HOUR
    assert one(shares(THREE, TAXONOMY, floor=1, hindsight=True))["as_of"] == WEDNESDAY + 5 * HOUR


def test_a_later_day_leaves_an_old_vintage_as_it_was() -> None:
    rows = [article(i, v_a="promotes" if i % 2 else None) for i in range(20)]
    later = [article(20 + i, first_seen_at=WEDNESDAY + 50 * HOUR, v_a="promotes") for i in range(20)]
    before = shares(table(rows), TAXONOMY, as_of=WEDNESDAY + HOUR)
    assert shares(table(rows + later), TAXONOMY, as_of=WEDNESDAY + HOUR).table == before.table


def test_a_day_ends_at_its_fixing_in_new_york() -> None:
    assert fixing(date(2025, 4, 9)) == datetime(2025, 4, 9, 19, 30, tzinfo=UTC)
    assert fixing(date(2025, 1, 9)) == datetime(2025, 1, 9, 20, 30, tzinfo=UTC)


def test_a_vintage_needs_a_zone() -> None:
    with pytest.raises(InputError, match="without a zone"):
        shares(THREE, TAXONOMY, as_of=datetime(2025, 4, 9, 12))  # noqa: DTZ001


def test_the_store_says_when_it_tagged(tmp_path: Any) -> None:
    from bondlore import chain
    from bondlore.article import Article
    from bondlore.store import Store
    from bondlore.tag import bundle as bundles

    bundle = bundles.read(None, verify=())
    made = Article("x1", "Yields", "Yields rose.", url="https://example.org/1", published_at=WEDNESDAY)
    row = article(1, url=made.url, model=bundle.id, v_a=None)
    path = tmp_path / "news.db"
    with Store.open(path) as store:
        store.add([made], source="test", seen_at=WEDNESDAY)
        identity = next(iter(store.articles())).id
        store.save_taggings([row | {"id": identity}], model=bundle.id)
        saved = store.tagging_times(bundle.id)
    got = chain.read_tagged(path, bundle, times=True)
    assert got["tagged_at"].to_pylist() == [saved[identity]]
    assert "tagged_at" not in chain.read_tagged(path, bundle).column_names
