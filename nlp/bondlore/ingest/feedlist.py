"""Feed lists: OPML (`opml`), or YAML for those who keep theirs by hand.

```yaml
feeds:
  - https://example.org/rss
  - url: https://example.com/rss
    publisher: Example News
    title: Markets
    zone: America/New_York    # of dates that name none
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bondlore.errors import InputError
from bondlore.ingest.opml import read_opml
from bondlore.ingest.poll import Feed
from bondlore.ingest.text import one_line
from bondlore.ingest.urls import safe_link
from bondlore.ingest.zones import load_zone

__all__ = ["read_feeds"]

_MAX_BYTES = 1_000_000
_MAX_FEEDS = 10_000
_KEYS = ("url", "publisher", "title", "zone")


def read_feeds(path: Path | str) -> tuple[Feed, ...]:
    """The feeds of a list, in order, each address once: YAML if its name ends so, else OPML.

    Raises InputError naming the file and the line or entry.
    """
    return _read_yaml(Path(path)) if Path(path).suffix.lower() in (".yaml", ".yml") else read_opml(path)


def _read_yaml(path: Path) -> tuple[Feed, ...]:
    import yaml

    where = str(path)
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=where, remedy="check the path") from error
    if len(body) > _MAX_BYTES:
        raise InputError(f"is larger than {_MAX_BYTES} bytes", where=where, remedy="split the list")
    try:
        data = yaml.safe_load(body.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"is not YAML ({reason})", where=where, remedy="mend the syntax") from error
    listed = data.get("feeds") if isinstance(data, dict) else data
    if not isinstance(listed, list) or not listed:
        raise InputError("lists no feed", where=where, remedy="put addresses under feeds:, each after a dash")
    if len(listed) > _MAX_FEEDS:
        raise InputError(f"lists more than {_MAX_FEEDS} feeds", where=where, remedy="split the list")
    feeds: dict[str, Feed] = {}
    for number, entry in enumerate(listed, 1):
        feed = _feed(entry, f"{where}, feed {number}")
        feeds.setdefault(feed.url, feed)
    return tuple(feeds.values())


def _feed(entry: Any, where: str) -> Feed:
    given = {"url": entry} if isinstance(entry, str) else entry
    if not isinstance(given, dict):
        raise InputError("is neither an address nor a mapping", where=where, remedy="give it a url")
    if unknown := [str(key)[:40] for key in given if key not in _KEYS]:
        raise InputError(f"has the unknown key {unknown[0]!r}", where=where, remedy=f"use {', '.join(_KEYS)}")
    texts: dict[str, str] = {}
    for key in _KEYS:
        value = given.get(key)
        if value is not None and not isinstance(value, str):
            raise InputError(f"has a {key} that is no text", where=where, remedy="put it in quotes")
        texts[key] = value or ""
    if not (link := safe_link(texts["url"])):
        raise InputError(
            f"{texts['url'][:80]!r} is not an http or https address", where=where, remedy="correct its url"
        )
    if zone := texts["zone"].strip():
        try:
            load_zone(zone)
        except InputError as error:
            raise InputError(error.message, where=where, remedy=error.remedy) from error
    title, publisher = one_line(texts["title"]), one_line(texts["publisher"])
    return Feed(link, title or publisher, publisher or title, zone)
