from __future__ import annotations

import json
import warnings
from statistics import NormalDist

import numpy as np
import pytest

from bondlore.cli import main
from bondlore.errors import InputError
from bondlore.measure.power import articles_needed, audit_variance, audits_needed, change_power, design_effect, plan

Z = NormalDist().inv_cdf(0.975)


def test_the_planning_numbers_of_the_literature() -> None:
    # Fleiss, Levin & Paik's formula for 20% against 30%, without continuity correction: 294 a group.
    assert articles_needed(0.2, 0.3) == 294


def test_a_change_and_its_reverse_need_the_same() -> None:
    assert articles_needed(0.3, 0.2) == articles_needed(0.2, 0.3) == articles_needed(0.8, 0.7)


def test_the_chance_is_the_inverse_of_the_number() -> None:
    n = articles_needed(0.05, 0.08, power=0.9)
    assert change_power(0.05, 0.08, n - 1) < 0.9 <= change_power(0.05, 0.08, n)


@pytest.mark.parametrize(("n", "audits", "width"), [(300, 100, 0.127), (3000, 300, 0.067)])
def test_the_width_of_an_audited_share(n: int, audits: int, width: float) -> None:
    """Simulated widths of PPI++ at sensitivity .75, specificity .95, share .20 (0.127 and 0.067)."""
    assert 2 * Z * audit_variance(0.2, audits, n, tpr=0.75, fpr=0.05) ** 0.5 == pytest.approx(width, abs=6e-4)


def test_a_useless_verdict_leaves_the_hand_count() -> None:
    assert audit_variance(0.2, 100, 10**6, tpr=0.4, fpr=0.4) == pytest.approx(0.16 / 100)


def test_audits_beside_a_classifier_are_fewer_than_by_hand() -> None:
    with_model, by_hand = (audits_needed(0.2, 0.3, 3000, tpr=t, fpr=f) for t, f in ((0.75, 0.05), (0, 0)))
    assert with_model is not None
    assert by_hand is not None
    assert 100 < with_model < 0.7 * by_hand
    variance = sum(audit_variance(p, with_model, 3000, tpr=0.75, fpr=0.05) for p in (0.2, 0.3))
    assert 0.1 / variance**0.5 == pytest.approx(Z + NormalDist().inv_cdf(0.8), rel=0.01)


def test_no_audit_of_a_small_period_is_enough() -> None:
    assert audits_needed(0.2, 0.25, 200, tpr=0.75, fpr=0.05) is None


def test_copies_ask_for_more_articles() -> None:
    assert design_effect(5, 0.5) == 3
    assert articles_needed(0.2, 0.3, effect=3) == pytest.approx(3 * 293.15, abs=1)


def test_a_worse_classifier_asks_for_more_articles() -> None:
    assert articles_needed(0.2, 0.3, tpr=0.75, fpr=0.05) > 1.5 * articles_needed(0.2, 0.3)


@pytest.mark.parametrize(("tpr", "fpr", "copies"), [(1.0, 0.0, 1), (0.75, 0.05, 1), (1.0, 0.0, 4)])
def test_simulation_finds_the_promised_power(tpr: float, fpr: float, copies: int) -> None:
    rng, effect = np.random.default_rng(3), design_effect(copies)
    n = articles_needed(0.2, 0.3, tpr=tpr, fpr=fpr, effect=effect) // copies
    p, q = (rng.binomial(n, fpr + (tpr - fpr) * s, 4000) / n for s in (0.2, 0.3))
    mean = (p + q) / 2
    seen = np.abs(p - q) / np.sqrt(2 * mean * (1 - mean) / n) > Z
    assert seen.mean() == pytest.approx(0.8, abs=0.025)


def test_statsmodels_gives_the_same_power() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = pytest.importorskip("statsmodels.stats.proportion")
    got = stats.power_proportions_2indep(diff=0.1, prop2=0.2, nobs1=294, alpha=0.05).power
    assert change_power(0.2, 0.3, 294) == pytest.approx(got, abs=2e-3)


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"before": 0.0, "after": 0.3}, "a share of 0"),
        ({"before": 0.3, "after": 0.3}, "both shares are the same"),
        ({"before": 0.2, "after": 0.3, "tpr": 0.2, "fpr": 0.3}, "a true positive rate of 0.2"),
        ({"before": 0.2, "after": 0.3, "effect": 0.5}, "a design effect of 0.5"),
        ({"before": 0.2, "after": 0.3, "articles": 0}, "0 articles a period"),
        ({"before": 0.2, "after": 0.200001}, "too small to be seen"),
    ],
)
def test_impossible_figures_are_refused(figures: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(**figures)  # type: ignore[arg-type]


def test_the_command_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "power", "--from", "20", "--to", "30"]) == 0
    assert "      294  articles a period" in capsys.readouterr().out


def test_the_command_takes_the_models_rates(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["share", "power", "--from", "20", "--to", "30", "--narrative", "deleveraging", "--copies", "2", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["design_effect"], found["articles_perfect"]) == (2, 587)
    assert 0.5 < found["tpr"] < 0.95
    assert found["articles"] > found["articles_perfect"]


def test_the_command_refuses_a_narrative_without_rates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "power", "--from", "20", "--to", "30", "--narrative", "gold"]) == 1
    assert "share power: error: " in (err := capsys.readouterr().err)
    assert "--tpr" in err


def test_the_command_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["share", "power", "--help"])
    assert "bondlore share power --from 20" in capsys.readouterr().out.split("example:")[1]
