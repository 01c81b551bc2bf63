"""robots.txt for article pages: asked once a host, read with protego, kept for the run (RFC 9309).

A missing file allows everything; one that cannot be had (a server error, no answer) forbids everything for now.
Its Content-Signal lines are heeded too (`signals`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bondlore.errors import FetchError
from bondlore.ingest.signals import NO_TRAINING, refusal, robots_signals

if TYPE_CHECKING:
    from bondlore.ingest.poll import Getter

__all__ = ["AGENT", "Permission", "Robots"]

AGENT = "bondlore"  # the name robots.txt files know us by
_MAX_BYTES = 512 * 1024  # RFC 9309 asks for 500 KiB at least
_MAX_LINE = 2_000
_LONGEST_DELAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a page may be fetched, why not, and how many seconds to leave between two pages of its host.

    `note` is what else the site says of the use of a page that may be fetched.
    """

    allowed: bool
    reason: str = ""
    delay_s: float = 0.0
    note: str = ""


class Robots:
    """The robots.txt of every host met, asked through `fetcher`. Safe to share between threads."""

    def __init__(self, fetcher: Getter) -> None:
        self._fetcher = fetcher
        self._known: dict[str, tuple[Any, str, str]] = {}
        self._lock = threading.Lock()

    def permission(self, url: str) -> Permission:
        """Whether we may fetch `url`. Never raises."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            found = self._known.get(site)
        if found is None:
            found = self._ask(site)
            with self._lock:
                self._known[site] = found
        rules, text, problem = found
        if rules is None:
            return Permission(not problem, problem)
        if not rules.can_fetch(url, AGENT):
            return Permission(False, f"robots.txt of {parts.netloc} forbids it")
        said = robots_signals(text, parts.path or "/", AGENT) if text else {}
        if reason := refusal(said):
            return Permission(False, reason)
        delay_s = min(float(rules.crawl_delay(AGENT) or 0), _LONGEST_DELAY_S)
        return Permission(True, delay_s=delay_s, note="" if said.get("ai-train", True) else NO_TRAINING)

    def _ask(self, site: str) -> tuple[Any, str, str]:
        """(rules or None, the text if it has signals, why nothing may be fetched or "")."""
        from protego import Protego

        try:
            answer = self._fetcher.get(f"{site}/robots.txt")
        except FetchError as error:
            return None, "", f"robots.txt cannot be had ({error.message})"
        if answer.status == 429 or answer.status >= 500:
            return None, "", f"robots.txt answered {answer.status}"
        if answer.status != 200:
            return None, "", ""
        text = answer.body[:_MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")
        text = "\n".join(line for line in text.splitlines() if len(line) <= _MAX_LINE)
        try:
            return Protego.parse(text), text if "content-signal" in text.lower() else "", ""
        except Exception as error:  # a parser's trip over a hostile file is no leave to fetch
            return None, "", f"robots.txt cannot be read ({type(error).__name__})"
