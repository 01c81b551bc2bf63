"""The log of a job that runs every day: one file, a line a step, never larger than it may be."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from bondlore.clock import Clock
from bondlore.progress import say

__all__ = ["KEPT", "LARGEST", "RunLog", "opened"]

LARGEST, KEPT = 1_000_000, 3  # bytes of the file, and how many older ones stay beside it (.1, .2, .3)
_LINE = 2_000  # characters


class RunLog:
    """Lines of `time [process] text`; whatever a feed or an error says is kept on one line."""

    def __init__(self, handler: logging.Handler, clock: Clock) -> None:
        self._handler, self._clock = handler, clock

    def __call__(self, text: str) -> None:
        """Write one line. A disk that fills up is told on stderr and stops nothing."""
        line = "".join(c if c.isprintable() else " " for c in text)[:_LINE]
        line = f"{self._clock().isoformat(timespec='seconds')} [{os.getpid()}] {line}"
        self._handler.handle(logging.LogRecord("bondlore", logging.INFO, "", 0, line, None, None))


@contextmanager
def opened(path: Path, clock: Clock, *, largest: int = LARGEST) -> Iterator[RunLog]:
    """Append to `path`, moving it aside when it has grown to `largest` bytes. Raises OSError when it cannot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _Handler(path, maxBytes=largest, backupCount=KEPT, encoding="utf-8", errors="backslashreplace")
    try:
        yield RunLog(handler, clock)
    finally:
        with suppress(OSError):  # what a full disk did not take is offered once more, and has been told
            handler.close()


class _Handler(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the base class's name
        say(f"{self.baseFilename}: cannot be written; the run goes on: {record.getMessage()}")
