"""The daily job against a real HTTP server: dead feeds, damaged yields, days missed, runs repeated, two at once."""

from __future__ import annotations

import fcntl
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bondlore import daily
from bondlore.cli import main
from bondlore.errors import YieldsError
from bondlore.ingest.fetch import Fetcher
from bondlore.ingest.opml import read_opml
from bondlore.measure.yields import load_yields
from bondlore.store import Store
from news_server import feed, serving
from tiny_model import TinyLoader

FRIDAY = datetime(2025, 4, 11, 21, 5, tzinfo=UTC)  # 17:05 in New York
DAY = timedelta(days=1)


class Desk:
    """A store, a feed list of two (one never answers), and the time."""

    def __init__(self, server, folder):
        self.server, self.folder, self.lines = server, folder, []
        self.feeds = server.opml(folder / "feeds.opml", {"Wire": "/wire.xml", "Gone": "/gone.xml"})
        self.yields = folder / "yields.csv"

    def run(self, now, **changes):
        job = daily.Job(read_opml(self.feeds), self.folder / "out", self.yields, None, pages=0, pause_s=0, at_once=True)
        tagger = TinyLoader()(1)
        with Store.open(self.folder / "n.db") as store:
            return daily.run(
                store,
                replace(job, **changes),
                fetcher=Fetcher(allow_private=True),
                tagger=lambda: tagger,
                clock=lambda: now,
                log=self.lines.append,
            )

    def page(self, day):
        return json.loads((self.folder / "out" / str(day) / "report.json").read_text())

    def pages(self):
        return sorted(p.name for p in (self.folder / "out").iterdir() if p.is_dir())


@pytest.fixture
def desk(tmp_path):
    with serving() as server:
        server.documents["/wire.xml"] = feed(FRIDAY - timedelta(hours=3))
        yield Desk(server, tmp_path)


def test_new_articles_are_tagged_and_on_the_page(desk):
    found = desk.run(FRIDAY)
    assert (found.new, found.tagged, found.failed) == (3, 3, 0)
    assert desk.page("2025-04-11")["quality"]["articles"] == 3


def test_a_dead_feed_is_on_the_page_and_stops_nothing(desk):
    found = desk.run(FRIDAY)
    assert not found.whole
    quality = desk.page("2025-04-11")["quality"]
    assert quality["feeds_polled"] == 2
    assert [f["name"] for f in quality["feeds_failing"]] == ["Gone"]


def test_a_second_run_writes_the_same_bytes_but_for_the_stamp(desk):
    first = desk.run(FRIDAY).pages[date(2025, 4, 11)]
    before = {name: path.read_bytes() for name, path in first.items()}
    later = FRIDAY + timedelta(minutes=20)
    found = desk.run(later)
    assert (found.new, found.tagged) == (0, 0)
    for name, path in first.items():
        told = path.read_bytes().replace(later.isoformat().encode(), FRIDAY.isoformat().encode())
        assert told == before[name], name


def test_without_any_article_there_is_a_page(desk):
    desk.server.documents.clear()
    found = desk.run(FRIDAY)
    assert [name for name, _ in found.failing] == ["Wire", "Gone"]
    assert desk.page("2025-04-11")["quality"]["articles"] == 0


def test_a_line_of_the_log_a_step(desk):
    desk.run(FRIDAY)
    steps = [re.match(r"[a-z-]+", line).group() for line in desk.lines]
    assert steps == ["poll", "pages", "yields", "tag", "report"]
    assert "Gone (" in desk.lines[0]


def test_damaged_yields_are_replaced_by_the_shipped_ones_and_said(desk):
    desk.yields.write_text("garbage\n1\n")
    desk.run(FRIDAY)
    assert any("yields.csv could not be read" in note for note in desk.page("2025-04-11")["quality"]["notes"])
    assert desk.yields.read_text() == "garbage\n1\n"


def test_a_dead_source_of_yields_is_on_the_page(desk):
    def refresh():
        raise YieldsError("no source answered")

    found = desk.run(FRIDAY, refresh=refresh)
    assert not found.whole
    assert any("could not be refreshed" in note for note in desk.page("2025-04-11")["quality"]["notes"])


# Which day


def test_after_the_close_the_page_is_of_the_day_just_over(desk):
    assert list(desk.run(FRIDAY).pages) == [date(2025, 4, 11)]
    assert not any("not over" in note for note in desk.page("2025-04-11")["quality"]["notes"])


def test_in_the_morning_the_page_says_that_the_day_is_not_over(desk):
    desk.run(datetime(2025, 4, 11, 11, 0, tzinfo=UTC))
    assert any("not over" in note for note in desk.page("2025-04-11")["quality"]["notes"])


def test_on_a_weekend_the_page_is_of_the_next_business_day(desk):
    assert list(desk.run(FRIDAY + 2 * DAY).pages) == [date(2025, 4, 14)]


# Days missed


def test_the_first_run_has_missed_nothing(desk):
    assert len(desk.run(FRIDAY).pages) == 1


def test_missed_business_days_are_written_and_say_that_they_are_late(desk):
    desk.run(FRIDAY)
    found = desk.run(FRIDAY + 5 * DAY)  # Wednesday
    assert list(found.pages) == [date(2025, 4, d) for d in (16, 15, 14)]
    assert daily.LATE in desk.page("2025-04-15")["quality"]["notes"]
    assert daily.LATE not in desk.page("2025-04-16")["quality"]["notes"]


def test_what_was_caught_up_is_not_written_again(desk):
    desk.run(FRIDAY)
    desk.run(FRIDAY + 5 * DAY)
    assert len(desk.run(FRIDAY + 5 * DAY).pages) == 1


def test_catching_up_is_bounded_and_the_rest_is_told(desk):
    desk.run(FRIDAY)
    found = desk.run(FRIDAY + 14 * DAY, catch_up=2)  # Good Friday, 18 April, is no business day
    assert desk.pages() == ["2025-04-11", "2025-04-23", "2025-04-24", "2025-04-25"]
    assert found.left_out == 6
    assert any("6 older days" in line for line in desk.lines)


def test_catching_up_can_be_turned_off(desk):
    desk.run(FRIDAY)
    assert len(desk.run(FRIDAY + 5 * DAY, catch_up=0).pages) == 1


def test_a_page_of_the_morning_is_written_again_when_its_day_is_over(desk):
    desk.run(datetime(2025, 4, 11, 11, 0, tzinfo=UTC))
    assert date(2025, 4, 11) in desk.run(datetime(2025, 4, 14, 11, 0, tzinfo=UTC)).pages


def test_a_page_without_its_yield_is_written_again_when_the_yield_is_known(desk):
    shipped = load_yields(str(daily.chain.resources.find("corpus/yields/treasury.csv")))
    from bondlore.measure.yields import write_yields

    write_yields(shipped.between(date(2025, 1, 2), date(2025, 4, 10)), desk.yields)
    desk.run(FRIDAY)
    assert desk.page("2025-04-11")["quality"]["last_yield"] == "2025-04-10"
    write_yields(shipped.between(date(2025, 1, 2), date(2025, 4, 11)), desk.yields)
    assert date(2025, 4, 11) in desk.run(FRIDAY + 3 * DAY).pages
    assert desk.page("2025-04-11")["quality"]["last_yield"] == "2025-04-11"


@pytest.mark.parametrize("body", ["", "{", "[]", '{"stamp": 1}', '{"stamp": "2025-04-12", "quality": {}}'])
def test_a_damaged_page_is_written_again(desk, body):
    desk.run(FRIDAY)
    (desk.folder / "out" / "2025-04-11" / "report.json").write_text(body)
    assert date(2025, 4, 11) in desk.run(FRIDAY + 3 * DAY).pages


def test_a_missed_day_that_cannot_be_written_costs_itself(desk):
    desk.run(FRIDAY)
    (desk.folder / "out" / "2025-04-14").write_text("a file where the folder should be")
    found = desk.run(FRIDAY + 4 * DAY)
    assert found.problems == ["The page of 2025-04-14 could not be written."]
    assert list(found.pages) == [date(2025, 4, 15)]


# The command


def command(desk, *more):
    folder = desk.folder
    args = ["daily", "--feeds", desk.feeds, "--db", folder / "n.db", "--out", folder / "out", "--allow-private"]
    return main([str(a) for a in [*args, "--source", "none", "--yields", folder / "y.csv", "--pages", "0", *more]])


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr("bondlore.tag.tagger.Tagger.load", lambda model=None: TinyLoader()(1))


@pytest.mark.usefixtures("tiny")
def test_the_command_ends_with_3_when_a_feed_failed_and_0_when_none_did(desk, capsys):
    assert command(desk) == 3
    assert "3 new articles, 3 tagged; report: " in capsys.readouterr().out
    desk.server.documents["/gone.xml"] = feed(FRIDAY, start=10)
    assert command(desk, "--now") == 0


@pytest.mark.usefixtures("tiny")
def test_the_command_keeps_a_log(desk):
    command(desk)
    lines = (desk.folder / "out" / "daily.log").read_text().splitlines()
    assert [re.search(r"\] ([a-z]+)", line).group(1) for line in lines] == [
        *("start", "poll", "pages", "yields", "tag", "report", "end")
    ]
    assert lines[-1].endswith("end: exit 3")


@pytest.mark.usefixtures("tiny")
def test_json_tells_what_was_done(desk, capsys):
    command(desk, "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["new"], told["tagged"], told["caught_up"], told["left_out"]) == (3, 3, {}, 0)
    assert [f["feed"] for f in told["failing"]] == ["Gone"]


@pytest.mark.usefixtures("tiny")
def test_days_of_the_models_training_texts_are_on_the_page(desk, capsys):
    command(desk, "--json", "--in-sample", "2000-01-01:2099-12-31")
    page = json.loads(Path(json.loads(capsys.readouterr().out)["report"]["json"]).read_text())
    assert [s["end"] for s in page["in_sample"]] == [page["chart_end"]]
    assert any("in-sample, and shaded" in note for note in page["quality"]["notes"])


@pytest.mark.usefixtures("tiny")
def test_a_run_that_cannot_be_done_says_so_in_the_log(desk, capsys):
    (desk.folder / "n.db").write_text("not a store")
    assert command(desk) == 1
    assert "end: exit 1, StoreError" in (desk.folder / "out" / "daily.log").read_text()


def test_a_second_run_at_once_is_refused_and_told_who_holds_the_lock(desk, capsys):
    holder = "process 4711 on desk since 2025-04-11 21:05:00 UTC"
    with (desk.folder / "n.db.daily.lock").open("w") as handle:
        handle.write(holder)
        handle.flush()
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert command(desk) == 1
    assert f"another bondlore daily is at work: {holder}" in capsys.readouterr().err
    assert not (desk.folder / "out").exists()


def test_a_servers_password_is_not_printed(desk, capsys):
    assert command(desk, "--db", "postgresql://u:secret@127.0.0.1/d") == 1
    assert "secret" not in capsys.readouterr().err
    assert "secret" not in (desk.folder / "out" / "daily.log").read_text()
