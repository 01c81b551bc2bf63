"""Tag on a GPU: the training weights of a model folder, run by torch over batches of windows, in bf16 where it is fast.

The int8 model is made for one window at a time on a processor; a GPU wants many at once and its own arithmetic. The
answers are the same within tolerance, not to the bit, so that a tagged folder is of one or the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from bondlore.errors import InputError, ModelError
from bondlore.tag import bundle as bundles
from bondlore.tag.ahead import AheadTagger, Logits
from bondlore.tag.bundle import Bundle
from bondlore.tag.windows import Window
from bondlore.train.network import SentenceTagger, collate, load_encoder

__all__ = ["LoadOnDevice", "TorchRuntime"]

_HEAD = "head.safetensors"


class TorchRuntime:
    """The network with its training weights. `half`: encode in bf16; heads and what follows are always fp32."""

    def __init__(self, model: SentenceTagger, device: torch.device, *, pad: int, half: bool) -> None:
        self._model = model.eval().to(device)
        self._device, self._pad, self._half = device, pad, half

    def read(self, windows: Sequence[Window]) -> list[Logits]:
        """The logits of each window. Where memory does not suffice for all, they are read in parts."""
        try:
            return self._read(list(windows))
        except torch.OutOfMemoryError:
            if len(windows) < 2:
                raise
        torch.cuda.empty_cache()
        middle = len(windows) // 2
        return self.read(windows[:middle]) + self.read(windows[middle:])

    def _read(self, windows: list[Window]) -> list[Logits]:
        batch = collate(windows, self._pad)
        inputs = (batch.input_ids, batch.attention_mask, batch.pool, batch.last)
        with torch.inference_mode(), torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._half):
            presence, stance = self._model(*(tensor.to(self._device, non_blocking=True) for tensor in inputs))
        both = [tensor.float().cpu().numpy() for tensor in (presence, stance)]
        return [(both[0][i, : len(w.spans)], both[1][i, : len(w.spans)]) for i, w in enumerate(windows)]


@dataclass(frozen=True, slots=True)
class LoadOnDevice:
    """Loads a model for `device`, "cuda" or "torch-cpu" (fp32, the reference); travels to worker processes."""

    model: str | None
    device: str

    @property
    def runtime(self) -> str:
        """What decides the bytes besides the model: part of a job's fingerprint."""
        return f"{self.device} {'bf16' if self._half else 'fp32'}"

    def __call__(self, threads: int) -> AheadTagger:
        """A tagger. Raises InputError where there is no such device, ModelError for a folder without weights."""
        self.check()
        bundle = self.bundle()
        torch.set_num_threads(threads)
        try:
            tokenizer = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
        except Exception as error:  # the Rust side raises a bare Exception
            raise _unreadable(bundle, "tokenizer.json", error) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        pad = bundle.special.get("pad", 0)
        runtime = TorchRuntime(_network(bundle), torch.device(self._kind), pad=pad, half=self._half)
        return AheadTagger(bundle, runtime, tokenizer)

    def bundle(self) -> Bundle:
        """The model but for its weights, its files checked. Raises ModelError."""
        bundle = bundles.read(self.model, verify=())
        weights = [name for name in bundle.files if name == _HEAD or name.startswith("encoder/")]
        if _HEAD not in weights or not any(name.endswith(".safetensors") for name in weights if name != _HEAD):
            raise ModelError(
                "has no training weights (encoder/ and head.safetensors)",
                where=str(bundle.folder),
                remedy="take the folder `bondlore train` wrote, or leave --device out",
            )
        for name in ("tokenizer.json", *weights):
            bundles.check_file(bundle, name)
        return bundle

    def check(self) -> None:
        """Raise InputError where there is no such device."""
        if self._kind == "cuda" and not torch.cuda.is_available():
            raise InputError(
                "torch finds no CUDA device here",
                where="--device cuda",
                remedy="check nvidia-smi and that this torch was built for CUDA, or leave --device out",
            )

    @property
    def _kind(self) -> str:
        return self.device.removeprefix("torch-")

    @property
    def _half(self) -> bool:
        return self._kind == "cuda"


def _network(bundle: Bundle) -> SentenceTagger:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model: SentenceTagger = SentenceTagger(load_encoder(bundle.folder / "encoder"), len(bundle.taxonomy))
    try:
        heads = load_file(str(bundle.folder / _HEAD))
        model.unit = heads.pop("unit", None) is not None
        missing = {name for name in model.state_dict() if not name.startswith("encoder.")} - set(heads)
        if missing:
            raise ValueError(f"no {sorted(missing)[0]}")
        model.load_state_dict(heads, strict=False)
    except (SafetensorError, ValueError, RuntimeError, OSError) as error:
        raise _unreadable(bundle, _HEAD, error) from error
    return model


def _unreadable(bundle: Bundle, name: str, error: Exception) -> ModelError:
    return ModelError(
        f"cannot be read ({' '.join(str(error).split())[:200]})",
        where=str(bundle.folder / name),
        remedy="train or download the model again",
    )
