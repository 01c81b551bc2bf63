"""Fine-tune the encoder, or leave it as it is? The held-out folds decide.

Both ways answer for the same articles, none of which they were trained on; the one with the better figure ships. The
figure is micro-F1 over (sentence, narrative) pairs at thresholds fitted on those articles, as for a model that ships.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from bondlore.taxonomy import Taxonomy
from bondlore.train import fit, frozen
from bondlore.train.calibration import calibrate, targets
from bondlore.train.fit import Example, Logits, Reader
from bondlore.train.labels import LabelledArticle
from bondlore.train.network import SentenceTagger
from bondlore.train.recipe import Recipe

__all__ = ["MOST", "Probe", "micro_f1"]

MOST = 6_000  # sentences with words: where there are more, fine-tuning has won and the comparison is not worth its time


class Probe:
    """The base's features of every article, read once; heads for any part of the articles in less than a second."""

    def __init__(
        self, recipe: Recipe, data: Sequence[Example], articles: Sequence[LabelledArticle], r: Reader, t: Taxonomy
    ) -> None:
        self._recipe, self._articles, self._taxonomy = recipe, articles, t
        self._x = frozen.features(fit.build(len(t), recipe), data, r)
        self._targets = [targets(a, t) for a in articles]
        self._words = [np.array([bool(s) for s in a.sentences]) for a in articles]
        self.strength = 3.0  # where no held-out fold can choose

    def heads(self, chosen: Set[int], strength: float = 0.0) -> frozen.Heads:
        """Heads taught by the articles `chosen`, at the chosen strength unless another is given."""
        order = sorted(chosen)
        x = np.concatenate([self._x[i][self._words[i]] for i in order])
        y, reject = (np.concatenate([self._targets[i][k][self._words[i]] for i in order]) for k in (0, 1))
        return frozen.fit_heads(x, y, reject, strength or self.strength)

    def choose(self, parts: Sequence[Sequence[int]], fresh: Set[int]) -> dict[int, Logits]:
        """Set `strength` to the best on the folds `parts`, and give its held-out logits for articles of `fresh`."""
        everything = set(range(len(self._articles)))
        best, kept = -1.0, {}
        for strength in frozen.STRENGTHS:
            found: dict[int, Logits] = {}
            for part in parts:
                asked = {i: self._x[i] for i in part if i in fresh}
                found |= frozen.logits(self.heads(everything - set(part), strength), asked)
            found = dict(sorted(found.items()))
            if not found:
                return {}
            figure = micro_f1(found, self._articles, self._taxonomy)
            if figure > best:
                best, kept, self.strength = figure, found, strength
        return kept

    def model(self, chosen: Set[int]) -> SentenceTagger:
        """The network: the base's encoder under heads taught by the articles `chosen`."""
        return frozen.install(self.heads(chosen), fit.build(len(self._taxonomy), self._recipe))


def micro_f1(held_out: Mapping[int, Logits], articles: Sequence[LabelledArticle], taxonomy: Taxonomy) -> float:
    """Micro-F1 over (sentence, narrative) pairs of held-out logits, calibrated on themselves; 0 for none at all."""
    if not held_out:
        return 0.0
    settled = calibrate(held_out, articles, taxonomy)
    slope, intercept, threshold = (np.asarray(getattr(settled, k)) for k in ("slope", "intercept", "threshold"))
    hits = said = carried = 0.0
    for i, (presence, _) in held_out.items():
        gold: Any = targets(articles[i], taxonomy)[0] > 0
        p = 1 / (1 + np.exp(-np.clip(slope * presence + intercept, -30, 30)))
        found = (p >= threshold) & np.array([[bool(s)] for s in articles[i].sentences])
        hits, said, carried = hits + (found & gold).sum(), said + found.sum(), carried + gold.sum()
    return float(2 * hits / max(1.0, said + carried))
