"""The drift test: silent where its assumption holds, and its power where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from bondlore.measure.confusion import Confusion, Counts
from bondlore.measure.drift import chi2_tail, edge_drift, mixture_fit, score_drift
from bondlore.measure.heldout import Scores
from bondlore.measure.shares import shares
from test_measure_em import TAXONOMY, held_out, labels, presence, scored, table

EDGES = np.linspace(0.1, 0.9, 9)


def scores(rng: np.random.Generator, n: int = 1500, share: float = 0.3) -> Scores:
    truth, p = scored(rng, n, share)
    made = Scores(EDGES, np.zeros(10), np.zeros(10))
    return Scores(EDGES, *(np.bincount(made.bins(p[t]), minlength=10).astype(float) for t in (truth, ~truth)))


def window(rng: np.random.Generator, n: int, share: float, separation: float = 2.0, lift: float = 0.0) -> np.ndarray:
    """Bin counts; `separation` below 2 blurs the classes, `lift` moves the log-odds of all articles."""
    truth = rng.random(n) < share
    x = rng.normal(np.where(truth, separation, 0.0)) + lift
    odds = np.exp(2 * x - 2) * 0.3 / 0.7
    return np.bincount(np.searchsorted(EDGES, odds / (1 + odds), side="right"), minlength=10).astype(float)


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 8, 11])
@pytest.mark.parametrize("x", [0.0, 0.3, 4.0, 25.0, 90.0])
def test_the_tail_of_chi_squared(x: float, degrees: int) -> None:
    assert chi2_tail(x, degrees) == pytest.approx(chi2.sf(x, degrees), rel=1e-9)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.7])
def test_another_share_alone_is_no_drift(share: float) -> None:
    """False alarms of the 5% test stay near 5% over 400 windows, whatever the share."""
    rng = np.random.default_rng(0)
    found = [mixture_fit(window(rng, 500, share), scores(rng)).p_value < 0.05 for _ in range(400)]
    assert np.mean(found) <= 0.08


def test_the_fit_finds_the_share() -> None:
    rng = np.random.default_rng(1)
    fits = [mixture_fit(window(rng, 500, 0.4), scores(rng)).share for _ in range(60)]
    assert np.mean(fits) == pytest.approx(0.4, abs=0.015)


@pytest.mark.parametrize(
    ("n", "separation", "lift", "least", "most"),
    [
        (300, 2.0, 0.0, 0.0, 0.05),  # nothing changed: the level of the test, 1%
        (1000, 2.0, 0.0, 0.0, 0.05),
        (300, 1.0, 0.0, 0.05, 0.3),  # blurred classes look much like a smaller share: hard to see in 300
        (1000, 1.0, 0.0, 0.45, 1.0),
        (300, 2.0, -1.0, 0.55, 1.0),  # every score lower by a standard deviation of its class
        (2000, 2.0, -1.0, 0.97, 1.0),
        (1000, 2.0, -0.5, 0.25, 0.6),  # by half of one: needs thousands
        (2000, 2.0, -0.5, 0.5, 0.9),
    ],
)
def test_the_power_of_the_test(n: int, separation: float, lift: float, least: float, most: float) -> None:
    rng = np.random.default_rng(7)
    fired = [bool(score_drift(window(rng, n, 0.3, separation, lift), scores(rng), 1)) for _ in range(120)]
    assert least <= np.mean(fired) <= most


def test_a_handful_of_articles_is_not_tested() -> None:
    rng = np.random.default_rng(0)
    assert mixture_fit(window(rng, 4, 0.3), scores(rng)).degrees == 0
    assert score_drift(np.zeros(10), scores(rng), 1) == ""


def test_more_narratives_share_the_level() -> None:
    rng = np.random.default_rng(7)
    known = scores(rng)
    for lift in np.linspace(-0.6, 0, 30):
        seen = window(rng, 400, 0.3, 2.0, lift)
        assert not score_drift(seen, known, 10) or score_drift(seen, known, 1)


def test_fewer_hits_than_false_alarms_is_a_sign() -> None:
    rng = np.random.default_rng(0)
    counted = np.stack([rng.beta(a, b, 500) for a, b in ((10, 990), (990, 10), (150, 850), (1, 15))], axis=1)
    tpr, fpr = (np.repeat(rng.beta(a, b, 500)[:, None], 4, axis=1) for a, b in ((75, 25), (60, 340)))
    found = edge_drift(counted, tpr, fpr, 1)
    assert "false alarms" in found[0]
    assert "everywhere" in found[1]
    assert found[2:] == ["", ""]


def drifted(action: str) -> dict[str, object]:
    rng = np.random.default_rng(3)
    _, p = scored(rng, 800, 0.3)
    odds = p / (1 - p) * np.exp(-2.0)  # the model has become less sure of everything
    known = held_out(rng)
    return presence(shares(table(odds / (1 + odds)), TAXONOMY, held_out=known, drift=action))


def test_a_drifted_window_is_refused_with_its_reason() -> None:
    row = drifted("refuse")
    assert (row["share"], row["low"], row["high"]) == (None, None, None)
    assert str(row["reason"]).startswith("drift: scores are no mixture")
    assert row["uncorrected"] is not None


def test_a_drifted_window_may_be_flagged_or_taken_as_it_is() -> None:
    flagged, taken = drifted("flag"), drifted("off")
    assert flagged["share"] == taken["share"] is not None
    assert "drift:" in str(flagged["reason"])
    assert "drift:" not in str(taken["reason"])


def test_an_audit_needs_no_such_assumption() -> None:
    rng = np.random.default_rng(3)
    truth, p = scored(rng, 800, 0.3)
    odds = p / (1 - p) * np.exp(-2.0)
    known = held_out(rng)
    row = presence(shares(table(odds / (1 + odds)), TAXONOMY, held_out=known, audit=labels(truth)))
    assert (row["method"], row["reason"]) == ("ppi", "")
    assert row["share"] == pytest.approx(truth.mean())


def test_plain_counts_are_left_as_they_are() -> None:
    rng = np.random.default_rng(3)
    row = presence(shares(table(np.full(200, 0.45)), TAXONOMY, held_out=held_out(rng), method="uncorrected"))
    assert row["share"] == 0
    assert row["reason"] == ""


def test_counts_alone_show_a_window_beyond_the_rates() -> None:
    confusion = Confusion({"a": {"presence": Counts(tp=900, fp=300, fn=100, tn=1700)}})
    row = presence(shares(table(np.full(200, 0.2)), TAXONOMY, confusion=confusion))
    assert row["share"] is None
    assert "false alarms alone" in str(row["reason"])
