"""From a feed's teaser to the page's text: robots.txt, refusals, paywalls, and pages that harm whoever reads them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bondlore import chain
from bondlore.article import Article
from bondlore.cli import main
from bondlore.errors import InputError
from bondlore.ingest.fetch import Fetcher
from bondlore.ingest.fulltext import complete
from bondlore.ingest.judge import feed_text, page_text
from bondlore.ingest.poll import Feed
from bondlore.ingest.robots import Robots
from bondlore.ingest.signals import robots_signals
from bondlore.ingest.worker import Extractor
from bondlore.store import Store

NOW = datetime(2025, 4, 9, 20, 0, tzinfo=UTC)
SENTENCES = [
    f"Treasury yields rose {n} basis points in morning trade as dealers in New York spoke of forced sales by funds {n}."
    for n in range(20)
]
TEXT = " ".join(SENTENCES)


def html(*paragraphs: str, head: str = "") -> bytes:
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    page = f"<html><head><title>Yields rise</title>{head}</head><body><article><h1>Yields rise</h1>{body}"
    return f"{page}</article></body></html>".encode()


def linked_data(**fields: object) -> str:
    return f'<script type="application/ld+json">{json.dumps({"@type": "NewsArticle"} | fields)}</script>'


class Site:
    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.agents: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.agents.append(self.headers["User-Agent"])
                status, headers, body = outer.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in ({"Content-Type": "text/html; charset=utf-8"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"

    def article(self, path: str, text: str = "") -> Article:
        status, reason = feed_text(text)
        return Article(path, "Yields rise", text, url=self.base + path, text_status=status, text_reason=reason)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.http.shutdown()
    thread.join()
    site.http.server_close()


@pytest.fixture(scope="module")
def read() -> Iterator[Extractor]:
    with Extractor(timeout_s=60) as extractor:
        yield extractor


def one(site: Site, read: Extractor, path: str = "/a", text: str = "") -> Article:
    fetcher = Fetcher(allow_private=True, deadline_s=10)
    (got,) = complete([site.article(path, text)], fetcher, read, clock=lambda: NOW, pause_s=0)
    return got


def test_a_page_gives_its_text_and_its_time(site: Site, read: Extractor) -> None:
    head = linked_data(datePublished="2025-04-09T10:05:00-04:00", headline="Yields rise")
    site.pages["/a"] = (200, {}, html(*SENTENCES, head=head))
    got = one(site, read, text="Yields rose.")
    assert (got.text_status, got.id) == ("full", "/a")
    assert SENTENCES[17] in got.text
    assert got.published_at == datetime(2025, 4, 9, 14, 5, tzinfo=UTC)
    assert (got.published_source, got.published_confidence) == ("page:json-ld", "high")


def test_the_text_in_the_linked_data_is_used_when_the_page_hides_it(site: Site, read: Extractor) -> None:
    site.pages["/a"] = (200, {}, html("Loading the story.", head=linked_data(articleBody=TEXT)))
    assert one(site, read).text == TEXT


@pytest.mark.parametrize(
    ("page", "status", "reason"),
    [
        ((403, {}, b"no"), "blocked", "answered 403"),
        ((451, {}, b"no"), "blocked", "answered 451"),
        ((503, {"cf-mitigated": "challenge"}, b""), "blocked", "browser challenge"),
        ((200, {"TDM-Reservation": "1"}, html(*SENTENCES)), "blocked", "TDM-Reservation"),
        ((404, {}, b""), "failed", "answered 404"),
        ((200, {"Content-Type": "application/pdf"}, b"%PDF"), "failed", "application/pdf"),
        ((200, {}, b"<html><body></body></html>"), "failed", "no article text"),
        (
            (200, {}, html(*SENTENCES[:3], head=linked_data(isAccessibleForFree=False))),
            "teaser",
            "says it is not free",
        ),
        (
            (200, {}, html(*SENTENCES, "Already a subscriber? Sign in.")),
            "partial",
            "asks for a subscription",
        ),
        (
            (200, {}, html("We and our partners use cookies to do many things.")),
            "blocked",
            "consent",
        ),
        ((200, {}, html(*SENTENCES[:2])), "teaser", "shows"),
    ],
)
def test_what_a_page_gave_is_said(
    site: Site, read: Extractor, page: tuple[int, dict[str, str], bytes], status: str, reason: str
) -> None:
    site.pages["/a"] = page
    got = one(site, read)
    assert got.text_status == status, got.text_reason
    assert reason in got.text_reason


def test_a_page_no_longer_than_the_feed_changes_no_text(site: Site, read: Extractor) -> None:
    site.pages["/a"] = (200, {}, html(*SENTENCES[:2]))
    own = " ".join(SENTENCES[:5])
    assert one(site, read, text=own).text == own


def test_a_feed_that_is_cut_or_short_is_a_teaser() -> None:
    assert feed_text(TEXT)[0] == "full"
    assert feed_text(TEXT + " Continue reading the full story…")[0] == "teaser"
    assert feed_text(SENTENCES[0])[0] == feed_text("")[0] == "teaser"
    assert page_text(TEXT + " …")[0] == "partial"


def test_robots_txt_is_kept_and_asked_once(site: Site, read: Extractor) -> None:
    site.pages["/robots.txt"] = (200, {}, b"User-agent: *\nDisallow: /private\nCrawl-delay: 3\n")
    for path in ("/private/a", "/b", "/c"):
        site.pages[path] = (200, {}, html(*SENTENCES))
    waits: list[float] = []
    articles = [site.article(path) for path in ("/private/a", "/b", "/c")]
    fetcher = Fetcher(allow_private=True)
    got = list(complete(articles, fetcher, read, clock=lambda: NOW, pause_s=0.5, sleep=waits.append))
    assert [a.text_status for a in got] == ["blocked", "full", "full"]
    assert "robots.txt of 127.0.0.1" in got[0].text_reason
    assert site.asked == ["/robots.txt", "/b", "/c"]
    assert waits == [3.0, 3.0]


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        ((404, {}, b""), True),
        ((403, {}, b""), True),
        ((500, {}, b""), False),
        ((429, {}, b""), False),
        ((200, {}, b"User-agent: bondlore\nDisallow: /\n"), False),
        ((200, {}, b"User-agent: other\nDisallow: /\n"), True),
        ((200, {}, b"\xff\xfe\x00 nonsense" + b"a" * 100_000), True),
    ],
)
def test_what_robots_txt_means(site: Site, answer: tuple[int, dict[str, str], bytes], allowed: bool) -> None:
    site.pages["/robots.txt"] = answer
    assert Robots(Fetcher(allow_private=True)).permission(site.base + "/a").allowed is allowed


@pytest.mark.parametrize(
    ("robots", "status", "reason"),
    [
        ("User-agent: *\nContent-Signal: search=yes, ai-input=no\nAllow: /\n", "blocked", "ai-input=no"),
        ("User-agent: *\nContent-Signal: ai-train=no\nAllow: /\n", "full", "words; not for training"),
        ("User-agent: *\nContent-Signal: ai-input=yes\nAllow: /\n", "full", "words"),
    ],
)
def test_content_signals_are_heeded(site: Site, read: Extractor, robots: str, status: str, reason: str) -> None:
    site.pages |= {"/robots.txt": (200, {}, robots.encode()), "/a": (200, {}, html(*SENTENCES))}
    got = one(site, read)
    assert (got.text_status, reason in got.text_reason) == (status, True)
    assert ("/a" in site.asked) is (status == "full")
    assert ("training" in got.text_reason) is ("ai-train" in robots)


def test_a_content_signal_of_the_page_itself_is_heeded(site: Site, read: Extractor) -> None:
    site.pages["/a"] = (200, {"Content-Signal": "ai-input=no"}, html(*SENTENCES))
    assert one(site, read).text_status == "blocked"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Content-Signal: ai-input=no", {"ai-input": False}),
        ("User-agent: a\nUser-agent: bondlore/2\nContent-Signal: search=no", {"search": False}),
        ("User-agent: bondlore\nAllow: /\n\nUser-agent: *\nContent-Signal: ai-input=no", {}),
        ("User-agent: other\nContent-Signal: ai-input=no", {}),
        ("User-agent: *\nContent-Signal: /news/ ai-input=no\nContent-Signal: ai-input=yes", {"ai-input": False}),
        ("User-agent: *\nContent-Signal: /blog/ ai-input=no", {}),
        ("# Content-Signal: ai-input=no\nContent-Signal: ai-input=maybe", {}),
    ],
)
def test_which_signals_are_meant_for_us(text: str, want: dict[str, bool]) -> None:
    assert robots_signals(text, "/news/a", "bondlore") == want


def test_a_silent_host_gives_no_permission() -> None:
    got = Robots(Fetcher(allow_private=True, deadline_s=2)).permission("http://127.0.0.1:1/a")
    assert (got.allowed, "cannot be had" in got.reason) == (False, True)


def test_a_host_gives_a_few_pages_a_run(site: Site, read: Extractor) -> None:
    articles = [site.article(f"/{n}") for n in range(5)]
    got = list(complete(articles, Fetcher(allow_private=True), read, clock=lambda: NOW, pause_s=0, per_host=2))
    assert [a.id for a in got] == ["/0", "/1"]


def test_stopped_half_way_it_asks_for_no_further_page(site: Site, read: Extractor) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        waiting.set()
        go_on.wait(10)

    slow = [replace(site.article(f"/{n}"), url=f"{site.base.replace('127.0.0.1', 'localhost')}/{n}") for n in range(9)]
    fetcher = Fetcher(allow_private=True)
    pages = complete([site.article("/a"), *slow], fetcher, read, clock=lambda: NOW, pause_s=1, sleep=sleep)
    assert next(pages).id == "/a"
    assert waiting.wait(10)
    threading.Timer(0.5, go_on.set).start()
    pages.close()
    assert sorted(path for path in site.asked if path != "/robots.txt") == ["/0", "/a"]


def test_a_page_that_takes_too_long_costs_one_page() -> None:
    slow = html(*(SENTENCES * 2_000))
    with Extractor(timeout_s=0.2) as read:
        start = time.monotonic()
        with pytest.raises(InputError, match=r"longer than 0\.2 s"):
            read(slow, url="https://example.org/a", now=NOW)
        read.timeout_s = 60
        assert read(html(*SENTENCES), url="https://example.org/b", now=NOW).text_status == "full"
        assert time.monotonic() - start < 60


def test_a_page_that_needs_too_much_memory_costs_one_page() -> None:
    page = html(*SENTENCES * 400)
    with Extractor(timeout_s=120, memory_mb=64) as read, pytest.raises(InputError):
        read(page, url="https://example.org/a", now=NOW)
    with Extractor(timeout_s=120) as read:
        assert read(page, url="https://example.org/a", now=NOW).text_status == "full"


FEED = """<rss version="2.0"><channel><title>News</title>
<item><title>Yields rise</title><guid>{base}/a</guid><link>{base}/a</link>
<description>Yields rose, in short.</description>
<pubDate>{date}</pubDate></item></channel></rss>"""


def feed(site: Site) -> bytes:
    return FEED.format(base=site.base, date="Wed, 09 Apr 2025 12:00:00 GMT").encode()


def test_the_store_keeps_the_page_and_not_the_next_teaser(site: Site, place: str) -> None:
    site.pages["/feed"] = (200, {}, feed(site))
    site.pages["/a"] = (200, {}, html(*SENTENCES))
    fetcher, feeds = Fetcher(allow_private=True), [Feed(site.base + "/feed", publisher="News")]
    with Store.open(place) as store:
        chain.poll_feeds(store, feeds, fetcher, clock=lambda: NOW)
        assert chain.read_pages(store, fetcher, clock=lambda: NOW, per_host=5).better == 1
        site.pages["/feed"] = (200, {}, feed(site).replace(b"in short", b"in brief, with a summary written anew"))
        later = NOW + timedelta(hours=2)
        chain.poll_feeds(store, feeds, fetcher, clock=lambda: later)
        (got,) = store.articles()
        assert (got.text_status, SENTENCES[9] in got.text) == ("full", True)
        assert [v.text for v in store.versions(got.id)] == ["Yields rose, in short."]
        assert [s.source for s in store.sightings(got.id)] == [site.base + "/feed"]
        assert chain.read_pages(store, fetcher, clock=lambda: later, per_host=5).tried == 0


def test_a_failed_page_is_tried_three_times(site: Site, tmp_path: Path) -> None:
    site.pages["/feed"] = (200, {}, feed(site))
    site.pages["/a"] = (500, {}, b"")
    fetcher = Fetcher(allow_private=True)
    with Store.open(tmp_path / "n.db") as store:
        chain.poll_feeds(store, [Feed(site.base + "/feed")], fetcher, clock=lambda: NOW)
        tried = [chain.read_pages(store, fetcher, clock=lambda: NOW, per_host=5).tried for _ in range(5)]
        (got,) = store.articles()
    assert tried == [1, 1, 1, 0, 0]
    assert (got.text, got.text_status, got.text_reason) == ("Yields rose, in short.", "failed", "the page answered 500")


@pytest.mark.parametrize(("late", "kept"), [("failed", "full"), ("blocked", "full"), ("teaser", "full")])
def test_a_late_failure_does_not_undo_another_runs_page(place: str, late: str, kept: str) -> None:
    teaser = Article("a", "Yields rise", "In short.", url="https://e.example/a", text_status="teaser")
    with Store.open(place) as one_run, Store.open(place) as other:
        one_run.add([teaser], source="s", seen_at=NOW)
        (wanted,) = one_run.wanting_text(since=NOW)
        other.save_texts([replace(wanted, text=TEXT, text_status="full", text_reason="the page")], seen_at=NOW)
        one_run.save_texts([replace(wanted, text_status=late, text_reason="the page answered 500")], seen_at=NOW)
        (got,) = other.articles()
        assert (got.text_status, got.text_reason, got.text) == (kept, "the page", TEXT)


def test_ingest_tells_publishers_whom_to_write_to(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.pages["/feed"] = (200, {}, feed(site))
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(f"feeds: ['{site.base}/feed']")
    common = ["ingest", "--feeds", str(feeds), "--db", str(tmp_path / "n.db"), "--allow-private", "--pages", "0"]
    monkeypatch.setenv("BONDLORE_CONTACT", "desk@example.org")
    assert main(common) == 0
    assert main([*common, "--now", "--contact", "https://example.org/bot"]) == 0
    assert [a.partition("; +")[2] for a in site.agents] == ["desk@example.org)", "https://example.org/bot)"]
    assert main([*common, "--contact", "nobody"]) == 1
    assert "--contact" in capsys.readouterr().err


def test_ingest_reads_pages_waits_its_turn_and_feeds_shows_it(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.pages["/feed"] = (200, {}, feed(site))
    site.pages["/a"] = (200, {}, html(*SENTENCES))
    opml = tmp_path / "feeds.opml"
    outlines = "".join(f'<outline type="rss" text="N" xmlUrl="{site.base}{path}"/>' for path in ("/feed", "/none"))
    opml.write_text(f'<opml version="2.0"><body>{outlines}</body></opml>')
    common = ["--feeds", str(opml), "--db", str(tmp_path / "n.db"), "--json"]
    assert main(["ingest", *common, "--allow-private"]) == 3
    first = json.loads(capsys.readouterr().out)
    assert (first["new"], first["answered"], first["waiting"], first["pages"]) == (1, 1, 0, {"full": 1})
    assert main(["ingest", *common, "--allow-private"]) == 3
    second = json.loads(capsys.readouterr().out)
    assert (second["new"], second["waiting"], len(second["failing"])) == (0, 2, 1)
    assert main(["ingest", *common, "--allow-private", "--now", "--pages", "0"]) == 3
    assert json.loads(capsys.readouterr().out)["waiting"] == 0
    assert main(["feeds", *common]) == 3
    bad, good = json.loads(capsys.readouterr().out)
    assert (bad["state"], bad["failures"], bad["last_success"]) == ("failing", 2, None)
    assert "answered 404" in bad["last_error"]
    assert (good["state"], good["articles_a_day"], good["polls"], good["failed"]) == ("active", 1.0, 2, 0)
    assert good["next_poll_at"] > good["last_success"]
    assert main(["feeds", *common[:-1]]) == 3
    assert "failing" in capsys.readouterr().out
