"""Feed states and the poll log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bondlore.article import Article
from bondlore.errors import InputError
from bondlore.ingest.poll import Feed, FeedState, PollResult
from bondlore.store import Store
from bondlore.store.articles import AddReport

NOON = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)
FEED = Feed("https://example.org/rss", publisher="Example")
ARTICLE = Article("a1", "Yields jump", "On tariffs.", publisher="Example", url="https://example.org/a1")
OK = PollResult(
    FEED,
    "ok",
    200,
    (ARTICLE,),
    FeedState(FEED.url, etag='W/"abc"', last_modified="Wed, 09 Apr 2025 11:00:00 GMT", last_success=NOON),
    ("entry 3 has no title",),
    NOON,
)
FAILED = PollResult(
    FEED,
    "failed",
    503,
    (),
    replace(OK.state, last_error="the server answered 503", failures=1),
    (),
    NOON + timedelta(hours=1),
)


def test_state_comes_back_as_it_was_saved(place: str) -> None:
    with Store.open(place) as store:
        assert store.feed_states() == {}
        assert store.save_poll(OK) == AddReport(new=1)
        assert store.feed_states() == {FEED.url: OK.state}


def test_the_newest_state_replaces_the_older(place: str) -> None:
    with Store.open(place) as store:
        store.save_poll(OK)
        store.save_poll(FAILED)
        retired = replace(FAILED, outcome="gone", status=410, state=replace(FAILED.state, retired=True))
        store.save_poll(retired)
        assert store.feed_states() == {FEED.url: retired.state}


def test_articles_are_sighted_at_the_feed_when_polled(place: str) -> None:
    with Store.open(place) as store:
        store.save_poll(OK)
        (sighting,) = store.sightings("a1")
        assert (sighting.source, sighting.first_seen_at) == (FEED.url, NOON)


def test_polling_the_same_again_adds_nothing(place: str) -> None:
    with Store.open(place) as store:
        store.save_poll(OK)
        assert store.save_poll(replace(OK, polled_at=NOON + timedelta(hours=1))) == AddReport(seen_again=1)


def test_the_log_has_every_poll_newest_first(place: str) -> None:
    with Store.open(place) as store:
        store.save_poll(OK)
        store.save_poll(FAILED)
        failed, ok = store.poll_log()
        assert (failed.outcome, failed.status, failed.error) == ("failed", 503, "the server answered 503")
        assert (ok.outcome, ok.entries, ok.new, ok.updated, ok.error) == ("ok", 1, 1, 0, "")
        assert (ok.problems, ok.polled_at) == (("entry 3 has no title",), NOON)
        assert len(store.poll_log(limit=1)) == 1
        assert (store.counts().feeds, store.counts().polls) == (1, 2)


def test_a_poll_is_saved_whole_or_not_at_all(place: str) -> None:
    bad = replace(ARTICLE, id="a2", published_at=datetime(2025, 4, 9))  # noqa: DTZ001
    with Store.open(place) as store:
        with pytest.raises(InputError):
            store.save_poll(replace(OK, articles=(ARTICLE, bad)))
        assert (store.counts().articles, store.feed_states(), store.poll_log()) == (0, {}, ())
