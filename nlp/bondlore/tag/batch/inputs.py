"""What the user named as input: files, folders, and patterns that no shell has expanded."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from bondlore.errors import InputError

__all__ = ["expand"]


def expand(inputs: Sequence[Path | str]) -> list[Path]:
    """The paths named, patterns (`news/*.jsonl.gz`, `**` for any depth) replaced by what they match, by name.

    A pattern in quotes is how more files are named than a command line holds. What exists is no pattern, whatever
    its name. Raises InputError for a pattern that matches nothing.
    """
    out: list[Path] = []
    for given in inputs:
        path = Path(given)
        if path.exists() or not has_magic(str(path)):
            out.append(path)
            continue
        # as shells do it, passing over hidden files; Path.glob does not, and wants its base apart
        found = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207
        if not found:
            raise InputError("matches no file", where=str(path), remedy="check the pattern and keep it in quotes")
        out += found
    return out
