"""The rows an import refused, kept in a CSV file: path, row, reason."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from bondlore import atomic
from bondlore.ingest.archive import Reject
from bondlore.spreadsheet import csv_cell

__all__ = ["RejectsFile"]

_SHOWN = 10
_HEADER = ("path", "row", "reason")


class RejectsFile:
    """Counts rejects, remembers the first few, and writes all of them to `path` if one is given.

    `done` (file name -> last row dealt with) continues the file of an interrupted import: what it holds of later rows
    is dropped, for these are read again. Raises OSError when the file cannot be written.
    """

    def __init__(self, path: Path | None = None, *, done: Mapping[str, int] | None = None) -> None:
        self.count = 0
        self.first: list[Reject] = []
        resume = bool(path and done and path.exists())
        if path and done and resume:
            _trim(path, {_safe(name): row for name, row in done.items()})
        self._file = path.open("a" if resume else "w", newline="", encoding="utf-8") if path else None
        self._writer = csv.writer(self._file) if self._file else None
        self._unsaved = False
        if self._writer and self._file and not self._file.tell():
            self._writer.writerow(_HEADER)

    def append(self, reject: Reject, /) -> None:
        """Keep one."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(reject)
        if self._writer:
            self._writer.writerow((_safe(reject.path), reject.row, _safe(reject.reason)))
            self._unsaved = True

    def flush(self) -> None:
        """Have what was kept on disk, before the store says that its rows are dealt with."""
        if self._file and self._unsaved:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._unsaved = False

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._file:
            self._file.close()


def _safe(text: str) -> str:
    return csv_cell(text.encode("utf-8", "replace").decode())


def _trim(path: Path, done: Mapping[str, int]) -> None:
    """Keep the rows an interrupted import had dealt with; one torn by the interruption goes too."""
    with (
        path.open(newline="", encoding="utf-8", errors="replace") as old,
        atomic.replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as new,
    ):
        kept = csv.writer(new)
        kept.writerow(_HEADER)
        for row in csv.reader(line.replace("\0", "") for line in old):
            if (
                len(row) == len(_HEADER)
                and row[1].isascii()
                and row[1].isdigit()
                and int(row[1]) <= done.get(row[0], -1)
            ):
                kept.writerow(row)
