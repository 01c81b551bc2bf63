"""XML from outside before any parser sees it: bytes decoded by us, the DTD checked and taken off."""

from __future__ import annotations

import re
from html.entities import html5

from bondlore.errors import FeedError

__all__ = ["decode", "mended", "without_dtd"]

_MAX_ENTITIES = 64
_MAX_VALUE = 1_000  # characters of one entity
_MAX_GROWTH = 1_000_000  # characters that all references together may add
_MAX_DTD = 65_536
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._-]{1,40})", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,300}\?>")
# Supersets of ASCII (so that no markup hides from the checks below) and the UTF-16 and UTF-32 families.
_CODECS = re.compile(
    r"utf-?8|us-?ascii|ascii|iso-?8859-?\d{1,2}|latin-?1|(?:windows|cp)-?125\d|gb(?:2312|k|18030)|big5|shift[_-]jis|"
    r"euc-(?:jp|kr)|koi8-[ru]|utf-?(?:16|32)(?:[lb]e)?",
    re.IGNORECASE,
)
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)
# Not allowed in XML 1.0; one of them makes a strict parser drop the whole feed.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ENTITY = re.compile(
    r"""<!ENTITY\s+(?P<parameter>%\s*)?(?P<name>[^\s%"'<>]{1,100})\s+"""
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<external>SYSTEM|PUBLIC))""",
)
# An ampersand that starts no reference XML knows: bare, or one of HTML's names.
_STRAY = re.compile(r"&(?!(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);)(?:([A-Za-z][A-Za-z0-9]{1,31};))?")
_CHARACTER = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);")


def decode(body: bytes, content_type: str = "") -> tuple[str, list[str]]:
    """The document as text without XML declaration and illegal characters, and what had to be mended.

    In order: byte order mark, the XML declaration, the Content-Type, UTF-8, and at last Windows-1252 with
    replacements. Never raises.
    """
    problems: list[str] = []
    declared = _DECLARED.match(body[:400])
    charset = _CHARSET.search(content_type)
    names = [codec for mark, codec in _BOMS if body.startswith(mark)][:1]
    names += [declared[1].decode("ascii")] if declared else []
    names += [charset[1]] if charset else []
    text = ""
    for name in dict.fromkeys((*names, "utf-8")):
        if not (_CODECS.fullmatch(name) or name == "utf-8-sig"):
            problems.append(f"unknown encoding {name!r} ignored")
            continue
        try:
            text = body.decode(name)
            break
        except (UnicodeDecodeError, LookupError):
            problems.append(f"not really {name}")
    else:
        text = body.decode("cp1252", errors="replace")
    text, illegal = _ILLEGAL.subn("", text)
    if illegal:
        problems.append(f"{illegal} illegal characters removed")
    return _XML_DECLARATION.sub("", text.lstrip("\ufeff \t\r\n"), count=1), problems


def without_dtd(text: str, *, where: str) -> str:
    """`text` without its DOCTYPE, plain entities it declared put in place. Raises FeedError for an entity bomb.

    Refused: entities within entities, parameter or external entities, too many or too large ones, and growth
    beyond a million characters (billion laughs, quadratic blow-up, XXE).
    """
    start = _doctype(text)
    if start is None:
        return text
    end = _doctype_end(text, start)
    if end is None:
        raise FeedError("has a DOCTYPE that does not end", where=where, remedy="report it to the publisher")
    entities = _entities(text[start:end], where)
    rest = text[:start] + text[end:]
    growth = sum(rest.count(f"&{name};") * len(value) for name, value in entities.items())
    if growth > _MAX_GROWTH:
        raise FeedError("uses entities that blow it up", where=where, remedy="do not read this feed")
    for name, value in entities.items():
        rest = rest.replace(f"&{name};", value)
    return rest


def mended(text: str) -> tuple[str, int]:
    """`text` with bare ampersands escaped and HTML's named references put in place, and the count of the bare ones.

    CDATA sections stay as they are. feedparser's own salvage would read `S&P` as `S&P;`.
    """
    bare = 0

    def mend(match: re.Match[str]) -> str:
        nonlocal bare
        if match[1] in html5:
            return html5[match[1]]
        bare += 1
        return "&amp;" + (match[1] or "")

    parts, at = [], 0
    while (start := text.find("<![CDATA[", at)) >= 0 and (end := text.find("]]>", start)) >= 0:
        parts += [_STRAY.sub(mend, text[at:start]), text[start : end + 3]]
        at = end + 3
    parts.append(_STRAY.sub(mend, text[at:]))
    return "".join(parts), bare


def _doctype(text: str) -> int | None:
    """Where the DOCTYPE starts, None when the root element comes first. Comments and instructions are skipped."""
    at = 0
    while (at := text.find("<", at)) >= 0:
        if text.startswith("<!--", at):
            close, width = text.find("-->", at + 4), 3
        elif text.startswith("<?", at):
            close, width = text.find("?>", at + 2), 2
        elif text[at : at + 9].upper() == "<!DOCTYPE":
            return at
        elif text[at + 1 : at + 2].isalpha() or text[at + 1 : at + 2] == "_":
            return None
        else:
            close, width = at, 1
        if close < 0:
            return None
        at = close + width
    return None


def _doctype_end(text: str, start: int) -> int | None:
    """The index past the DOCTYPE's `>`, with quotes and the internal subset in brackets respected."""
    quote, depth = "", 0
    at = start + 9
    limit = min(len(text), start + _MAX_DTD)
    while at < limit:
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif text.startswith("<!--", at):
            if (close := text.find("-->", at + 4)) < 0:
                return None
            at = close + 2
        elif char in "\"'":
            quote = char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
        elif char == ">" and depth <= 0:
            return at + 1
        at += 1
    return None


def _entities(dtd: str, where: str) -> dict[str, str]:
    def bomb(why: str) -> FeedError:
        return FeedError(f"declares {why}", where=where, remedy="do not read this feed")

    found: dict[str, str] = {}
    if dtd.count("<!ENTITY") > _MAX_ENTITIES:
        raise bomb(f"more than {_MAX_ENTITIES} entities")
    declarations = list(_ENTITY.finditer(dtd))
    for entity in declarations:
        if entity["parameter"] or entity["external"]:
            raise bomb("parameter or external entities")
        value = entity["double"] if entity["double"] is not None else entity["single"]
        if "&" in _CHARACTER.sub("", value) or "%" in value:
            raise bomb("entities within entities")
        if len(value) > _MAX_VALUE:
            raise bomb("an entity that is too large")
        found.setdefault(entity["name"], value)
    if len(declarations) != dtd.count("<!ENTITY"):
        raise bomb("entities in a form not known here")
    return found
