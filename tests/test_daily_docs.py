"""The examples of unattended running: units, workflow and script are checked by what would run them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from bondlore.cli import COMMANDS
from news_server import feed, serving

HERE = Path(__file__).parent
EXAMPLES = ("docs/daily.md", "docs/daily/bondlore-daily.service", "docs/daily/workflow.yml", "scripts/daily_report.sh")


def commands(text):
    """Every call of `bondlore daily` or another command, less the shell around it."""
    for found in re.findall(r'(?:^|[\s=/(])(?:bondlore|"\$bin") ([a-z]+ --[^\n`|)]*)', text, re.MULTILINE):
        yield shlex.split(found.replace('"${feeds[@]}"', "").replace("2>&1", "").rstrip('" '))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_in_an_example_exists_with_its_options(root, name):
    found = list(commands((root / name).read_text()))
    assert any(words[0] == "daily" for words in found)
    for command, *options in found:
        parser = import_module(f"bondlore.cli.{COMMANDS[command][0]}").parser()
        if options != ["--date"]:  # a sentence, not a call
            parser.parse_args(options)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_accepts_the_units(root, tmp_path):
    for path in (root / "docs" / "daily").glob("bondlore-daily.*"):
        # verify asks whether the command is there; an interpreter of ours stands for it
        text = path.read_text().replace("/opt/bondlore/bin/bondlore", f"{sys.executable} -m bondlore")
        (tmp_path / path.name).write_text(text)
    units = [tmp_path / f"bondlore-daily.{kind}" for kind in ("service", "timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "bondlore" in line]
    assert (done.returncode, said) == (0, []), done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_the_timer_runs_on_weekdays_by_new_yorks_clock(root):
    for when in re.findall(r"OnCalendar=(.*)", (root / "docs" / "daily" / "bondlore-daily.timer").read_text()):
        done = subprocess.run(["systemd-analyze", "calendar", when], capture_output=True, text=True, check=True)
        assert "America/New_York" in done.stdout


@pytest.fixture
def workflow(root):
    return yaml.safe_load((root / "docs" / "daily" / "workflow.yml").read_text())


def test_the_workflow_runs_on_weekdays_after_the_yields_are_out(workflow):
    (plan,) = workflow[True]["schedule"]  # YAML 1.1 reads the key `on` as true
    minute, hour, *days = plan["cron"].split()
    assert days == ["*", "*", "1-5"]
    assert timedelta(hours=int(hour), minutes=int(minute)) >= timedelta(hours=23)  # 18:00 New York in winter


def test_the_workflows_steps_are_shell_and_known_actions(workflow, tmp_path):
    (job,) = workflow["jobs"].values()
    assert job["timeout-minutes"] <= 360
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        if "run" in step:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)
        else:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_the_workflow_keeps_what_the_command_writes(workflow):
    (job,) = workflow["jobs"].values()
    (cache,) = (step["with"]["path"] for step in job["steps"] if "cache" in step.get("uses", ""))
    (call,) = (step["run"] for step in job["steps"] if "bondlore daily" in step.get("run", ""))
    options = dict(re.findall(r"(--db|--out|--yields) (\S+)", call))
    assert {Path(place).parts[0] for place in options.values()} == {cache}


def test_links_of_the_page_lead_somewhere(root):
    page = root / "docs" / "daily.md"
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


# The script


def script(root, cwd, **settings):
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        ["bash", root / "scripts" / "daily_report.sh"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **{k: str(v) for k, v in settings.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def small(tmp_path):
    """A `bondlore` whose tagger is the tests' small one, and which asks no server but ours."""
    path = tmp_path / "bin" / "bondlore"
    path.parent.mkdir()
    more = "--source none --pages 0 --allow-private"
    path.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" "{HERE}/daily_killed.py" nowhere - "$@" {more}\n')
    path.chmod(0o755)
    return path


def test_the_script_is_silent_when_the_page_is_written(root, tmp_path, small):
    with serving() as server:
        server.documents["/a.xml"] = feed(datetime.now(UTC) - timedelta(hours=1), count=1)
        server.opml(tmp_path / "feeds.opml", {"A": "/a.xml", "Gone": "/gone.xml"})
        home = tmp_path / "a home"
        done = script(root, tmp_path, BONDLORE_BIN="bin/bondlore", BONDLORE_HOME=home, BONDLORE_FEEDS="feeds.opml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((home / "reports").glob("*/report.html"))
    assert "end: exit 3" in (home / "daily.log").read_text()


def test_the_script_says_what_failed(root, tmp_path, small):
    (tmp_path / "feeds.opml").write_text("no feed list")
    done = script(root, tmp_path, BONDLORE_BIN=small, BONDLORE_HOME=tmp_path / "h", BONDLORE_FEEDS="feeds.opml")
    assert done.returncode == 1
    assert "feeds.opml" in done.stderr
    assert "exit code 1" in done.stderr


def test_the_script_names_a_missing_command(root, tmp_path):
    done = script(root, tmp_path, BONDLORE_BIN="no-such-bondlore", BONDLORE_HOME=tmp_path)
    assert done.returncode == 1
    assert "no command no-such-bondlore" in done.stderr
