from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bondlore.ingest.fetch import Fetcher
from bondlore.ingest.poll import Feed, FeedState, PollResult, poll

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
                self.send_response(status)
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
    assert got.state == FeedState(server.base + "/a", '"1"', MODIFIED, last_success=NOW)


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


def test_a_permanent_move_is_reported(server: Server) -> None:
    server.pages["/a"] = (301, {"Location": "/b"}, b"")
    server.pages["/b"] = (200, {}, BODY)
    (got,) = server.poll("/a")
    assert got.outcome == "ok"
    assert f"moved for good to {server.base}/b" in got.problems[0]


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
