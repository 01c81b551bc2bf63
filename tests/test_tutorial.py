"""Every line of docs/tutorial.md is run, in order, in an empty folder with the repository's folders beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def blocks(root, language):
    return re.findall(rf"```{language}\n(.*?)```", (root / "docs" / "tutorial.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def place(root, tmp_path_factory):
    home = tmp_path_factory.mktemp("tutorial")
    for name in ("docs", "corpus"):
        (home / name).symlink_to(root / name)
    commands = home / "bin"
    commands.mkdir()
    (commands / "bondlore").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bondlore "$@"\n')
    (commands / "bondlore").chmod(0o755)
    return home


def test_from_sixty_sentences_to_a_share_chart(root, place):
    pytest.importorskip("torch")
    lines = [line for block in blocks(root, "console") for line in block.splitlines()]
    assert len(lines) == 11
    environment = os.environ | {"PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    for line in lines:
        assert line.startswith("$ "), line
        done = subprocess.run(
            ["bash", "-c", line[2:]], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (place / "report" / "report.png").stat().st_size > 10_000
    shares = json.loads((place / "report" / "report.json").read_text())
    assert {n["id"] for n in shares["narratives"]} == {"deficits", "auctions"}
    assert len((place / "next.jsonl").read_text().splitlines()) == 10
    (code,) = blocks(root, "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = [line.split() for line in done.stdout.splitlines() if line[:1].isdigit()]
    header = done.stdout.splitlines()[0].split()
    first = dict(zip(header, map(float, table[0][1:]), strict=True))
    assert first["auctions"] > first["deficits"]


def test_its_data_are_sixty_sentences(root):
    import csv

    with (root / "docs" / "tutorial" / "labels.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 60
    assert len({r["text"] for r in rows}) == 60
