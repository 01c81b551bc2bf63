"""A page reads of a store only what it shows, says the same as from all of it, and stays within time and memory."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from bondlore import chain
from bondlore.report.data import to_json
from bondlore.store import Store
from bondlore.tag import bundle
from bondlore.tagging import schema

ARTICLES, DAYS = 2_600, 130


@pytest.fixture(scope="module")
def bench(root):
    spec = importlib.util.spec_from_file_location("bench_report", root / "scripts" / "bench_report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place(bench, tmp_path_factory):
    """A store of some months, as the benchmark makes it."""
    path = tmp_path_factory.mktemp("bench") / f"{ARTICLES}-{DAYS}.db"
    bench.write(path, ARTICLES, days=DAYS)
    return path


@pytest.fixture(scope="module")
def model():
    return bundle.read(verify=())


@pytest.fixture(scope="module")
def whole(place, model):
    return chain.read_tagged(place, model)


def test_the_benchmarks_store_is_a_store(place, whole):
    with Store.open(place) as store:
        counts = store.counts()
        assert (counts.articles, counts.sightings) == (ARTICLES, ARTICLES)
        assert counts.clusters < 0.9 * ARTICLES
        assert list(store.untagged(next(iter(counts.models)))) == []
        assert store.search("word7", limit=1)
    assert whole.num_rows == ARTICLES


def test_the_same_arguments_make_the_same_store(bench, model):
    import numpy as np

    def first(n):
        rows = bench._rows(50, 10, model.taxonomy.ids, model.id, np.random.default_rng(0))
        return [next(rows) for _ in range(n)]

    assert first(20) == first(20)


@pytest.mark.parametrize(
    ("day", "since", "freq"),
    [
        (None, None, "auto"),
        (date(2026, 4, 6), None, "D"),  # a Monday: 92 days before is a Sunday
        (date(2026, 3, 2), None, "auto"),
        (date(2026, 4, 8), date(2026, 2, 1), "auto"),
        (date(2026, 4, 8), date(2026, 3, 1), "W"),
        (date(2025, 12, 24), None, "auto"),
        (date(2027, 1, 4), None, "D"),  # long after the last article
    ],
)
def test_the_page_is_the_same_as_from_the_whole_table(place, model, whole, day, since, freq):
    table, found = chain.page_table(place, model, day=day, since=since, freq=freq)
    pages = [
        to_json(chain.make_report(t, model, None, day=day, since=since, freq=f, stamp="x"))
        for t, f in ((whole, freq), (table, found))
    ]
    assert pages[0] == pages[1]


def test_a_page_that_looks_far_back_shows_the_yields_of_all_of_it(model):
    """Three years: from a table, for a store of so many days is slow to make."""
    when = [datetime(2022 + n // 12, n % 12 + 1, 15, 14, tzinfo=UTC) for n in range(36)]
    row = {"gate": "causal", "status": "ok", "model": model.id, "published_precision": "second", "evidence": []}
    table = pa.Table.from_pylist(
        [row | {"id": f"{n}", "published_at": at} for n, at in enumerate(when)], schema=schema(model.taxonomy.ids)
    )
    day = date(2024, 12, 16)
    page = chain.make_report(table, model, chain.load_yields(), day=day, since=date(2022, 1, 1), freq="M", stamp="x")
    assert page.chart_start == date(2022, 1, 1)
    assert page.yields[0].dates[0] == date(2022, 1, 3)


def test_only_the_window_is_read(place, model, whole):
    table, freq = chain.page_table(place, model)
    assert freq == "D"
    assert table.num_rows < 0.8 * whole.num_rows
    assert table.filter(table["published_at"].is_null()).equals(whole.filter(whole["published_at"].is_null()))


def test_rows_since_a_moment_and_the_undated_ones(place, model, whole):
    since = datetime(2026, 3, 1, tzinfo=UTC)
    with Store.open(place) as store:
        found = store.tagged(model=model.id, taxonomy=model.taxonomy, since=since)
        assert store.last_published(model.id) == max(t for t in whole["published_at"].to_pylist() if t)
        assert store.last_published("another") is None
    kept = [t is None or t >= since for t in whole["published_at"].to_pylist()]
    assert found.equals(whole.filter(kept))


@pytest.mark.slow
def test_a_report_stays_within_time_and_memory(root, place):
    """The floor is loose: a machine that does other work must pass. The figures for 100,000 articles: docs/daily.md."""
    command = [sys.executable, root / "scripts" / "bench_report.py", "--keep", place.parent, "--runs", "1"]
    command += ["--articles", str(ARTICLES), "--days", str(DAYS)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    (line,) = (line for line in done.stdout.splitlines() if "cpu_s" in line)
    found = json.loads(line)
    assert found["cpu_s"] < 20
    assert found["peak_mb"] < 500
