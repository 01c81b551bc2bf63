"""`bondlore demo`: the whole chain, offline, on the shipped sample."""

from __future__ import annotations

import argparse
import functools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bondlore import resources
from bondlore.cli.options import builder, parse_day, print_json
from bondlore.clock import utc_now
from bondlore.progress import say

if TYPE_CHECKING:
    from bondlore.ingest.fetch import Fetcher, Response

__all__ = ["parser", "run"]

_EXAMPLE = "  bondlore demo --out my-demo/\n  bondlore demo --date 2025-04-11   # in the week of the sell-off"
_DAY = date(2025, 5, 30)  # the sample's last Friday


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore demo`."""
    summary = "Poll the sample feeds on loopback, import the sample archive, tag, measure, and write a report. Offline."
    p = builder("demo", summary, _EXAMPLE)
    p.add_argument("--out", type=Path, default=Path("bondlore-demo"), metavar="DIR", help="default bondlore-demo/")
    p.add_argument("--date", type=parse_day, default=_DAY, metavar="DATE", help=f"the report's day (default {_DAY})")
    p.add_argument("--json", action="store_true", help="counts and paths as JSON")
    return p


def run(args: argparse.Namespace) -> int:
    """Print the path of the report. A second run finds nothing new and writes the same report."""
    from bondlore import chain
    from bondlore.ingest.fetch import Fetcher
    from bondlore.ingest.opml import read_opml
    from bondlore.report.data import Feed, Quality
    from bondlore.report.write import write_report
    from bondlore.store import Store
    from bondlore.tag.tagger import Tagger

    sample = resources.find("corpus/sample")
    args.out.mkdir(parents=True, exist_ok=True)
    feeds = read_opml(sample / "feeds.opml")
    with Store.open(args.out / "demo.db") as store:
        with _served(sample) as port:
            getter = _OnPort(Fetcher(allow_private=True), port)
            polled = chain.poll_feeds(store, feeds, getter, clock=utc_now, pause_s=0)
        imported = chain.add_archive(store, [sample / "archive.jsonl"], clock=utc_now)
        tagger = Tagger.load()
        tagged = chain.tag_store(store, tagger)
        table = store.tagged(model=tagger.model, taxonomy=tagger.taxonomy)
    quality = Quality(
        feeds_polled=len(feeds),
        feeds_failing=tuple(Feed(name, problem) for name, problem in polled.failing),
        notes=("Every article here is invented: this page shows the tool, not the market. The yields are real.",),
    )
    say("report: measuring and drawing")
    data = chain.make_report(
        table,
        tagger.bundle,
        chain.load_yields(),
        day=args.date,
        quality=quality,
        stamp=utc_now().isoformat(timespec="seconds"),
    )
    paths = write_report(data, args.out)
    if args.json:
        counts = {"articles": table.num_rows, "new": polled.new + imported.new, "tagged": tagged.done}
        print_json(counts | {"report": paths})
    else:
        print(f"{table.num_rows} articles, {polled.new + imported.new} new, {tagged.done} tagged now")
        print(f"report: {paths['html']}")
    return 0


class _OnPort:
    """A fetcher for the sample feeds: their stable addresses, on the port that was free."""

    def __init__(self, fetcher: Fetcher, port: int) -> None:
        self._fetcher, self._port = fetcher, port

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        return self._fetcher.get(urlsplit(url)._replace(netloc=f"127.0.0.1:{self._port}").geturl(), headers=headers)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Progress is printed elsewhere."""


@contextmanager
def _served(folder: Path) -> Iterator[int]:
    """Serve a folder on 127.0.0.1; yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
