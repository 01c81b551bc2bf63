"""Documents read in processes of their own, with limits: one bad page costs one page, one bad feed one feed.

lxml and trafilatura have run out of memory and looped on single pages (trafilatura#657, htmldate#56), and feedparser
takes most of a poll's time, on one core whatever the threads. A child takes documents on standard input and gives
articles on standard output, both as a length and JSON; it is bounded in memory and CPU time by the kernel, in
wall-clock time by us, and is replaced when it dies or has done its share.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from types import TracebackType
from typing import IO, Any, Literal, Self

from bondlore.article import Article
from bondlore.errors import BondloreError, FeedError, InputError
from bondlore.ingest.feeds import Reading

__all__ = ["Extractor", "FeedReader", "serve"]

_HEAD = struct.Struct(">II")  # lengths of the JSON and of the bytes after it
_RECYCLE = 300  # documents a child does: its caches grow
_START_S = 60.0  # for a child to import its libraries on a busy machine
_CODE = "from bondlore.ingest.worker import serve; serve()"
_FIELDS = tuple(field.name for field in fields(Article))
_TIMES = ("published_at", "first_seen_at")


class _Crew:
    """Children for one kind of document. Safe to share between threads: each waits for an idle child.

    Children start when they are first needed. `memory_mb` bounds the address space of each, `timeout_s` is wall-clock
    seconds a document.
    """

    kind: Literal["page", "feed"]

    def __init__(self, *, timeout_s: float = 20.0, memory_mb: int = 1_024, children: int = 1) -> None:
        self.timeout_s, self.memory_mb, self.children = timeout_s, memory_mb, children
        # Last in, first out: as few of them start as the work needs.
        self._idle: queue.LifoQueue[_Child] = queue.LifoQueue()
        for _ in range(children):
            self._idle.put(_Child(self))

    def _ask(self, request: dict[str, Any], document: bytes, *, where: str) -> dict[str, Any]:
        """The child's answer. Raises InputError when there is none within the limits."""
        child = self._idle.get()
        try:
            return child.ask(json.dumps(request).encode(), document, where=where)
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """End the children; one at work is waited for."""
        for child in [self._idle.get() for _ in range(self.children)]:
            child.stop()
            self._idle.put(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Extractor(_Crew):
    """`page.extract_page` in child processes."""

    kind = "page"

    def __call__(self, html: bytes, *, url: str = "", content_type: str = "", zone: str = "", now: datetime) -> Article:
        """The page's Article. Raises InputError when it has none, takes too long or too much memory."""
        request = {"url": url, "content_type": content_type, "zone": zone, "now": now.isoformat()}
        answer = self._ask(request, html, where=url or "page")
        if "error" in answer:
            raise InputError(answer["error"], where=url or "page", remedy=answer["remedy"])
        return _article(answer["article"])


class FeedReader(_Crew):
    """`feeds.read_feed` in child processes."""

    kind = "feed"

    def __call__(
        self, body: bytes, *, url: str, content_type: str = "", publisher: str = "", zone: str = "", at: datetime
    ) -> Reading:
        """The feed's articles. Raises FeedError when it is no feed, takes too long or too much memory."""
        request = {
            "url": url,
            "content_type": content_type,
            "publisher": publisher,
            "zone": zone,
            "at": at.isoformat(),
        }
        try:
            answer = self._ask(request, body, where=url)
        except InputError as error:
            raise FeedError(error.message, where=url, remedy="ask the publisher for a shorter feed") from error
        if "error" in answer:
            raise FeedError(answer["error"], where=url, remedy=answer["remedy"])
        articles = tuple(map(_article, answer["articles"]))
        return Reading(articles, tuple(answer["problems"]), answer["ttl_s"])


class _Child:
    """One process, used by one thread at a time."""

    def __init__(self, crew: _Crew) -> None:
        self._crew = crew
        self._process: subprocess.Popen[bytes] | None = None
        self._done = 0

    def ask(self, request: bytes, document: bytes, *, where: str) -> dict[str, Any]:
        """The answer to one document. Raises InputError when it takes too long or too much memory."""
        if self._process is None or self._done >= _RECYCLE:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._done += 1
        try:
            self._process.stdin.write(_HEAD.pack(len(request), len(document)) + request + document)
            self._process.stdin.flush()
            found: dict[str, Any] = json.loads(self._receive(self._crew.timeout_s))
        except TimeoutError as error:
            self.stop()
            raise InputError(
                f"takes longer than {self._crew.timeout_s:g} s to read", where=where, remedy="give its text instead"
            ) from error
        except (OSError, EOFError) as error:
            self.stop()
            raise InputError(
                f"cannot be read within {self._crew.memory_mb} MB", where=where, remedy="give its text instead"
            ) from error
        except BaseException:  # an interruption half-way: the next question would get this answer
            self.stop()
            raise
        return found

    def _start(self) -> None:
        self.stop()
        # The package may be run from a checkout: the child finds it where we did.
        path = os.pathsep.join(filter(None, sys.path))
        limits = (str(self._crew.memory_mb), str(round(self._crew.timeout_s) + 1))
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code, no shell
            [sys.executable, "-c", _CODE, self._crew.kind, *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        self._done = 0
        try:
            self._receive(_START_S)
        except (OSError, EOFError, TimeoutError) as error:
            self.stop()
            raise InputError(
                f"the process that reads {self._crew.kind}s cannot start",
                where=sys.executable,
                remedy="run bondlore doctor",
            ) from error

    def _receive(self, within_s: float) -> bytes:
        """One message from the child. Raises EOFError when it has died, TimeoutError when it is too slow."""
        assert self._process is not None
        assert self._process.stdout is not None
        end = time.monotonic() + within_s
        descriptor = self._process.stdout.fileno()
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
        return bytes(data[_HEAD.size :])

    def stop(self) -> None:
        """End the process; the next document starts another."""
        if self._process is None:
            return
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # what was not flushed to a dead child is lost anyway
                stream.close()
        self._process.wait()
        self._process = None


def serve() -> None:
    """The child's side: limits first, then a document at a time until standard input ends."""
    import resource

    kind, memory_mb, document_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    work = _pages() if kind == "page" else _feeds()
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _reply(sink, {})
    while head := source.read(_HEAD.size):
        size, rest = _HEAD.unpack(head)
        request, document = json.loads(source.read(size)), source.read(rest)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(spent.ru_utime + spent.ru_stime) + document_s + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        try:
            answer = work(document, request)
        except BondloreError as error:
            answer = {"error": error.message, "remedy": error.remedy}
        _reply(sink, answer)


def _pages() -> Callable[[bytes, dict[str, Any]], dict[str, Any]]:
    from bondlore.ingest.page import extract_page

    extract_page(b"<html><body><article><p>warm up</p></article></body></html>", url="https://example.org/")

    def work(html: bytes, request: dict[str, Any]) -> dict[str, Any]:
        request["now"] = datetime.fromisoformat(request["now"])
        return {"article": _plain(extract_page(html, **request))}

    return work


def _feeds() -> Callable[[bytes, dict[str, Any]], dict[str, Any]]:
    import feedparser  # noqa: F401 - before the limit on memory
    from lxml import html  # type: ignore[import-untyped]  # noqa: F401

    from bondlore.ingest.feeds import read_feed

    def work(body: bytes, request: dict[str, Any]) -> dict[str, Any]:
        request["at"] = datetime.fromisoformat(request["at"])
        reading = read_feed(body, **request)
        articles = [_plain(article) for article in reading.articles]
        return {"articles": articles, "problems": reading.problems, "ttl_s": reading.ttl_s}

    return work


def _plain(article: Article) -> dict[str, Any]:
    """What JSON can carry, of the fields that are set."""
    found = {name: value for name in _FIELDS if (value := getattr(article, name)) not in ("", None)}
    for name in _TIMES:
        if name in found:
            found[name] = found[name].isoformat()
    return {"title": ""} | found


def _article(found: dict[str, Any]) -> Article:
    for name in _TIMES:
        if name in found:
            found[name] = datetime.fromisoformat(found[name])
    if "sentences" in found:
        found["sentences"] = tuple(found["sentences"])
    return Article(**{"id": ""} | found)


def _reply(sink: IO[bytes], value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    sink.write(_HEAD.pack(len(data), 0) + data)
    sink.flush()
