"""The same numbers through other people's code: ppi-python and QuaPy."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import numpy as np
import pytest

from bondlore.measure.correction import Audited, ppi, rogan_gladen
from bondlore.measure.estimate import Units, plain, powered
from bondlore.measure.prior_shift import mixture_share, ratio_of, saerens


def oracle(name: str) -> ModuleType:
    """Import quietly: their imports warn, and warnings are errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(name.split(".")[0])
        return importlib.import_module(name)


def audited_sample(n: int, audits: int, seed: int) -> tuple[np.ndarray, np.ndarray, Audited]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.2).astype(float)
    verdict = np.where(truth > 0, rng.random(n) < 0.75, rng.random(n) < 0.05).astype(float)
    at = rng.choice(n, audits, replace=False)
    ones = np.ones(audits)
    return truth, verdict, Audited(at, ones, ones * n / audits, verdict[at, None], truth[at, None])


def test_ppi_python_gives_the_same_estimate() -> None:
    ppi_py = oracle("ppi_py")
    truth, verdict, sample = audited_sample(3000, 300, 0)
    got = ppi(verdict[:, None], np.ones(3000), sample)
    theirs = ppi_py.ppi_mean_pointestimate(truth[sample.unit], verdict[sample.unit], verdict, lam=float(got.tuning[0]))
    assert got.mean[0] == pytest.approx(float(np.asarray(theirs).item()), abs=1e-12)


def test_ppi_python_gives_the_same_weighted_estimate() -> None:
    """Half of the positives and a tenth of the rest audited: their weights, our inclusion probabilities."""
    ppi_py = oracle("ppi_py")
    rng = np.random.default_rng(1)
    truth, verdict, _ = audited_sample(3000, 300, 1)
    chance = np.where(verdict > 0, 0.5, 0.1)
    at = np.flatnonzero(rng.random(3000) < chance)
    sample = Audited(at, np.ones(len(at)), 1 / chance[at], verdict[at, None], truth[at, None])
    got = ppi(verdict[:, None], np.ones(3000), sample)
    weights = 1 / chance[at] / (1 / chance[at]).mean()
    theirs = ppi_py.ppi_mean_pointestimate(truth[at], verdict[at], verdict, lam=float(got.tuning[0]), w=weights)
    assert got.mean[0] == pytest.approx(float(np.asarray(theirs).item()), abs=1e-9)


def test_ppi_python_gives_the_same_interval() -> None:
    """At the same tuning (we take its variance from the audited articles, they from all). Ours is a Wilson interval."""
    ppi_py = oracle("ppi_py")
    truth, verdict, sample = audited_sample(20_000, 400, 2)
    hits = np.zeros((20_000, 1, 4))
    hits[:, 0, 0] = verdict
    units = Units(hits, np.ones(20_000), mentions=False)
    out = plain(units)
    columns = [np.zeros((400, 4)) for _ in range(2)]
    columns[0][:, 0], columns[1][:, 0] = verdict[sample.unit], truth[sample.unit]
    powered(out, units, Audited(sample.unit, sample.weight, sample.inverse, *columns))
    lam = float(ppi(verdict[:, None], np.ones(20_000), sample).tuning[0])
    low, high = ppi_py.ppi_mean_ci(truth[sample.unit], verdict[sample.unit], verdict, alpha=0.05, lam=lam)
    low, high = float(np.asarray(low).item()), float(np.asarray(high).item())
    assert out.high[0, 0] - out.low[0, 0] == pytest.approx(high - low, rel=0.03)
    assert out.share[0, 0] == pytest.approx((low + high) / 2, abs=0.001)


@pytest.mark.parametrize(("prior", "share"), [(0.3, 0.6), (0.3, 0.05), (0.5, 0.2)])
def test_quapy_gives_the_same_em(prior: float, share: float) -> None:
    em = oracle("quapy.method.aggregative").EMQ.EM
    rng = np.random.default_rng(4)
    truth = rng.random(800) < share
    x = rng.normal(np.where(truth, 2.0, 0.0))
    odds = np.exp(2 * x - 2) * prior / (1 - prior)
    p = np.clip(odds / (1 + odds), 1e-4, 1 - 1e-4)
    theirs, _ = em(np.array([1 - prior, prior]), np.column_stack([1 - p, p]), epsilon=1e-10)
    assert saerens(p, prior) == pytest.approx(theirs[1], abs=1e-5)
    assert float(mixture_share(np.ones(800), ratio_of(p, prior))) == pytest.approx(theirs[1], abs=1e-5)


def test_quapy_gives_the_same_adjusted_count() -> None:
    adjust = oracle("quapy.functional").solve_adjustment_binary
    tpr, fpr, counted = 0.75, 0.05, 0.19
    theirs = adjust(counted, tpr, fpr, clip=False)
    assert float(rogan_gladen(np.array(counted), np.array(tpr), np.array(fpr))) == pytest.approx(theirs, abs=1e-12)
