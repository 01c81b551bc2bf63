"""Polling and importing, timed: bondlore beside feedparser+urllib one by one, and beside lemon24/reader.

    python scripts/bench_ingest.py                       # 500 feeds of 50 entries on 50 loopback hosts; 100,000 rows
    python scripts/bench_ingest.py --feeds 100 --rows 0 --reader-python READER_ENV/bin/python

reader wants libraries of its own: make an environment (`python -m venv READER_ENV; READER_ENV/bin/pip install reader`)
and name its interpreter. Every contender runs in a process of its own and reports seconds, processor seconds, rates and
peak memory (children included); all ask one server in one run. The second poll is answered with 304 to those who ask
conditionally. bondlore and reader store what they read; the naive loop is shown with and without a table in SQLite, and
bondlore with and without the joining of near-copies, which the others do not do.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOSTS = 50
WORDS = [f"word{n}" for n in range(4_000)]


def document(feed: int, entries: int) -> bytes:
    rng, items = random.Random(feed), []
    for n in range(entries):
        text = " ".join(rng.choices(WORDS, k=60))
        items.append(
            f"<item><title>Story {n} of feed {feed}</title><guid>https://example.org/{feed}/{n}</guid>"
            f"<link>https://example.org/{feed}/{n}</link><pubDate>Wed, 09 Apr 2025 {n % 24:02}:00:00 GMT</pubDate>"
            f"<description>{text}</description></item>"
        )
    head = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed {feed}</title>'
    return f"{head}{''.join(items)}</channel></rss>".encode()


class Handler(BaseHTTPRequestHandler):
    documents: dict[str, bytes]
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        body = self.documents.get(self.path)
        if body is None:
            self.send_error(404)
            return
        tag = f'"{self.path}"'
        fresh = self.headers["If-None-Match"] == tag
        self.send_response(304 if fresh else 200)
        self.send_header("ETag", tag)
        if not fresh:
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not fresh:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def urls(port: int, feeds: int) -> list[str]:
    return [f"http://127.0.0.{1 + n % HOSTS}:{port}/{n}" for n in range(feeds)]


def timed(work: Any) -> tuple[float, Any]:
    start = time.monotonic()
    result = work()
    return round(time.monotonic() - start, 3), result


def poll_bondlore(addresses: list[str], folder: Path) -> dict[str, Any]:
    from bondlore import chain
    from bondlore.clock import utc_now
    from bondlore.ingest.fetch import Fetcher
    from bondlore.ingest.poll import Feed
    from bondlore.store import Store

    feeds, fetcher = [Feed(url) for url in addresses], Fetcher(allow_private=True)
    with Store.open(folder / "news.db") as store:
        clustering = separately(store)

        def once() -> Any:
            return chain.poll_feeds(store, feeds, fetcher, clock=utc_now, pause_s=0, at_once=True)

        first = timed(once)[0]
        joining = sum(clustering)
        second = timed(once)[0]
        return {
            "first_s": round(first - joining, 3),
            "near_copies_s": round(joining, 3),
            "second_s": second,
            "articles": store.counts().articles,
        }


def separately(store: Any) -> list[float]:
    """Seconds of each joining of near-copies that `store` does from now on."""
    real, spent = store.cluster, list[float]()

    def cluster() -> Any:
        seconds, report = timed(real)
        spent.append(seconds)
        return report

    store.cluster = cluster
    return spent


def naive(addresses: list[str], keep: Callable[[list[Any]], None]) -> dict[str, Any]:
    from urllib.request import urlopen

    import feedparser

    def once() -> None:
        for url in addresses:
            with urlopen(url) as answer:
                keep(feedparser.parse(answer.read()).entries)

    return {"first_s": timed(once)[0], "second_s": timed(once)[0]}


def poll_naive(addresses: list[str], _folder: Path) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    return naive(addresses, lambda entries: kept.update({e.id: e for e in entries})) | {"articles": len(kept)}


def poll_naive_stored(addresses: list[str], folder: Path) -> dict[str, Any]:
    connection = sqlite3.connect(folder / "naive.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE entry (id TEXT PRIMARY KEY, title TEXT, link TEXT, published TEXT, summary TEXT)")

    def keep(entries: list[Any]) -> None:
        rows = [(e.id, e.title, e.link, e.published, e.summary) for e in entries]
        with connection:
            connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)", rows)

    found = naive(addresses, keep)
    return found | {"articles": connection.execute("SELECT count(*) FROM entry").fetchone()[0]}


def poll_reader(addresses: list[str], folder: Path) -> dict[str, Any]:
    from reader import make_reader

    reader = make_reader(str(folder / "reader.sqlite"))
    for url in addresses:
        reader.add_feed(url)

    def once() -> None:
        reader.update_feeds(scheduled=False, workers=8)  # else the second asks nobody: none is due yet

    first, second = timed(once), timed(once)
    return {"first_s": first[0], "second_s": second[0], "articles": reader.get_entry_counts().total}


def import_rows(count: int, folder: Path) -> dict[str, Any]:
    from bondlore import chain
    from bondlore.clock import utc_now
    from bondlore.store import Store

    rng, path = random.Random(1), folder / "rows.jsonl"
    with path.open("w") as file:
        for n in range(count):
            text = " ".join(rng.choices(WORDS, k=80))
            row = {"id": f"r{n}", "title": f"Story {n}", "text": text, "date": f"2025-04-{1 + n % 30:02}"}
            file.write(json.dumps(row) + "\n")
    with Store.open(folder / "rows.db") as store:
        clustering = separately(store)
        first = timed(lambda: chain.add_archive(store, [path], clock=utc_now))[0]
        peak, joining = memory_mb(), sum(clustering)
        again = timed(lambda: chain.add_archive(store, [path], clock=utc_now))[0]
    return {
        "import_s": round(first - joining, 3),
        "rows_a_s": round(count / (first - joining)),
        "near_copies_s": round(joining, 3),
        "peak_mb_first": peak,
        "again_s": again,
    }


def memory_mb(who: int = resource.RUSAGE_SELF) -> int:
    return resource.getrusage(who).ru_maxrss // 1024


def processor_s() -> float:
    """Seconds of processor time of this process and the children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(u.ru_utime + u.ru_stime for u in usages), 2)


CONTENDERS = {
    "bondlore": poll_bondlore,
    "feedparser+urllib": poll_naive,
    "feedparser+urllib+sqlite": poll_naive_stored,
    "reader": poll_reader,
}


def child(job: str, *args: object, python: str = sys.executable) -> dict[str, Any]:
    done = subprocess.run(
        [python, __file__, "--job", job, *map(str, args)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    return dict(json.loads(done.stdout))


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--feeds", type=int, default=500)
    p.add_argument("--entries", type=int, default=50)
    p.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000], help="sizes of the import; 0 for none")
    p.add_argument("--reader-python", default=sys.executable, metavar="PYTHON", help="an interpreter that has reader")
    p.add_argument("--job", help=argparse.SUPPRESS)
    p.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.job:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if args.job == "import":
                result = import_rows(args.rows[0], folder)
            else:
                result = CONTENDERS[args.job](urls(args.port, args.feeds), folder)
        usage = {"processor_s": processor_s(), "peak_mb": memory_mb(), "child_mb": memory_mb(resource.RUSAGE_CHILDREN)}
        print(json.dumps(result | usage))
        return 0
    Handler.documents = {f"/{n}": document(n, args.entries) for n in range(args.feeds)}
    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(
        json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "feeds": args.feeds, "entries": args.entries})
    )
    for name in CONTENDERS:
        python = args.reader_python if name == "reader" else sys.executable
        got = child(name, "--port", server.server_port, "--feeds", args.feeds, python=python)
        if "first_s" in got:
            got["articles_a_s"] = round(got["articles"] / got["first_s"])
            if "near_copies_s" in got:
                got["articles_a_s_joined"] = round(got["articles"] / (got["first_s"] + got["near_copies_s"]))
            got["requests_a_s_second"] = round(args.feeds / got["second_s"])
        print(json.dumps({name: got}), flush=True)
    for rows in filter(None, args.rows):
        print(json.dumps({"import": rows} | child("import", "--rows", rows)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
