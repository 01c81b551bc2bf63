"""A real Label Studio for the tests that ask for one: from PyPI, in an environment of its own, on loopback, on SQLite.

`BONDLORE_LABEL_STUDIO=install` installs it once into the user's cache folder (800 MB, some minutes); a path names an
executable that is there already. Unset, the tests skip: an installation has no place in every run.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "BONDLORE_LABEL_STUDIO"
_WANTED = "label-studio==1.23.2"
_TOKEN = "0" * 40
WHO = "ann@example.org"


class NotHereError(Exception):
    """Why there is no Label Studio to test with."""


def executable(*, timeout_s: float = 3600) -> Path:
    """The command `label-studio`, installed first if need be. Raises NotHereError with the reason."""
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        raise NotHereError(f"{VARIABLE} is not set: 'install' installs Label Studio, or give the path of its command")
    if asked != "install":
        if not os.access(asked, os.X_OK):
            raise NotHereError(f"{VARIABLE}: {asked} is no command")
        return Path(asked)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bondlore" / _WANTED
    command = cache / "bin" / "label-studio"
    if not command.exists():
        steps = [[sys.executable, "-m", "venv", str(cache)], [str(cache / "bin" / "pip"), "install", "-q", _WANTED]]
        for step in steps:
            try:
                subprocess.run(step, check=True, capture_output=True, text=True, timeout=timeout_s)
            except (subprocess.SubprocessError, OSError) as error:
                said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
                raise NotHereError(f"{_WANTED} cannot be installed: {said}") from error
    return command


class LabelStudio:
    """Its HTTP interface."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer to a request."""
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {_TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def up(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self._url}/health", timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def running(command: Path, home: Path, *, timeout_s: float = 1200) -> Iterator[LabelStudio]:
    """Start it with an empty store in `home`, wait until it answers, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LABEL_STUDIO_BASE_DATA_DIR": str(home / "data"),
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    given = ["start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    given += ["--username", WHO, "--password", "only-for-this-test", "--user-token", _TOKEN]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [command, *given], cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            server = LabelStudio(f"http://127.0.0.1:{port}")
            end = time.monotonic() + timeout_s
            while not server.up():
                if process.poll() is not None or time.monotonic() > end:
                    raise NotHereError("Label Studio does not start: " + (home / "log").read_text()[-300:])
                time.sleep(1)
            yield server
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)
