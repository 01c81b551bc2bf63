"""Which articles to label next: the ones a model learns most from, or a probability sample to audit it with.

The two are never mixed: articles chosen because the model is unsure tell nothing about shares, and a probability
sample wastes labels on what the model knows. Training: uncertainty sampling (Lewis and Gale 1994), one narrative after
another, discounted by likeness to what was chosen before (as in maximal marginal relevance, Carbonell and Goldstein
1998). Audit: stratified sampling without replacement, each article's inclusion probability being n_h / N_h (Cochran
1977, ch. 5), which is what `bondlore share --audit` weighs with.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bondlore.errors import InputError

__all__ = ["STRATA", "Candidate", "Suggestion", "for_audit", "for_training"]

Floats = NDArray[np.float64]

STRATA = ("month", "week", "publisher", "gate", "score")
_WORD = re.compile(r"\w+")
_BUCKETS = 4096  # of hashed words
_POOL = 40  # candidates a suggestion, the most uncertain ones of a narrative, that likeness chooses among
_SCORES = ((0.5, "high"), (0.1, "middle"), (0.0, "low"))  # of the likeliest narrative


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tagged article: `probabilities` of every narrative, `words` to compare it by (title and evidence)."""

    id: str
    title: str
    publisher: str
    published: datetime | None
    cluster: str
    gate: str
    probabilities: dict[str, float]
    words: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A candidate and why it was picked; `details` go into the row (narrative and probability, or the stratum)."""

    candidate: Candidate
    why: str
    details: dict[str, Any] = field(default_factory=dict)


def for_training(candidates: Sequence[Candidate], n: int, *, seed: int = 0) -> list[Suggestion]:
    """Up to `n` articles, narratives in turn, one of a cluster: uncertain, and unlike those chosen before.

    Uncertainty is the entropy of the narrative's probability, in bits; the score is entropy * (1 - greatest cosine
    similarity to a chosen article). Ties fall by `seed`.
    """
    order = np.random.default_rng(seed).permutation(len(candidates))
    left = {candidates[i].cluster: candidates[i] for i in order}  # one of each cluster
    pool = list(left.values())
    if not pool:
        return []
    narratives = sorted({x for c in pool for x in c.probabilities})
    entropy = {x: np.array([_bits(c.probabilities.get(x, 0.0)) for c in pool]) for x in narratives}
    quota = math.ceil(n / max(len(narratives), 1))
    near = {x: np.argsort(-entropy[x], kind="stable")[: max(_POOL * quota, 200)] for x in narratives}
    vectors = _vectors([c.words for c in pool])
    closest = np.zeros(len(pool))
    taken = np.zeros(len(pool), dtype=bool)
    out: list[Suggestion] = []
    while len(out) < min(n, len(pool)):
        before = len(out)
        for x in narratives:
            free = near[x][~taken[near[x]]]
            if len(out) == n or not len(free):
                continue
            gain = entropy[x][free] * (1 - closest[free])
            k = int(free[int(np.argmax(gain))])
            out.append(_reason(pool[k], x, float(entropy[x][k]), float(closest[k]), first=not out))
            taken[k] = True
            closest = np.maximum(closest, np.clip(vectors @ vectors[k], 0, 1))
        if len(out) == before:
            break
    return out


def _reason(candidate: Candidate, narrative: str, bits: float, likeness: float, *, first: bool) -> Suggestion:
    p = candidate.probabilities.get(narrative, 0.0)
    unlike = "" if first else f"; likeness to those above at most {likeness:.2f}"
    details = {"narrative": narrative, "probability": round(p, 4), "entropy": round(bits, 4)}
    why = f"the model is unsure of {narrative} (probability {p:.2f}, {bits:.2f} bits){unlike}"
    return Suggestion(candidate, why, details | {"likeness": round(likeness, 4)})


def for_audit(
    candidates: Sequence[Candidate], n: int, *, strata: Sequence[str] = ("month", "score"), seed: int = 0
) -> list[Suggestion]:
    """A stratified probability sample of `n` articles, each with its inclusion probability, in random order.

    Every stratum gets one article at least, the rest in proportion to size (largest remainders). Raises InputError
    when there are more strata than `n`, or a stratum of unknown kind.
    """
    if odd := [s for s in strata if s not in STRATA]:
        raise InputError(f"no stratum {odd[0]!r}", where="--strata", remedy=f"use {', '.join(STRATA)}")
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for c in candidates:
        groups[" / ".join(_stratum(c, s) for s in strata) or "all"].append(c)
    names = sorted(groups)
    if len(names) > n:
        remedy = "ask for more articles or name fewer strata"
        raise InputError(f"{len(names)} strata and {n} articles to sample", where="--strata", remedy=remedy)
    sizes = np.array([len(groups[name]) for name in names])
    given = _allocate(sizes, n)
    rng = np.random.default_rng(seed)
    out = []
    for name, k in zip(names, given.tolist(), strict=True):
        members = sorted(groups[name], key=lambda c: c.id)  # the draw must not depend on the order of the input
        probability = k / len(members)
        why = f"drawn at random: {k} of {len(members)} in the stratum {name}"
        details = {"stratum": name, "stratum_size": len(members), "inclusion_prob": probability, "seed": seed}
        drawn = rng.choice(len(members), size=k, replace=False)
        out += [Suggestion(members[i], why, dict(details)) for i in drawn]
    return [out[i] for i in rng.permutation(len(out))]


def _allocate(sizes: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """How many of each stratum: at least one, at most all, the rest by size; sums to n or to all there are."""
    n = min(n, int(sizes.sum()))
    given = np.ones(len(sizes), dtype=np.int64)
    while (rest := n - int(given.sum())) > 0:
        room = sizes - given
        wanted = np.minimum(rest * room / room.sum(), room)
        whole = np.floor(wanted).astype(np.int64)
        if not whole.any():  # fewer left than strata: the largest remainders, first come in a tie
            whole[np.argsort(-wanted, kind="stable")[:rest]] = 1
        given += whole
    return given


def _stratum(c: Candidate, kind: str) -> str:
    if kind == "publisher":
        return c.publisher or "no publisher"
    if kind == "gate":
        return c.gate
    if kind == "score":
        top = max(c.probabilities.values(), default=0.0)
        return next(name for low, name in _SCORES if top >= low)
    if c.published is None:
        return "undated"
    return c.published.strftime("%Y-%m" if kind == "month" else "%G-W%V")


def _bits(p: float) -> float:
    if not 0 < p < 1:
        return 0.0
    return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Hashed TF-IDF of words, rows of length one (zero where a text has none); shape (texts, buckets)."""
    # crc32, not hash(): the same on every run
    counts = [Counter(zlib.crc32(w.encode()) % _BUCKETS for w in _WORD.findall(t.casefold())) for t in texts]
    seen = Counter(k for c in counts for k in c)
    out = np.zeros((len(texts), _BUCKETS), dtype=np.float32)
    for row, c in zip(out, counts, strict=True):
        for k, count in c.items():
            row[k] = (1 + math.log(count)) * math.log((1 + len(texts)) / seen[k])
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return out
