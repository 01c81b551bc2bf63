"""Does `labels suggest --for training` beat choosing at random, at equal labels? A simulation on labelled articles.

A third of the articles is kept for measuring. In the rest the labels are hidden: both ways start from the same few at
random, and each round adds as many, chosen by `suggest` from what a model of the labels so far says, or at random. The
model is a logistic regression on the encoder as it is (`--encoder frozen`), so that the encoder reads every article
once; the base must not have been trained on these labels. The figure is the average precision over all (sentence,
narrative) pairs of the kept articles: no threshold, and "no narrative" is no class. Stories never meet across the line.

    python scripts/learning_curve.py corpus/labels/*.jsonl --base sentence-transformers/all-MiniLM-L6-v2 --seeds 10
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score

from bondlore import taxonomy
from bondlore.train import fit, frozen, labels
from bondlore.train.calibration import targets
from bondlore.train.labelling.suggest import Candidate, for_training
from bondlore.train.recipe import Recipe
from bondlore.train.run import _reader
from bondlore.train.split import stories

STRENGTH = 3.0


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("labels", nargs="+", type=Path)
    p.add_argument("--base", required=True, help="an encoder that has not seen these labels")
    p.add_argument("--taxonomy", type=Path)
    p.add_argument("--articles", type=int, default=0, help="use so many, drawn at random (default: all)")
    p.add_argument("--step", type=int, default=20, help="articles at the start and in each round (default 20)")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seeds", type=int, default=10, help="repetitions: other starts, other kept articles (default 10)")
    p.add_argument("--out", type=Path, help="also write the figures as JSON")
    args = p.parse_args()
    known = taxonomy.load(args.taxonomy)
    articles = labels.read_all(args.labels, known)
    if args.articles:
        articles = random.Random(0).sample(articles, min(args.articles, len(articles)))
    data = Pool(articles, known, args.base)
    curves = np.array([data.curves(seed, args.step, args.rounds) for seed in range(args.seeds)])
    report(curves, args, len(articles))


class Pool:
    """Articles with their features read once."""

    def __init__(self, articles: list, known: taxonomy.Taxonomy, base: str) -> None:
        recipe = Recipe(base=base)
        reader = _reader(base)
        torch.set_num_threads(1)
        x = frozen.features(fit.build(len(known), recipe), fit.examples(articles, reader, known, recipe), reader)
        words = [np.array([bool(s) for s in a.sentences]) for a in articles]
        self.x = [x[i][w] for i, w in enumerate(words)]
        self.y = [targets(a, known)[0][w] for a, w in zip(articles, words, strict=True)]
        self.texts = [" ".join(a.sentences) for a in articles]
        self.story, self.names = stories(articles), known.ids

    def curves(self, seed: int, step: int, rounds: int) -> list[list[float]]:
        """Average precision by round: [suggested, at random], each of `rounds` sizes."""
        rng = random.Random(seed)
        groups = sorted(set(self.story))
        rng.shuffle(groups)
        kept_stories = set(groups[: len(groups) // 3])
        kept = [i for i, s in enumerate(self.story) if s in kept_stories]
        pool = [i for i, s in enumerate(self.story) if s not in kept_stories]
        start = rng.sample(pool, step)
        out = []
        for suggested in (True, False):
            chosen, curve = list(start), []
            for number in range(rounds):
                heads = self.heads(chosen)
                curve.append(self.precision(heads, kept))
                if number + 1 < rounds:
                    left = sorted(set(pool) - set(chosen))
                    chosen += self.suggest(heads, left, step, seed) if suggested else rng.sample(left, step)
            out.append(curve)
        return out

    def heads(self, chosen: list[int]) -> frozen.Heads:
        x, y = (np.concatenate([part[i] for i in chosen]) for part in (self.x, self.y))
        return frozen.fit_heads(x, y, np.zeros_like(y), STRENGTH)

    def suggest(self, heads: frozen.Heads, left: list[int], n: int, seed: int) -> list[int]:
        candidates = []
        for i in left:
            top = (1 / (1 + np.exp(-(self.x[i] @ heads.presence.T + heads.bias)))).max(axis=0)
            given = dict(zip(self.names, map(float, top), strict=True))
            candidates.append(Candidate(str(i), "", "", None, str(i), "topical", given, self.texts[i]))
        return [int(s.candidate.id) for s in for_training(candidates, n, seed=seed)]

    def precision(self, heads: frozen.Heads, kept: list[int]) -> float:
        x, y = (np.concatenate([part[i] for i in kept]) for part in (self.x, self.y))
        return float(average_precision_score(y.ravel(), (x @ heads.presence.T + heads.bias).ravel()))


def report(curves: np.ndarray, args: argparse.Namespace, articles: int) -> None:
    """Means over repetitions, and the paired difference with its standard error."""
    seeds = len(curves)
    difference = curves[:, 0] - curves[:, 1]
    error = difference.std(axis=0, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.full(args.rounds, np.nan)
    print(f"{articles} articles, {seeds} repetitions; average precision on the kept third\n")
    print("labelled  suggested  random  difference (standard error)")
    rows = []
    for k in range(args.rounds):
        a, b, d, e = curves[:, 0, k].mean(), curves[:, 1, k].mean(), difference[:, k].mean(), error[k]
        print(f"{(k + 1) * args.step:>8}{a:>11.3f}{b:>8.3f}{d:>+12.3f} ({e:.3f})")
        rows.append({"labelled": (k + 1) * args.step, "suggested": a, "random": b, "difference": d, "se": e})
    if args.out:
        args.out.write_text(json.dumps({"articles": articles, "repetitions": seeds, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
