from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bondlore.errors import FetchError, InputError
from bondlore.ingest.fetch import Fetcher, agent, is_public

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer, certificate: Path | None = None) -> Iterator[str]:
    """A real server on loopback that answers every GET with `answer`; yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(body: bytes = b"", status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def test_gets_a_body_and_lower_case_headers() -> None:
    with serving(send(b"hello", ETag='"x"')) as base:
        got = Fetcher(allow_private=True).get(f"{base}/a?b=c")
    assert (got.status, got.body, got.headers["etag"], got.moved_to) == (200, b"hello", '"x"', "")
    assert got.url == f"{base}/a?b=c"


def test_any_status_is_an_answer() -> None:
    with serving(send(b"gone", 410)) as base:
        assert Fetcher(allow_private=True).get(base).status == 410


def test_headers_given_are_sent_with_a_user_agent() -> None:
    seen: dict[str, str] = {}

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.update(request.headers)
        send(b"")(request)

    with serving(answer) as base:
        Fetcher(allow_private=True).get(base, headers={"If-None-Match": 'W/"1"'})
    assert seen["If-None-Match"] == 'W/"1"'
    assert seen["User-Agent"].startswith("bondlore/")
    assert seen["Host"] == base.removeprefix("http://")


# The three names are miniflux's: RefusePrivateNetworkByDefault, …OnRedirect, AllowPrivate….
def test_refuse_private_network_by_default() -> None:
    asked: list[str] = []
    with serving(lambda request: asked.append(request.path)) as base:
        port = base.rpartition(":")[2]
        with pytest.raises(FetchError, match="not 80 or 443"):
            Fetcher().get(base)
        with pytest.raises(FetchError, match="not a public address"):
            Fetcher().get("http://127.0.0.1/")
        assert port
    assert asked == []


def test_refuse_private_network_on_redirect() -> None:
    with (
        serving(send(status=302, Location="http://169.254.169.254/latest/meta-data/")) as base,
        pytest.raises(FetchError, match=r"169\.254\.169\.254, which is not a public"),
    ):
        Fetcher(trusted_hosts=["127.0.0.1"]).get(base)


def test_allow_private_when_told() -> None:
    with serving(send(b"ok")) as base:
        assert Fetcher(trusted_hosts=["127.0.0.1"]).get(base).body == b"ok"


def test_a_contact_stands_in_the_user_agent() -> None:
    for contact in ("desk@example.org", "https://example.org/bot"):
        assert agent(contact).endswith(f"; +{contact})")
    assert "+" not in agent("")


@pytest.mark.parametrize("contact", ["me", "a@b", "x@example.org\r\nX: y", "ftp://example.org", "a b@example.org"])
def test_what_is_no_contact_is_refused(contact: str) -> None:
    with pytest.raises(InputError, match="neither an e-mail nor a web address"):
        agent(contact)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "0.0.0.0"],
)
def test_odd_spellings_of_private_addresses_are_refused(host: str) -> None:
    with pytest.raises(FetchError, match=r"not a public address|not an http"):
        Fetcher(deadline_s=5).get(f"http://{host}/")


def test_one_private_answer_among_public_ones_is_refused() -> None:
    fetcher = Fetcher(resolve=lambda _host, _port: ["93.184.216.34", "10.0.0.7"])
    with pytest.raises(FetchError, match=r"news\.example is at 10\.0\.0\.7"):
        fetcher.get("https://news.example/rss")


def test_a_name_is_resolved_once_and_its_address_used() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with serving(send(b"ok")) as base:
        port = base.rpartition(":")[2]
        fetcher = Fetcher(trusted_hosts=["rebind.example"], resolve=lambda _host, _port: next(answers))
        assert fetcher.get(f"http://rebind.example:{port}/").body == b"ok"
    assert next(answers) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("::ffff:10.1.2.3", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("240.0.0.1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "javascript:1", "http://u:p@example.com/", ""]
)
def test_only_plain_web_addresses(url: str) -> None:
    with pytest.raises(FetchError, match="not an http or https URL"):
        Fetcher().get(url)


def test_redirects_are_followed_and_permanent_ones_reported() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/old":
            send(status=301, Location="/new")(request)
        else:
            send(b"here")(request)

    with serving(answer) as base:
        got = Fetcher(allow_private=True).get(f"{base}/old")
    assert (got.body, got.url, got.moved_to) == (b"here", f"{base}/new", f"{base}/new")


def test_a_temporary_redirect_is_no_move() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        send(status=307, Location="/new")(request) if request.path == "/old" else send(b"here")(request)

    with serving(answer) as base:
        assert Fetcher(allow_private=True).get(f"{base}/old").moved_to == ""


def test_a_redirect_loop_ends() -> None:
    with serving(send(status=302, Location="/again")) as base, pytest.raises(FetchError, match="more than 5 times"):
        Fetcher(allow_private=True).get(base)


def test_secrets_do_not_follow_to_another_host() -> None:
    seen: list[str | None] = []

    def second(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers["Authorization"])
        send(b"")(request)

    with serving(second) as there, serving(send(status=302, Location=there)) as here:
        Fetcher(allow_private=True).get(here, headers={"Authorization": "Bearer x"})
    assert seen == [None]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"yields " * 1000, mtime=0)),
        ("gzip", gzip.compress(b"yields " * 500, mtime=0) + gzip.compress(b"yields " * 500, mtime=0)),
        ("deflate", zlib.compress(b"yields " * 1000)),
        ("deflate", zlib.compress(b"yields " * 1000)[2:-4]),
    ],
)
def test_compressed_bodies_are_decoded(coding: str, body: bytes) -> None:
    with serving(send(body, Content_Encoding=coding)) as base:
        assert Fetcher(allow_private=True).get(base).body == b"yields " * 1000


def test_a_gzip_bomb_stops_at_the_cap() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(100)), packer.flush()])
    assert len(bomb) < 200_000
    with serving(send(bomb, Content_Encoding="gzip")) as base:
        start = time.monotonic()
        with pytest.raises(FetchError, match="larger than 1000000 bytes"):
            Fetcher(allow_private=True, max_bytes=1_000_000).get(base)
        assert time.monotonic() - start < 2


def test_a_plain_body_stops_at_the_cap() -> None:
    with serving(send(bytes(200_000))) as base, pytest.raises(FetchError, match="larger than 100000 bytes"):
        Fetcher(allow_private=True, max_bytes=100_000).get(base)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_other_codings_are_refused(coding: str) -> None:
    with serving(send(b"x", Content_Encoding=coding)) as base, pytest.raises(FetchError, match="coding"):
        Fetcher(allow_private=True).get(base)


@pytest.mark.parametrize("body", [gzip.compress(b"yields " * 1000, mtime=0)[:30], b"not gzip at all"])
def test_bad_compression_is_refused(body: bytes) -> None:
    with serving(send(body, Content_Encoding="gzip")) as base, pytest.raises(FetchError, match=r"cut-off|broke off"):
        Fetcher(allow_private=True).get(base)


def test_a_short_body_is_refused() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"only this")

    with serving(answer) as base, pytest.raises(FetchError, match="broke off"):
        Fetcher(allow_private=True).get(base)


def drip(request: BaseHTTPRequestHandler, head: bytes) -> None:
    request.wfile.write(head)
    for _ in range(60):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "],
    ids=["body", "body without length", "headers"],
)
def test_a_dripping_server_meets_the_deadline(head: bytes) -> None:
    with serving(lambda request: drip(request, head)) as base:
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"longer than 0\.4 s"):
            Fetcher(allow_private=True, deadline_s=0.4).get(base)
        assert time.monotonic() - start < 1.5


def test_a_silent_resolver_meets_the_deadline() -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        time.sleep(1)
        return ["127.0.0.1"]

    with pytest.raises(FetchError, match=r"longer than 0\.2 s"):
        Fetcher(deadline_s=0.2, resolve=resolve).get("http://news.example/")


def test_an_unknown_host_is_said() -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(FetchError, match=r"'news\.example' is not known"):
        Fetcher(resolve=resolve).get("http://news.example/")


def test_a_closed_port_is_said() -> None:
    with serving(send()) as base:
        pass
    with pytest.raises(FetchError, match="cannot be reached"):
        Fetcher(allow_private=True).get(base)


def test_nonsense_instead_of_http_is_said() -> None:
    with (
        serving(lambda request: request.wfile.write(b"SSH-2.0-OpenSSH\r\n")) as base,
        pytest.raises(FetchError, match="broke off"),
    ):
        Fetcher(allow_private=True).get(base)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key and a certificate for news.example that the client trusts, in one file."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl makes the certificate")
    path = tmp_path / "news.example.pem"
    what = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=news.example"
    names = ["-addext", "subjectAltName=DNS:news.example", "-keyout", str(path), "-out", str(tmp_path / "c.pem")]
    subprocess.run([openssl, *what.split(), *names], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "c.pem").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c.pem"))
    return path


def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def test_tls_names_the_host_while_connecting_to_the_checked_address(certificate: Path) -> None:
    with serving(send(b"ok"), certificate) as base:
        port = base.rpartition(":")[2]
        fetcher = Fetcher(allow_private=True, resolve=loopback)
        assert fetcher.get(f"https://news.example:{port}/").body == b"ok"
        with pytest.raises(FetchError, match="cannot be reached"):
            fetcher.get(f"https://other.example:{port}/")


def test_a_certificate_nobody_signed_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with serving(send(b"ok"), certificate) as base, pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        Fetcher(allow_private=True, resolve=loopback).get(f"https://news.example:{base.rpartition(':')[2]}/")


def test_https_does_not_redirect_to_http(certificate: Path) -> None:
    with serving(send(status=302, Location="http://news.example/"), certificate) as base:
        port = base.rpartition(":")[2]
        with pytest.raises(FetchError, match="redirects from https"):
            Fetcher(allow_private=True, resolve=loopback).get(f"https://news.example:{port}/")


def test_a_drip_over_tls_meets_the_deadline(certificate: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
    with serving(lambda request: drip(request, head), certificate) as base:
        port = base.rpartition(":")[2]
        with pytest.raises(FetchError, match=r"longer than 0\.4 s"):
            Fetcher(allow_private=True, resolve=loopback, deadline_s=0.4).get(f"https://news.example:{port}/")
