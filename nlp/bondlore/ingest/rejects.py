"""The rows an import refused, kept in a CSV file: path, row, reason."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType

from bondlore.ingest.archive import Reject
from bondlore.spreadsheet import csv_cell

__all__ = ["RejectsFile"]

_SHOWN = 10


class RejectsFile:
    """Counts rejects, remembers the first few, and writes all of them to `path` if one is given.

    With `resume` the file is continued. Raises OSError when it cannot be written.
    """

    def __init__(self, path: Path | None = None, *, resume: bool = False) -> None:
        self.count = 0
        self.first: list[Reject] = []
        self._file = path.open("a" if resume else "w", newline="", encoding="utf-8") if path else None
        self._writer = csv.writer(self._file) if self._file else None
        if self._writer and self._file and not self._file.tell():
            self._writer.writerow(("path", "row", "reason"))

    def append(self, reject: Reject, /) -> None:
        """Keep one."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(reject)
        if self._writer:
            safe = [csv_cell(text.encode("utf-8", "replace").decode()) for text in (reject.path, reject.reason)]
            self._writer.writerow((safe[0], reject.row, safe[1]))

    def flush(self) -> None:
        """Have what was kept on disk, before the store says that its rows are dealt with."""
        if self._file:
            self._file.flush()

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._file:
            self._file.close()
