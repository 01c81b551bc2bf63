from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bondlore.errors import YieldsError
from bondlore.ingest.fetch import Fetcher
from bondlore.measure.yields_sources import Endpoints, Fetched, fetch_yields
from test_measure_yields import entry, feed, figure

KEY = "abcdefghijklmnopqrstuvwxyz012345"
Answer = tuple[int, str]
TREASURY_2025 = 'Date,"2 Yr","10 Yr","30 Yr"\n01/03/2025,4.28,4.60,4.82\n01/02/2025,4.25,4.57,4.79'
TREASURY_2024 = 'Date,"2 Yr","10 Yr","30 Yr"\n12/31/2024,4.25,4.58,4.78\n'


class Site:
    """Answers /api, /csv and /treasury/<year> by what `answers` says; 503 elsewhere."""

    def __init__(self, port: int, answers: dict[str, Callable[[dict[str, str]], Answer]]) -> None:
        base = f"http://127.0.0.1:{port}"
        query = "?year={year}&data={data}"
        self.endpoints = Endpoints(f"{base}/api", f"{base}/csv", f"{base}/treasury{query}", f"{base}/xml{query}")
        self.answers = answers
        self.asked: list[str] = []


@contextmanager
def serving(**answers: Callable[[dict[str, str]], Answer]) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            name = parts.path.strip("/")
            site.asked.append(name)
            status, text = answers.get(name, lambda _: (503, "down"))(query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    site = Site(server.server_address[1], answers)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def treasury(query: dict[str, str]) -> Answer:
    return 200, {"2024": TREASURY_2024, "2025": TREASURY_2025}.get(query["year"], "")


def fred_csv(query: dict[str, str]) -> Answer:
    return 200, f"observation_date,{query['id']}\n2025-01-01,\n2025-01-02,4.57\n"


def fred_api(query: dict[str, str]) -> Answer:
    if query["api_key"] != KEY:
        message = f"Bad Request. The key {query['api_key']} is not registered."
        return 400, json.dumps({"error_code": 400, "error_message": message})
    return 200, '{"observations":[{"date":"2025-01-01","value":"."},{"date":"2025-01-02","value":"4.57"}]}'


def fetch(
    site: Site,
    source: str = "auto",
    *,
    key: str = "",
    start: date = date(2025, 1, 1),
    waits: list[float] | None = None,
    **more: Any,
) -> Fetched:
    return fetch_yields(
        source,
        Fetcher(allow_private=True),
        start=start,
        end=date(2025, 1, 31),
        environ={"FRED_API_KEY": key} if key else {},
        endpoints=site.endpoints,
        wait=([] if waits is None else waits).append,
        **more,
    )


def test_the_api_comes_first_when_there_is_a_key() -> None:
    with serving(api=fred_api, treasury=treasury, csv=fred_csv) as site:
        got = fetch(site, key=KEY)
    assert (got.source, site.asked) == ("fred_api", ["api"] * 3)
    assert got.yields.at(date(2025, 1, 2), "10Y") == 4.57


def test_treasury_comes_first_without_a_key() -> None:
    with serving(api=fred_api, treasury=treasury, csv=fred_csv) as site:
        got = fetch(site)
    assert got.source == "treasury"
    assert [str(d) for d in got.yields.dates] == ["2025-01-02", "2025-01-03"]


def test_treasury_is_asked_for_every_year() -> None:
    with serving(treasury=treasury) as site:
        got = fetch(site, "treasury", start=date(2024, 12, 15))
    assert len(site.asked) == 2
    assert str(got.yields.dates[0]) == "2024-12-31"


def test_a_year_without_data_yet_is_no_failure() -> None:
    with serving(treasury=lambda q: treasury(q) if q["year"] == "2024" else (200, "")) as site:
        got = fetch(site, "treasury", start=date(2024, 12, 15))
    assert [str(d) for d in got.yields.dates] == ["2024-12-31"]


def test_fred_falls_back_from_the_api_to_the_csv() -> None:
    with serving(api=lambda _: (429, "slow down"), csv=fred_csv) as site:
        got = fetch(site, "fred", key=KEY)
    assert got.source == "fred_csv"
    assert len(got.problems) == 1


def test_treasury_falls_back_to_fred() -> None:
    with serving(csv=fred_csv) as site:
        got = fetch(site, "treasury")
    assert got.source == "fred_csv"
    assert any("503" in problem for problem in got.problems)


def test_a_page_instead_of_a_file_is_a_failure() -> None:
    with serving(csv=lambda _: (200, "<!DOCTYPE html><html>are you a robot?</html>"), treasury=treasury) as site:
        assert fetch(site, "fred").source == "treasury"


def test_the_key_is_in_no_message() -> None:
    with serving(api=fred_api) as site, pytest.raises(YieldsError, match="not registered") as caught:
        fetch(site, key="secret0secret0secret0secret0secr")
    assert "secret0" not in str(caught.value)


def test_when_nothing_answers_every_reason_is_given() -> None:
    with serving() as site, pytest.raises(YieldsError, match=r"FRED_API_KEY is not set.*treasury.*503.*fred_csv.*503"):
        fetch(site)


def test_a_failure_that_passes_is_asked_again() -> None:
    answers = iter([(503, "down"), (429, "slow down"), treasury({"year": "2025"})])
    waits: list[float] = []
    with serving(treasury=lambda _: next(answers)) as site:
        got = fetch(site, "treasury", waits=waits)
    assert (got.source, got.problems, waits) == ("treasury", (), [1.0, 4.0])


def test_a_refusal_is_not_asked_again() -> None:
    with serving(treasury=lambda _: (403, "no"), xml=lambda _: (403, "no"), csv=fred_csv) as site:
        fetch(site, "treasury")
    assert site.asked[:2] == ["treasury", "xml"]


def test_treasurys_xml_stands_in_for_its_csv() -> None:
    body = feed(entry("2025-01-02", *[figure(f"BC_{n}YEAR", "4.5") for n in (2, 10, 30)])).decode()
    with serving(treasury=lambda _: (404, "gone"), xml=lambda _: (200, body)) as site:
        got = fetch(site, "treasury")
    assert (got.source, got.yields.at(date(2025, 1, 2), "10Y")) == ("treasury", 4.5)


def real(query: dict[str, str]) -> Answer:
    if query["data"] == "daily_treasury_real_yield_curve":
        return 200, 'Date,"10 YR"\n01/03/2025,2.24\n01/02/2025,2.23'
    return treasury(query)


def test_real_yields_and_breakevens_from_treasury() -> None:
    with serving(treasury=real) as site:
        got = fetch(site, "treasury", tenors=("10Y", "10Y_real", "10Y_breakeven"), at=datetime(2025, 1, 4, tzinfo=UTC))
    assert got.yields.percent.tolist() == [[4.57, 2.23, 2.34], [4.6, 2.24, 2.36]]
    assert got.yields.origin == (("treasury", "2025-01-04T00:00:00+00:00"),) * 2


def test_real_yields_and_breakevens_from_fred() -> None:
    def answer(query: dict[str, str]) -> Answer:
        value = {"DGS10": "4.57", "DFII10": "2.23"}[query["id"]]
        return 200, f"observation_date,{query['id']}\n2025-01-02,{value}\n"

    with serving(csv=answer) as site:
        got = fetch(site, "fred", tenors=("10Y_breakeven",))
    assert got.yields.percent.tolist() == [[2.34]]


def test_an_unknown_source_is_refused() -> None:
    with serving() as site, pytest.raises(YieldsError, match="no source 'ecb'"):
        fetch(site, "ecb")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--source", "file", "--tenor", "2Y"], "--tenor"),
        (["--source", "file", "--start", "2025-04-01"], "--start"),
        (["--source", "treasury", "--file", "mine.csv"], "--file"),
    ],
)
def test_an_option_of_another_source_is_refused(given, named, capsys):
    from bondlore.cli import main

    assert main(["yields", *given]) == 1
    assert named in capsys.readouterr().err
