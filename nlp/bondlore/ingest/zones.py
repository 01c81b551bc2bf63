"""What the zone in a date string means. Publishers leave `EST` on all year, so names of a place's time go by the date.

Numeric offsets are taken as written. A name the feed's own zone uses on that date wins over the table, which settles
`IST` (Dublin or Kolkata) and `CST` (Chicago or Shanghai).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bondlore.errors import DateError

__all__ = ["ZONE_PATTERN", "attach", "load_zone"]

# Name -> IANA zone: the offset in force there on the date, whatever the name's own season says.
_BY_DATE = {
    **dict.fromkeys(("ET", "EST", "EDT"), "America/New_York"),
    **dict.fromkeys(("CT", "CST", "CDT"), "America/Chicago"),
    **dict.fromkeys(("MT", "MST", "MDT"), "America/Denver"),
    **dict.fromkeys(("PT", "PST", "PDT"), "America/Los_Angeles"),
    **dict.fromkeys(("AKST", "AKDT"), "America/Anchorage"),
    **dict.fromkeys(("ADT",), "America/Halifax"),
    **dict.fromkeys(("BST",), "Europe/London"),
    **dict.fromkeys(("WET", "WEST"), "Europe/Lisbon"),
    **dict.fromkeys(("CET", "CEST", "MEZ", "MESZ"), "Europe/Berlin"),
    **dict.fromkeys(("EET", "EEST"), "Europe/Helsinki"),
    **dict.fromkeys(("NZST", "NZDT", "NZT"), "Pacific/Auckland"),
    "AET": "Australia/Sydney",
}
# Name -> minutes east of UTC, for names that mean one offset.
_FIXED = {
    "Z": 0,
    "UT": 0,
    "UTC": 0,
    "GMT": 0,
    "HST": -600,
    "BRT": -180,
    "ART": -180,
    "MSK": 180,
    "GST": 240,
    "SAST": 120,
    "PKT": 300,
    "IST": 330,
    "WIB": 420,
    "ICT": 420,
    "HKT": 480,
    "SGT": 480,
    "PHT": 480,
    "AWST": 480,
    "JST": 540,
    "KST": 540,
    "ACST": 570,
    "ACDT": 630,
    "AEST": 600,
    "AEDT": 660,
}
_WORDS = {
    "eastern": "ET",
    "central": "CT",
    "mountain": "MT",
    "pacific": "PT",
    "new york": "ET",
    "chicago": "CT",
    "london": "BST",
    "frankfurt": "CET",
    "central european": "CET",
    "british summer": "BST",
    "greenwich mean": "GMT",
    "japan": "JST",
    "tokyo": "JST",
    "hong kong": "HKT",
    "singapore": "SGT",
    "indian": "IST",
    "india": "IST",
}
_PLACES = "|".join(sorted(_WORDS, key=len, reverse=True))
_NAMES = "|".join(sorted((*_BY_DATE, *_FIXED), key=len, reverse=True))
# One zone expression; the groups are read by `attach`.
ZONE_PATTERN = (
    r"(?P<zone>(?:(?:GMT|UTC?)\s?)?[+\-−]\d{1,2}(?::?\d{2})?(?::\d{2})?(?!\d)"
    rf"|(?<![A-Za-z])(?:{_NAMES})(?![A-Za-z/])"
    rf"|(?:{_PLACES})(?:\s(?:daylight|standard|summer))?(?:\s(?:saving|savings))?\stime\b"
    r"|\[?[A-Z][A-Za-z]+/[A-Za-z_]+(?:/[A-Za-z_]+)?\]?)"
)
_OFFSET = re.compile(r"(?:GMT|UTC?)?\s?([+\-−])(\d{1,2}):?(\d{2})?(?::\d{2})?", re.IGNORECASE)


@lru_cache(maxsize=256)
def load_zone(name: str) -> ZoneInfo:
    """The IANA zone `name`. Raises DateError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DateError(
            f"no time zone {name!r}", where=name, remedy="use an IANA name such as America/New_York"
        ) from error


def attach(local: datetime, zone: str, *, default_zone: str | None) -> datetime | None:
    """`local` (naive) in the zone written as `zone`, as UTC; None when the zone means nothing known.

    In the repeated hour of autumn a standard-time name takes the second pass.
    """
    if match := _OFFSET.fullmatch(zone):
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        if minutes > 14 * 60 or int(match[3] or 0) > 59:
            return None
        return _utc(local, timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes)))
    if "/" in zone:
        try:
            return _utc(local, load_zone(zone.strip("[]")))
        except DateError:
            return None
    name = zone.upper()
    if " " in zone:
        place = re.sub(r"(?:\s(?:daylight|standard|summer|saving|savings))*\stime$", "", zone.lower())
        name = _WORDS.get(place) or _WORDS.get(zone.lower().removesuffix(" time"), "")
    if default_zone and local.replace(tzinfo=(own := load_zone(default_zone))).tzname() == name:
        return _utc(local, own)
    if name in _FIXED:
        return _utc(local, timezone(timedelta(minutes=_FIXED[name])))
    if name in _BY_DATE:
        standard = name.endswith("ST") and name != "BST"
        return _utc(local.replace(fold=int(standard)), load_zone(_BY_DATE[name]))
    return None


def _utc(local: datetime, zone: tzinfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC).replace(fold=0)
