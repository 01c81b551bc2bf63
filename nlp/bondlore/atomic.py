"""The one place that replaces files: write beside the target, fsync, rename, fsync the directory."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["replacing", "write_bytes", "write_json", "write_text"]


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's directory; on success it becomes `target`, else it vanishes.

    An OSError of the write names `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(target)
        _fsync(target.parent)
    except OSError as error:  # a full disk names no file, and the temporary one would tell the user nothing
        if not isinstance(error, BrokenPipeError) and str(error.filename) in ("None", str(temporary)):
            error.filename = str(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, data: bytes) -> None:
    """Replace `target` with `data` in one step."""
    with replacing(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Replace `target` with UTF-8 `text`; line ends are kept as given."""
    write_bytes(target, text.encode())


def write_json(target: Path, value: Any, *, indent: int | None = 2) -> None:
    """Replace `target` with JSON, keys in the order given, non-finite numbers refused."""
    write_text(target, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
