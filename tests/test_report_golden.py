"""Whole reports of ordinary and odd days, word for word. `BONDLORE_GOLDEN=1` writes them anew: read the diff."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bondlore.report.data import ReportData, to_json
from bondlore.report.markdown import render_markdown
from bondlore.report.plain import render_text
from report_samples import article, hostile, made_up, tagged

FOLDER = Path(__file__).parent / "golden" / "report"


def on(day: int, hour: int, count: int, verdicts: dict[str, str], first: int = 0) -> list[dict[str, Any]]:
    return [article(first + i, datetime(2025, 4, day, hour, i, tzinfo=UTC), verdicts=verdicts) for i in range(count)]


PUSHED = {"deleveraging": "promotes"}
DAYS: dict[str, Callable[[], ReportData]] = {
    "week": lambda: made_up(in_sample=[(date(2025, 3, 24), date(2025, 4, 4))]),
    "hostile": hostile,
    "no-articles": lambda: made_up(tagged([])),
    "nothing": lambda: made_up(tagged([]), yields=None),
    "no-yields": lambda: made_up(yields=None),
    "thin-day": lambda: made_up(tagged(on(11, 13, 3, PUSHED)), freq="D"),
    # Saturday: its article belongs to Monday, so the page still speaks of Friday
    "weekend": lambda: made_up(
        tagged([*on(11, 13, 8, PUSHED), *on(12, 13, 1, PUSHED, 50)]), freq="D", day=date(2025, 4, 12)
    ),
    # Good Friday: Thursday's page, and what was published on the holiday waits for Monday
    "holiday": lambda: made_up(
        tagged([*on(17, 13, 8, PUSHED), *on(18, 13, 4, PUSHED, 50)]), freq="D", day=date(2025, 4, 18)
    ),
    "one-story": lambda: made_up(tagged(on(11, 13, 20, PUSHED))),
}
JSON = ("week", "nothing", "one-story")


def close(one: Any, other: Any) -> bool:
    """Equal, numbers to a hundredth of a point: other processors round the last digit otherwise."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return None not in (one, other) and one == pytest.approx(other, abs=1e-4)
    return bool(one == other)


def golden(name: str, text: str) -> str:
    path = FOLDER / name
    if os.environ.get("BONDLORE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DAYS)
def test_markdown_and_plain_text(name: str) -> None:
    data = DAYS[name]()
    assert render_markdown(data) == golden(f"{name}.md", render_markdown(data))
    assert render_text(data) == golden(f"{name}.txt", render_text(data))


@pytest.mark.parametrize("name", JSON)
def test_json(name: str) -> None:
    text = to_json(DAYS[name]())
    assert close(json.loads(text), json.loads(golden(f"{name}.json", text)))


@pytest.mark.parametrize(("name", "day"), [("weekend", "11 April"), ("holiday", "17 April")])
def test_a_day_off_tells_of_the_business_day_before(name: str, day: str) -> None:
    data = DAYS[name]()
    assert f" on {day}" in data.headline.title
    assert data.cutoff == f"15:30 New York, {day} 2025"
    assert data.quality.period_articles == 8
