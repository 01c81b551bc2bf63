"""What a long run keeps beside its output, so that an interruption costs at most the fold in progress.

`<out>.work/<key>-fold-<k>.safetensors` holds a fold's weights and its held-out logits; the key digests labels, recipe,
base, the heads it goes on from and taxonomy, so that another run never picks them up. The folder goes when the model
is installed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from bondlore import __version__, atomic, taxonomy
from bondlore.tag.bundle import file_digest
from bondlore.taxonomy import Taxonomy
from bondlore.train import labels as label_files
from bondlore.train.fit import Logits
from bondlore.train.labels import LabelledArticle
from bondlore.train.recipe import Recipe

__all__ = ["Checkpoints", "State"]

State = dict[str, torch.Tensor]


class Checkpoints:
    """Fold results of one run, on disk."""

    def __init__(
        self,
        out: Path,
        articles: Sequence[LabelledArticle],
        narratives: Taxonomy,
        recipe: Recipe,
        head: Path | None = None,
    ) -> None:
        weights = [*sorted(Path(recipe.base).glob("*.safetensors")), *([head] if head else [])]
        base = [file_digest(p) for p in weights] or recipe.base
        # `combine` counts: it says what a fold holds out, and which heads it starts from
        folds = {k: v for k, v in recipe.plain().items() if k != "polish"}  # which comes after them
        parts = [__version__, label_files.digest(articles), folds, base, taxonomy.dump(narratives)]
        body = json.dumps(parts, sort_keys=True)
        self._key = hashlib.sha256(body.encode()).hexdigest()[:12]
        self._folder = out.with_name(f"{out.name}.work")

    def save(self, fold: int, state: Mapping[str, torch.Tensor], logits: Mapping[int, Logits]) -> None:
        """Keep one fold's weights and its held-out logits by article number."""
        tensors = {f"state/{k}": v.detach().cpu().contiguous().clone() for k, v in state.items()}
        for article, pair in logits.items():
            for name, values in zip(("presence", "stance"), pair, strict=True):
                tensors[f"{name}/{article}"] = torch.from_numpy(np.ascontiguousarray(values))
        path = self._path(fold)
        with atomic.replacing(path) as temporary:
            save_file(tensors, str(temporary))

    def load(self, fold: int) -> tuple[State, dict[int, Logits]] | None:
        """One fold of an earlier, interrupted run of the same labels and recipe; None where there is none."""
        path = self._path(fold)
        if not path.is_file():
            return None
        try:
            tensors = load_file(str(path))
        except (SafetensorError, OSError):
            return None  # cut short: train the fold again
        state = {k.removeprefix("state/"): v for k, v in tensors.items() if k.startswith("state/")}
        numbers = [k.removeprefix("presence/") for k in tensors if k.startswith("presence/")]
        logits: dict[int, Any] = {
            int(n): (tensors[f"presence/{n}"].numpy(), tensors[f"stance/{n}"].numpy()) for n in numbers
        }
        return state, logits

    def clear(self) -> None:
        """Remove the folder: the run is over."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, fold: int) -> Path:
        return self._folder / f"{self._key}-fold-{fold}.safetensors"
