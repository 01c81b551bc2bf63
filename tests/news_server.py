"""A real HTTP server on loopback with feeds and pages that a test can change between requests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tiny_model import rows


class NewsServer:
    """`documents` maps a path to its bytes; anything else is 404. `asked` counts requests by path."""

    def __init__(self, port: int, documents: dict[str, bytes], asked: Counter[str]) -> None:
        self.port, self.documents, self.asked = port, documents, asked

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def opml(self, place: Path, feeds: Mapping[str, str]) -> Path:
        """A feed list of name -> path."""
        lines = "".join(f'<outline type="rss" text="{n}" xmlUrl="{self.url(p)}"/>' for n, p in feeds.items())
        place.write_text(f'<?xml version="1.0"?><opml version="2.0"><head/><body>{lines}</body></opml>')
        return place


@contextmanager
def serving() -> Iterator[NewsServer]:
    documents: dict[str, bytes] = {}
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[self.path] += 1
            body = documents.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield NewsServer(server.server_address[1], documents, asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def feed(at: datetime, *, start: int = 0, count: int = 3) -> bytes:
    """An RSS document of `count` different articles in the words of `tiny_model`, published at `at`."""
    items = "".join(
        f"<item><title>{row['title']} {row['id']}</title><guid isPermaLink='false'>{row['id']}</guid>"
        f"<link>https://example.org/{row['id']}</link><pubDate>{format_datetime(at)}</pubDate>"
        f"<description>{row['text']} {' '.join(reversed(row['text'].split()))}</description></item>"
        for row in rows(count, start=start)
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>T</title>{items}</channel></rss>'.encode()
