"""The shipped corpus: sample, feeds, yields, codebook."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest

from bondlore.ingest.feeds import parse_feed
from bondlore.ingest.opml import read_opml
from bondlore.measure.yields import load_yields


@pytest.fixture(scope="module")
def sample(root):
    return root / "corpus" / "sample"


def test_the_sample_is_large_enough_for_weekly_shares(sample):
    archive = [json.loads(line) for line in (sample / "archive.jsonl").read_text().splitlines()]
    entries = [e for f in sample.glob("*.xml") for e in parse_feed(f.read_bytes(), url=f.name).entries]
    assert len(archive) + len(entries) == 326
    assert all(row["published"].startswith("2025-0") for row in archive if row["published"])
    assert any(not row["published"] for row in archive)


def test_both_feed_formats_are_there_and_clean(sample):
    kinds = {f.name.split(".")[1] for f in sample.glob("*.xml")}
    assert kinds == {"rss", "atom"}
    for f in sample.glob("*.xml"):
        document = parse_feed(f.read_bytes(), url=f.name)
        assert document.problems == ()
        assert all(len(e.text.split()) > 80 for e in document.entries)


def test_every_outlet_is_fictional(sample):
    for row in map(json.loads, (sample / "archive.jsonl").read_text().splitlines()):
        assert ".example/" in row["url"]


def test_the_public_feeds_put_official_sources_first(root):
    feeds = read_opml(root / "corpus" / "feeds.opml")
    assert len(feeds) >= 30
    assert len({f.url for f in feeds}) == len(feeds)
    assert all(f.url.startswith("https://") for f in feeds)
    assert "federalreserve.gov" in feeds[0].url


def test_the_yields_are_daily_and_real(root):
    yields = load_yields(root / "corpus" / "yields" / "treasury.csv")
    assert yields.at(date(2025, 4, 9), "10Y") == 4.34
    assert yields.at(date(2025, 4, 18), "30Y") is None  # Good Friday
    assert len(yields) > 4000


def test_the_codebook_is_kept_in_step(root, shared):
    assert (root / "corpus" / "codebook.md").read_text() == (shared / "codebook.md").read_text()


@pytest.fixture(scope="module")
def keyed(root):
    paths = sorted((root / "corpus" / "labels" / "keyed").glob("*.jsonl"))
    return paths, [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_keyed_labels_hold_hashes_and_no_words(keyed):
    _, rows = keyed
    assert len(rows) > 1000
    for row in rows:
        assert row.keys() <= {"id", "of", "keys", "labels", "gate", "primary", "annotator"}
        assert all(re.fullmatch(r"[0-9a-f]{16}", k) for k in row["keys"])


def test_keyed_labels_find_every_sentence_in_the_archive(keyed, shared):
    from bondlore import taxonomy
    from bondlore.train.labels import read_all

    paths, rows = keyed
    found = read_all(paths, taxonomy.load(), texts=[shared / "news" / "archive.jsonl.gz"])
    assert len(found) == len(rows)
