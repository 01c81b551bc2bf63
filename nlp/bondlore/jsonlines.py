"""JSON Lines, plain or gzip: one object a line, and the file and row in every error."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from bondlore.errors import LabelError

__all__ = ["MAX_LINE", "objects", "parse_object"]

MAX_LINE = 10_000_000  # bytes
_BOM = b"\xef\xbb\xbf"


def objects(
    path: Path, *, skip: Callable[[LabelError], None] | None = None, max_line: int = MAX_LINE
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of every line that is not blank; `.gz` is unpacked.

    Raises LabelError naming `file:row`: longer than `max_line` bytes, not UTF-8, not a JSON object; and naming the file
    when it cannot be read or its compression is broken. With `skip`, a bad line is told to it and passed over.
    """
    number = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as handle:
            while line := handle.readline(max_line + 1):
                number += 1
                where = f"{path}:{number}"
                try:
                    if len(line) > max_line:
                        remedy = "split the article, one object a line"
                        raise LabelError(f"the row is longer than {max_line} bytes", where=where, remedy=remedy)
                    if line := line.removeprefix(_BOM if number == 1 else b"").strip():
                        yield number, parse_object(line, where)
                except LabelError as error:
                    if skip is None:
                        raise
                    skip(error)
                    _finish(handle, line, max_line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LabelError(f"is broken after row {number} ({error})", where=str(path), remedy="copy it again") from error
    except OSError as error:
        reason = error.strerror or error
        raise LabelError(f"cannot be read ({reason})", where=str(path), remedy="check the path") from error


def parse_object(line: bytes, where: str) -> dict[str, Any]:
    """The JSON object that `line` is. Raises LabelError that names `where`."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise LabelError("is not UTF-8", where=where, remedy="convert it, e.g. with iconv -t utf-8") from error
    except (ValueError, RecursionError) as error:
        raise LabelError(f"the row is not JSON ({error})", where=where, remedy="one object a line") from error
    if not isinstance(row, dict):
        raise LabelError("the row is not a JSON object", where=where, remedy="one object a line")
    return row


class _Lines(Protocol):
    def readline(self, size: int, /) -> bytes: ...


def _finish(handle: _Lines, line: bytes, max_line: int) -> None:
    """Read on to the end of a line that was cut at `max_line`."""
    while len(line) > max_line and not line.endswith(b"\n"):
        line = handle.readline(max_line + 1)
