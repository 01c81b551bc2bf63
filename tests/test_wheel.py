"""The wheel carries model and corpus, and works in an empty environment, without torch, from another folder."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(root)], check=True
    )
    (path,) = out.glob("bondlore-*.whl")
    return path


def test_it_holds_what_is_needed_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in (
        "models/default/model.onnx",
        "models/default/bondlore.json",
        "corpus/taxonomy.yaml",
        "corpus/feeds.opml",
    ):
        assert f"bondlore/_data/{needed}" in names
    assert "bondlore/report/schema/report-2.json" in names
    assert all(name.startswith(("bondlore/", "bondlore-")) for name in names)


def test_the_demo_runs_from_an_installed_wheel(wheel, tmp_path):
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [home / "bin" / "bondlore", "demo"], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert "report: bondlore-demo/report.html" in done.stdout
    assert (elsewhere / "bondlore-demo" / "report.png").stat().st_size > 10_000
    found = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False)
    assert found.returncode != 0
