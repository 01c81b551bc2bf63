"""The encoder as it is, and logistic regressions on its sentences: what few labels teach best, in seconds.

With eight examples a narrative there is more in a sentence encoder than fine-tuning can add, and fine-tuning may
destroy it (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").
The heads fitted here are those of `network.SentenceTagger` with `unit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bondlore.train.fit import Example, Logits, Reader
from bondlore.train.network import SentenceTagger, collate

__all__ = ["STRENGTHS", "Heads", "features", "fit_heads", "install", "logits"]

Floats = NDArray[np.float64]

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Inverse regularisation of the logistic regressions: one is chosen on held-out folds."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Linear heads: presence [narratives, width] and its bias, and the denial shared by all narratives [width]."""

    presence: Floats
    bias: Floats
    denial: Floats
    denial_bias: float


def features(model: SentenceTagger, data: Sequence[Example], reader: Reader, *, batch: int = 16) -> dict[int, Floats]:
    """What the heads of a `unit` model see: article number -> [sentences, 2 * hidden size]."""
    model.eval()
    model.unit = True
    device = next(model.parameters()).device
    order = sorted(data, key=lambda e: len(e.window.ids))
    parts: dict[int, list[tuple[Sequence[int], Floats]]] = {}
    with torch.no_grad():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            b = collate([e.window for e in chosen], reader.pad)
            ids, mask = b.input_ids.to(device), b.attention_mask.to(device)
            states = model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.cpu()
            pooled = model.pooled(states, b.pool, b.last).double().numpy()
            for row, e in enumerate(chosen):
                parts.setdefault(e.article, []).append((e.window.sentences, pooled[row, : len(e.window.spans)]))
    out = {}
    for article, pieces in sorted(parts.items()):
        whole = np.zeros((1 + max(max(s) for s, _ in pieces), pieces[0][1].shape[1]))
        for sentences, values in pieces:
            whole[list(sentences)] = values
        out[article] = whole
    return out


def fit_heads(x: Floats, presence: Floats, reject: Floats, strength: float) -> Heads:
    """Heads from sentences `x` [sentences, width] and targets of 0 and 1, each [sentences, narratives].

    Logistic regression with an L2 penalty of 1 / `strength`, biases free, on centred features. A narrative carried
    by no sentence, or by every one, gets a constant: its rate, one added to each side (Laplace).
    """
    mean = x.mean(axis=0)
    z = x - mean
    weights, bias = _regress(z, presence, strength)
    rows, columns = np.nonzero(presence > 0)
    denial, denial_bias = _regress(z[rows], reject[rows, columns][:, None], strength)
    return Heads(weights, bias - weights @ mean, denial[0], float(denial_bias[0] - denial[0] @ mean))


def _regress(z: Floats, y: Floats, strength: float) -> tuple[Floats, Floats]:
    """Weights [columns, width] and biases [columns] of one logistic regression a column of `y`, solved together.

    One matrix product a step for all columns: twenty regressions on 700 sentences take 0.3 s of a core, where one by
    one they take 20 times that.
    """
    positive = y.sum(axis=0)
    bias = np.log((positive + 1) / (len(y) - positive + 1))
    weights = np.zeros((y.shape[1], z.shape[1]))
    mixed = np.flatnonzero((positive > 0) & (positive < len(y)))
    if not len(mixed):
        return weights, bias
    given, goal = torch.as_tensor(z, dtype=torch.float32), torch.as_tensor(y[:, mixed], dtype=torch.float32)
    w = torch.zeros(len(mixed), z.shape[1], requires_grad=True)
    b = torch.as_tensor(bias[mixed], dtype=torch.float32).requires_grad_()
    solver = torch.optim.LBFGS([w, b], max_iter=60, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(given @ w.T + b, goal, reduction="sum")
        out: torch.Tensor = entropy + w.square().sum() / (2 * strength)
        out.backward()
        return out

    solver.step(loss)
    weights[mixed], bias[mixed] = w.detach().double().numpy(), b.detach().double().numpy()
    return weights, bias


def logits(heads: Heads, x: Mapping[int, Floats]) -> dict[int, Logits]:
    """Presence and stance logits by article number, each [sentences, narratives]."""
    out = {}
    for article, rows in x.items():
        p = rows @ heads.presence.T + heads.bias
        stance = np.repeat((rows @ heads.denial + heads.denial_bias)[:, None], p.shape[1], axis=1)
        out[article] = (p.astype(np.float32), stance.astype(np.float32))
    return out


def install(heads: Heads, model: SentenceTagger) -> SentenceTagger:
    """The model with these heads in place of its own."""

    def tensor(values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32)

    state = {
        "presence.weight": tensor(heads.presence),
        "presence.bias": tensor(heads.bias),
        "denial.weight": tensor(heads.denial[None]),
        "denial.bias": tensor([heads.denial_bias]),
        "stance.weight": torch.zeros_like(model.stance.weight),
    }
    model.load_state_dict(state, strict=False)
    model.unit = True
    model.eval()
    return model
