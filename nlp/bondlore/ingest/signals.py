"""Content-Signal (contentsignals.org): what a site lets be done with its pages after they were fetched. Pure.

bondlore reads pages into a model, which the site's `ai-input=no` forbids: such a page is not fetched. `ai-train=no`
lets it be read, and is kept with the article for whoever makes labels of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["NO_TRAINING", "refusal", "robots_signals", "signals"]

NO_TRAINING = "not for training (Content-Signal: ai-train=no)"
_PAIR = re.compile(r"\b(search|ai-input|ai-train)\s*=\s*(yes|no)\b", re.IGNORECASE)


def signals(value: str) -> dict[str, bool]:
    """Use -> whether it is allowed, of one Content-Signal value; what is not said is not there.

    >>> signals("search=yes, ai-train=no")
    {'search': True, 'ai-train': False}
    """
    return {use.lower(): word.lower() == "yes" for use, word in _PAIR.findall(value[:1_000])}


def robots_signals(text: str, path: str, agent: str) -> dict[str, bool]:
    """The signals robots.txt gives for `path`: of the group that names `agent`, else of the group of everybody.

    A signal may begin with the path it is for; the longest that fits wins.
    """
    groups: dict[str, list[str]] = {}
    names: list[str] = []
    heading = False
    for line in text.splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            name = value.partition("/")[0].strip().lower()
            names = [*names, name] if heading else [name]
            for name in names:
                groups.setdefault(name, [])
        elif key == "content-signal":
            for name in names or ["*"]:  # one before any group is for everybody
                groups.setdefault(name, []).append(value)
        heading = key == "user-agent"
    given = groups.get(agent.lower(), groups.get("*", []))
    found: dict[str, bool] = {}
    for place, value in sorted(map(_placed, given), key=lambda pair: len(pair[0])):
        if path.startswith(place):
            found |= signals(value)
    return found


def refusal(given: Mapping[str, bool]) -> str:
    """Why a page with these signals must not be read, or ""."""
    return "" if given.get("ai-input", True) else "the site keeps its pages from models (Content-Signal: ai-input=no)"


def _placed(value: str) -> tuple[str, str]:
    head, _, rest = value.partition(" ")
    return (head, rest) if head.startswith("/") else ("", value)
