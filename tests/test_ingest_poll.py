from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bondlore.errors import FeedError
from bondlore.ingest.fetch import Fetcher
from bondlore.ingest.poll import Feed, FeedState, PollResult, ReadFeed, due, poll
from bondlore.ingest.schedule import HOUR
from bondlore.ingest.worker import FeedReader

NOW = datetime(2025, 4, 9, 20, 0, tzinfo=UTC)
MODIFIED = "Wed, 09 Apr 2025 12:00:00 GMT"
BODY = b"""<rss version="2.0"><channel><title>News</title>
<item><title>New</title><guid>2</guid><pubDate>Wed, 09 Apr 2025 12:00:00 GMT</pubDate></item>
<item><title>Old</title><guid>1</guid><pubDate>Tue, 08 Apr 2025 12:00:00 GMT</pubDate></item></channel></rss>"""


class Server:
    """A loopback publisher: `pages` maps a path to (status, headers, body); `asked` records the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, dict(self.headers)))
                status, headers, body = outer.pages.get(self.path, (404, {}, b""))
                if status == 200 and headers.get("ETag") and self.headers["If-None-Match"] == headers["ETag"]:
                    status, body = 304, b""
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.http.server_port}"

    def poll(self, *paths: str, states: dict[str, FeedState] | None = None) -> list[PollResult]:
        feeds = [Feed(self.base + path, publisher="News") for path in paths]
        fetcher = Fetcher(allow_private=True, deadline_s=5)
        return list(poll(feeds, fetcher, states or {}, clock=lambda: NOW, pause_s=0))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def test_a_first_poll_gives_articles_oldest_first(server: Server) -> None:
    server.pages["/a"] = (200, {"ETag": '"1"', "Last-Modified": MODIFIED}, BODY)
    (got,) = server.poll("/a")
    assert (got.outcome, got.status, got.polled_at) == ("ok", 200, NOW)
    assert [article.title for article in got.articles] == ["Old", "New"]
    assert {article.first_seen_at for article in got.articles} == {NOW}
    assert got.state.next_poll_at is not None
    assert NOW < got.state.next_poll_at <= NOW + HOUR
    want = FeedState(server.base + "/a", '"1"', MODIFIED, last_success=NOW, next_poll_at=got.state.next_poll_at)
    assert got.state == want


def test_a_second_poll_sends_the_validators_back_unchanged(server: Server) -> None:
    server.pages["/a"] = (200, {"ETag": 'W/"1"', "Last-Modified": MODIFIED}, BODY)
    (first,) = server.poll("/a")
    (second,) = server.poll("/a", states={first.feed.url: first.state})
    sent = server.asked[1][1]
    assert (sent["If-None-Match"], sent["If-Modified-Since"]) == ('W/"1"', MODIFIED)
    assert (second.outcome, second.status, second.articles) == ("not_modified", 304, ())
    assert second.state == first.state


def test_no_validator_is_invented(server: Server) -> None:
    server.pages["/a"] = (200, {}, BODY)
    (first,) = server.poll("/a")
    server.poll("/a", states={first.feed.url: first.state})
    assert not {"If-None-Match", "If-Modified-Since"} & set(server.asked[1][1])


def test_expires_0_voids_the_validators(server: Server) -> None:
    server.pages["/a"] = (200, {"ETag": '"1"', "Expires": "0"}, BODY)
    (got,) = server.poll("/a")
    assert got.state.etag == ""


def test_one_bad_feed_costs_one_feed(server: Server) -> None:
    server.pages["/a"] = (200, {}, BODY)
    server.pages["/b"] = (200, {}, b"<html>Sign in</html>")
    server.pages["/c"] = (200, {}, BODY)
    got = server.poll("/a", "/b", "/missing", "/c")
    assert [result.outcome for result in got] == ["ok", "failed", "failed", "ok"]
    assert "HTML page" in got[1].problems[0]
    assert "answered 404" in got[2].problems[0]


def test_a_broken_document_does_not_renew_the_validators(server: Server) -> None:
    server.pages["/a"] = (200, {"ETag": '"new"'}, b"<html>")
    before = FeedState(server.base + "/a", '"old"', last_success=NOW)
    (got,) = server.poll("/a", states={before.url: before})
    assert (got.state.etag, got.state.last_success, got.state.failures) == ('"old"', NOW, 1)
    assert got.state.last_error


def test_success_clears_failures(server: Server) -> None:
    server.pages["/a"] = (200, {}, BODY)
    before = FeedState(server.base + "/a", last_error="x", failures=7)
    (got,) = server.poll("/a", states={before.url: before})
    assert (got.state.failures, got.state.last_error) == (0, "")


def test_410_retires_a_feed_and_it_is_not_asked_again(server: Server) -> None:
    server.pages["/a"] = (410, {}, b"")
    (first,) = server.poll("/a")
    (second,) = server.poll("/a", states={first.feed.url: first.state})
    assert [first.outcome, second.outcome] == ["gone", "gone"]
    assert first.state.retired
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (403, {"cf-mitigated": "challenge"}, "browser challenge"),
        (429, {"Retry-After": "120"}, "answered 429, retry after 120"),
        (503, {}, "answered 503"),
        (401, {}, "subscription"),
    ],
)
def test_refusals_are_told_apart(server: Server, status: int, headers: dict[str, str], reason: str) -> None:
    server.pages["/a"] = (status, headers, b"")
    (got,) = server.poll("/a")
    assert (got.outcome, got.status) == ("failed", status)
    assert reason in got.problems[0]


@pytest.mark.parametrize("status", [301, 308])
def test_a_permanent_move_is_believed_the_third_time(server: Server, status: int) -> None:
    server.pages["/a"] = (status, {"Location": "/b"}, b"")
    server.pages["/b"] = (200, {}, BODY)
    states: dict[str, FeedState] = {}
    for _ in range(3):
        (got,) = server.poll("/a", states=states)
        assert got.outcome == "ok"
        assert f"moved for good to {server.base}/b" in got.problems[0]
        states = {got.feed.url: got.state}
    assert (got.state.url, got.state.address) == (server.base + "/a", server.base + "/b")
    server.asked.clear()
    (got,) = server.poll("/a", states=states)
    assert [path for path, _ in server.asked] == ["/b"]
    assert (got.outcome, got.problems, got.state.address) == ("ok", (), server.base + "/b")


@pytest.mark.parametrize("between", [302, 200])
def test_moves_with_a_break_between_are_not_believed(server: Server, between: int) -> None:
    server.pages["/b"] = (200, {}, BODY)
    states: dict[str, FeedState] = {}
    for status in (301, 301, between, 301, 301):
        server.pages["/a"] = (status, {"Location": "/b"}, BODY if status == 200 else b"")
        (got,) = server.poll("/a", states=states)
        states = {got.feed.url: got.state}
    assert got.state.address == ""


def test_a_move_to_something_that_is_no_feed_is_not_counted(server: Server) -> None:
    server.pages["/a"] = (301, {"Location": "/portal"}, b"")
    server.pages["/portal"] = (200, {}, b"<html>Sign in</html>")
    states: dict[str, FeedState] = {}
    for _ in range(4):
        (got,) = server.poll("/a", states=states)
        states = {got.feed.url: got.state}
    assert (got.outcome, got.state.address, got.state.moved_seen) == ("failed", "", 0)


@pytest.mark.parametrize("status", [404, 410])
def test_when_the_new_place_is_gone_the_first_is_asked_again(server: Server, status: int) -> None:
    server.pages["/a"] = (200, {}, BODY)
    server.pages["/b"] = (status, {}, b"")
    before = FeedState(server.base + "/a", address=server.base + "/b")
    (got,) = server.poll("/a", states={before.url: before})
    assert (got.outcome, got.state.retired) == ("failed", False)
    (again,) = server.poll("/a", states={before.url: got.state})
    assert again.outcome == "ok"


@pytest.mark.parametrize(
    ("headers", "hours"),
    [
        ({"Cache-Control": "max-age=18000"}, 5),
        ({"Expires": "Wed, 09 Apr 2025 23:00:00 GMT", "Date": "Wed, 09 Apr 2025 20:00:00 GMT"}, 3),
        ({}, 4),  # the document's ttl
    ],
)
def test_a_feed_is_not_due_before_it_is_stale(server: Server, headers: dict[str, str], hours: int) -> None:
    body = BODY.replace(b"<title>News", b"<ttl>240</ttl><title>News") if not headers else BODY
    server.pages["/a"] = (200, headers, body)
    (got,) = server.poll("/a")
    states = {got.feed.url: got.state}
    assert due([got.feed], states, now=NOW + timedelta(hours=hours, seconds=-1)) == ()
    assert due([got.feed], states, now=NOW + timedelta(hours=hours + 1)) == (got.feed,)


def test_the_ttl_is_remembered_through_a_304(server: Server) -> None:
    server.pages["/a"] = (200, {"ETag": '"1"'}, BODY.replace(b"<title>News", b"<ttl>240</ttl><title>News"))
    (first,) = server.poll("/a")
    (second,) = server.poll("/a", states={first.feed.url: first.state})
    assert second.outcome == "not_modified"
    assert due([second.feed], {second.feed.url: second.state}, now=NOW + timedelta(hours=3.9)) == ()


@pytest.mark.parametrize("wait", ["36000", "Thu, 10 Apr 2025 06:00:00 GMT"])
def test_retry_after_sets_the_next_poll(server: Server, wait: str) -> None:
    server.pages["/a"] = (429, {"Retry-After": wait, "Date": "Wed, 09 Apr 2025 20:00:00 GMT"}, b"")
    (got,) = server.poll("/a")
    assert got.state.next_poll_at == NOW + timedelta(hours=10)


def test_a_host_that_asks_to_wait_is_left_alone(server: Server) -> None:
    server.pages["/a"] = (429, {}, b"")
    server.pages["/b"] = server.pages["/c"] = (200, {}, BODY)
    got = server.poll("/a", "/b", "/c")
    assert [path for path, _ in server.asked] == ["/a"]
    assert [(r.outcome, r.status) for r in got] == [("failed", 429), ("failed", 0), ("failed", 0)]
    assert "its host asked to wait" in got[2].problems[0]


def test_no_answer_has_status_0() -> None:
    (got,) = poll([Feed("http://127.0.0.1:1/")], Fetcher(allow_private=True, deadline_s=2), {}, clock=lambda: NOW)
    assert (got.outcome, got.status, got.state.failures) == ("failed", 0, 1)


def test_undated_entries_are_counted(server: Server) -> None:
    server.pages["/a"] = (200, {}, BODY.replace(b"Tue, 08 Apr 2025", b"05/04/2025"))
    (got,) = server.poll("/a")
    assert "1 entries without a usable date" in got.problems


def test_a_repeated_address_is_polled_once(server: Server) -> None:
    server.pages["/a"] = (200, {}, BODY)
    assert len(server.poll("/a", "/a")) == 1
    assert len(server.asked) == 1


def test_feeds_of_one_host_follow_each_other_with_a_pause(server: Server) -> None:
    server.pages["/a"] = server.pages["/b"] = (200, {}, BODY)
    pauses: list[float] = []
    feeds = [Feed(server.base + path) for path in ("/a", "/b")]
    results = list(poll(feeds, Fetcher(allow_private=True), {}, clock=lambda: NOW, pause_s=1.5, sleep=pauses.append))
    assert [path for path, _ in server.asked] == ["/a", "/b"]
    assert (pauses, len(results)) == ([1.5], 2)
    assert results[0].articles[0].publisher == "News"  # the document's own title stands in


def test_reading_in_other_processes_gives_the_same(server: Server) -> None:
    broken = BODY.replace(b"</rss>", b"") + b"&nonsense <item>"
    server.pages = {f"/{n}": (200, {"ETag": f'"{n}"'}, BODY.replace(b"News", b"N%d" % n)) for n in range(5)}
    server.pages |= {"/html": (200, {}, b"<html>no feed</html>"), "/broken": (200, {}, broken)}
    feeds = [Feed(server.base + path, zone="America/New_York") for path in (*server.pages, "/none")]

    def polled(**how: ReadFeed) -> list[PollResult]:
        return list(poll(feeds, Fetcher(allow_private=True), {}, clock=lambda: NOW, pause_s=0, **how))

    with FeedReader(children=2, timeout_s=60) as read:
        assert polled(read=read) == polled()


def test_a_feed_that_takes_too_long_costs_one_feed() -> None:
    item = b"<item><title>T</title><guid>%d</guid><description>d</description></item>"
    slow = b"<rss><channel>" + b"".join(item % n for n in range(20_000)) + b"</channel></rss>"
    with FeedReader(timeout_s=0.2) as read:
        with pytest.raises(FeedError, match=r"longer than 0\.2 s"):
            read(slow, url="https://slow.example/", at=NOW)
        read.timeout_s = 60
        assert [a.title for a in read(BODY, url="https://news.example/", at=NOW).articles] == ["Old", "New"]


def test_stopping_early_is_clean(server: Server) -> None:
    server.pages["/a"] = (200, {}, BODY)
    results = poll([Feed(server.base + f"/a?{n}") for n in range(20)], Fetcher(allow_private=True), {}, pause_s=0.05)
    next(results)
    start = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 1
    assert len(server.asked) < 10


def test_no_feeds_give_no_results() -> None:
    assert list(poll([], Fetcher(), {})) == []
