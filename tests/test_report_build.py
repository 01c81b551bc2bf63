from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from bondlore.errors import InputError
from bondlore.measure.shares import shares
from bondlore.report.build import build_report, up_to
from bondlore.report.data import ReportData
from report_samples import SUPPORT, TAXONOMY, article, made_up, quotes, spring, tagged

DAY = date(2025, 4, 11)


def week(number: int, verdicts: dict[str, str], **fields: object) -> dict[str, object]:
    """An article of the week to 11 April; `number` spreads them over its days."""
    return article(number, datetime(2025, 4, 7 + number % 5, 13, number % 60, tzinfo=UTC), verdicts=verdicts, **fields)


def row(data: ReportData, narrative: str):  # type: ignore[no-untyped-def]
    return next(n for n in data.narratives if n.id == narrative)


def story(data: ReportData, narrative: str):  # type: ignore[no-untyped-def]
    return next(s for s in data.stories if s.narrative == narrative)


def test_headline_says_share_interval_change_and_yield() -> None:
    title = made_up().headline.title
    assert title.startswith("Deleveraging was pushed in ")
    assert "of bond articles in the week to 11 April, up " in title
    assert "the 30-year yield rose " in title


def test_headline_numbers_are_the_data() -> None:
    data = made_up()
    lead = row(data, data.headline.narrative)
    assert f"{lead.now.share:.0%} ({100 * lead.now.low:.0f} to {100 * lead.now.high:.0f})" in data.headline.title
    assert f"{data.yields[-1].change:.0f} basis points" in data.headline.title


def test_yield_change_starts_before_the_period() -> None:
    data = made_up()
    yields = quotes()
    before, after = yields.at(date(2025, 4, 4), "30Y"), yields.at(DAY, "30Y")
    assert data.yields[-1].change == pytest.approx(100 * (after - before))


def test_nothing_after_the_report_day_is_read() -> None:
    whole, cut = made_up(), made_up(up_to(spring(), DAY))
    assert whole == cut
    assert max(p.start for line in whole.lines for p in line.points) <= DAY
    assert max(d for y in whole.yields for d in y.dates) <= DAY


def test_series_measured_with_later_articles_are_refused() -> None:
    table = spring()
    with pytest.raises(InputError, match="up_to"):
        build_report(table, shares(table, TAXONOMY, freq="W"), None, TAXONOMY, date=date(2025, 4, 9), model="m")


def test_an_unfinished_week_is_called_so() -> None:
    data = made_up(day=date(2025, 4, 9))
    assert data.period is not None
    assert not data.period.complete
    assert data.period.end == date(2025, 4, 9)
    assert "this week up to 9 April" in data.headline.title


def test_one_sentence_a_cluster() -> None:
    rows = [week(i, {"deleveraging": "promotes"}, cluster="wire") for i in range(6)]
    rows += [week(10 + i, {"deleveraging": "promotes"}) for i in range(2)]
    found = story(made_up(tagged(rows), floor=1), "deleveraging")
    assert found.support_clusters == 3
    assert sorted(e.copies for e in found.support) in ([1, 6], [1, 1, 6])


def test_the_same_words_are_quoted_once() -> None:
    text = {("deleveraging", "support"): "Funds had to sell."}
    rows = [week(i, {"deleveraging": "promotes"}, texts=text) for i in range(6)]
    assert len(story(made_up(tagged(rows), floor=1), "deleveraging").support) == 1


def test_the_strongest_sentence_comes_first() -> None:
    rows = [week(i, {"deleveraging": "promotes"}) for i in range(6)]
    support = story(made_up(tagged(rows), floor=1), "deleveraging").support
    assert [e.probability for e in support] == sorted((e.probability for e in support), reverse=True)


def test_denials_stand_beside_support() -> None:
    rows = [week(i, {"foreign_selling": "contested"}) for i in range(8)]
    found = story(made_up(tagged(rows), floor=1), "foreign_selling")
    assert found.support
    assert found.denials
    assert {e.text for e in found.support}.isdisjoint(e.text for e in found.denials)


def test_evidence_older_than_the_window_is_left_out() -> None:
    old = article(1, datetime(2025, 3, 5, 12, tzinfo=UTC), verdicts={"deleveraging": "promotes"})
    data = made_up(tagged([old, *(week(i, {"fed_path": "promotes"}) for i in range(2, 9))]), floor=1)
    assert not story(data, "deleveraging").support


def test_off_topic_articles_are_not_quoted() -> None:
    rows = [week(i, {"deleveraging": "promotes"}, gate="off_topic") for i in range(8)]
    assert not story(made_up(tagged(rows), floor=1), "deleveraging").support


def test_no_articles_invents_nothing() -> None:
    data = made_up(tagged([]))
    assert data.headline.title.startswith("No bond article was read")
    assert data.period is None
    assert all(n.now is None for n in data.narratives)
    assert data.publishers == ()
    assert data.yields
    assert all(y.change is None for y in data.yields)


def test_no_articles_and_no_yields() -> None:
    data = made_up(tagged([]), yields=None)
    assert data.headline.title == "No bond article was read up to this date, so no share is stated."
    assert data.yield_days == ()


def test_a_thin_week_states_no_share() -> None:
    data = made_up(tagged([week(i, {"deleveraging": "promotes"}) for i in range(3)]), floor=5)
    assert data.headline.title.startswith("3 bond articles in the week to 11 April: too few to state a share")
    assert data.quality.refused_periods == 1
    assert len(story(data, "deleveraging").support) == 3


def test_a_week_without_articles_is_a_gap() -> None:
    rows = [
        article(i, datetime(2025, 3, 12, 12, i, tzinfo=UTC), verdicts={"deleveraging": "promotes"}) for i in range(8)
    ]
    data = made_up(tagged(rows + [week(10 + i, {"deleveraging": "promotes"}) for i in range(8)]))
    shown = [p.share for p in data.line("deleveraging", "support").points]  # type: ignore[union-attr]
    assert shown == [1.0, None, None, None, 1.0]


def test_one_narrative_at_a_hundred_per_cent() -> None:
    data = made_up(tagged([week(i, {"deleveraging": "promotes"}) for i in range(20)]))
    assert data.headline.title.startswith("Deleveraging was pushed in 100% (84 to 100) of bond articles")


def test_no_core_story_pushed() -> None:
    data = made_up(tagged([week(i, {"fed_path": "promotes"}) for i in range(10)]))
    assert data.headline.title.startswith("None of the 3 core stories was found in 10 bond articles")
    assert any("Fed path" in s for s in data.headline.deck)


def test_quality_counts() -> None:
    rows = [week(i, {"fed_path": "promotes"}) for i in range(6)]
    rows += [article(50, None), article(51, datetime(2025, 4, 9, tzinfo=UTC), status="error", gate=None)]
    rows += [
        week(52, {}, published_precision="day"),
        week(53, {}, cluster="a0000"),
        dict(week(0, {"fed_path": "promotes"})),
    ]
    quality = made_up(tagged(rows)).quality
    assert (quality.articles, quality.undated, quality.tagging_errors, quality.day_precision) == (10, 1, 1, 1)
    assert quality.clusters == 8  # six, one undated, the day-precision one; the copy is joined


def test_publishers_beyond_the_limit_are_counted() -> None:
    rows = [week(i, {"fed_path": "promotes"}, publisher=f"Paper {i:02d}") for i in range(20)]
    data = made_up(tagged(rows))
    assert len(data.publishers) == 12
    assert data.publishers_omitted == 8


def test_largest_yield_days_are_sorted_by_the_longest_tenor() -> None:
    moves = [abs(d.changes[-1] or 0) for d in made_up().yield_days]
    assert moves == sorted(moves, reverse=True)
    assert made_up().yield_days[0].day == date(2025, 4, 7)


def test_a_single_tenor_is_enough() -> None:
    from bondlore.measure.yields import Yields

    all_three = quotes()
    data = made_up(yields=Yields(all_three.dates, ("10Y",), all_three.percent[:, 1:2]))
    assert data.tenors == ("10Y",)
    assert "the 10-year yield rose" in data.headline.title


def test_presence_leads_when_support_was_not_measured() -> None:
    table = up_to(spring(), DAY)
    series = shares(table, TAXONOMY, freq="W", series=("presence",), floor=5)
    data = build_report(table, series, None, TAXONOMY, date=DAY, model="m")
    assert data.lead_series == "presence"
    assert " appeared in " in data.headline.title


@pytest.mark.parametrize("freq", ["D", "M"])
def test_other_frequencies(freq: str) -> None:
    data = made_up(freq=freq, floor=1)
    assert data.period is not None
    assert data.period.freq == freq
    assert freq != "M" or all(n.week_change is None for n in data.narratives)


def test_a_table_of_another_taxonomy_is_refused() -> None:
    table = spring().drop_columns(["v_deleveraging"])
    with pytest.raises(InputError, match="v_deleveraging"):
        build_report(table, shares(spring(), TAXONOMY), None, TAXONOMY, date=DAY, model="m")


def test_context_stories_follow_the_core() -> None:
    kinds = [TAXONOMY[s.narrative].kind for s in made_up().stories]
    assert kinds == sorted(kinds, key=lambda k: k != "core")
    assert [s.narrative for s in made_up().stories][:3] == list(TAXONOMY.core)
    assert set(SUPPORT) == set(TAXONOMY.ids)


def test_a_story_that_comes_up_is_new_and_its_peak_is_kept() -> None:
    found = row(made_up(), "deleveraging")
    assert (found.trend, found.trend_days) == ("new", 7)
    assert found.week_change.clear
    assert found.peak == found.now


def test_a_story_that_stays_within_chance_has_no_trend() -> None:
    found = row(made_up(), "tariff_inflation")
    assert (found.trend, found.trend_days) == ("", 0)


def test_a_story_that_vanishes_is_gone() -> None:
    old = [
        article(100 + i, datetime(2025, 4, 2, 13, i, tzinfo=UTC), verdicts={"foreign_selling": "promotes"})
        for i in range(30)
    ]
    data = made_up(tagged([*old, *(week(i, {"deleveraging": "promotes"}) for i in range(30))]))
    assert (row(data, "foreign_selling").trend, row(data, "deleveraging").trend) == ("gone", "new")


@pytest.mark.parametrize(
    ("pushed", "denied", "standing"), [(20, 0, ""), (20, 2, ""), (16, 10, "contested"), (6, 24, "mostly denied")]
)
def test_standing_weighs_denials_against_pushes(pushed: int, denied: int, standing: str) -> None:
    rows = [week(i, {"foreign_selling": "promotes"}) for i in range(pushed)]
    rows += [week(100 + i, {"foreign_selling": "rejects"}) for i in range(denied)]
    assert row(made_up(tagged(rows)), "foreign_selling").standing == standing


def test_in_sample_days_are_joined_cut_and_noted() -> None:
    given = [(date(2025, 4, 3), date(2025, 4, 30)), (date(2025, 3, 31), date(2025, 4, 2)), (date(2024, 1, 1),) * 2]
    data = made_up(in_sample=given)
    assert [(s.start, s.end) for s in data.in_sample] == [(date(2025, 3, 31), DAY)]
    assert any("31 March to 11 April 2025" in note and "in-sample" in note for note in data.quality.notes)


def test_unknown_training_days_are_said_to_be_unknown() -> None:
    assert any("does not state" in note for note in made_up().quality.notes)
    old = made_up(in_sample=[(date(2020, 1, 1), date(2020, 2, 1))])
    assert old.in_sample == ()
    assert any(note.startswith("None of the days shown") for note in old.quality.notes)


def test_dates_of_low_confidence_are_counted_where_the_table_says() -> None:
    table = tagged([week(i, {"deleveraging": "promotes"}) for i in range(6)])
    assert made_up(table).quality.low_confidence is None
    said = table.append_column("published_confidence", pa.array(["low", "high", None, "low", "medium", "high"]))
    assert made_up(said).quality.low_confidence == 2
