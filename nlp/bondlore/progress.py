"""Progress on stderr: one live line on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TextIO, TypeVar

__all__ = ["Progress", "say", "track"]

T = TypeVar("T")
_EVERY = (0.2, 5.0)  # seconds between two lines: on a terminal, in a log


def say(message: str, stream: TextIO | None = None) -> None:
    """One line of progress for a person; results go to stdout, never here."""
    print(message, file=stream or sys.stderr, flush=True)


class Progress:
    """Counts units of work and prints rate and time left. Of `total`, `before` were done by an earlier run.

    >>> import io; out = io.StringIO()
    >>> with Progress("tag", total=2, unit="articles", stream=out, clock=iter([0.0, 1.0, 2.0, 4.0]).__next__) as p:
    ...     p.step(); p.step(failed=1)
    >>> out.getvalue().splitlines()[-1]
    'tag: 2/2 articles, 0.5 articles/s, 1 error, 4s'
    """

    def __init__(
        self,
        name: str,
        *,
        total: int | None = None,
        before: int = 0,
        unit: str = "items",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        every: float | None = None,
        quiet: bool = False,
    ) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.failed = before, 0
        self._before = before
        self._out = stream or sys.stderr
        self._live = self._out.isatty()
        self._every = every if every is not None else _EVERY[not self._live]
        self._clock, self._quiet = clock, quiet
        self._start = self._last = clock()

    def step(self, n: int = 1, *, failed: int = 0) -> None:
        """Count `n` finished units, `failed` of them failed."""
        self.done += n
        self.failed += failed
        now = self._clock()
        if now - self._last >= self._every:
            self._last = now
            self._print(now, final=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._print(self._clock(), final=True)

    def _print(self, now: float, *, final: bool) -> None:
        if self._quiet:
            return
        elapsed = max(now - self._start, 1e-9)
        rate = (self.done - self._before) / elapsed
        of = f"/{self.total}" if self.total is not None else ""
        parts = [f"{self.name}: {self.done}{of} {self.unit}", f"{rate:.1f} {self.unit}/s"]
        if self.failed:
            parts.append(f"{self.failed} error{'s' if self.failed > 1 else ''}")
        if final:
            parts.append(_span(elapsed))
        elif self.total and rate > 0:
            parts.append(f"{_span(max(self.total - self.done, 0) / rate)} left")
        line = ", ".join(parts)
        if self._live:
            self._out.write("\r\x1b[K" + line + ("\n" if final else ""))
        else:
            self._out.write(line + "\n")
        self._out.flush()


def _span(seconds: float) -> str:
    """A length of time in its two largest units.

    >>> _span(4.2), _span(754), _span(11_220), _span(200_000)
    ('4s', '12m 34s', '3h 07m', '2d 07h')
    """
    whole = round(seconds)
    for size, unit, next_size, next_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // next_size:02d}{next_unit}"
    return f"{whole}s"


def track(items: Iterable[T], name: str, *, total: int | None = None, unit: str = "items") -> Iterator[T]:
    """Yield `items`, printing progress."""
    with Progress(name, total=total, unit=unit) as progress:
        for item in items:
            yield item
            progress.step()
