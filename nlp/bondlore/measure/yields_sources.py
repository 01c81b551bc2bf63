"""Fetch daily Treasury yields from the official sources, one standing in for another.

All sources give the same figures, so a fallback changes timeliness only: Treasury publishes about 16:00 New York the
same day, FRED the next business day. An answer that may be better in a moment is asked for again, twice. The network is
the caller's: `fetcher` is ingest.fetch.Fetcher or its like.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol
from urllib.parse import quote_plus, urlencode

import numpy as np

from bondlore.errors import BondloreError, FetchError, YieldsError
from bondlore.measure.yields import Yields, merge_yields, parse_yields, with_breakevens
from bondlore.measure.yields_formats import BREAKEVEN, EVERY, REAL, parse_fred_json

__all__ = ["ORDERS", "Endpoints", "Fetched", "fetch_yields"]

ORDERS: dict[str, tuple[str, ...]] = {
    "auto": ("fred_api", "treasury", "fred_csv"),
    "fred": ("fred_api", "fred_csv", "treasury"),
    "treasury": ("treasury", "fred_api", "fred_csv"),
}
_KEY = "FRED_API_KEY"
_MAX_YEARS = 80
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_WAITS = (1.0, 4.0)  # seconds before asking again; FRED allows about two requests a second


class _Response(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class _Fetcher(Protocol):
    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> _Response: ...


@dataclass(frozen=True)
class Endpoints:
    """Where the official files are; tests point elsewhere.

    Treasury's take the year as `{year}` and the curve as `{data}`; `treasury_xml` stands in for `treasury`.
    """

    fred_api: str = "https://api.stlouisfed.org/fred/series/observations"
    fred_csv: str = "https://fred.stlouisfed.org/graph/fredgraph.csv"
    treasury: str = (
        "https://home.treasury.gov/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv/{year}/all"
        "?type={data}&field_tdr_date_value={year}&page&_format=csv"
    )
    treasury_xml: str = (
        "https://home.treasury.gov/resource-center/data-chart-center/interest-rates/pages/xml"
        "?data={data}&field_tdr_date_value={year}"
    )


@dataclass(frozen=True)
class Fetched:
    """The yields, the source that gave them, and why the ones before it did not."""

    yields: Yields
    source: str
    problems: tuple[str, ...]


def fetch_yields(
    source: str,
    fetcher: _Fetcher,
    *,
    start: date,
    end: date,
    tenors: Sequence[str] = ("2Y", "10Y", "30Y"),
    environ: Mapping[str, str] | None = None,
    endpoints: Endpoints | None = None,
    at: datetime | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Yields of [start, end] from the first source that answers; `source` (auto, fred, treasury) says where to begin.

    `tenors` may be real yields and breakevens. `at`: the time of asking, kept beside every day.
    The FRED API is asked only when `environ` (default: the process's) holds FRED_API_KEY; the key appears in no
    message. Raises YieldsError with every source's reason when none works.
    """
    if source not in ORDERS:
        raise YieldsError(f"no source {source!r}", remedy=f"use {', '.join(ORDERS)}")
    if unknown := [t for t in tenors if t not in EVERY]:
        raise YieldsError(f"no tenor {unknown[0]!r}", remedy=f"use {', '.join(EVERY)}")
    if not tenors or start > end or end.year - start.year >= _MAX_YEARS:
        raise YieldsError(f"cannot fetch {start} to {end}", remedy="give tenors and a range of at most 80 years")
    known, key = endpoints or Endpoints(), (os.environ if environ is None else environ).get(_KEY, "").strip()
    parts, patient = _parts(tenors), _Patient(fetcher, wait)
    ask: dict[str, Callable[[], Yields]] = {
        "fred_api": lambda: _fred_api(patient, known.fred_api, key, start, end, parts),
        "fred_csv": lambda: _fred_csv(patient, known.fred_csv, start, end, parts),
        "treasury": lambda: _treasury(patient, known, start, end, parts),
    }
    problems = []
    for name in ORDERS[source]:
        if name == "fred_api" and not key:
            problems.append(f"fred_api: {_KEY} is not set")
            continue
        try:
            got = _checked(with_breakevens(ask[name](), tenors), name, start, end, tenors)
            if at is not None:
                got = replace(got, origin=((name, at.isoformat(timespec="seconds")),) * len(got))
            return Fetched(got, name, tuple(problems))
        except BondloreError as error:
            problems.append(f"{name}: {_without(key, str(error))}")
    raise YieldsError(
        f"no source gave yields ({'; '.join(problems)})", remedy="try again later, or give a file with --source file"
    )


@dataclass(frozen=True)
class _Patient:
    """A fetcher that asks again after a failure that may pass."""

    fetcher: _Fetcher
    wait: Callable[[float], None]

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> _Response:
        for pause in _WAITS:
            try:
                response = self.fetcher.get(url, headers=headers)
                if response.status not in _PASSING:
                    return response
            except FetchError:
                pass  # the last try says why
            self.wait(pause)
        return self.fetcher.get(url, headers=headers)


def _parts(tenors: Sequence[str]) -> tuple[str, ...]:
    """What to ask for: a breakeven is made of its nominal and its real yield."""
    parts: list[str] = []
    for tenor in tenors:
        made = tenor in BREAKEVEN
        parts += [tenor.replace("_breakeven", ""), tenor.replace("breakeven", "real")] if made else [tenor]
    return tuple(dict.fromkeys(parts))


def _fred_api(fetcher: _Fetcher, url: str, key: str, start: date, end: date, tenors: Sequence[str]) -> Yields:
    out: Yields | None = None
    for tenor in tenors:
        query = {"series_id": _series(tenor), "api_key": key, "file_type": "json"}
        query |= {"observation_start": start.isoformat(), "observation_end": end.isoformat()}
        where = f"{url} ({_series(tenor)})"
        response = fetcher.get(f"{url}?{urlencode(query)}")
        # A refusal is JSON too and says why, so it is parsed whatever the status.
        columns = parse_fred_json(response.body.decode("utf-8", "replace"), tenor=tenor, where=where)
        _need_ok(response, where)
        kept = [(day, values[0]) for day, values in columns.rows if not math.isnan(values[0])]
        part = Yields(
            np.array([day for day, _ in kept], dtype="datetime64[D]"),
            (tenor,),
            np.array([value for _, value in kept], dtype=float).reshape(-1, 1),
            "fred_api",
        )
        out = part if out is None else merge_yields(out, part)
    assert out is not None
    return out


def _fred_csv(fetcher: _Fetcher, url: str, start: date, end: date, tenors: Sequence[str]) -> Yields:
    out: Yields | None = None
    for tenor in tenors:  # one series a request: with several, FRED is said to ignore the dates
        query = {"id": _series(tenor), "cosd": start.isoformat(), "coed": end.isoformat()}
        where = f"{url}?{urlencode(query)}"
        response = fetcher.get(where)
        _need_ok(response, where)
        part = parse_yields(response.body, where=where)
        out = part if out is None else merge_yields(out, part)
    assert out is not None
    return out


def _treasury(fetcher: _Fetcher, known: Endpoints, start: date, end: date, tenors: Sequence[str]) -> Yields:
    out: Yields | None = None
    for data in _curves(tenors):
        for year in range(start.year, end.year + 1):
            part = _treasury_year(fetcher, known, data, year)
            out = part if out is None else merge_yields(out, part)
    assert out is not None
    return out


def _curves(tenors: Sequence[str]) -> list[str]:
    real = [t in REAL for t in tenors]
    wanted = (("daily_treasury_yield_curve", not all(real)), ("daily_treasury_real_yield_curve", any(real)))
    return [data for data, needed in wanted if needed]


def _treasury_year(fetcher: _Fetcher, known: Endpoints, data: str, year: int) -> Yields:
    """The CSV of a year, or else its XML, which is served by other machinery. Raises what the CSV raised."""
    where = known.treasury.format(year=year, data=data)
    try:
        response = fetcher.get(where)
        _need_ok(response, where)
        return parse_yields(response.body, where=where)
    except BondloreError as error:
        other = known.treasury_xml.format(year=year, data=data)
        try:
            response = fetcher.get(other)
            _need_ok(response, other)
            return parse_yields(response.body, where=other)
        except BondloreError:
            raise error from None


def _checked(yields: Yields, name: str, start: date, end: date, tenors: Sequence[str]) -> Yields:
    """The days and tenors asked for, in that order. Raises YieldsError when a tenor or every day is missing."""
    part = yields.between(start, end)
    if missing := [t for t in tenors if t not in part.tenors and len(part)]:
        raise YieldsError(f"has no {', '.join(missing)}", where=name)
    if not len(part):
        raise YieldsError(f"has no yields from {start} to {end}", where=name)
    percent = np.stack([part.column(tenor) for tenor in tenors], axis=1)
    if empty := [t for t, column in zip(tenors, percent.T, strict=True) if np.isnan(column).all()]:
        raise YieldsError(f"has no figures for {', '.join(empty)}", where=name)
    kept = ~np.isnan(percent).all(axis=1)
    return Yields(part.dates[kept], tuple(tenors), percent[kept], name)


def _series(tenor: str) -> str:
    years = tenor.partition("Y")[0]
    if tenor in REAL:
        return f"DFII{years}"
    return f"DGS{tenor[:-1]}MO" if tenor.endswith("M") else f"DGS{years}"


def _need_ok(response: _Response, where: str) -> None:
    if response.status != 200:
        raise YieldsError(f"answered {response.status}", where=where)


def _without(key: str, message: str) -> str:
    for form in (key, quote_plus(key)) if key else ():
        message = message.replace(form, "***")
    return message
