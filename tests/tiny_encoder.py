"""A real encoder small enough to train in a test: a BERT with random weights over a word vocabulary."""

from __future__ import annotations

from pathlib import Path

_TEXT = (
    "funds sold on bonds to meet margin calls while foreign buyers left and yields rose not because the chef cooked"
    " rice supply of new debt grew at auction a quiet day for traders prices were little changed in thin trade"
)
WORDS = _TEXT.split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(folder: Path, *, hidden: int = 32, layers: int = 1, words: list[str] = WORDS) -> Path:
    """Save it at `folder` as any Hugging Face encoder is."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate([*SPECIAL, *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def flat(n: int, *, seed: int = 0) -> list[dict[str, object]]:
    """`n` flat rows in the encoder's words: `Margin calls`, `supply` (sometimes both), or none."""
    import random

    rng = random.Random(seed)
    filler = WORDS[20:]
    rows = []
    for i in range(n):
        labels = [["Margin calls"], ["supply"], [], ["none"], ["Margin calls", "supply"]][i % 5]
        words = rng.sample(filler, 4)
        if "Margin calls" in labels:
            words += ["funds", "meet", "margin", "calls"]
        if "supply" in labels:
            words += ["debt", "grew", "at", "auction"]
        rows.append({"text": " ".join([*words, f"n{i}"]), "labels": labels})
    return rows
