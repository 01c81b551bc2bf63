"""The one place that opens sockets: addresses checked, bytes counted, a deadline on the wall clock.

A name is resolved once, all its addresses must be public, and the connection goes to a checked address while TLS still
names the host, so a second DNS answer cannot move it. Redirects are followed by hand and checked alike.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

import bondlore
from bondlore.errors import FetchError, InputError
from bondlore.ingest.urls import safe_link

__all__ = ["Fetcher", "Resolver", "Response", "agent", "is_public"]

Resolver = Callable[[str, int], Sequence[str]]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOVED: Final = frozenset({301, 308})
_MAX_REDIRECTS: Final = 5
_CHUNK: Final = 65_536
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_CONTACT: Final = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+|https?://[\w.~:/?#@!$&'*+,=%-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status. `url` is where it came from at last; header names are lower case.

    `body` is decompressed; `elapsed` is seconds; `moved_to` is the new address when every redirect was permanent.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    elapsed: float
    moved_to: str = ""


def agent(contact: str = "") -> str:
    """The User-Agent; `contact` is where a publisher reaches whoever runs this: an e-mail or web address.

    Raises InputError for anything else.

    >>> agent("desk@example.org").partition(" ")[2]
    '(feed reader for narrative research; +desk@example.org)'
    """
    contact = contact.strip()
    if contact and not (len(contact) <= 200 and _CONTACT.fullmatch(contact)):
        raise InputError(
            f"{contact[:80]!r} is neither an e-mail nor a web address",
            where="--contact",
            remedy="write you@example.org",
        )
    who = f"feed reader for narrative research; +{contact}" if contact else "feed reader for narrative research"
    return f"bondlore/{bondlore.__version__} ({who})"


class Fetcher:
    """GETs URLs from hostile places. Safe to share between threads: it keeps nothing but the system's certificates.

    `allow_private` lifts the rules on addresses and ports; `trusted_hosts` lifts them for the hosts named
    (an intranet feed) and leaves every other host, redirects included, checked.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        max_bytes: int = 10_000_000,
        deadline_s: float = 20,
        user_agent: str = "",
        trusted_hosts: Collection[str] = (),
        resolve: Resolver | None = None,
    ) -> None:
        self.allow_private, self.max_bytes, self.deadline_s = allow_private, max_bytes, deadline_s
        self.user_agent = user_agent or agent()
        self.trusted_hosts = frozenset(host.lower() for host in trusted_hosts)
        self._resolve = resolve or _system_addresses
        self._tls: ssl.SSLContext | None = None

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Fetch `url`, following at most 5 redirects. Raises FetchError naming the URL.

        `max_bytes` counts after decompression; `deadline_s` covers names, TLS, redirects and the body together.
        """
        start = time.monotonic()
        end = start + self.deadline_s
        sent, current, permanent = dict(headers or {}), url, True
        for hop in range(_MAX_REDIRECTS + 1):
            parts = self._checked(current)
            status, got, body = self._once(parts, current, sent, end)
            if status not in _REDIRECTS or "location" not in got:
                moved = current if hop and permanent else ""
                return Response(current, status, got, body, time.monotonic() - start, moved)
            permanent = permanent and status in _MOVED
            target = urljoin(current, got["location"].strip())
            if parts.scheme == "https" and target[:6].lower() != "https:":
                raise FetchError(f"redirects from https to {target[:80]!r}", where=url, remedy="use its https address")
            if urlsplit(target).netloc != parts.netloc:
                sent = {name: value for name, value in sent.items() if name.lower() not in _SECRET_HEADERS}
            current = target
        raise FetchError(f"redirects more than {_MAX_REDIRECTS} times", where=url, remedy="check the address")

    def _checked(self, url: str) -> SplitResult:
        """The parts of a URL that may be fetched: http(s), a host, no user name, port 80 or 443."""
        link = safe_link(url)
        if not link:
            raise FetchError("is not an http or https URL with a host", where=url[:200], remedy="check the address")
        parts = urlsplit(link)
        if not self._trusts(parts.hostname or "") and _port(parts) not in (80, 443):
            raise FetchError(f"port {_port(parts)} is not 80 or 443", where=url, remedy="allow the host explicitly")
        return parts

    def _trusts(self, host: str) -> bool:
        return self.allow_private or host.lower() in self.trusted_hosts

    def _once(
        self, parts: SplitResult, url: str, headers: Mapping[str, str], end: float
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on one connection: status, headers, decoded body."""
        connection = self._connect(parts, url, end)
        try:
            with _watch(connection.sock, end) as expired:
                try:
                    response = _send(connection, parts, {"User-Agent": self.user_agent, **headers})
                    got = {name.lower(): value for name, value in response.headers.items()}
                    body = b"" if response.status in _REDIRECTS else self._body(response, got, url, end)
                except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
                    if not expired.is_set():
                        raise FetchError(
                            f"broke off ({_reason(error)})", where=url, remedy="try again later"
                        ) from error
                # A socket shut by the watch can look like a short, complete answer.
                if expired.is_set() or time.monotonic() >= end:
                    raise self._too_slow(url)
            return response.status, got, body
        finally:
            connection.close()

    def _connect(self, parts: SplitResult, url: str, end: float) -> HTTPConnection:
        """A connection to the first checked address that answers."""
        host, port = parts.hostname or "", _port(parts)
        failure: Exception | None = None
        for address in self._addresses(host, port, url, end):
            if (left := end - time.monotonic()) <= 0:
                break
            connection = self._connection(parts.scheme, address, port, host, left)
            try:
                connection.connect()
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # a wrong certificate is a ValueError
                connection.close()
                failure = error
                continue
            return connection
        if time.monotonic() >= end:
            raise self._too_slow(url) from failure
        raise FetchError(
            f"cannot be reached ({_reason(failure)})", where=url, remedy="check the address and the network"
        ) from failure

    def _connection(self, scheme: str, address: str, port: int, host: str, timeout: float) -> HTTPConnection:
        if scheme == "http":
            return HTTPConnection(address, port, timeout=timeout)
        # One context for all: reading the system's certificates takes longer than many a request.
        self._tls = self._tls or ssl.create_default_context()
        return HTTPSConnection(
            address, port, timeout=timeout, server_hostname=host, assert_hostname=host, ssl_context=self._tls
        )

    def _addresses(self, host: str, port: int, url: str, end: float) -> Sequence[str]:
        """Every address of `host`, all of them checked. Raises FetchError when any is not public."""
        found = _within(end, lambda: self._resolve(host, port))
        if found is None:
            raise self._too_slow(url)
        if isinstance(found, OSError | UnicodeError) or not found:
            raise FetchError(f"the host {host!r} is not known", where=url, remedy="check the address and the network")
        if isinstance(found, BaseException):
            raise found
        for address in () if self._trusts(host) else found:
            if not is_public(address):
                raise FetchError(
                    f"{host} is at {address}, which is not a public address",
                    where=url,
                    remedy="allow the host explicitly if it is yours",
                )
        return found

    def _body(self, response: BaseHTTPResponse, headers: Mapping[str, str], url: str, end: float) -> bytes:
        """The whole body, decoded; FetchError past `max_bytes`, for an unknown coding or a cut-off stream."""
        coding = headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise FetchError(f"answers in the coding {coding[:40]!r}", where=url, remedy="report it to the publisher")
        decoder = _Decoder(coding) if coding in ("gzip", "x-gzip", "deflate") else None
        body = bytearray()
        while chunk := response.read(_CHUNK, decode_content=False):
            room = self.max_bytes + 1 - len(body)
            body += decoder.feed(chunk, room) if decoder else chunk
            if len(body) > self.max_bytes:
                raise FetchError(f"is larger than {self.max_bytes} bytes", where=url, remedy="raise max_bytes")
            if time.monotonic() >= end:
                raise self._too_slow(url)
        if decoder and not decoder.complete:
            raise FetchError("sent a cut-off compressed body", where=url, remedy="try again later")
        return bytes(body)

    def _too_slow(self, url: str) -> FetchError:
        return FetchError(f"took longer than {self.deadline_s:g} s", where=url, remedy="try again or raise deadline_s")


class _Decoder:
    """gzip (also of several members) or deflate (with or without zlib header), never more than asked for."""

    def __init__(self, coding: str) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # zlib or gzip header
        self._bare = coding == "deflate"
        self.complete = True  # until bytes come

    def feed(self, data: bytes, room: int) -> bytes:
        """Decoded bytes, at most `room`; zlib.error becomes ValueError."""
        out = bytearray()
        while data and len(out) < room:
            if self._zlib.eof:
                if data.strip(b"\0") == b"":
                    break
                self._zlib, self._bare = zlib.decompressobj(zlib.MAX_WBITS | 32), False
            try:
                out += self._zlib.decompress(data, room - len(out))
            except zlib.error as error:
                if not self._bare:
                    raise ValueError(f"bad compression: {error}") from error
                self._zlib, self._bare = zlib.decompressobj(-zlib.MAX_WBITS), False
                continue
            self._bare = False
            self.complete = self._zlib.eof
            data = self._zlib.unused_data if self._zlib.eof else b""
        return bytes(out)


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, also the IPv4 one inside a mapped, 6to4, Teredo or NAT64 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if any(v4 is not None and not is_public(str(v4)) for v4 in inner):
            return False
        if ip.ipv4_mapped is not None:
            return True
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _system_addresses(host: str, port: int) -> list[str]:
    """The addresses the system's resolver gives, without repeats, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _within(end: float, call: Callable[[], Sequence[str]]) -> Sequence[str] | BaseException | None:
    """The result or exception of `call`, None when `end` (monotonic) passes first: the resolver has no timeout."""
    result: list[Sequence[str] | BaseException] = []

    def work() -> None:
        try:
            result.append(call())
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=work, name="bondlore-resolve", daemon=True)
    thread.start()
    thread.join(max(end - time.monotonic(), 0))
    return result[0] if result else None


def _send(connection: HTTPConnection, parts: SplitResult, headers: Mapping[str, str]) -> BaseHTTPResponse:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    ours = {"Host": parts.netloc, "Accept-Encoding": "gzip, deflate", "Accept": "*/*", "Connection": "close"}
    connection.request("GET", target, headers={**ours, **headers}, preload_content=False, decode_content=False)
    return connection.getresponse()


@contextlib.contextmanager
def _watch(sock: socket.socket | None, end: float) -> Iterator[threading.Event]:
    """Shut `sock` at `end`, so that a server which drips bytes within the socket timeout cannot hold the reader."""
    expired = threading.Event()

    def shut() -> None:
        expired.set()
        if sock is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which drops the TLS object under the reader's feet.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(max(end - time.monotonic(), 0), shut)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _reason(error: BaseException | None) -> str:
    """One short line, without the object addresses urllib3 prints."""
    if error is None:
        return "no address"
    return str(error).rpartition(">: ")[2].splitlines()[0][:160] if str(error) else type(error).__name__
