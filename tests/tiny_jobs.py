"""Small jobs of `tag.batch` for tests, and what they wrote."""

from __future__ import annotations

from pathlib import Path

from bondlore.tag.batch import run
from tiny_model import TinyLoader


def tag(source, out, *, load=None, **options):
    options = {"shard_size": 8, "quiet": True} | options
    return run([source] if isinstance(source, Path) else source, out, load=load or TinyLoader(), **options)


def shards(out):
    return {p.name: p.read_bytes() for p in sorted((out / "shards").iterdir())}
