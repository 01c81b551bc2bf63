"""Every snippet of the README is run, in order, in an empty folder that has only the corpus beside it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

OPML = """<?xml version="1.0"?><opml version="2.0"><head/><body>
<outline type="rss" text="Nobody" xmlUrl="http://127.0.0.1:9/feed.xml"/></body></opml>"""


def commands(root):
    text = (root / "README.md").read_text()
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def place(root, tmp_path):
    (tmp_path / "corpus").symlink_to(root / "corpus")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "default").symlink_to(root / "models" / "default")
    (tmp_path / "my-feeds.opml").write_text(OPML)
    return tmp_path


def run(command, place):
    argv = [sys.executable, "-m", *re.findall(r'"[^"]*"|\S+', command)]
    argv = [a.strip('"') for a in argv]
    return subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)


def test_the_readme_shows_the_two_commands(root):
    text = (root / "README.md").read_text()
    assert "\nmake demo " in text
    assert "\nmake test " in text


@pytest.mark.slow
def test_every_command_line_works(root, place):
    found = commands(root)
    assert len(found) >= 12
    for command in found:
        # the shipped yields do: no test asks the Treasury's server
        done = run(f"{command} --source none" if "daily" in command else command, place)
        # a feed that does not answer is the daily report's normal weather: exit code 3, and the page says so
        assert done.returncode in ((0, 3) if "daily" in command else (0,)), f"{command}\n{done.stderr}"
    for made in ("tagged/COMMITTED.json", "report/report.html", "april/report.png", "models/mine/README.md"):
        assert (place / made).exists(), made
    assert list((place / "reports").glob("*/report.html"))


def test_the_python_snippet_runs(root, place):
    (code,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("foreign_selling causal")


def test_links_lead_somewhere(root):
    text = (root / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (root / target).exists(), target
