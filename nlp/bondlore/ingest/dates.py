"""Dates as publishers write them, made UTC without inventing anything.

feedparser reads `2026/1/5 09:30:00` as the current month, `EST` in July an hour late, `BST` as UTC, and takes year
2999 (feedparser#75, #113, #135); beside yields that is look-ahead bias. Here a string is read whole or refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bondlore.article import Confidence, Precision
from bondlore.ingest.zones import ZONE_PATTERN, attach, load_zone

__all__ = ["EARLIEST", "ParsedDate", "parse_date"]

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)
_MAX_RAW = 200
_NOON = 12
_NO_ZONE = "time without a zone: only its day is kept"
_ASSUMED = "zone assumed"

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero gennaio janeiro januari jänner",
            "feb february februar février fevrier febrero febbraio fevereiro februari",
            "mar march märz marz mars marzo março marco maart mrz",
            "apr april avril abril aprile avr",
            "may mai mayo maggio maio mei",
            "jun june juni juin junio giugno junho",
            "jul july juli juillet julio luglio julho juil",
            "aug august août aout agosto augustus",
            "sep sept september septembre septiembre settembre setembro",
            "oct october oktober octobre octubre ottobre outubro okt",
            "nov november novembre noviembre novembro",
            "dec december dezember décembre decembre diciembre dicembre dezembro dez",
        ),
        1,
    )
    for name in names.split()
}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday mon montag lundi lunes lunedì",
            "tuesday tue tues dienstag mardi martes martedì",
            "wednesday wed weds mittwoch mercredi miércoles mercoledì",
            "thursday thu thur thurs donnerstag jeudi jueves giovedì",
            "friday fri freitag vendredi viernes venerdì",
            "saturday sat samstag samedi sábado sabato",
            "sunday sun sonntag dimanche domingo domenica",
        )
    )
    for name in names.split()
}
_MONTH = "(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_WEEKDAY = re.compile(r"\b(" + "|".join(sorted(_WEEKDAYS, key=len, reverse=True)) + r")\b\.?,?", re.IGNORECASE)
_YEAR = r"(?P<year>\d{4})"
_DAY = r"(?P<day>\d{1,2})"
# In order: the first form that is found is the date. Numeric day/month order is settled in `_calendar_day`.
_DATE_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<![\d.]){_YEAR}(?P<sep>[-/.])(?P<number>\d{{1,2}})(?P=sep){_DAY}(?!\d)",
        rf"{_YEAR}\s?[年년]\s?(?P<number>\d{{1,2}})\s?[月월]\s?{_DAY}\s?[日일]",
        rf"(?<!\d){_DAY}(?:st|nd|rd|th|er|\.|º)?(?:\s(?:de|of))?[\s-]{_MONTH},?(?:\s(?:de|of))?[\s-]{_YEAR}(?!\d)",
        rf"(?<!\d){_DAY}[\s-]{_MONTH}[\s-]'?(?P<short>\d{{2}})(?=[\s,]|$)",
        # The hour may be glued on: CNBC prints "Apr 9 20254:05 PM EDT".
        rf"\b{_MONTH}\s{_DAY}(?:st|nd|rd|th)?,?\s{_YEAR}(?=\D|$|\d{{1,2}}:\d\d)",
        rf"\b{_MONTH}\s{_DAY}(?=\s\d{{1,2}}:\d\d(?::\d\d)?\s.*(?P<year>\d{{4}})$)",
        rf"(?<![\d.]){_YEAR}(?P<number>\d{{2}}){_DAY}(?=T|\s|$|\d{{4,6}}\D|\d{{4,6}}$)",
        rf"(?<![\d/.-])(?P<first>\d{{1,2}})(?P<sep>[-/.])(?P<second>\d{{1,2}})(?P=sep){_YEAR}(?!\d)",
    )
)
_TIME = re.compile(
    r"(?<![\d:])(?:"
    r"(?P<hour>\d{1,2})(?:[:h](?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"|\.(?P<dotted>\d{2})(?=\s?[ap]\.?m|\s[A-Z]{2,4}\b)|(?=\s?[ap]\.?m))"
    r"(?:\s?(?P<half>[ap])\.?m\.?(?![a-z]))?"
    r"|(?P<compact>\d{4}|\d{6})(?=\D|$))",
    re.IGNORECASE,
)
_ZONE = re.compile(ZONE_PATTERN, re.IGNORECASE)
# What may stand around a date without changing it.
_FILLER = re.compile(
    r"\b(?:first|last|published|posted|updated|modified|issued|released|date|dateline|on|at|the|um|uhr|à|le|of|"
    r"el|den|am|m=[+-][\d.]+)\b|[,;:|·•\-–—@]",
    re.IGNORECASE,
)
_ISO_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_EPOCH = re.compile(r"\d{9,10}(?:\.\d+)?|\d{13}|\d{16}")
_RELATIVE = re.compile(r"\b(?:ago|today|yesterday|just now|hours?|minutes?|days?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParsedDate:
    """`at` is UTC or None; a `day` is noon UTC of its calendar day. `problem` says why, or what was assumed."""

    at: datetime | None
    precision: Precision
    problem: str = ""

    @property
    def confidence(self) -> Confidence:
        """How far to believe `at`; see `Article`."""
        if self.at is None:
            return ""
        return {"": "high", _NO_ZONE: "medium", _ASSUMED: "medium"}.get(self.problem, "low")  # type: ignore[return-value]


class _RefusedError(ValueError):
    """Carries the reason a string is not a date."""


def parse_date(raw: str, *, default_zone: str | None = None, now: datetime) -> ParsedDate:
    """Read `raw`. `default_zone` (IANA) is for times that name no zone; without it only their day is kept.

    `now` (aware) bounds the future: a day more is refused, as is anything before 1990. Midnight to the
    second is how publishers write "no time", so it gives a day. Never raises for `raw`; raises DateError for
    an unknown `default_zone`.
    """
    default_zone = default_zone or None
    if default_zone:
        load_zone(default_zone)
    text = " ".join(raw[: _MAX_RAW + 1].split())
    if not text or len(raw) > _MAX_RAW:
        return ParsedDate(None, "none", "no date" if not text else "too long for a date")
    try:
        parsed = _parse(text, default_zone)
    except _RefusedError as reason:
        return ParsedDate(None, "none", f"{reason}: {text[:60]!r}")
    except (ValueError, OverflowError):
        return ParsedDate(None, "none", f"no such day or time: {text[:60]!r}")
    assert parsed.at is not None
    if not EARLIEST <= parsed.at <= now + _AHEAD:
        edge = "before 1990" if parsed.at < EARLIEST else "in the future"
        return ParsedDate(None, "none", f"{edge}: {text[:60]!r}")
    return parsed


def _parse(text: str, default_zone: str | None) -> ParsedDate:
    if iso := _ISO_DAY.fullmatch(text):
        return _day(datetime(int(iso[1]), int(iso[2]), int(iso[3]), tzinfo=UTC))
    if not text.isascii():
        text = re.sub(r"[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", "", text)
    if _EPOCH.fullmatch(text):
        return ParsedDate(_epoch(text), "second")
    date, rest = _take_date(text)
    time = _TIME.search(rest)
    if time is None:
        _require_empty(rest)
        return _day(date, _weekday_note(rest, date))
    zone, tail = _take_zone(rest[time.end() :])
    _require_empty(f"{rest[: time.start()]} {tail}")
    hour, minute, sec, micro = _clock(time)
    local = datetime(date.year, date.month, date.day) + timedelta(  # noqa: DTZ001 - the zone comes next
        hours=hour, minutes=minute, seconds=sec, microseconds=micro
    )
    note = _weekday_note(rest, date)
    if (hour, minute, sec, micro) == (0, 0, 0, 0):
        return _day(date, note)
    return _zoned(local, zone, default_zone, note)


def _take_zone(text: str) -> tuple[str, str]:
    """The zone that follows a time and what comes after; of "-0400 (EDT)" or "+0000 UTC" the first one counts."""
    text = text.lstrip(" ([")
    if (zone := _ZONE.match(text)) is None:
        return "", text
    text = text[zone.end() :].lstrip(" (")
    again = _ZONE.match(text)
    return zone["zone"], text[again.end() :] if again else text


def _zoned(local: datetime, zone: str, default_zone: str | None, note: str) -> ParsedDate:
    if zone:
        at = attach(local, zone, default_zone=default_zone)
        if at is None:
            raise _RefusedError(f"unknown time zone {zone[:20]!r}")
        return ParsedDate(at, "second", note)
    if default_zone:
        return ParsedDate(local.replace(tzinfo=load_zone(default_zone)).astimezone(UTC), "second", note or _ASSUMED)
    return _day(local, note or _NO_ZONE)


def _day(date: datetime, note: str = "") -> ParsedDate:
    return ParsedDate(datetime(date.year, date.month, date.day, _NOON, tzinfo=UTC), "day", note)


def _epoch(text: str) -> datetime:
    """Seconds, milliseconds (13 digits) or microseconds (16 digits) since 1970."""
    scale = {13: 1e3, 16: 1e6}.get(len(text), 1.0)
    return datetime.fromtimestamp(float(text) / scale, UTC)


def _take_date(text: str) -> tuple[datetime, str]:
    """The calendar day in `text` and what is left around it. Raises _RefusedError."""
    for form in _DATE_FORMS:
        if match := form.search(text):
            year, month, day = _calendar_day(match.groupdict())
            end = match.end()
            rest = text[end:]
            if form is _DATE_FORMS[5]:  # ctime: the year stands at the end
                rest = rest[:-4]
            # "T" only joins ISO dates and times.
            rest = re.sub(r"^T(?=\d)", " ", rest)
            return datetime(year, month, day, tzinfo=UTC), f"{text[: match.start()]} {rest}"
    if _RELATIVE.search(text):
        raise _RefusedError("relative date")
    if re.fullmatch(r"\d{4}(-\d{1,2})?", text):
        raise _RefusedError("no day")
    raise _RefusedError("not a form of date known here")


def _calendar_day(found: dict[str, str | None]) -> tuple[int, int, int]:
    year = int(found.get("year") or 0) or _full_year(int(found.get("short") or 0))
    if found.get("first"):
        first, second = int(found["first"] or 0), int(found["second"] or 0)
        if found["sep"] == "." or first > 12 or first == second:
            return year, second, first
        if second > 12:
            return year, first, second
        raise _RefusedError("day and month cannot be told apart")
    named = found.get("month")
    return year, _MONTHS[named.lower()] if named else int(found["number"] or 0), int(found["day"] or 0)


def _full_year(short: int) -> int:
    """RFC 2822 §4.3: two digits up to 49 are this century."""
    return short + (2000 if short < 50 else 1900)


def _clock(time: re.Match[str]) -> tuple[int, int, int, int]:
    """Hour, minute, second, microsecond. A leap second becomes the second before; 24:00 is the day's end."""
    if compact := time["compact"]:
        hour, minute, second, micro = int(compact[:2]), int(compact[2:4]), int(compact[4:] or 0), 0
    else:
        hour, minute = int(time["hour"]), int(time["minute"] or time["dotted"] or 0)
        second = int(time["second"] or 0)
        micro = int((time["fraction"] or "0")[:6].ljust(6, "0"))
    if half := time["half"]:
        if hour > 12 and half in "aA":
            raise _RefusedError("no such time")
        if hour <= 12:  # "16:05 PM" is written, and clear
            hour = hour % 12 + (12 if half in "pP" else 0)
    if second == 60:
        second, micro = 59, 0
    if minute > 59 or second > 59 or hour > 24 or (hour == 24 and (minute or second or micro)):
        raise _RefusedError("no such time")
    return hour, minute, second, micro


def _require_empty(rest: str) -> None:
    """Refuse when something unread is left: half a second date, a range, a word that may matter."""
    left = _FILLER.sub(" ", _WEEKDAY.sub(" ", rest))
    left = re.sub(r"\((?:[A-Za-z ]{2,40})\)|[()\[\].'\"]", " ", left)
    zone_left = _ZONE.sub(" ", left)
    if zone_left.strip():
        kind = "relative date" if _RELATIVE.search(zone_left) else "unread part"
        raise _RefusedError(f"{kind} {zone_left.strip()[:20]!r}")


def _weekday_note(rest: str, date: datetime) -> str:
    match = _WEEKDAY.search(rest)
    if match is None or _WEEKDAYS[match[1].lower()] == date.weekday():
        return ""
    return "weekday and date disagree"
