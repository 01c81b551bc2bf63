"""A trained model as plain transformers sees it: a config, a class, a tokenizer, no code travelling with the weights.

    import bondlore.train.hf                      # registers the class with AutoModelForSequenceClassification
    from transformers import pipeline
    read = pipeline("text-classification", model="folder", top_k=None)
    read("Forced sales by leveraged funds drove the rout.")

A text is one sentence without a title, a pair of texts is a title and a sentence; the tokenizer of the folder lays them
out as bondlore does. Logits are calibrated: their sigmoid is the probability that the sentence carries the narrative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import ModelOutput, logging

from bondlore.errors import ModelError
from bondlore.tag.bundle import Bundle, check_file
from bondlore.train.network import SentenceTagger

__all__ = ["Answer", "SentenceNarratives", "SentenceNarrativesConfig", "write"]


class SentenceNarrativesConfig(PreTrainedConfig):
    """`encoder_settings`: the encoder's own config; slope, intercept and thresholds are one number a narrative."""

    model_type = "bondlore-sentence-narratives"

    def __init__(
        self,
        encoder_settings: Mapping[str, Any] | None = None,
        unit: bool = False,
        slope: list[float] | None = None,
        intercept: list[float] | None = None,
        thresholds: list[float] | None = None,
        reject_threshold: float = 0.5,
        separator: int = 2,
        **others: Any,
    ) -> None:
        self.encoder_settings = dict(encoder_settings or {"model_type": "bert"})
        self.unit, self.separator, self.reject_threshold = unit, separator, reject_threshold
        self.slope, self.intercept, self.thresholds = slope, intercept, thresholds
        others.setdefault("problem_type", "multi_label_classification")
        super().__init__(**others)


@dataclass
class Answer(ModelOutput):
    """`logits` of presence, calibrated, and `stance` logits (of a denial, given presence): [batch, narratives] each."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    stance: Tensor | None = None


class SentenceNarratives(PreTrainedModel):
    """One sentence, or a title and a sentence, to a calibrated logit of every narrative."""

    config_class = SentenceNarrativesConfig
    base_model_prefix = "network"

    def __init__(self, config: SentenceNarrativesConfig) -> None:
        super().__init__(config)
        settings = dict(config.encoder_settings)
        encoder = AutoModel.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings))
        if hasattr(encoder, "pooler"):
            encoder.pooler = None
        self.network = SentenceTagger(encoder, config.num_labels, unit=config.unit)
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        """Nothing: every weight is in the file, or drawn by the modules themselves."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,  # noqa: ARG002 - tokenizers give them, the network was taught without
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """`input_ids` [batch, tokens] of the folder's tokenizer; with `labels` [batch, narratives] also a loss."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        ends = (input_ids == self.config.separator) & (mask > 0)
        # the sentence is what lies between the last separator but one and the last, which is its own
        after = ends.flip(1).cumsum(1).flip(1)
        last = (ends & (after == 1)).float()
        inside = ((after == 1) & (mask > 0)).float()
        pool = inside / inside.sum(1, keepdim=True).clamp(min=1)
        presence, stance = self.network(input_ids, mask, pool[:, None], last[:, None])
        slope, intercept = (torch.as_tensor(v, device=presence.device) for v in self._line(presence.shape[-1]))
        logits = presence[:, 0] * slope + intercept
        loss = None
        if labels is not None:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
        out = Answer(loss=loss, logits=logits, stance=stance[:, 0])
        return out if return_dict is not False else out.to_tuple()

    def _line(self, narratives: int) -> tuple[list[float], list[float]]:
        return self.config.slope or [1.0] * narratives, self.config.intercept or [0.0] * narratives


AutoConfig.register(SentenceNarrativesConfig.model_type, SentenceNarrativesConfig)
AutoModelForSequenceClassification.register(SentenceNarrativesConfig, SentenceNarratives)


def write(bundle: Bundle, folder: Path) -> None:
    """Write a model folder's network as `config.json`, `model.safetensors` and a tokenizer into `folder`, in fp32.

    Raises ModelError when the model folder has no encoder (an exported one has not), or a file was altered.
    """
    from bondlore.train.fit import build
    from bondlore.train.recipe import Recipe

    names = [n for n in bundle.files if n.startswith("encoder/")]
    if not names or "head.safetensors" not in bundle.files:
        raise ModelError("has no encoder to export", where=str(bundle.folder), remedy="export the folder train wrote")
    for name in (*names, "head.safetensors", "tokenizer.json"):
        check_file(bundle, name)
    logging.disable_progress_bar()
    recipe = Recipe(base=str(bundle.folder / "encoder"))
    network = build(len(bundle.taxonomy), recipe, head=bundle.folder / "head.safetensors")
    ids, settled = bundle.taxonomy.ids, bundle.calibration
    config = SentenceNarrativesConfig(
        encoder_settings={
            k: v for k, v in network.encoder.config.to_dict().items() if not k.startswith(("_", "transformers"))
        },
        unit=network.unit,
        slope=list(settled.slope),
        intercept=list(settled.intercept),
        thresholds=list(settled.threshold),
        reject_threshold=settled.reject_threshold,
        separator=bundle.special["sep"],
        id2label=dict(enumerate(ids)),
        label2id={n: k for k, n in enumerate(ids)},
        architectures=[SentenceNarratives.__name__],
    )
    model = SentenceNarratives(config)
    model.network.load_state_dict(network.state_dict())
    model.save_pretrained(folder, max_shard_size="1GB")
    _tokenizer(bundle, network.encoder.config.max_position_embeddings).save_pretrained(folder)


def _tokenizer(bundle: Bundle, longest: int) -> Any:
    """`[CLS] [SEP] sentence [SEP]`, and of a pair `[CLS] title [SEP] sentence [SEP]`: a window of one sentence."""
    backend = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
    cls, sep, pad = (backend.id_to_token(bundle.special[k]) for k in ("cls", "sep", "pad"))
    backend.post_processor = TemplateProcessing(
        single=f"{cls} {sep} $A {sep}",
        pair=f"{cls} $A {sep} $B {sep}",
        special_tokens=[(cls, bundle.special["cls"]), (sep, bundle.special["sep"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token=cls, sep_token=sep, pad_token=pad, model_max_length=longest
    )
