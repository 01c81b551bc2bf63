"""How much each article of a period counts: copies, sightings, and the mix of publishers.

A fixed mix is direct standardisation: every publisher weighs what it holds of the whole archive, whatever it published
in the period, so that an outlet that joins or falls silent does not move the share (Baker, Bloom & Davis 2016 scale
each paper of their index for the same reason). Publishers without an article in the period cannot be weighed; the
others then share their weight, and the row says how much that was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_MIX", "fixed_mix", "overall_mix", "votes"]

Floats = NDArray[np.float64]

LEAST_MIX = 0.5  # of the fixed weights, below which a period says too little about the mix


def votes(by: str, copies: Floats, sightings: Floats) -> Floats:
    """(n,) votes of articles: one each, one a cluster, or one a sighting. `copies`: (n,) size of each one's cluster."""
    if by == "cluster":
        return 1 / copies
    return sightings.copy() if by == "sighting" else np.ones_like(copies)


def overall_mix(publishers: NDArray[np.int64], votes: Floats) -> Floats:
    """(publishers,) share of all votes."""
    totals = np.bincount(publishers, weights=votes)
    shares: Floats = totals / totals.sum()
    return shares


def fixed_mix(votes: Floats, publishers: NDArray[np.int64], mix: Floats) -> tuple[Floats, float]:
    """Votes rescaled so that every publisher present weighs its `mix`, their sum unchanged; and the mix absent."""
    here = np.bincount(publishers, weights=votes, minlength=len(mix))
    present = here > 0
    held = float(mix[present].sum())
    factor = np.zeros(len(mix))
    factor[present] = mix[present] / held * votes.sum() / here[present]
    return votes * factor[publishers], 1 - held
