"""The network: an encoder read once over a window, token states pooled by sentence, two linear heads.

presence[s, n]  logit that sentence s carries narrative n, with either stance
stance[s, n]    logit that it is a rejection, given that it is carried
The stance head is a shared denial direction plus a small narrative-specific one: denials are
rare, and most of what marks one ("no evidence of", "far from") does not depend on the narrative.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bondlore.errors import ModelError

__all__ = ["Batch", "SentenceTagger", "collate", "load_encoder"]


class SentenceTagger(nn.Module):
    """Encoder + pooling + heads. `encoder` is any Hugging Face encoder with `last_hidden_state`.

    `unit`: the heads see a sentence's mean and its separator's state each at length one. A sentence encoder says what
    it means by direction, and with few labels length only misleads.
    """

    def __init__(self, encoder: Any, narratives: int, dropout: float = 0.1, *, unit: bool = False) -> None:
        super().__init__()
        self.encoder, self.unit = encoder, unit
        width = encoder.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.presence = nn.Linear(2 * width, narratives)
        self.denial = nn.Linear(2 * width, 1)
        self.stance = nn.Linear(2 * width, narratives, bias=False)
        nn.init.zeros_(self.stance.weight)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, pool: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (presence, stance), each [batch, sentences, narratives].

        `pool` [batch, sentences, tokens] averages a sentence's tokens (rows sum to 1, or 0 where padded);
        `last` picks its separator, whose state the encoder can use as a summary in context.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.heads(states, pool, last)

    def heads(self, states: Tensor, pool: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """The part after the encoder, on token states [batch, tokens, width]."""
        pooled = self.dropout(self.pooled(states, pool, last))
        return self.presence(pooled), self.denial(pooled) + self.stance(pooled)

    def pooled(self, states: Tensor, pool: Tensor, last: Tensor) -> Tensor:
        """What the heads see of each sentence: [batch, sentences, 2 * width]."""
        states = states.float()
        parts = [pool @ states, last @ states]
        return torch.cat([functional.normalize(p, dim=-1) for p in parts] if self.unit else parts, dim=-1)


@dataclass(slots=True)
class Batch:
    """Padded tensors of a few windows; `valid` [batch, sentences] marks sentences that have words."""

    input_ids: Tensor
    attention_mask: Tensor
    pool: Tensor
    last: Tensor
    valid: Tensor


def collate(windows: list[Any], pad: int) -> Batch:
    """Pad windows (tag.windows.Window) to the longest."""
    size, tokens = len(windows), max(len(w.ids) for w in windows)
    sentences = max(len(w.spans) for w in windows)
    ids = torch.full((size, tokens), pad)
    mask = torch.zeros((size, tokens), dtype=torch.long)
    pool, last = torch.zeros((size, sentences, tokens)), torch.zeros((size, sentences, tokens))
    valid = torch.zeros((size, sentences), dtype=torch.bool)
    for b, window in enumerate(windows):
        ids[b, : len(window.ids)] = torch.tensor(window.ids)
        mask[b, : len(window.ids)] = 1
        for s, (start, end) in enumerate(window.spans):
            pool[b, s, start:end] = 1.0 / (end - start)
            last[b, s, end - 1] = 1.0
            valid[b, s] = end - start > 1  # alone its separator: an empty title, which nothing should be learnt from
    return Batch(ids, mask, pool, last, valid)


def load_encoder(base: str | Path) -> Any:
    """A Hugging Face encoder in fp32, by folder or hub name, from safetensors only. Raises ModelError."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # a report that the pooler, which is dropped below, was not in the file
    try:
        config = AutoConfig.from_pretrained(str(base))
        # Attention dropout draws a random number for every pair of tokens: on a CPU that alone is most of a
        # forward pass (0.93 s to 0.24 s for 2,500 tokens on two cores), and hidden dropout regularises enough.
        for name in ("attention_probs_dropout_prob", "attention_dropout"):
            if hasattr(config, name):
                setattr(config, name, 0.0)
        kwargs: dict[str, Any] = {"config": config, "use_safetensors": True, "dtype": torch.float32}
        try:
            encoder = AutoModel.from_pretrained(str(base), attn_implementation="sdpa", **kwargs)
        except ValueError:  # this architecture has no fused attention
            encoder = AutoModel.from_pretrained(str(base), attn_implementation="eager", **kwargs)
    except Exception as error:  # the hub client and the loaders raise some dozen classes
        reason = " ".join(str(error).split())[:200]
        remedy = "pass --base a folder with a Hugging Face encoder in safetensors, or a hub name"
        raise ModelError(f"cannot be loaded as an encoder ({reason})", where=str(base), remedy=remedy) from error
    finally:
        logging.set_verbosity(level)
    if hasattr(encoder, "pooler"):
        encoder.pooler = None  # unused, and it would travel with the weights
    return encoder
