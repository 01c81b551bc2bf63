"""URLs from outside: one form for identity, one gate for links."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

__all__ = ["canonical_url", "host_of", "safe_link"]

_MAX_URL = 4_000
# Prefixes and names that mark the visit, never the article (the table of miniflux, `urlcleaner.go`, extended).
_TRACKING_PREFIXES = ("utm_", "mtm_", "pk_", "hsa_", "vero_", "oly_", "_hs", "at_custom", "wt.")
_TRACKING_NAMES = (
    "fbclid gclid dclid gbraid wbraid gclsrc yclid msclkid twclid ttclid igshid igsh mc_cid mc_eid mkt_tok _openstat "
    "cmp cmpid cmp_id campaign_id ns_campaign ns_mchannel ns_source ns_linkname ito smid smtyp partner guccounter "
    "guce_referrer guce_referrer_sig ncid icid srnd soc_src soc_trk cid_source s_cid spm ftag xtor reflink "
    "mod taid rss ocid"
)
_TRACKING = frozenset(_TRACKING_NAMES.split())
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")
_PERCENT = re.compile(r"%([0-9a-fA-F]{2})")
_STRAY_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _split(url: str) -> SplitResult | None:
    """The parts of an http(s) URL with a host, else None. Outer space goes; inner controls refuse the URL."""
    url = url.strip(" \t\r\n\f")
    if not url or len(url) > _MAX_URL or _CONTROL.search(url.replace(" ", "")):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in _DEFAULT_PORTS or not parts.hostname or " " in parts.netloc or "\\" in parts.netloc:
        return None
    return parts


def _encoded(part: str, safe: str) -> str:
    """Percent-encode what may not stand bare; existing escapes are kept, in upper case."""
    part = _STRAY_PERCENT.sub("%25", part)
    return _PERCENT.sub(lambda m: m[0].upper(), quote(part, safe=safe + "%"))


def _netloc(parts: SplitResult) -> str:
    """Host in ASCII and a port that is not the default; "" when the host cannot be one."""
    host = (parts.hostname or "").rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    if ":" in host:
        host = f"[{host}]"
    if not _HOST.fullmatch(host):
        return ""
    if parts.port is not None and parts.port != _DEFAULT_PORTS[parts.scheme.lower()]:
        host = f"{host}:{parts.port}"
    return host


def canonical_url(url: str) -> str:
    """One form of an article's URL, for identity: scheme and host in lower case, default port, user, fragment and
    tracking parameters gone, escapes in upper case. Other parameters keep their order. Idempotent.

    Returns "" for anything that is not an http or https URL with a host.
    """
    if (parts := _split(url)) is None:
        return ""
    kept = [item for item in parts.query.split("&") if item and not _tracks(item.partition("=")[0])]
    path = _encoded(parts.path, "/:=&~+!$,;'@()*") or "/"
    query = _encoded("&".join(kept), "/:=&~+!$,;'@()*?")
    netloc = _netloc(parts)
    return urlunsplit((parts.scheme.lower(), netloc, path, query, "")) if netloc else ""


def _tracks(name: str) -> bool:
    name = name.lower()
    return name in _TRACKING or name.startswith(_TRACKING_PREFIXES)


def safe_link(url: str) -> str:
    """`url` made fit for an `href`, or "" unless it is http or https with a host and without a user name."""
    if (parts := _split(url)) is None or "@" in parts.netloc or not (netloc := _netloc(parts)):
        return ""
    return urlunsplit(
        (
            parts.scheme.lower(),
            netloc,
            _encoded(parts.path, "/:=&~+!$,;@()*"),
            _encoded(parts.query, "/:=&~+!$,;@()*?"),
            _encoded(parts.fragment, "/:=&~+!$,;@()*?"),
        )
    )


def host_of(url: str) -> str:
    """The host in lower case without `www.`, or "" when there is none."""
    parts = _split(url)
    return _netloc(parts).lower().removeprefix("www.") if parts else ""
