"""Fine-tune the network on labelled articles, on a CPU in bf16 where the processor has it, or on a GPU."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bondlore.tag.windows import Window, cut
from bondlore.taxonomy import Taxonomy
from bondlore.train.labels import LabelledArticle
from bondlore.train.network import Batch, SentenceTagger, collate, load_encoder
from bondlore.train.recipe import Recipe

__all__ = ["Example", "Logits", "Reader", "build", "examples", "fit", "predict"]

_LAYER = re.compile(r"\blayers?\.(\d+)\.")  # BERT and kin, DistilBERT, ModernBERT

Logits = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Presence and stance logits of one article, each [sentences, narratives]."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Text to windows: a tokenizer that neither pads nor truncates, its special ids, and how to save it."""

    tokenizer: Any
    cls: int
    sep: int
    pad: int
    save: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Example:
    """One window with its targets, each [scored sentences, narratives]."""

    article: int
    window: Window
    presence: Tensor
    reject: Tensor


def examples(articles: Sequence[LabelledArticle], reader: Reader, taxonomy: Taxonomy, recipe: Recipe) -> list[Example]:
    """Windows of every article, in order."""
    column = {n: k for k, n in enumerate(taxonomy.ids)}
    out = []
    for number, article in enumerate(articles):
        presence = torch.zeros(len(article.sentences), len(column))
        reject = torch.zeros_like(presence)
        for sentence, carried in article.labels.items():
            for narrative, stance in carried.items():
                presence[sentence, column[narrative]] = 1.0
                reject[sentence, column[narrative]] = float(stance == "reject")
        encoded = reader.tokenizer.encode_batch_fast(list(article.sentences), add_special_tokens=False)
        for window in cut([e.ids for e in encoded], recipe.window, cls=reader.cls, sep=reader.sep):
            rows = list(window.sentences)
            out.append(Example(number, window, presence[rows], reject[rows]))
    return out


def build(narratives: int, recipe: Recipe, *, head: Path | None = None) -> SentenceTagger:
    """The network with the base's encoder, and new heads or those of a `head.safetensors`, on the CPU."""
    model: SentenceTagger = SentenceTagger(load_encoder(recipe.base), narratives, recipe.dropout)
    if head is not None:
        from safetensors.torch import load_file

        weights = load_file(str(head))
        model.unit = weights.pop("unit", None) is not None
        model.load_state_dict(weights, strict=False)
    return model


def fit(
    data: Sequence[Example],
    reader: Reader,
    narratives: int,
    recipe: Recipe,
    *,
    seed: int,
    after_epoch: Callable[[int, float], None] | None = None,
    start: SentenceTagger | None = None,
    seen: Set[int] = frozenset(),
) -> SentenceTagger:
    """Train from the recipe's base, or go on from `start`.

    `after_epoch(epoch, mean loss)` reports progress. `seen`: articles the base was trained on, of which each epoch
    shows the share `recipe.replay`. With `recipe.base_share`, the result is mixed with the weights of `start`.
    Deterministic for a seed.
    """
    with _flushed_denormals():
        return _fit(data, reader, narratives, recipe, seed, after_epoch, start, seen)


@contextlib.contextmanager
def _flushed_denormals() -> Iterator[None]:
    """Adam's second moments sink below 1e-38 as the loss falls, and arithmetic on denormals is many times slower.

    The switch is the processor's, for the whole thread: left on, it would change the caller's own arithmetic.
    """
    were_flushed = bool(torch.tensor(1e-40) * 1 == 0)  # torch has no reader of the switch
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(were_flushed)


def _fit(
    data: Sequence[Example],
    reader: Reader,
    narratives: int,
    recipe: Recipe,
    seed: int,
    after_epoch: Callable[[int, float], None] | None,
    start: SentenceTagger | None,
    seen: Set[int],
) -> SentenceTagger:
    torch.manual_seed(recipe.seed)  # folds share one start, so that their weights can be averaged
    rng = random.Random(seed)
    device = _device()
    model: SentenceTagger = (start or build(narratives, recipe)).to(device)
    taught = {k: v.clone() for k, v in model.state_dict().items()} if start is not None and recipe.base_share else {}
    torch.manual_seed(seed)
    epochs = [_batches(_drawn(data, seen, recipe.replay, rng), recipe.batch, rng) for _ in range(recipe.epochs)]
    steps = sum(map(len, epochs))
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average)) if recipe.average else None
    optimiser = torch.optim.AdamW(_parameter_groups(model, recipe), fused=True)
    warm = max(1, round(recipe.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / warm, max(0.0, (steps - s) / max(1, steps - warm)))
    )
    for epoch, batches in enumerate(epochs):
        model.train()
        total, count = 0.0, 0
        for chosen in batches:
            batch = _to(collate([e.window for e in chosen], reader.pad), device)
            loss = _loss(model, batch, chosen, recipe)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if mean is not None:
                mean.update_parameters(model)
            total, count = total + loss.item(), count + 1
        if after_epoch:
            after_epoch(epoch, total / max(1, count))
    if mean is not None:
        model.load_state_dict(mean.module.state_dict())
    for name, value in model.state_dict().items():
        if name in taught and value.is_floating_point():
            value.lerp_(taught[name], recipe.base_share)
    model.eval()
    return model


def _drawn(data: Sequence[Example], seen: Set[int], share: float, rng: random.Random) -> list[Example]:
    """The windows of one epoch: all that are new to the base, and a share of the others."""
    if not seen or share >= 1:
        return list(data)
    return [e for e in data if e.article not in seen or rng.random() < share]


def predict(
    model: SentenceTagger, data: Sequence[Example], reader: Reader, *, batch: int = 16, exact: bool = False
) -> dict[int, Logits]:
    """Logits by article number. `exact` keeps to fp32: the reference for the exported model."""
    model.eval()
    device = next(model.parameters()).device
    found: dict[int, list[tuple[Window, Any, Any]]] = {}
    order = sorted(data, key=lambda e: len(e.window.ids))
    bf16 = _bf16(device) and not exact
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            b = _to(collate([e.window for e in chosen], reader.pad), device)
            presence, stance = model(b.input_ids, b.attention_mask, b.pool, b.last)
            for row, example in enumerate(chosen):
                n = len(example.window.spans)
                parts = (example.window, presence[row, :n].float().cpu().numpy(), stance[row, :n].float().cpu().numpy())
                found.setdefault(example.article, []).append(parts)
    out: dict[int, Logits] = {}
    for article, pieces in found.items():
        height = 1 + max(max(w.sentences) for w, _, _ in pieces)
        width = pieces[0][1].shape[1]
        arrays = (np.zeros((height, width), np.float32), np.zeros((height, width), np.float32))
        for window, *logits in pieces:
            for array, values in zip(arrays, logits, strict=True):
                array[list(window.sentences)] = values
        out[article] = arrays
    return out


def _loss(model: SentenceTagger, batch: Batch, chosen: Sequence[Example], recipe: Recipe) -> Tensor:
    """Binary cross-entropy of presence, summed over narratives, averaged over sentences; plus stance where present."""
    device = batch.valid.device
    height = batch.valid.shape[1]
    target = torch.stack([functional.pad(e.presence, (0, 0, 0, height - len(e.presence))) for e in chosen]).to(device)
    reject = torch.stack([functional.pad(e.reject, (0, 0, 0, height - len(e.reject))) for e in chosen]).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=_bf16(device)):
        presence, stance = model(batch.input_ids, batch.attention_mask, batch.pool, batch.last)
    entropy = functional.binary_cross_entropy_with_logits
    soft = target * (1 - recipe.soften) + recipe.soften * 0.02
    each = entropy(presence.float(), soft, reduction="none") * batch.valid[..., None]
    sides = entropy(stance.float(), reject, reduction="none") * target
    return each.sum() / batch.valid.sum().clamp(min=1) + recipe.stance_weight * sides.sum() / target.sum().clamp(min=1)


def _parameter_groups(model: SentenceTagger, recipe: Recipe) -> list[dict[str, Any]]:
    """Layer-wise learning-rate decay; no weight decay on biases and norms; word embeddings frozen on request."""
    depth = model.encoder.config.num_hidden_layers
    groups = []
    for name, parameter in model.named_parameters():
        if recipe.freeze_embeddings and any(n in name for n in ("word_embeddings", "tok_embeddings")):
            parameter.requires_grad = False
            continue
        rate = recipe.head_learning_rate
        if name.startswith("encoder"):
            found = _LAYER.search(name)
            layer = int(found.group(1)) if found else -1
            rate = recipe.learning_rate * recipe.layer_decay ** (depth - 1 - layer)
        decay = recipe.weight_decay if parameter.dim() > 1 else 0.0
        groups.append({"params": [parameter], "lr": rate, "weight_decay": decay})
    return groups


def _batches(data: Sequence[Example], size: int, rng: random.Random) -> list[list[Example]]:
    """Random batches of similar length: shuffled, sorted by length within pools of eight batches, shuffled again."""
    order = list(data)
    rng.shuffle(order)
    out = []
    for start in range(0, len(order), 8 * size):
        pool = sorted(order[start : start + 8 * size], key=lambda e: len(e.window.ids))
        out += [pool[i : i + size] for i in range(0, len(pool), size)]
    rng.shuffle(out)
    return out


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _bf16(device: torch.device) -> bool:
    """bf16 where it is fast: on a GPU, and on processors with the instructions (6 times fp32 matrix speed there)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _to(batch: Batch, device: torch.device) -> Batch:
    names = ("input_ids", "attention_mask", "pool", "last", "valid")
    return Batch(*(getattr(batch, name).to(device) for name in names))
