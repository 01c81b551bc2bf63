"""Debian's Chromium for the tests: found or not, started once, driven by playwright without its own browsers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The tests' machines may be slow; what fails here fails by its content, not by the clock.
PATIENCE_MS = 90_000
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def binary() -> str | None:
    """The path of a Chromium, None where there is none."""
    return next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)


@contextmanager
def running(path: str) -> Iterator[Any]:
    """A headless Chromium; yields playwright's browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS), timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """A page that was opened, and everything it did that a report may not do."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def opened(browser: Any, file: Path, *, width: int = 1366, height: int = 900, **options: Any) -> Iterator[Seen]:
    """The file opened from disk in a fresh context. Only the file itself may be asked for; the rest is noted."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(PATIENCE_MS)
    try:
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.console.append(message.text))
        seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
        seen.page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        address = file.resolve().as_uri()
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("requestfailed", lambda request: seen.failed.append((request.url, request.failure or "")))
        seen.page.goto(address, wait_until="load")
        seen.requests = [url for url in seen.requests if url != address and not url.startswith("data:,")]
        yield seen
    finally:
        context.close()
