"""kill -9, Ctrl-C and SIGTERM inside the steps of the daily job: real processes, one folder, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from news_server import feed, serving

HERE = Path(__file__).parent


class Cron:
    def __init__(self, server, folder):
        self.folder = folder
        feeds = server.opml(folder / "feeds.opml", {"One": "/one.xml", "Two": "/two.xml"})
        self.args = ["--feeds", feeds, "--db", folder / "n.db", "--out", folder / "out", "--allow-private", "--now"]
        self.args += ["--source", "none", "--yields", folder / "y.csv", "--pages", "0"]

    def run(self, place="nowhere", number="SIGKILL"):
        command = [sys.executable, HERE / "daily_killed.py", place, number, *self.args]
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            list(map(str, command)), capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
        )

    def files(self):
        """The page's files, each checked to be whole."""
        found = {}
        for path in (self.folder / "out").glob("*/report.*"):
            body = found[path.name] = path.read_bytes()
            if path.suffix == ".json":
                json.loads(body)
            elif path.suffix == ".html":
                assert body.rstrip().endswith(b"</html>")
            elif path.suffix == ".png":
                assert b"IEND" in body[-12:]
        return found

    def left(self):
        return [p.name for p in self.folder.rglob("*.tmp")]

    def ask(self, query):
        connection = sqlite3.connect(self.folder / "n.db")
        try:
            return connection.execute(query).fetchone()[0]
        finally:
            connection.close()


@pytest.fixture
def cron(tmp_path):
    with serving() as server:
        now = datetime.now(UTC)
        for start, name in enumerate(("one", "two")):
            server.documents[f"/{name}.xml"] = feed(now - timedelta(hours=1), start=10 * start)
        yield Cron(server, tmp_path)


@pytest.mark.slow
def test_kill_9_at_any_step_leaves_nothing_half_written_and_the_next_run_goes_on(cron):
    for place in ("poll", "cluster", "tag", "first file", "second file", "last file"):
        assert cron.run(place).returncode == -signal.SIGKILL, place
        assert cron.ask("PRAGMA integrity_check") == "ok"
        assert cron.ask("SELECT count(*) FROM tagging WHERE model IS NULL OR verdicts IS NULL") == 0
        assert "report.json" not in cron.files(), place  # the page counts as written only when its last file is
    done = cron.run()
    assert done.returncode == 0, done.stderr
    assert cron.ask("SELECT count(*) FROM article") == 6
    assert cron.ask("SELECT count(DISTINCT article) FROM tagging WHERE status = 'ok'") == 6
    assert json.loads(cron.files()["report.json"])["quality"]["articles"] == 6
    log = (cron.folder / "out" / "daily.log").read_text().splitlines()
    assert sum("] start:" in line for line in log) == 7
    assert sum("] end:" in line for line in log) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("number", "place"), [("SIGINT", "first file"), ("SIGTERM", "tag")])
def test_a_run_that_is_asked_to_stop_cleans_up_and_says_so(cron, number, place):
    done = cron.run(place, number)
    assert done.returncode == 130
    assert "nothing half-written is kept" in done.stderr
    assert cron.left() == []
    assert cron.files() == {}
    assert "end: exit 130" in (cron.folder / "out" / "daily.log").read_text()
