"""Adding articles: one article, many sightings, versions, and names that lie."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bondlore.article import Article, content_id
from bondlore.errors import InputError, StoreError
from bondlore.store import Store
from bondlore.store.articles import AddReport
from bondlore.store.identity import MAX_REWRITES

SEEN = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)
LATER = SEEN + timedelta(hours=2)
TEXT = (
    "Treasury yields jumped on Wednesday as hedge funds were said to unwind leveraged basis trades, dealers said. "
    "The ten-year yield rose eleven basis points to 4.41 percent, its highest since February, while swap spreads "
    "fell to a record low and the bid-ask spread in older issues doubled, according to two traders in New York."
)
ARTICLE = Article(
    "https://example.org/2025/04/09/yields",
    "Treasury yields jump as basis trades unwind",
    TEXT,
    publisher="Example Wire",
    url="https://example.org/2025/04/09/yields",
    published_at=datetime(2025, 4, 9, 11, 30, tzinfo=UTC),
    published_raw="Wed, 09 Apr 2025 07:30:00 EDT",
    published_precision="second",
)
OTHER = Article(
    "b2",
    "Soft auction weighs on bills",
    "A sale of three-year notes drew the weakest demand since 2023, and primary dealers took a fifth of the issue, "
    "the Treasury Department said, which left bills cheaper across the curve late on Tuesday afternoon.",
    publisher="Example Wire",
    url="https://example.org/2025/04/08/auction",
)


def store_in(place: str) -> Store:
    return Store.open(place)


def only(store: Store) -> Article:
    (article,) = store.articles()
    return article


def test_the_same_articles_again_are_not_new(place: str) -> None:
    with store_in(place) as store:
        assert store.add([ARTICLE, OTHER], source="feed", seen_at=SEEN) == AddReport(new=2)
        before = list(store.articles())
        assert store.add(iter([ARTICLE, OTHER]), source="feed", seen_at=LATER) == AddReport(seen_again=2)
        assert list(store.articles()) == before


def test_an_article_comes_back_as_it_went_in(place: str) -> None:
    given = replace(ARTICLE, first_seen_at=SEEN - timedelta(minutes=5), sentences=("Title", "One.", "Two."))
    with store_in(place) as store:
        store.add([given], source="feed", seen_at=SEEN)
        assert only(store) == given


def test_the_same_article_twice_in_one_batch_is_one(place: str) -> None:
    with store_in(place) as store:
        assert store.add([ARTICLE, ARTICLE], source="feed", seen_at=SEEN) == AddReport(new=1, seen_again=1)


def test_one_article_in_two_feeds_has_two_sightings(place: str) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="feed-a", seen_at=SEEN)
        store.add([replace(ARTICLE, id="urn:other", url=f"{ARTICLE.url}?utm_source=x")], source="feed-b", seen_at=LATER)
        store.add([ARTICLE], source="feed-a", seen_at=LATER)
        got = [(s.source, s.first_seen_at, s.last_seen_at) for s in store.sightings(ARTICLE.id)]
        assert got == [("feed-a", SEEN, LATER), ("feed-b", LATER, LATER)]
        assert store.counts().articles == 1


def test_an_earlier_sighting_moves_first_seen_back(place: str) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="feed", seen_at=LATER)
        store.add([ARTICLE], source="feed", seen_at=SEEN)
        assert only(store).first_seen_at == SEEN
        assert [(s.first_seen_at, s.last_seen_at) for s in store.sightings(ARTICLE.id)] == [(SEEN, LATER)]


@pytest.mark.parametrize(
    "again",
    [
        replace(ARTICLE, id="new-guid", title="UPDATE 1-Treasury yields jump"),
        replace(ARTICLE, url=""),
        replace(ARTICLE, id="new-guid", url="https://example.org/moved"),
        replace(ARTICLE, id="http://example.org/2025/04/09/yields", url=""),
        replace(ARTICLE, id="x", url="http://EXAMPLE.org/2025/04/09/yields#top", title="Yields leap"),
    ],
    ids=["url, retitled", "id", "content", "id with another scheme", "url with another scheme"],
)
def test_each_rung_of_the_ladder_finds_it(place: str, again: Article) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        assert store.add([again], source="b", seen_at=LATER).new == 0


def test_names_learnt_later_identify_too(place: str) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        store.add([replace(ARTICLE, id="guid-2")], source="b", seen_at=SEEN)
        again = replace(ARTICLE, id="guid-2", url="", title=f"{ARTICLE.title} again")
        assert store.add([again], source="b", seen_at=LATER).new == 0


def test_rows_numbered_from_one_in_two_archives_stay_apart(place: str) -> None:
    first, second = replace(ARTICLE, id="1", url=""), replace(OTHER, id="1", url="")
    with store_in(place) as store:
        store.add([first], source="one.csv", seen_at=SEEN)
        assert store.add([second], source="two.csv", seen_at=SEEN) == AddReport(new=1)
        assert store.add([first, second], source="again", seen_at=LATER) == AddReport(seen_again=2)
        ids = [a.id for a in store.articles()]
        assert ids[0] == "1"
        assert len(set(ids)) == 2


def test_a_home_page_link_is_no_identity(place: str) -> None:
    home = "https://example.org/"
    with store_in(place) as store:
        given = [replace(ARTICLE, id="a", url=home), replace(OTHER, id="b", url=home)]
        assert store.add(given, source="feed", seen_at=SEEN).new == 2


def test_a_section_link_shared_by_unlike_articles_is_no_identity(place: str) -> None:
    page = "https://example.org/markets"
    with store_in(place) as store:
        given = [replace(ARTICLE, id="a", url=page), replace(OTHER, id="b", url=page)]
        assert store.add(given, source="feed", seen_at=SEEN).new == 2


def test_the_same_words_in_two_papers_are_two_articles(place: str) -> None:
    paper = replace(ARTICLE, id="p", url="https://paper.example/1", publisher="Example Paper")
    with store_in(place) as store:
        assert store.add([ARTICLE, paper], source="a", seen_at=SEEN).new == 2


def test_the_same_words_a_week_later_are_another_article(place: str) -> None:
    daily = Article("", "Treasury buyback results", publisher="Desk", published_at=SEEN, published_precision="second")
    later = replace(daily, published_at=SEEN + timedelta(days=7), published_raw="later")
    with store_in(place) as store:
        assert store.add([daily, later], source="a", seen_at=SEEN).new == 2
        assert store.add([daily, later], source="a", seen_at=LATER) == AddReport(seen_again=2)


def test_a_rewrite_keeps_the_old_version(place: str) -> None:
    new_text = TEXT.replace("eleven", "fourteen")
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        assert store.add([replace(ARTICLE, text=new_text)], source="b", seen_at=LATER) == AddReport(updated=1)
        (old,) = store.versions(ARTICLE.id)
        assert (old.revision, old.title, old.text) == (0, ARTICLE.title, TEXT)
        assert (old.replaced_at, old.replaced_by) == (LATER, "b")
        assert only(store).text == new_text


def test_a_new_title_alone_is_a_rewrite(place: str) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        assert store.add([replace(ARTICLE, title="Yields at 4.41%")], source="a", seen_at=LATER).updated == 1


def test_two_feeds_that_alternate_do_not_rewrite(place: str) -> None:
    other = replace(ARTICLE, text=TEXT.replace("two traders", "three traders"))
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        assert store.add([other], source="b", seen_at=SEEN).updated == 1
        assert store.add([ARTICLE, other, ARTICLE], source="a", seen_at=LATER) == AddReport(seen_again=3)


@pytest.mark.parametrize("teaser", ["", TEXT[:90], f"{TEXT[:90].rstrip()}…"], ids=["empty", "cut", "cut with dots"])
def test_a_teaser_does_not_replace_the_text(place: str, teaser: str) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        assert store.add([replace(ARTICLE, text=teaser)], source="b", seen_at=LATER).updated == 0
        assert only(store).text == TEXT


def test_the_text_replaces_a_teaser(place: str) -> None:
    with store_in(place) as store:
        store.add([replace(ARTICLE, text=TEXT[:90])], source="a", seen_at=SEEN)
        assert store.add([ARTICLE], source="b", seen_at=LATER).updated == 1
        assert only(store).text == TEXT


def test_a_page_that_prints_the_time_is_followed_24_times(place: str) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        total = AddReport()
        for minute in range(40):
            text = f"{TEXT} Page made at 12:{minute:02}."
            total += store.add([replace(ARTICLE, text=text)], source="a", seen_at=SEEN + timedelta(minutes=minute))
        assert total == AddReport(updated=MAX_REWRITES, seen_again=40 - MAX_REWRITES)
        assert len(store.versions(ARTICLE.id)) == MAX_REWRITES == 24
        assert only(store).text.endswith("12:23.")


def test_such_a_page_gains_no_names_for_ever(place: str) -> None:
    with store_in(place) as store:
        for minute in range(40):
            text = f"{TEXT} Page made at 12:{minute:02}."
            store.add([replace(ARTICLE, id=content_id("", text), text=text)], source="a", seen_at=SEEN)
        with store._database.read() as connection:
            names = connection.exec_driver_sql("SELECT count(*) FROM alias").scalar_one()
        assert store.counts().articles == 1
        assert names <= 2 * (MAX_REWRITES + 1) + 1


def test_published_at_is_stored_as_utc(place: str) -> None:
    eastern = timezone(timedelta(hours=-4))
    given = replace(ARTICLE, published_at=datetime(2025, 4, 9, 7, 30, tzinfo=eastern))
    with store_in(place) as store:
        store.add([given], source="a", seen_at=SEEN.astimezone(eastern))
        got = only(store)
        with store._database.read() as connection:
            raw = str(connection.exec_driver_sql("SELECT published_at FROM article").scalar_one())
        assert raw[:19] == "2025-04-09 11:30:00"
        assert got.published_at is not None
        assert (got.published_at, got.published_at.tzinfo) == (datetime(2025, 4, 9, 11, 30, tzinfo=UTC), UTC)
        assert (got.published_raw, got.published_precision) == (ARTICLE.published_raw, "second")


def test_updated_at_moves_with_the_words_only(place: str) -> None:
    def updated_at(store: Store) -> str:
        with store._database.read() as connection:
            return str(connection.exec_driver_sql("SELECT updated_at FROM article").scalar_one())[:19]

    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        store.add([ARTICLE], source="a", seen_at=LATER)
        assert updated_at(store) == "2025-04-09 12:00:00"
        store.add([replace(ARTICLE, title="Yields at 4.41%")], source="a", seen_at=LATER)
        assert updated_at(store) == "2025-04-09 14:00:00"


def test_a_date_moved_forward_is_not_believed(place: str) -> None:
    with store_in(place) as store:
        store.add([ARTICLE], source="a", seen_at=SEEN)
        store.add([replace(ARTICLE, published_at=LATER, published_raw="later")], source="a", seen_at=LATER)
        assert only(store).published_at == ARTICLE.published_at
        assert only(store).published_raw == ARTICLE.published_raw


def test_a_precise_date_replaces_a_vague_one(place: str) -> None:
    vague = replace(
        ARTICLE,
        published_at=datetime(2025, 4, 9, 12, tzinfo=UTC),
        published_raw="2025-04-09",
        published_precision="day",
        publisher="",
    )
    with store_in(place) as store:
        store.add([vague], source="a", seen_at=SEEN)
        assert store.add([ARTICLE], source="b", seen_at=LATER) == AddReport(seen_again=1)
        got = only(store)
        assert (got.published_at, got.published_precision) == (ARTICLE.published_at, "second")
        assert got.publisher == "Example Wire"


def test_a_time_without_a_zone_is_refused(place: str) -> None:
    naive = datetime(2025, 4, 9, 12)  # noqa: DTZ001
    with store_in(place) as store:
        with pytest.raises(InputError, match=r"article .*yields: has a time without a zone"):
            store.add([replace(ARTICLE, published_at=naive)], source="a", seen_at=SEEN)
        with pytest.raises(InputError, match="seen_at has no zone"):
            store.add([ARTICLE], source="a", seen_at=naive)
        assert store.counts().articles == 0


def test_hostile_text_is_stored_harmlessly(place: str) -> None:
    nasty = Article("x\x00\ud800" + "y" * 5000, "'; DROP TABLE article; --\ud83d", "a\x00b \ud800", url="javascript:1")
    with store_in(place) as store:
        assert store.add([nasty], source="s'\"", seen_at=SEEN).new == 1
        assert store.add([nasty], source="s'\"", seen_at=SEEN).seen_again == 1
        got = only(store)
        assert (got.text, len(got.id)) == ("a\ufffdb \ufffd", 64)


def test_an_article_without_id_gets_one(place: str) -> None:
    given = Article("", "Yields fall", "On soft data.", publisher="P")
    with store_in(place) as store:
        store.add([given], source="a", seen_at=SEEN)
        assert only(store).id == content_id("Yields fall", "On soft data.", publisher="P")


def test_an_article_given_as_sentences_gets_their_text(place: str) -> None:
    with store_in(place) as store:
        store.add([Article("s", "", sentences=("Yields fall", "On data.", "Said one."))], source="a", seen_at=SEEN)
        assert (only(store).title, only(store).text) == ("Yields fall", "On data. Said one.")


def test_a_stream_that_breaks_keeps_what_was_written(place: str) -> None:
    def stream() -> list[Article]:
        yield from (Article(f"n{i}", f"Headline number {i}") for i in range(700))
        raise OSError("the archive ended early")

    with store_in(place) as store:
        with pytest.raises(OSError, match="ended early"):
            store.add(stream(), source="a", seen_at=SEEN)
        assert store.counts().articles == 500


def test_articles_can_be_chosen_by_time_and_publisher(place: str) -> None:
    undated = replace(OTHER, publisher="Other")
    with store_in(place) as store:
        store.add([ARTICLE, undated], source="a", seen_at=LATER)
        assert [a.id for a in store.articles(since=SEEN)] == ["b2"]
        assert [a.id for a in store.articles(until=SEEN)] == [ARTICLE.id]
        assert [a.id for a in store.articles(publisher="Other")] == ["b2"]


def test_reading_can_be_interleaved_with_writing(place: str) -> None:
    with store_in(place) as store:
        store.add((Article(f"n{i}", f"Headline number {i}") for i in range(1200)), source="a", seen_at=SEEN)
        for i, article in enumerate(store.articles()):
            if i % 400 == 0:
                store.add([article], source="b", seen_at=LATER)
        assert i == 1199


@pytest.mark.parametrize("method", ["sightings", "versions"])
def test_an_unknown_article_is_a_store_error(place: str, method: str) -> None:
    with store_in(place) as store, pytest.raises(StoreError, match="nobody: there is no such article"):
        getattr(store, method)("nobody")


def test_counts_say_what_is_there(place: str) -> None:
    with store_in(place) as store:
        empty = store.counts()
        assert (empty.articles, empty.earliest, empty.models) == (0, None, {})
        store.add([ARTICLE, OTHER], source="a", seen_at=SEEN)
        store.add([ARTICLE], source="b", seen_at=SEEN)
        got = store.counts()
        assert (got.articles, got.sightings, got.versions, got.clusters) == (2, 3, 0, 2)
        assert got.earliest == got.latest == ARTICLE.published_at
