from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bondlore.report import words
from bondlore.report.axes import date_ticks, share_top, spread
from bondlore.report.colour import DARK, LIGHT, contrast, readable
from bondlore.report.data import Change, NarrativeRow, Period, Point


@pytest.mark.parametrize(
    ("share", "said"), [(0.412, "41%"), (0.0, "0%"), (1.0, "100%"), (0.002, "<1%"), (0.225, "23%"), (None, "–")]
)
def test_percent(share: float | None, said: str) -> None:
    assert words.percent(share) == said


@pytest.mark.parametrize(("change", "said"), [(0.12, "+12"), (-0.031, "−3"), (0.001, "0"), (-0.001, "0"), (None, "–")])
def test_points(change: float | None, said: str) -> None:
    assert words.points(change) == said


def test_interval_rounds_to_whole_points() -> None:
    assert words.interval(Point(date(2025, 4, 7), date(2025, 4, 11), 0.4, 0.335, 0.494, 0.4, 30)) == "34 to 49"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (date(2025, 4, 7), date(2025, 4, 11), "7 to 11 April 2025"),
        (date(2025, 3, 31), date(2025, 4, 4), "31 March to 4 April 2025"),
        (date(2024, 12, 30), date(2025, 1, 3), "30 December 2024 to 3 January 2025"),
        (date(2025, 4, 9), date(2025, 4, 9), "9 April 2025"),
    ],
)
def test_day_range(start: date, end: date, said: str) -> None:
    assert words.day_range(start, end) == said


def test_period_labels() -> None:
    assert words.period_label(date(2025, 4, 7), date(2025, 4, 11), "W", complete=True) == "in the week to 11 April"
    assert words.period_label(date(2025, 4, 7), date(2025, 4, 9), "W", complete=False) == "this week up to 9 April"
    assert words.period_label(date(2025, 4, 9), date(2025, 4, 9), "D", complete=True) == "on 9 April"
    assert words.period_label(date(2025, 4, 1), date(2025, 4, 9), "M", complete=False) == "in April so far"


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(0, 5000), st.integers(2, 12))
def test_ticks_are_few_and_inside(start: date, span: int, most: int) -> None:
    end = start + timedelta(days=span)
    ticks = date_ticks(start, end, most)
    assert len(ticks) <= most
    assert all(start <= day <= end for day, _ in ticks)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_never_overlap(wanted: list[float]) -> None:
    placed = sorted(spread(wanted, 0.1, 0.0, 1.0))
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(placed))
    assert placed[0] >= -1e-9
    assert placed[-1] <= 1 + 1e-9


def test_labels_keep_their_order_and_place() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1, 0, 1) == [0.9, 0.1, 0.5]


def test_a_full_share_fits_the_axis() -> None:
    assert share_top([1.0]) == 1.0
    assert share_top([]) == 0.2


@given(st.from_regex(r"\A#[0-9a-f]{6}\Z"), st.sampled_from([LIGHT, DARK]))
def test_any_colour_becomes_readable(colour: str, paper: str) -> None:
    assert contrast(readable(colour, paper), paper) >= 4.45


def denials(before: float, now: float, *, clear: bool = True) -> NarrativeRow:
    """A story pushed in a tenth of the coverage, whose denials went from `before` to `now`."""

    def point(share: float) -> Point:
        return Point(date(2025, 4, 7), date(2025, 4, 11), share, share / 2, min(1.0, share * 2), share, 60)

    moved = now - before
    change = Change(moved, moved - 0.02, moved + 0.02, clear)
    empty = (None,) * 4
    return NarrativeRow(
        "x", "Story X", "core", "#123456", "solid", "", point(0.1), *empty, point(now), point(before), None, change,
        None, None, "", 0, "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (0.1, 0.2, "Story X: denials doubled within a week, to 20% (10 to 40)."),
        (0.1, 0.3, "Story X: denials more than doubled within a week, to 30% (15 to 60)."),
        (0.2, 0.1, "Story X: denials halved within a week, to 10% (5 to 20)."),
        (0.2, 0.27, "Story X: denials rose 7 points within a week, to 27% (14 to 54)."),
        (0.0, 0.1, "Story X: denials rose 10 points within a week, to 10% (5 to 20)."),
        (0.1, 0.0, "Story X: denials fell 10 points within a week, to 0% (0 to 0)."),
    ],
)
def test_clear_changes_of_denials_are_told_in_words(before: float, now: float, said: str) -> None:
    period = Period(date(2025, 4, 7), date(2025, 4, 11), "W", True, "in the week to 11 April")
    made = words.headline((denials(before, now),), period, (), lead_series="support", denominator="bond", by="article")
    assert said in made.deck


def test_an_unclear_change_of_denials_is_no_multiple() -> None:
    period = Period(date(2025, 4, 7), date(2025, 4, 11), "W", True, "in the week to 11 April")
    row = denials(0.1, 0.2, clear=False)
    made = words.headline((row,), period, (), lead_series="support", denominator="bond", by="article")
    assert "Story X was denied in 20% (10 to 40), up 10 points from a week earlier." in made.deck
