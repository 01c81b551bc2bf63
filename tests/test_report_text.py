from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bondlore.report.text import clean, html, markdown, markdown_link, safe_link


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\ufeff", "\r\n", "\ue000"])
def test_clean_leaves_no_control_bidi_or_private_character(hidden: str) -> None:
    assert clean(f"a{hidden}b") in ("a b", "ab")


def test_clean_drops_lone_surrogates() -> None:
    assert clean("a\ud800b") == "ab"


def test_clean_keeps_emoji_and_accents() -> None:
    assert clean("Größe 📉 naïve") == "Größe 📉 naïve"


def test_clean_thins_stacked_marks() -> None:
    assert len(clean("x" + "\u0336" * 50)) == 3


def test_clean_cuts_with_an_ellipsis() -> None:
    assert clean("x" * 5000, 40) == "x" * 39 + "…"


@given(st.text(max_size=300), st.integers(1, 60))
def test_clean_is_idempotent_and_within_its_limit(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert len(once) <= limit
    assert clean(once, limit) == once
    once.encode()


def test_html_escapes_content_and_attributes() -> None:
    assert html("<script>\"'&") == "&lt;script&gt;&#34;&#39;&amp;"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("[x](javascript:alert(1))", r"\[x\](javascript:alert(1))"),
        ("<script>", "&lt;script&gt;"),
        ("a | b", r"a \| b"),
        ("*bold* _it_ `code`", r"\*bold\* \_it\_ \`code\`"),
        ("# head", r"\# head"),
        ("1. list", r"1\. list"),
        ("- item", r"\- item"),
        ("@everyone", r"\@everyone"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_markdown_stays_literal(raw: str, said: str) -> None:
    assert markdown(raw) == said


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:x",
        "data:text/html,x",
        "//evil",
        "",
        "ftp://a/b",
        "https://user@evil.example/",
    ],
)
def test_unsafe_links_become_plain_text(url: str) -> None:
    assert safe_link(url) == ""
    assert markdown_link("t", url) == "t"


def test_markdown_link_cannot_be_closed_early() -> None:
    assert markdown_link("a](x", "https://a.example/b)c(d") == r"[a\](x](https://a.example/b%29c%28d)"
