from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bondlore.errors import FeedError, InputError
from bondlore.ingest.feedlist import read_feeds
from bondlore.ingest.feeds import Entry, entry_article, parse_feed
from bondlore.ingest.opml import read_opml

URL = "https://news.example/rss"
NOW = datetime(2025, 4, 9, 20, 0, tzinfo=UTC)


def rss(*items: str, head: str = "") -> bytes:
    body = "".join(f"<item>{item}</item>" for item in items)
    return f'<?xml version="1.0"?>{head}<rss version="2.0"><channel><title>News</title>{body}</channel></rss>'.encode()


def item(title: str = "Yields rise", guid: str = "", link: str = "", extra: str = "") -> str:
    guid = f"<guid>{guid}</guid>" if guid else ""
    link = f"<link>{link}</link>" if link else ""
    return f"<title>{title}</title>{guid}{link}{extra}"


def only(body: bytes) -> Entry:
    (entry,) = parse_feed(body, url=URL).entries
    return entry


def test_reads_rss() -> None:
    body = rss(
        item(
            guid="https://news.example/1",
            link="https://news.example/1?utm_source=rss",
            extra="<pubDate>Wed, 09 Apr 2025 10:05:00 EST</pubDate>"
            "<description>&lt;p&gt;Ten-year &amp;amp; up.&lt;/p&gt;</description>",
        )
    )
    entry = only(body)
    assert entry.identity == "https://news.example/1"
    assert (entry.title, entry.text) == ("Yields rise", "Ten-year & up.")
    assert entry.published_raw == "Wed, 09 Apr 2025 10:05:00 EST"


def test_reads_atom() -> None:
    body = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><entry><id>tag:news.example,2025:1</id>
    <title type="html">Fed &lt;b&gt;holds&lt;/b&gt;</title><link href="/a/1"/><updated>2025-04-09T14:05:00Z</updated>
    <summary>Short.</summary>
    <content type="html">&lt;p&gt;Long.&lt;/p&gt;&lt;p&gt;Longer.&lt;/p&gt;</content></entry></feed>"""
    entry = only(body)
    assert entry == Entry(
        identity="tag:news.example,2025:1",
        title="Fed holds",
        text="Long.\nLonger.",
        link="https://news.example/a/1",
        published_raw="2025-04-09T14:05:00Z",
        published_field="updated",
    )


def test_reads_rdf() -> None:
    body = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>BoC</title></channel>
    <item rdf:about="https://bank.example/1"><title>Policy rate</title><link>https://bank.example/1</link>
    <dc:date>2025-04-09T10:05:00-04:00</dc:date></item></rdf:RDF>"""
    assert only(body).published_raw == "2025-04-09T10:05:00-04:00"


def test_an_unescaped_ampersand_costs_nothing() -> None:
    got = parse_feed(rss(item("S&P up & away", "g1"), item("Bonds", "g2")), url=URL)
    assert [entry.title for entry in got.entries] == ["S&P up & away", "Bonds"]
    assert got.problems == ("2 bare ampersands escaped",)


def test_a_truncated_feed_keeps_its_whole_entries() -> None:
    body = rss(item("One", "g1"), item("Two", "g2"), item("Three", "g3"))
    assert [e.title for e in parse_feed(body[: body.index(b"Three")], url=URL).entries][:2] == ["One", "Two"]


def test_ampersands_in_cdata_stay() -> None:
    assert only(rss(item("<![CDATA[S&P &amp; <b>bonds</b>]]> & more"))).title == "S&P & bonds & more"


def test_a_mismatched_tag_is_salvaged_and_said() -> None:
    got = parse_feed(rss(item("One", "g1", extra="<description>x</descripton>"), item("Two", "g2")), url=URL)
    assert [entry.title for entry in got.entries] == ["One", "Two"]
    assert got.problems[0].startswith("broken XML, 2 entries saved")


def test_relative_links_are_resolved() -> None:
    assert only(rss(item(link="/2025/yields"))).link == "https://news.example/2025/yields"


def test_html_entities_without_a_dtd_are_read() -> None:
    assert only(rss(item("Q1&nbsp;growth &mdash; slower"))).title == "Q1 growth — slower"


def test_illegal_characters_are_removed() -> None:
    got = parse_feed(rss(item("Yields\x0b rise\x00")), url=URL)
    assert got.entries[0].title == "Yields rise"
    assert "2 illegal characters removed" in got.problems


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252", "utf-8-sig"])
def test_encodings(encoding: str) -> None:
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = rss(item("Überschuss")).decode().replace('"1.0"?', f'"1.0" encoding="{declared}"?')
    assert only(text.encode(encoding)).title == "Überschuss"


def test_a_wrong_encoding_is_mended_and_said() -> None:
    body = rss(item("Überschuss")).replace(b'"1.0"?', b'"1.0" encoding="us-ascii"?')
    got = parse_feed(body, url=URL)
    assert (got.entries[0].title, got.problems) == ("Überschuss", ("not really us-ascii",))


def test_script_in_a_title_does_not_live() -> None:
    assert only(rss(item("Fed &lt;script&gt;alert(1)&lt;/script&gt; holds"))).title == "Fed holds"


def test_an_unsafe_link_is_dropped() -> None:
    entry = only(rss(item(guid="1", link="javascript:alert(1)")))
    assert (entry.link, entry.identity) == ("", "news.example:1")


def test_a_repeated_guid_is_no_identity() -> None:
    got = parse_feed(
        rss(item("One", "N/A", "https://news.example/1"), item("Two", "N/A", "https://news.example/2")), url=URL
    )
    assert [entry.identity for entry in got.entries] == ["https://news.example/1", "https://news.example/2"]
    assert "1 guids stand for more than one entry and were not used" in got.problems


def test_a_repeated_link_is_no_identity_either() -> None:
    got = parse_feed(rss(item("One", link="https://news.example/"), item("Two", link="https://news.example/")), url=URL)
    articles = [entry_article(entry, publisher="P", first_seen=NOW) for entry in got.entries]
    assert [entry.identity for entry in got.entries] == ["", ""]
    assert len({article.id for article in articles}) == 2


def test_an_exact_repeat_is_one_entry() -> None:
    got = parse_feed(rss(item("One", "g1"), item("One", "g1")), url=URL)
    assert [entry.identity for entry in got.entries] == ["news.example:g1"]


def test_a_bad_entry_costs_one_entry() -> None:
    got = parse_feed(rss("<category>x</category>", item("Two")), url=URL)
    assert [entry.title for entry in got.entries] == ["Two"]
    assert got.problems == ("entry 1 dropped: neither title nor text",)


def test_unknown_fields_are_ignored() -> None:
    entry = only(rss(item(extra="<x:odd xmlns:x='urn:x'>1</x:odd><media:thumb url='y'/>")))
    assert entry.title == "Yields rise"


def test_an_empty_feed_is_a_feed() -> None:
    assert parse_feed(rss(), url=URL).entries == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML page"),
        (b"", "not a feed"),
        (b"plain words", "not a feed"),
        (b'{"version": "x"}', "not a feed"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a feed"),
        (b"<rss version='2.0'><channel><item></item></channel></rss>", "no usable entry"),
        (b"x" * 10_000_001, "larger than"),
    ],
)
def test_what_is_no_feed_says_so(body: bytes, reason: str) -> None:
    with pytest.raises(FeedError, match=reason) as error:
        parse_feed(body, url=URL)
    assert error.value.where == URL


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f'<!DOCTYPE r [<!ENTITY l0 "lol">{LAUGHS}]>',
    "quadratic": f'<!DOCTYPE r [<!ENTITY a "{"x" * 50_000}">]>',
    "external": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    "parameter": '<!DOCTYPE r [<!ENTITY % p "x"> %p;]>',
    "many": "<!DOCTYPE r [" + "".join(f'<!ENTITY e{n} "x">' for n in range(100)) + "]>",
    "behind a comment": f'<!-- <rss> --><?x y?><!DOCTYPE r [<!ENTITY l0 "lol">{LAUGHS}]>',
    "numeric": '<!DOCTYPE r [<!ENTITY a "&#38;b;"><!ENTITY b "x"><!ENTITY c "&b;">]>',
    "unclosed": "<!DOCTYPE r [" + "x" * 70_000,
}


@pytest.mark.parametrize("head", BOMBS.values(), ids=BOMBS.keys())
def test_entity_bombs_are_refused_before_parsing(head: str) -> None:
    start = time.monotonic()
    with pytest.raises(FeedError, match=r"declares|DOCTYPE"):
        parse_feed(rss(item("&l9;&a;&x;"), head=head), url=URL)
    assert time.monotonic() - start < 0.5


def test_a_bomb_in_utf_16_is_refused() -> None:
    body = rss(item("&l9;"), head=BOMBS["billion laughs"]).decode().replace('"1.0"?', '"1.0" encoding="utf-16"?')
    with pytest.raises(FeedError, match="entities within entities"):
        parse_feed(body.encode("utf-16"), url=URL)


def test_growth_by_repetition_is_refused() -> None:
    head = f'<!DOCTYPE r [<!ENTITY a "{"x" * 900}">]>'
    with pytest.raises(FeedError, match="blow it up"):
        parse_feed(rss(item("&a;" * 2_000), head=head), url=URL)


def test_plain_entities_are_put_in_place() -> None:
    head = '<!DOCTYPE rss [<!ENTITY bank "Bank of Example"><!ENTITY nbsp "&#160;">]>'
    assert only(rss(item("&bank;&nbsp;holds"), head=head)).title == "Bank of Example holds"


def test_a_doctype_without_entities_is_harmless() -> None:
    head = '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://my.netscape.example/rss-0.91.dtd">'
    assert only(rss(item(), head=head)).title == "Yields rise"


def test_an_entry_becomes_an_article() -> None:
    entry = Entry("news.example:1", "T", "Body", "https://news.example/1", "Wed, 09 Apr 2025 10:05", "")
    got = entry_article(entry, publisher="News", first_seen=NOW, zone="America/New_York")
    assert (got.id, got.title, got.text, got.publisher, got.url) == (
        "news.example:1",
        "T",
        "Body",
        "News",
        "https://news.example/1",
    )
    assert got.published_at == datetime(2025, 4, 9, 14, 5, tzinfo=UTC)
    assert (got.published_precision, got.published_raw, got.first_seen_at) == ("second", "Wed, 09 Apr 2025 10:05", NOW)


def test_an_aggregators_source_is_the_publisher() -> None:
    entry = only(rss(item(extra="<source url='https://wire.example/rss'>The Wire</source>")))
    assert entry_article(entry, publisher="Aggregator", first_seen=NOW).publisher == "The Wire"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: rss(item(t.replace("]]>", "")))))
def test_any_bytes_are_a_feed_or_an_error(body: bytes) -> None:
    with suppress(FeedError):
        assert all(entry.title or entry.text for entry in parse_feed(body, url=URL).entries)


def opml(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "feeds.opml"
    path.write_text(body)
    return path


def test_opml_is_read_through_folders_once_each(tmp_path: Path) -> None:
    path = opml(
        tmp_path,
        '<opml version="2.0"><body><outline text="F"><outline text="Fed" title="Speeches" zone="America/New_York" '
        'xmlUrl="https://fed.example/a"/></outline><outline text="Fed" xmlUrl="https://fed.example/a"/></body></opml>',
    )
    (feed,) = read_opml(path)
    assert (feed.url, feed.title, feed.publisher, feed.zone) == (
        "https://fed.example/a",
        "Speeches",
        "Fed",
        "America/New_York",
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<opml><body></body></opml>", "lists no feed"),
        ("<html></html>", "not OPML"),
        ("not xml", "is not XML"),
        ('<opml><outline xmlUrl="file:///etc/passwd"/></opml>', "line 1: 'file:///etc/passwd' is not"),
        ('<opml><outline zone="Mars/X" xmlUrl="https://a.example/"/></opml>', "no time zone"),
        (f'<!DOCTYPE o [<!ENTITY l0 "lol">{LAUGHS}]><opml/>', "entities within entities"),
    ],
)
def test_bad_opml_is_named(tmp_path: Path, body: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        read_opml(opml(tmp_path, body))
    assert "feeds.opml" in error.value.where


def test_missing_opml_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_opml(tmp_path / "none.opml")


def test_the_shipped_feeds_are_sound() -> None:
    feeds = read_opml(Path(__file__).parent.parent / "corpus" / "feeds.opml")
    assert len(feeds) >= 40
    assert all(feed.url.startswith("https://") and feed.publisher and feed.title for feed in feeds)
    assert feeds[0].publisher == "Federal Reserve"


def test_a_yaml_list_gives_what_opml_gives(tmp_path: Path) -> None:
    (tmp_path / "feeds.yaml").write_text(
        "feeds:\n- https://plain.example/rss\n- {url: https://fed.example/a, publisher: Fed, title: Speeches,"
        " zone: America/New_York}\n- url: https://fed.example/a\n"
    )
    body = (
        '<opml><body><outline xmlUrl="https://plain.example/rss"/><outline text="Fed" title="Speeches" '
        'zone="America/New_York" xmlUrl="https://fed.example/a"/></body></opml>'
    )
    assert read_feeds(tmp_path / "feeds.yaml") == read_feeds(opml(tmp_path, body))


def test_a_bare_yaml_list_will_do(tmp_path: Path) -> None:
    path = tmp_path / "feeds.yml"
    path.write_text("- https://a.example/rss\n")
    assert [feed.url for feed in read_feeds(path)] == ["https://a.example/rss"]


@pytest.mark.parametrize(
    ("body", "where", "reason"),
    [
        ("feeds: []", "feeds.yaml", "lists no feed"),
        ("a: {b", "feeds.yaml", "is not YAML"),
        ("[" * 700, "feeds.yaml", "is not YAML"),
        ("- 2025-02-30", "feeds.yaml", "is not YAML"),
        ("- file:///etc/passwd", "feeds.yaml, feed 1", "is not an http or https address"),
        ("- https://a.example/\n- {url: https://b.example/, zone: Mars/X}", "feed 2", "no time zone"),
        ("- {url: https://b.example/, publsher: B}", "feed 1", "unknown key 'publsher'"),
        ("- {url: https://b.example/, title: 7}", "feed 1", "has a title that is no text"),
        ("- [https://b.example/]", "feed 1", "neither an address nor a mapping"),
        ("- !!python/object/apply:os.system [id]", "feeds.yaml", "is not YAML"),
        ("x" * 1_000_001, "feeds.yaml", "is larger than"),
    ],
)
def test_a_bad_yaml_list_is_named(tmp_path: Path, body: str, where: str, reason: str) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_text(body)
    with pytest.raises(InputError, match=reason) as error:
        read_feeds(path)
    assert error.value.where.endswith(where)


def test_a_title_of_ten_megabytes_is_cut_and_costs_nothing_else() -> None:
    body = rss(item("x" * 9_900_000, "t"), item("Second", "u"))
    document = parse_feed(body, url=URL)
    assert [len(entry.title) for entry in document.entries] == [2_000, 6]
