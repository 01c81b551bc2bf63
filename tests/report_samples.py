"""A made-up spring of bond news for the report's tests: deterministic, about a hundred articles, no real text."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from bondlore import taxonomy as taxonomies
from bondlore.measure.shares import shares
from bondlore.measure.yields import Yields
from bondlore.report.build import build_report, up_to
from bondlore.report.data import Feed, Quality, ReportData
from bondlore.tagging import schema

TAXONOMY = taxonomies.load()
START, END = date(2025, 3, 3), date(2025, 5, 23)
PUBLISHERS = (
    "Meridian Wire",
    "The Ledger",
    "Harbour Street Daily",
    "Bond Desk Notes",
    "Pacific Observer",
    "Rates Weekly",
)
SUPPORT = {
    "tariff_inflation": [
        "Levies that lift import prices will keep the Fed on hold, so the long end has to cheapen, one strategist said",
        "Investors asked for more yield because tariffs are expected to push consumer prices up by the summer.",
        "With duties feeding into prices, traders gave up on a June cut and sold ten-year notes.",
    ],
    "deleveraging": [
        "Funds that ran the basis trade had to dump cash bonds to meet margin, three dealers said.",
        "Selling was forced: hedge funds unwound swap-spread positions as losses ate through their risk limits.",
        "A dash for cash sent long bonds down together with shares, as leveraged accounts raised money.",
    ],
    "foreign_selling": [
        "Traders blamed Tokyo accounts, said to have been offloading ten-year notes since Monday.",
        "The dollar and Treasuries fell together, a sign that holders abroad were leaving American assets.",
    ],
    "fiscal_supply": ["The tax bill adds trillions of borrowing, and buyers of long bonds want to be paid for it."],
    "fed_path": ["Two-year yields fell as traders moved the first cut to June."],
    "inflation_other": ["A hot services print pushed the ten-year to its high of the month."],
    "growth_haven": ["Treasuries rallied as the slide in shares sent investors to safety."],
    "technical": ["A soft auction left dealers long and the curve steeper."],
    "global_spillover": ["Long Treasuries followed forty-year JGBs lower in price."],
    "other": ["Bonds steadied once the pause was announced."],
}
REJECT = {
    "foreign_selling": [
        "Custody data show no sign that foreign central banks sold, the ministry said.",
        "Officials in Tokyo denied having used Treasuries as a bargaining chip.",
    ],
    "deleveraging": ["There is no evidence of a disorderly unwind in the basis trade, the official told lawmakers."],
    "tariff_inflation": ["Break-evens fell all week, which is hard to square with a tariff inflation scare."],
}


def article(number: int, at: datetime | None, **fields: Any) -> dict[str, Any]:
    """One row of the tagged table; `verdicts` = {narrative: verdict} also makes evidence."""
    verdicts = fields.pop("verdicts", {})
    texts = fields.pop("texts", {})
    row: dict[str, Any] = {
        "id": f"a{number:04d}",
        "url": f"https://news.example/{number}",
        "publisher": PUBLISHERS[number % len(PUBLISHERS)],
        "title": f"Treasuries swing, day {number}",
        "published_at": at,
        "published_precision": "second" if at else "none",
        "first_seen_at": at,
        "cluster": f"a{number:04d}",
        "gate": "causal" if verdicts else "topical",
        "primary": next(iter(verdicts), "none"),
        "model": "made-up-1",
        "status": "ok",
        "error": None,
        "evidence": [],
    }
    for narrative, verdict in verdicts.items():
        row[f"v_{narrative}"], row[f"p_{narrative}"] = verdict, 0.9
        stances = {"promotes": ["support"], "rejects": ["reject"], "contested": ["support", "reject"]}[verdict]
        for k, stance in enumerate(stances):
            pool = (SUPPORT if stance == "support" else REJECT).get(narrative, SUPPORT[narrative])
            text = texts.get((narrative, stance), pool[number % len(pool)])
            row["evidence"].append(
                {
                    "narrative": narrative,
                    "stance": stance,
                    "sentence": k + 1,
                    "text": text,
                    "probability": 0.6 + number % 37 / 100,
                }
            )
    return row | fields


def tagged(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema(TAXONOMY.ids))


def spring(count: int = 104, seed: int = 4) -> pa.Table:
    """Articles from March to May 2025 with a deleveraging week in April and denials after it."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    days = [
        START + timedelta(days=i) for i in range((END - START).days + 1) if (START + timedelta(days=i)).weekday() < 5
    ]
    weights = [
        4 if date(2025, 4, 3) <= d <= date(2025, 4, 15) else 2.2 if d >= date(2025, 5, 12) else 1.6 for d in days
    ]
    for number in range(count):
        day = rng.choices(days, weights)[0]
        at = datetime(day.year, day.month, day.day, rng.randrange(10, 20), rng.randrange(60), tzinfo=UTC)
        hot = date(2025, 4, 7) <= day <= date(2025, 4, 16)
        odds = {
            "tariff_inflation": 0.45 if day < date(2025, 4, 9) else 0.25,
            "deleveraging": 0.6 if hot else 0.08,
            "foreign_selling": 0.45 if day >= date(2025, 4, 9) else 0.08,
            "fiscal_supply": 0.6 if day >= date(2025, 5, 12) else 0.12,
            "fed_path": 0.3,
            "inflation_other": 0.12,
            "growth_haven": 0.3 if day < date(2025, 4, 5) else 0.1,
            "technical": 0.15,
            "global_spillover": 0.08,
            "other": 0.1,
        }
        verdicts = {n: "promotes" for n, p in odds.items() if rng.random() < p}
        for narrative, p in {"foreign_selling": 0.3, "deleveraging": 0.12, "tariff_inflation": 0.05}.items():
            if day >= date(2025, 4, 8) and rng.random() < p:
                verdicts[narrative] = "contested" if narrative in verdicts else "rejects"
        fields: dict[str, Any] = {"verdicts": verdicts, "publisher": rng.choices(PUBLISHERS, [9, 6, 5, 4, 3, 1])[0]}
        if number % 17 == 5:
            fields |= {
                "published_precision": "day",
                "published_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
            }
        if rows and number % 9 == 4:
            fields |= {"cluster": rows[-1]["cluster"], "verdicts": verdicts}
        rows.append(article(number, at) | article(number, at, **fields))
    rows.append(article(9001, None, verdicts={"fed_path": "promotes"}))
    rows.append(article(9002, datetime(2025, 4, 9, 14, tzinfo=UTC), status="error", error="no text", gate=None))
    return tagged(rows)


def quotes(start: date = date(2025, 2, 3), end: date = END) -> Yields:
    """Three tenors on weekdays: a slow wave with a jump on 7 April."""
    days = [start + timedelta(days=i) for i in range((end - start).days + 1)]
    days = [d for d in days if d.weekday() < 5]
    x = np.arange(len(days))
    jump = np.array([0.3 if d >= date(2025, 4, 7) else 0.0 for d in days])
    wave = np.round(
        np.stack(
            [3.9 + 0.1 * np.sin(x / 7), 4.3 + 0.1 * np.sin(x / 9) + jump / 2, 4.6 + 0.1 * np.sin(x / 11) + jump], 1
        ),
        2,
    )
    return Yields(np.array(days, dtype="datetime64[D]"), ("2Y", "10Y", "30Y"), wave, "made up")


def made_up(table: pa.Table | None = None, *, day: date = date(2025, 4, 11), **options: Any) -> ReportData:
    """The report of one day on the made-up spring. `yields=None` leaves them out."""
    table = spring() if table is None else table
    table = up_to(table, day)
    measured = shares(table, TAXONOMY, freq=options.pop("freq", "W"), floor=options.pop("floor", 5))
    quality = options.pop(
        "quality",
        Quality(
            feeds_polled=14, feeds_failing=(Feed("Harbour Street Daily", "HTTP 503 twice"),), notes=("Sample data.",)
        ),
    )
    yields = options.pop("yields", quotes())
    return build_report(
        table,
        measured,
        yields,
        TAXONOMY,
        date=day,
        model="made-up-1",
        quality=quality,
        stamp=options.pop("stamp", "run 1"),
        in_sample=options.pop("in_sample", ()),
    )


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[tap](javascript:alert(1)) ![x](http://evil.example/p.png)",
    "{{ 7 * 7 }}{% include 'x' %}",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "W" * 5000,
    "📉🏦 yields 👩‍💻",
    "$\\frac{1}{0}$ $unclosed",
    "</style></svg><!-- ]]>",
    "| a | b |\n| --- | --- |\n# head",
)


def hostile() -> ReportData:
    """A report whose every outside text attacks."""
    rows = []
    for i, text in enumerate(HOSTILE * 2):
        texts = {("deleveraging", "support"): text, ("deleveraging", "reject"): text[::-1]}
        fields = {"title": text, "publisher": text, "url": ("javascript:alert(1)", "https://a.example/x)\"<b>'")[i % 2]}
        at = datetime(2025, 4, 7 + i % 5, 13, i, tzinfo=UTC)
        rows.append(article(i, at, verdicts={"deleveraging": "contested"}, texts=texts, **fields))
    quality = Quality(feeds_polled=2, feeds_failing=tuple(Feed(t, t) for t in HOSTILE), notes=HOSTILE)
    return made_up(tagged(rows), quality=quality, stamp=HOSTILE[0], floor=1)


def crowded() -> ReportData:
    """A day on which every story is pushed and denied many times, in sentences as long as they get."""
    long = "Dealers in long Treasuries said much about this and would not stop " * 8
    rows = []
    for number in range(60):
        at = datetime(2025, 4, 7 + number % 5, 13, number, tzinfo=UTC)
        verdicts = dict.fromkeys(TAXONOMY.ids, "contested")
        texts = {(n, stance): f"{stance} {n} {number} {long}" for n in TAXONOMY.ids for stance in ("support", "reject")}
        fields = {
            "title": f"Title {number}: {long}",
            "publisher": f"Long-Named Gazette of Treasuries {number % 20}",
        }
        rows.append(article(number, at, verdicts=verdicts, texts=texts, **fields))
    feeds = tuple(Feed(f"Feed {i} with a long name", "HTTP 503 twice, then no answer at all") for i in range(9))
    return made_up(tagged(rows), quality=Quality(feeds_polled=20, feeds_failing=feeds, notes=("A note. " * 30,) * 3))
