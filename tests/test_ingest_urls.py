from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bondlore.ingest.text import html_to_text, one_line, plain
from bondlore.ingest.urls import canonical_url, host_of, safe_link


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("HTTPS://WWW.Example.COM:443/a?utm_source=x&id=7&fbclid=z#top", "https://www.example.com/a?id=7"),
        ("http://example.com", "http://example.com/"),
        ("http://example.com:80/?", "http://example.com/"),
        ("http://example.com:8080/a", "http://example.com:8080/a"),
        ("https://example.com/a?b=1&a=2", "https://example.com/a?b=1&a=2"),
        ("https://example.com/%e2%82%ac", "https://example.com/%E2%82%AC"),
        ("https://example.com/€ 5", "https://example.com/%E2%82%AC%205"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://user:pw@example.com/a", "https://example.com/a"),
        ("https://example.com/100%", "https://example.com/100%25"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]/a"),
    ],
)
def test_canonical_form(url: str, want: str) -> None:
    assert canonical_url(url) == want


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "//example.com/a",
        "/relative",
        "http://",
        "http://exa mple.com/",
        "https://example.com\\@evil.example/",
        "http://example.com:99999/",
        "http://[::1",
        "ftp://example.com/",
        "http://a.example/\x00",
    ],
)
def test_what_is_no_web_link_is_empty(url: str) -> None:
    assert safe_link(url) == canonical_url(url) == ""


def test_a_user_name_in_a_link_is_refused() -> None:
    assert safe_link("https://www.bank.example@evil.example/") == ""


def test_quotes_and_angles_in_a_link_are_encoded() -> None:
    assert safe_link("https://a.example/\"><script>'") == "https://a.example/%22%3E%3Cscript%3E%27"


def test_host_drops_www() -> None:
    assert host_of("https://www.Example.com/a") == "example.com"


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda tail: "https://example.com/" + tail))
def test_canonical_is_idempotent_and_safe(url: str) -> None:
    once = canonical_url(url)
    assert canonical_url(once) == once
    assert not once or urlsplit(once).scheme in ("http", "https")
    link = safe_link(url)
    assert safe_link(link) == link
    assert not set(link) & set("\"'<> \n\t\\`")


@given(st.text(max_size=60).map(lambda host: f"http://{host}/a?b=c"))
def test_any_host_is_handled(url: str) -> None:
    once = canonical_url(url)
    assert canonical_url(once) == once


def test_markup_becomes_lines() -> None:
    markup = "<p>Yields <b>rose</b>.</p><script>alert(1)</script><ul><li>One</li><li>Two &amp; three</li></ul>"
    assert html_to_text(markup) == "Yields rose.\nOne\nTwo & three"


@pytest.mark.parametrize("prose", ["yields <4% and >3%", "a < b", "S&P 500", "x <y> z"])
def test_prose_with_angles_is_kept(prose: str) -> None:
    assert html_to_text(prose) == prose


def test_twice_escaped_markup_is_removed() -> None:
    assert html_to_text("&lt;p&gt;Yields&lt;/p&gt;") == "Yields"


def test_script_in_a_title_is_gone() -> None:
    assert one_line("Fed <script>alert(1)</script>holds") == "Fed holds"


def test_surrogates_and_controls_are_removed() -> None:
    assert plain("a\ud800b\x00c\r\nd\te") == "abc\nd\te"


@given(st.text(alphabet="<>/abpscrit &;!-[]\"'=\n", max_size=80))
def test_any_markup_gives_text(markup: str) -> None:
    html_to_text(markup).encode()


def test_deep_nesting_is_survived() -> None:
    assert html_to_text("<p>a</p>" + "<div>" * 20_000 + "x").startswith("a")
