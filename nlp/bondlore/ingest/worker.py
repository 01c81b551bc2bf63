"""Extraction in a process of its own, with limits: one bad page costs one page.

lxml and trafilatura have run out of memory and looped on single pages (trafilatura#657, htmldate#56). The child takes
pages on standard input and gives articles on standard output, both as a length and JSON; it is bounded in memory and
CPU time by the kernel, in wall-clock time by us, and is replaced when it dies or has done its share.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from datetime import datetime
from types import TracebackType
from typing import IO, Any

from bondlore.article import Article
from bondlore.errors import InputError

__all__ = ["Extractor", "serve"]

_HEAD = struct.Struct(">II")  # lengths of the JSON and of the bytes after it
_RECYCLE = 300  # pages a child does: its caches grow
_START_S = 60.0  # for a child to import its libraries on a busy machine
_CODE = "from bondlore.ingest.worker import serve; serve()"


class Extractor:
    """`extract_page` in a child process. Safe to share between threads: pages take turns.

    `memory_mb` bounds the child's address space, `timeout_s` is wall-clock seconds a page.
    """

    def __init__(self, *, timeout_s: float = 20.0, memory_mb: int = 1_024) -> None:
        self.timeout_s, self.memory_mb = timeout_s, memory_mb
        self._child: subprocess.Popen[bytes] | None = None
        self._done = 0
        self._lock = threading.Lock()

    def __call__(self, html: bytes, *, url: str = "", content_type: str = "", zone: str = "", now: datetime) -> Article:
        """The page's Article. Raises InputError when it has none, takes too long or too much memory."""
        request = {"url": url, "content_type": content_type, "zone": zone, "now": now.isoformat()}
        with self._lock:
            answer = self._ask(json.dumps(request).encode(), html, where=url or "page")
        if "error" in answer:
            raise InputError(answer["error"], where=url or "page", remedy=answer["remedy"])
        fields = answer["article"]
        for name in ("published_at", "first_seen_at"):
            fields[name] = datetime.fromisoformat(fields[name]) if fields[name] else None
        fields["sentences"] = None if fields["sentences"] is None else tuple(fields["sentences"])
        return Article(**fields)

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Extractor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _ask(self, request: bytes, html: bytes, *, where: str) -> dict[str, Any]:
        if self._child is None or self._done >= _RECYCLE:
            self._start()
        assert self._child is not None
        assert self._child.stdin is not None
        self._done += 1
        try:
            self._child.stdin.write(_HEAD.pack(len(request), len(html)) + request + html)
            self._child.stdin.flush()
            found: dict[str, Any] = json.loads(self._receive(self.timeout_s)[0])
        except TimeoutError as error:
            self._stop()
            raise InputError(
                f"takes longer than {self.timeout_s:g} s to read", where=where, remedy="give its text instead"
            ) from error
        except (OSError, EOFError) as error:
            self._stop()
            raise InputError(
                f"cannot be read within {self.memory_mb} MB", where=where, remedy="give its text instead"
            ) from error
        return found

    def _start(self) -> None:
        self._stop()
        # The package may be run from a checkout: the child finds it where we did.
        path = os.pathsep.join(filter(None, sys.path))
        self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and code, no shell
            [sys.executable, "-c", _CODE, str(self.memory_mb), str(round(self.timeout_s) + 1)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        self._done = 0
        try:
            self._receive(_START_S)
        except (OSError, EOFError, TimeoutError) as error:
            self._stop()
            raise InputError(
                "the process that reads pages cannot start", where=sys.executable, remedy="run bondlore doctor"
            ) from error

    def _receive(self, within_s: float) -> tuple[bytes, bytes]:
        """One message from the child. Raises EOFError when it has died, TimeoutError when it is too slow."""
        assert self._child is not None
        assert self._child.stdout is not None
        end = time.monotonic() + within_s
        descriptor = self._child.stdout.fileno()
        data, wanted = bytearray(), _HEAD.size
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while len(data) < wanted:
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise TimeoutError
                if not (chunk := os.read(descriptor, 1 << 16)):
                    raise EOFError
                data += chunk
                if wanted == _HEAD.size <= len(data):
                    wanted += sum(_HEAD.unpack(data[: _HEAD.size]))
        size = _HEAD.unpack(data[: _HEAD.size])[0]
        return bytes(data[_HEAD.size : _HEAD.size + size]), bytes(data[_HEAD.size + size :])

    def _stop(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        for stream in (self._child.stdin, self._child.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # what was not flushed to a dead child is lost anyway
                stream.close()
        self._child.wait()
        self._child = None


def serve() -> None:
    """The child's side: limits first, then a page at a time until standard input ends."""
    import resource

    memory_mb, page_s = int(sys.argv[1]), int(sys.argv[2])
    from bondlore.ingest.page import extract_page

    extract_page(b"<html><body><article><p>warm up</p></article></body></html>", url="https://example.org/")
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _reply(sink, {})
    while head := source.read(_HEAD.size):
        size, rest = _HEAD.unpack(head)
        request, html = json.loads(source.read(size)), source.read(rest)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(spent.ru_utime + spent.ru_stime) + page_s + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        try:
            request["now"] = datetime.fromisoformat(request["now"])
            article = asdict(extract_page(html, **request))
        except InputError as error:
            _reply(sink, {"error": error.message, "remedy": error.remedy})
            continue
        for name in ("published_at", "first_seen_at"):
            article[name] = article[name].isoformat() if article[name] else None
        _reply(sink, {"article": article})


def _reply(sink: IO[bytes], value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    sink.write(_HEAD.pack(len(data), 0) + data)
    sink.flush()
