"""The archive in Parquet: by month, whole, and readable by the import."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from bondlore.article import Article
from bondlore.ingest.archive import read_archive
from bondlore.store import Store
from bondlore.store.export import SCHEMA

SEEN = datetime(2025, 5, 2, 12, 0, tzinfo=UTC)
APRIL = Article(
    "a", "Yields jump", "Text.", "Wire", "https://e.org/a", datetime(2025, 4, 30, 23, 59, tzinfo=UTC), "raw", "second"
)
ARTICLES = [
    APRIL,
    replace(APRIL, id="b", title="Bills", url="", published_at=datetime(2025, 5, 1, tzinfo=UTC)),
    replace(APRIL, id="c", title="Undated", url="", published_at=None, published_precision="none"),
    replace(APRIL, id="d", title="Old", url="", published_at=datetime(2024, 12, 31, tzinfo=UTC)),
]


def test_a_file_a_month_with_everything_in_it(place: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Store.open(place) as store:
        store.add(ARTICLES, source="a", seen_at=SEEN)
        written = store.export(out)
    assert written == {"articles-2024-12.parquet": 1, "articles-2025-04.parquet": 1, "articles-2025-05.parquet": 2}
    assert sorted(path.name for path in out.iterdir()) == sorted(written)
    table = pq.read_table(out / "articles-2025-04.parquet")
    assert table.schema.equals(SCHEMA)
    (row,) = table.to_pylist()
    assert (row["id"], row["published_at"], row["published_raw"], row["cluster"]) == (
        "a",
        APRIL.published_at,
        "raw",
        "a",
    )
    assert [a.id for a in read_archive([out])] == ["d", "a", "b", "c"]


def test_bounds_and_an_empty_store(place: str, tmp_path: Path) -> None:
    with Store.open(place) as store:
        assert store.export(tmp_path / "none") == {}
        store.add(ARTICLES, source="a", seen_at=SEEN)
        may = datetime(2025, 5, 1, tzinfo=UTC)
        assert store.export(tmp_path / "may", since=may) == {"articles-2025-05.parquet": 2}
        assert store.export(tmp_path / "before", until=may) == {
            "articles-2024-12.parquet": 1,
            "articles-2025-04.parquet": 1,
        }
