from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bondlore.errors import YieldsError
from bondlore.measure.yields import (
    Yields,
    latest_yields,
    load_yields,
    merge_yields,
    parse_yields,
    with_breakevens,
    write_yields,
    yield_changes,
)
from bondlore.measure.yields_formats import parse_fred_json

ROOT = Path(__file__).resolve().parent.parent

FRED_NEW = b"observation_date,DGS30\n2025-04-17,4.80\n2025-04-18,\n2025-04-21,4.91\n"
FRED_OLD = b"DATE,DGS30\n2024-08-30,4.2\n2024-09-02,.\n2024-09-03,4.13\n"
TREASURY = (
    b'Date,"1 Mo","1.5 Month","2 Mo","3 Mo","4 Mo","6 Mo","1 Yr","2 Yr","3 Yr","5 Yr","7 Yr","10 Yr","20 Yr","30 Yr"\n'
    b"02/18/2025,4.38,4.41,4.38,4.34,4.37,4.34,4.24,4.29,4.33,4.40,4.48,4.55,4.83,4.77\n"
    b"02/14/2025,4.37,,4.38,4.34,4.35,4.32,4.23,4.26,4.26,4.33,4.41,4.47,4.75,4.69"
)
XML_HEAD = (
    '<?xml version="1.0" encoding="utf-8" standalone="yes"?><feed xmlns="http://www.w3.org/2005/Atom" '
    'xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
    'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
)


def entry(day: str, *figures: str, kind: str = "DailyTreasuryYieldCurveRateDatum") -> str:
    return (
        f'<entry><category term="TreasuryDataWarehouseModel.{kind}"/><content type="application/xml"><m:properties>'
        f'<d:Id m:type="Edm.Int32">1</d:Id><d:NEW_DATE m:type="Edm.DateTime">{day}T00:00:00</d:NEW_DATE>'
        f"{''.join(figures)}</m:properties></content></entry>"
    )


def figure(tag: str, value: str) -> str:
    return f'<d:{tag} m:type="Edm.Double">{value}</d:{tag}>'


def feed(*entries: str) -> bytes:
    return (XML_HEAD + "".join(entries) + "</feed>").encode()


def rows(yields: Yields) -> list[tuple[str, ...]]:
    return [
        (str(d), *(f"{v:.2f}" for v in values)) for d, values in zip(yields.dates, yields.percent.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FRED_NEW, [("2025-04-17", "4.80"), ("2025-04-21", "4.91")]),
        (FRED_OLD, [("2024-08-30", "4.20"), ("2024-09-03", "4.13")]),
        (b"observation_date,DGS30_20250501\r\n2025-04-17,4.80\r\n", [("2025-04-17", "4.80")]),
        (b'Date,"30 Yr"\n9/1/23,4.29\n1/2/90,8.00\n', [("1990-01-02", "8.00"), ("2023-09-01", "4.29")]),
    ],
)
def test_fred_and_resaved_csv(body: bytes, expected: list[tuple[str, ...]]) -> None:
    assert rows(parse_yields(body, where="x")) == expected


def test_treasury_csv_is_read_by_name_and_sorted() -> None:
    got = parse_yields(TREASURY, where="x")
    assert got.tenors == ("1M", "3M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y")
    assert got.at(date(2025, 2, 14), "10Y") == 4.47
    assert str(got.dates[0]) == "2025-02-14"


def test_fred_api_json() -> None:
    text = (
        '{"units":"lin","count":3,"observations":[{"date":"2026-07-02","value":"4.49"},'
        '{"date":"2026-07-03","value":"."},{"date":"2026-07-06","value":"4.48"}]}'
    )
    got = parse_fred_json(text, tenor="10Y", where="x")
    assert [v for _, (v,) in got.rows] == pytest.approx([4.49, np.nan, 4.48], nan_ok=True)


def test_fred_api_error_is_passed_on() -> None:
    with pytest.raises(YieldsError, match="Bad Request"):
        parse_fred_json('{"error_code":400,"error_message":"Bad Request. No key."}', tenor="10Y", where="x")


def test_h15_csv() -> None:
    head = '"Series Description","2-year","10-year"\n"Unit:","Percent:","Percent:"\n"Multiplier:","1","1"\n'
    head += '"Currency:","NA","NA"\n"Unique Identifier: ","a","b"\n"Time Period","RIFLGFCY02_N.B","RIFLGFCY10_N.B"\n'
    got = parse_yields((head + "2025-04-17,3.81,4.34\n2025-04-18,ND,ND\n").encode(), where="x")
    assert got.tenors == ("2Y", "10Y")
    assert rows(got) == [("2025-04-17", "3.81", "4.34")]


REAL_CSV = b'Date,"5 YR","7 YR","10 YR","20 YR","30 YR"\n02/18/2025,1.84,1.98,2.12,2.30,2.38\n'
REAL_KIND = "DailyTreasuryRealYieldCurveRateDatum"


@pytest.mark.parametrize(
    ("body", "tenor", "value"),
    [
        (REAL_CSV, "10Y_real", 2.12),
        (feed(entry("2025-02-18", figure("TC_10YEAR", "2.12"), kind=REAL_KIND)), "10Y_real", 2.12),
        (b"observation_date,DFII10\n2025-02-18,2.12\n", "10Y_real", 2.12),
        (b"observation_date,T10YIE\n2025-02-18,2.43\n", "10Y_breakeven", 2.43),
        (b'"Series Description","x"\n"Time Period","RIFLGFCY10_XII_N.B"\n2025-02-18,2.12\n', "10Y_real", 2.12),
    ],
)
def test_real_yields_and_breakevens_are_told_from_nominal_ones(body: bytes, tenor: str, value: float) -> None:
    got = parse_yields(body, where="x")
    assert not set(got.tenors) & {"5Y", "10Y"}
    assert got.at(date(2025, 2, 18), tenor) == value


def test_a_breakeven_is_nominal_less_real() -> None:
    both = merge_yields(parse_yields(TREASURY, where="x"), parse_yields(REAL_CSV, where="x"))
    got = with_breakevens(both, ["10Y_breakeven"])
    assert got.at(date(2025, 2, 18), "10Y_breakeven") == 2.43
    assert got.at(date(2025, 2, 14), "10Y_breakeven") is None
    assert with_breakevens(parse_yields(TREASURY, where="x"), ["10Y_breakeven"]).tenors[-1] == "30Y"


@pytest.mark.parametrize("header", ["DGS1MO", "DFII10"])
def test_a_bill_or_real_yield_of_zero_is_a_figure(header: str) -> None:
    got = parse_yields(f"observation_date,{header}\n2011-12-20,0.00\n2011-12-21,0.01\n".encode(), where="x")
    assert got.percent.ravel().tolist() == [0.0, 0.01]


def test_a_nominal_curve_of_zeros_is_a_holiday() -> None:
    assert len(parse_yields(b"date,1M,2Y,10Y\n2017-04-14,0,0,0\n2017-04-17,0.8,1.2,2.2\n", where="x")) == 1


OWN = b"desk;x,when,ten\nq,04/17/2025,4.34\nq,04/21/2025,n/a\nq,04/22/2025,4.41\n"


def test_a_csv_of_ones_own_is_read_by_the_names_of_its_columns() -> None:
    got = parse_yields(OWN, where="x", mapping={"date": "when", "10Y": "ten"})
    assert rows(got) == [("2025-04-17", "4.34"), ("2025-04-22", "4.41")]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"date": "when", "9Y": "ten"}, "'9Y' is no tenor"),
        ({"10Y": "ten", "2Y": "two"}, "names no date"),
        ({"date": "when", "10Y": "tenth"}, "not one column 'tenth'"),
    ],
)
def test_a_mapping_that_does_not_fit(mapping: dict[str, str], message: str) -> None:
    with pytest.raises(YieldsError, match=message):
        parse_yields(OWN, where="x", mapping=mapping)


def test_the_local_table_says_where_each_day_came_from_and_when(tmp_path: Path) -> None:
    old = parse_yields(b"date,2Y\n2025-04-16,3.77\n2025-04-17,3.81\n", where="old")
    new = parse_yields(b"date,2Y\n2025-04-17,3.82\n2025-04-21,3.75\n", where="new")
    asked = ("treasury", "2025-04-21T20:05:00+00:00")
    write_yields(merge_yields(old, replace(new, origin=(asked, asked))), tmp_path / "y.csv")
    got = load_yields(tmp_path / "y.csv")
    assert got.origin == (("", ""), asked, asked)
    assert got.table()["source"].to_pylist() == ["", "treasury", "treasury"]
    assert got.between(date(2025, 4, 17), date(2025, 4, 17)).origin == (asked,)


def test_xml_rounds_old_figures_and_ignores_the_display_field() -> None:
    body = feed(entry("2020-03-09", figure("BC_2YEAR", "0.379999998658895493"), figure("BC_30YEARDISPLAY", "0.99")))
    got = parse_yields(body, where="x")
    assert (got.tenors, rows(got)) == (("2Y",), [("2020-03-09", "0.38")])


def test_xml_missing_by_null_and_by_absence() -> None:
    null = '<d:BC_10YEAR m:type="Edm.Double" m:null="true" />'
    body = feed(
        entry("2020-03-09", figure("BC_2YEAR", "0.38"), null),
        entry("2020-03-10", figure("BC_2YEAR", "0.50")),
        entry("2020-03-11", figure("BC_10YEAR", "0.82")),
    )
    got = parse_yields(body, where="x")
    assert np.isnan(got.column("10Y")).tolist() == [True, True, False]


def test_xml_good_friday_of_zeros_is_no_day() -> None:
    zeros = [figure(f"BC_{n}YEAR", "0") for n in (2, 10, 30)]
    body = feed(entry("2017-04-13", *[figure(f"BC_{n}YEAR", "2") for n in (2, 10, 30)]), entry("2017-04-14", *zeros))
    assert [str(d) for d in parse_yields(body, where="x").dates] == ["2017-04-13"]


def test_xml_day_of_nulls_is_no_day() -> None:
    null = '<d:BC_10YEAR m:type="Edm.Double" m:null="true" />'
    assert len(parse_yields(feed(entry("2010-10-11", null, figure("BC_30YEARDISPLAY", "0"))), where="x")) == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'Date,"4 WEEKS BANK DISCOUNT"\n02/18/2025,4.2\n', "no par-yield"),
        (b"day,2Y\n2025-02-18,4.2\n", "no header"),
        (b"date,2Y,2Y\n2025-02-18,4.2,4.2\n", "no par-yield"),
        (b"date,2Y\n2025-02-30,4.2\n", "line 2: '2025-02-30' is no date"),
        (b"date,2Y\n2025-02-18,high\n", "line 2: 'high' is no yield"),
        (b"date,2Y\n2025-02-18,inf\n", "no Treasury yield"),
        (b"date,2Y\n2025-02-18,429\n", "no Treasury yield"),
        (b"date,2Y,10Y\n2025-02-18,4.2\n", "line 2: has 2 fields"),
        (b"date,2Y\n2025-02-18,4.2\n2025-02-18,4.3\n", "twice with different figures"),
        (b'date,2Y\n"2025-02-18,4.2\n', "is not CSV"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'{"observations": []}', "does not say its series"),
        (b"<pre><title>x</title></pre>", "not an Atom feed"),
        (b"<feed", "is not XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><feed/>', "DOCTYPE"),
        (feed(entry("2020-03-09", kind="DailyTreasuryBillRateDatum")), "another feed"),
        (feed(entry("2020-03-09", figure("TC_10YEAR", "1"))), "no par yields"),
    ],
)
def test_what_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(YieldsError, match=message):
        parse_yields(body, where="x")


def test_an_empty_answer_is_no_rows() -> None:
    assert len(parse_yields(b"", where="x")) == 0


def test_the_shipped_file() -> None:
    got = load_yields(ROOT / "corpus/yields/treasury.csv")
    assert (len(got), got.tenors) == (4161, ("2Y", "10Y", "30Y"))
    assert not np.isnan(got.percent).any()
    assert got.at(date(2025, 4, 11), "30Y") == 4.85


def test_a_file_without_yields_is_refused(tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text("date,2Y\n")
    with pytest.raises(YieldsError, match=r"y\.csv: holds no yields"):
        load_yields(tmp_path / "y.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(YieldsError, match="cannot be read"):
        load_yields(tmp_path / "y.csv")


def test_written_yields_are_read_back(tmp_path: Path) -> None:
    before = parse_yields(b"date,2Y,10Y\n2025-04-17,3.81,4.34\n2025-04-21,3.75,\n", where="x")
    write_yields(before, tmp_path / "y.csv")
    after = load_yields(tmp_path / "y.csv")
    assert after.tenors == before.tenors
    assert np.array_equal(after.percent, before.percent, equal_nan=True)


def test_merging_prefers_new_figures_and_keeps_old_ones() -> None:
    old = parse_yields(b"date,2Y,10Y\n2025-04-16,3.77,4.29\n2025-04-17,3.81,4.34\n", where="old")
    new = parse_yields(b"date,10Y,30Y\n2025-04-17,4.35,4.80\n2025-04-21,4.42,4.91\n", where="new")
    got = merge_yields(old, new)
    assert got.tenors == ("2Y", "10Y", "30Y")
    assert got.at(date(2025, 4, 17), "2Y") == 3.81
    assert got.at(date(2025, 4, 17), "10Y") == 4.35
    assert got.at(date(2025, 4, 16), "30Y") is None


def test_changes_are_basis_points_since_the_previous_fixing() -> None:
    y = parse_yields(b"date,2Y,10Y\n2025-04-16,3.77,4.29\n2025-04-17,,4.34\n2025-04-21,3.75,4.42\n", where="x")
    got = yield_changes(y).to_pydict()
    assert (got["2Y"], got["10Y"]) == ([None, None, -2.0], [None, 5.0, 8.0])


def test_latest_yields_look_back_over_the_holiday() -> None:
    y = load_yields(ROOT / "corpus/yields/treasury.csv")
    moves = {(m.tenor, m.days): m for m in latest_yields(y, date(2025, 4, 22))}
    assert moves["30Y", 1].change_bp == pytest.approx(-3)
    assert (moves["30Y", 7].before, moves["30Y", 7].change_bp) == (date(2025, 4, 15), pytest.approx(9))
    assert moves["30Y", 30].before == date(2025, 3, 21)


def test_latest_yields_do_not_look_back_over_a_gap() -> None:
    y = parse_yields(b"date,2Y\n2025-01-02,4\n2025-04-17,3.81\n", where="x")
    assert [m.change_bp for m in latest_yields(y, date(2025, 4, 18))] == [None, None, None]


def test_yields_between_two_days() -> None:
    y = load_yields(ROOT / "corpus/yields/treasury.csv").between(date(2025, 4, 17), date(2025, 4, 21))
    assert [str(d) for d in y.dates] == ["2025-04-17", "2025-04-21"]


def test_an_unknown_tenor_is_refused() -> None:
    with pytest.raises(YieldsError, match="no tenor '4Y'"):
        load_yields(ROOT / "corpus/yields/treasury.csv").column("4Y")
