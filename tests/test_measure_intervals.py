from __future__ import annotations

import numpy as np
import pytest

from bondlore.measure.intervals import (
    bootstrap_apart,
    bootstrap_shares,
    difference,
    effective_size,
    percentiles,
    wilson,
)


def test_wilson_closed_form() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    low, high = wilson(np.array([81 / 263, 0.0]), np.array([263.0, 20.0]))
    assert low == pytest.approx([0.2553, 0.0], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1611], abs=5e-5)


def test_unclustered_articles_are_worth_their_number() -> None:
    hits = np.r_[np.ones(30), np.zeros(70)][:, None]
    assert effective_size(hits, np.ones((100, 1)), np.array([0.3])) == pytest.approx([100])


def test_copies_are_worth_one_article() -> None:
    hits = np.r_[np.full(15, 2.0), np.zeros(35)][:, None]
    assert effective_size(hits, np.full((50, 1), 2.0), np.array([0.3])) == pytest.approx([50])


def test_one_large_cluster_of_hits_is_worth_less_than_kish_says() -> None:
    sizes = np.r_[20.0, np.ones(80)][:, None]
    hits = np.r_[20.0, np.zeros(80)][:, None]
    assert effective_size(hits, sizes, np.array([0.2]))[0] < 100**2 / (400 + 80)


def test_without_hits_the_size_is_kish() -> None:
    assert effective_size(np.zeros((50, 1)), np.full((50, 1), 2.0), np.array([0.0])) == pytest.approx([50])


def test_the_bootstrap_of_single_articles_is_the_jeffreys_posterior() -> None:
    hits = np.r_[np.ones(3), np.zeros(27)][:, None]
    draws = bootstrap_shares(hits, np.ones(30), 40_000, np.random.default_rng(0))
    beta = np.random.default_rng(1).beta(3.5, 27.5, 400_000)
    assert np.quantile(draws, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(beta, [0.025, 0.5, 0.975]), abs=0.004)


def test_the_bootstrap_does_not_collapse_without_hits() -> None:
    draws = bootstrap_shares(np.zeros((30, 1)), np.ones(30), 20_000, np.random.default_rng(0))
    assert np.quantile(draws, 0.975) == pytest.approx(0.0798, abs=0.005)  # Jeffreys: Beta(0.5, 30.5)


def test_the_bootstrap_keeps_columns_together() -> None:
    hits = np.zeros((60, 2))
    hits[:30] = 1
    draws = bootstrap_shares(hits, np.ones(60), 2_000, np.random.default_rng(0))
    assert np.corrcoef(draws.T)[0, 1] > 0.9


def test_more_clusters_than_one_chunk_add_up() -> None:
    hits = np.r_[np.ones(10_000), np.zeros(30_000)][:, None]
    draws = bootstrap_shares(hits, np.ones(40_000), 200, np.random.default_rng(0))
    assert draws.mean() == pytest.approx(0.25, abs=0.001)
    assert draws.std() == pytest.approx(np.sqrt(0.25 * 0.75 / 40_000), rel=0.2)


def clustered(rng: np.random.Generator, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Two narratives: presence and support of single articles and of clusters of up to four."""
    sizes = np.where(rng.random(units) < 0.3, rng.integers(2, 5, units), 1).astype(float)
    carried = rng.random((units, 2)) < (0.3, 0.05)
    hits = np.stack([carried, carried & (rng.random((units, 2)) < 0.6)], axis=-1) * sizes[:, None, None]
    return hits, sizes


@pytest.mark.parametrize("units", [12, 200])
def test_narratives_drawn_apart_are_spread_as_those_drawn_together(units: int) -> None:
    hits, sizes = clustered(np.random.default_rng(5), units)
    apart = bootstrap_apart(hits, sizes, 40_000, np.random.default_rng(0))
    flat = hits.reshape(units, -1)
    together = bootstrap_shares(flat, sizes, 40_000, np.random.default_rng(1)).reshape(apart.shape)
    levels = [0.025, 0.25, 0.5, 0.75, 0.975]
    assert np.quantile(apart, levels, axis=0) == pytest.approx(np.quantile(together, levels, axis=0), abs=0.006)
    for k in range(2):
        ours, theirs = (np.corrcoef(d[:, k].T)[0, 1] for d in (apart, together))
        assert ours == pytest.approx(theirs, abs=0.03)


def test_single_articles_drawn_apart_are_the_jeffreys_posterior() -> None:
    hits = np.r_[np.ones(3), np.zeros(27)].reshape(30, 1, 1)
    draws = bootstrap_apart(hits, np.ones(30), 40_000, np.random.default_rng(0))
    beta = np.random.default_rng(1).beta(3.5, 27.5, 400_000)
    assert np.quantile(draws, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(beta, [0.025, 0.5, 0.975]), abs=0.004)


def test_percentiles_agree_with_quantiles() -> None:
    draws = np.random.default_rng(0).random((501, 2, 3))
    low, high = percentiles(draws)
    assert np.allclose([low, high], np.quantile(draws, [0.025, 0.975], axis=0))


def test_difference_of_two_intervals() -> None:
    # Newcombe 1998, method 10, 56/70 - 48/80: 0.2000 (0.0524, 0.3339).
    p, n = np.array([56 / 70, 48 / 80]), np.array([70.0, 80.0])
    low, high = wilson(p, n)
    now, before = zip(p, low, high, strict=True)
    assert difference(now, before) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def coverage(copies: int, share: float, stories: int) -> float:
    """How often the Wilson interval on clustered articles holds the true share."""
    rng = np.random.default_rng([copies, stories])
    covered = 0
    for _ in range(1_000):
        sizes = rng.integers(1, copies + 1, stories).astype(float)[:, None]
        hits = sizes * (rng.random((stories, 1)) < share)
        p = hits.sum(axis=0) / sizes.sum()
        low, high = wilson(p, effective_size(hits, sizes, p))
        covered += bool(low[0] <= share <= high[0])
    return covered / 1_000


@pytest.mark.parametrize(("copies", "share", "stories"), [(1, 0.2, 20), (1, 0.05, 60), (5, 0.2, 40), (5, 0.2, 200)])
def test_intervals_cover_whether_or_not_stories_are_copied(copies: int, share: float, stories: int) -> None:
    assert coverage(copies, share, stories) >= 0.93
