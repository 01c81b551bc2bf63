"""Feed lists in OPML, the format every feed reader exports."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from bondlore.errors import FeedError, InputError
from bondlore.ingest.poll import Feed
from bondlore.ingest.text import one_line
from bondlore.ingest.urls import safe_link
from bondlore.ingest.xml import decode, without_dtd
from bondlore.ingest.zones import load_zone

__all__ = ["read_opml"]

_MAX_BYTES = 5_000_000
_MAX_FEEDS = 10_000


def read_opml(path: Path | str) -> tuple[Feed, ...]:
    """The feeds of an OPML file, in order, each address once.

    An outline's `text` is the publisher, its `title` the feed's own title; `zone` (an IANA name, ours) is for feeds
    whose dates name none. Raises InputError naming the file and, where there is one, the line.
    """
    where = str(path)
    try:
        with Path(path).open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=where, remedy="check the path") from error
    if len(body) > _MAX_BYTES:
        raise InputError(f"is larger than {_MAX_BYTES} bytes", where=where, remedy="split the list")
    try:
        text = without_dtd(decode(body)[0], where=where)
    except FeedError as error:
        raise InputError(error.message, where=where, remedy="export the list again without a DOCTYPE") from error
    feeds = _outlines(text, where)
    if not feeds:
        raise InputError("lists no feed", where=where, remedy="give outlines an xmlUrl attribute")
    return tuple(feeds.values())


def _outlines(text: str, where: str) -> dict[str, Feed]:
    feeds: dict[str, Feed] = {}
    roots: list[str] = []
    parser = expat.ParserCreate("utf-8")

    def start(name: str, attributes: dict[str, str]) -> None:
        roots.append(name)
        if name.lower() == "outline" and (url := attributes.get("xmlUrl") or attributes.get("xmlurl")):
            feed = _feed(url, attributes, f"{where}, line {parser.CurrentLineNumber}")
            feeds.setdefault(feed.url, feed)
            if len(feeds) > _MAX_FEEDS:
                raise InputError(f"lists more than {_MAX_FEEDS} feeds", where=where, remedy="split the list")

    parser.StartElementHandler = start
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise InputError(f"is not XML ({error})", where=where, remedy="mend it or export it again") from error
    if roots[0].lower() != "opml":
        raise InputError(f"is <{roots[0][:40]}>, not OPML", where=where, remedy="give an OPML feed list")
    return feeds


def _feed(url: str, attributes: dict[str, str], where: str) -> Feed:
    if not (link := safe_link(url)):
        raise InputError(f"{url[:80]!r} is not an http or https address", where=where, remedy="correct its xmlUrl")
    if zone := attributes.get("zone", "").strip():
        try:
            load_zone(zone)
        except InputError as error:
            raise InputError(error.message, where=where, remedy=error.remedy) from error
    publisher = one_line(attributes.get("text", "")) or one_line(attributes.get("title", ""))
    return Feed(link, one_line(attributes.get("title", "")) or publisher, publisher, zone)
