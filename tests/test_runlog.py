"""The daily job's lock and log."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from bondlore.errors import StoreError
from bondlore.lock import holding
from bondlore.report import folders
from bondlore.runlog import KEPT, opened

NOW = datetime(2025, 4, 11, 21, 5, tzinfo=UTC)
HOLD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from bondlore.lock import holding
with holding(Path(sys.argv[1]), "job", now=datetime(2025, 4, 11, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def lines(path):
    return path.read_text().splitlines()


def test_a_line_has_time_and_process(tmp_path):
    with opened(tmp_path / "logs" / "a.log", lambda: NOW) as log:
        log("poll: 3 new")
    assert lines(tmp_path / "logs" / "a.log") == [f"2025-04-11T21:05:00+00:00 [{os.getpid()}] poll: 3 new"]


def test_what_a_feed_says_stays_on_one_line(tmp_path):
    with opened(tmp_path / "a.log", lambda: NOW) as log:
        log("poll: a\n2025-04-11 end: exit 0\r\x1b[2J\u2028\ud800" + "x" * 9_000)
    (line,) = lines(tmp_path / "a.log")
    assert len(line) < 2_100
    assert "\x1b" not in line


def test_the_log_never_grows_beyond_its_bounds(tmp_path):
    for _ in range(40):
        with opened(tmp_path / "a.log", lambda: NOW, largest=1_000) as log:
            for _ in range(5):
                log("x" * 100)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + KEPT
    assert all(f.stat().st_size <= 1_000 for f in files)


def test_a_log_that_cannot_be_opened_is_an_error(tmp_path):
    (tmp_path / "a.log").mkdir()
    with pytest.raises(OSError, match=r"a\.log"), opened(tmp_path / "a.log", lambda: NOW):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110
def test_a_full_disk_stops_nothing(tmp_path, capsys):
    (tmp_path / "a.log").symlink_to("/dev/full")
    with opened(tmp_path / "a.log", lambda: NOW, largest=0) as log:
        log("tag: 3 tagged")
    assert "tag: 3 tagged" in capsys.readouterr().err


def test_a_lock_says_who_holds_it_and_ends_with_a_killed_holder(tmp_path):
    path = tmp_path / "l"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        told = rf"another job is at work: process {other.pid} on .* since 2025-04-11 00:00:00 UTC"
        with pytest.raises(StoreError, match=told), holding(path, "job", now=NOW):
            pass
        other.kill()
        other.wait()
        with holding(path, "job", now=NOW):
            assert f"process {os.getpid()} on" in path.read_text()
    assert path.read_text() == ""


def test_a_lock_is_never_written_through_a_link(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "l").symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError, match="cannot be written"), holding(tmp_path / "l", "job", now=NOW):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_what_a_killed_run_left_is_swept_when_it_is_old(tmp_path):
    names = (".report.html.1.aa.tmp", ".report.png.2.bb.tmp", "report.html", ".other.tmp")
    for name, hours in zip(names, (2, 0, 2, 2), strict=True):
        path = tmp_path / "2025-04-11" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        at = (NOW - timedelta(hours=hours)).timestamp()
        os.utime(path, (at, at))
    folders.sweep(tmp_path, now=NOW)
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(names[1:])


def test_days_are_read_from_plain_folder_names(tmp_path):
    for name in ("2025-04-11", "20250410", "latest", "2025-04-31", "daily.log"):
        (tmp_path / name).mkdir()
    found = folders.missed(tmp_path, date(2025, 4, 15), limit=9)
    assert [d.isoformat() for d in found.days] == ["2025-04-11", "2025-04-14"]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2025-04-11T12:00:00+00:00", "2025-04-11"),
        ("2025-04-12T03:59:00+00:00", "2025-04-11"),
        ("2025-04-12T04:00:00+00:00", "2025-04-14"),
        ("2025-04-18T12:00:00+00:00", "2025-04-21"),
        ("2025-01-10T04:59:00+00:00", "2025-01-09"),
    ],
)
def test_a_page_belongs_to_the_day_in_new_york(moment, day):
    assert folders.page_day(datetime.fromisoformat(moment)).isoformat() == day


@pytest.mark.parametrize(("month", "closes"), [(1, "20:30"), (7, "19:30")])
def test_a_day_closes_at_half_past_three_in_winter_and_summer(month, closes):
    assert folders.closing(date(2025, month, 10)).strftime("%H:%M") == closes
