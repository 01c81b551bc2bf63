"""The daily job in bad weather: dead feeds, damaged yields, two runs at once."""

from __future__ import annotations

import fcntl
import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bondlore.cli import main


@pytest.fixture
def feeds(root, tmp_path):
    """The sample feeds on loopback, and one address where nobody listens."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(root / "corpus" / "sample"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    opml = tmp_path / "feeds.opml"
    opml.write_text(
        '<?xml version="1.0"?><opml version="2.0"><head/><body>'
        f'<outline type="rss" text="Thames Financial" xmlUrl="{base}/thames-financial.atom.xml"/>'
        f'<outline type="rss" text="Gone" xmlUrl="{base}/no-such-feed.xml"/></body></opml>'
    )
    yield opml
    server.shutdown()
    server.server_close()
    thread.join()


def daily(feeds, tmp_path, *more):
    args = ["daily", "--feeds", feeds, "--db", tmp_path / "n.db", "--out", tmp_path / "r", "--allow-private"]
    return main([str(a) for a in [*args, "--source", "none", "--yields", tmp_path / "y.csv", "--pages", "0", *more]])


def page(tmp_path):
    (path,) = (tmp_path / "r").glob("*/report.json")
    return json.loads(path.read_text())


def test_a_dead_feed_is_on_the_page_and_stops_nothing(feeds, tmp_path, capsys):
    assert daily(feeds, tmp_path) == 3
    assert "28 new articles, 28 tagged" in capsys.readouterr().out
    quality = page(tmp_path)["quality"]
    assert quality["feeds_polled"] == 2
    assert [f["name"] for f in quality["feeds_failing"]] == ["Gone"]


def test_a_second_run_finds_nothing_new(feeds, tmp_path, capsys):
    daily(feeds, tmp_path)
    capsys.readouterr()
    assert daily(feeds, tmp_path) == 3
    assert "0 new articles, 0 tagged" in capsys.readouterr().out


def test_damaged_yields_are_replaced_by_the_shipped_ones_and_said(feeds, tmp_path, capsys):
    (tmp_path / "y.csv").write_text("garbage\n1\n")
    assert daily(feeds, tmp_path) == 3
    assert any("y.csv could not be read" in note for note in page(tmp_path)["quality"]["notes"])
    capsys.readouterr()


def test_two_runs_at_once_are_refused(feeds, tmp_path, capsys):
    with (tmp_path / "n.db.daily.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert daily(feeds, tmp_path) == 1
    assert "another bondlore daily is at work" in capsys.readouterr().err


def test_a_servers_password_is_not_printed(feeds, tmp_path, capsys):
    assert daily(feeds, tmp_path, "--db", "postgresql://u:secret@127.0.0.1/d") == 1
    assert "secret" not in capsys.readouterr().err
