"""Fixtures several test files share: the shipped model (once), and the folder of material that may be absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("BONDLORE_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real news and labels that may not enter the repository; tests of them skip where it is absent."""
    if not (SHARED / "news").is_dir():
        pytest.skip(f"no shared material at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def tagger():
    """The shipped model."""
    from bondlore import Tagger

    return Tagger.load()
