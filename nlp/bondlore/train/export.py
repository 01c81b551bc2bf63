"""A trained network to the files a model folder holds: int8 ONNX for running, fp16 safetensors for retraining."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bondlore.errors import ModelError
from bondlore.tag.runtime import OnnxRuntime
from bondlore.tag.windows import Window
from bondlore.train.attention import joined
from bondlore.train.fit import Example, Logits
from bondlore.train.network import SentenceTagger

__all__ = ["Parity", "parity", "save_encoder", "to_onnx"]

_INPUTS = ("input_ids", "pool", "last")
_BLOCK = 32
_NARROWEST = 64  # a narrower matrix is a head
_LOOKED_UP = 4096  # rows; the word table, not positions or types
_SHARD = "24MB"  # keeps every file of the folder well below what code hosts accept


@dataclass(frozen=True, slots=True)
class Parity:
    """The exported model against fp32 on the same sentences."""

    mean_difference: float
    agreement: float
    sentences: int

    @property
    def passed(self) -> bool:
        """Mean absolute difference of probabilities at most 0.01, every label the same on at least 99% of sentences."""
        return self.mean_difference <= 0.01 and self.agreement >= 0.99


def to_onnx(model: SentenceTagger, target: Path, *, quantise: bool = True) -> None:
    """Write `model.onnx`: inputs `input_ids` [1, tokens], `pool` and `last` [1, sentences, tokens]; outputs the logits.

    Weights are int8 in blocks of 32 behind a DequantizeLinear, which ONNX Runtime either fuses into a product of
    integers (activations then are int8 too, in blocks of a row) or folds into fp32 weights: `tag.runtime` says which.
    Heads stay in fp32, word embeddings are kept as fp16.

    Whole-tensor dynamic int8 was tried first: on dev sentences 94% kept all their labels against 99.2% this way,
    because one outlier sets the scale of every token. Block scales also depend on the token alone, never on
    its neighbours.
    """
    import onnx

    model = model.eval().cpu()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "fp32.onnx"
        with _quiet():
            _export(model, plain)
            prepared = _prepared(plain, getattr(model.encoder.config, "num_attention_heads", 0))
            if quantise:
                _quantise(prepared)
            onnx.save(prepared, str(target))


def save_encoder(model: SentenceTagger, folder: Path) -> list[str]:
    """Write `encoder/` (plain Hugging Face, fp16 shards) and `head.safetensors`; the names written, sorted."""
    from safetensors.torch import save_file

    half = {k: v.detach().half().contiguous() for k, v in model.encoder.state_dict().items()}
    with _quiet():
        model.encoder.save_pretrained(folder / "encoder", state_dict=half, max_shard_size=_SHARD)
    head = {k: v.detach().contiguous() for k, v in model.state_dict().items() if not k.startswith("encoder.")}
    if model.unit:
        head["unit"] = torch.ones(1)
    save_file(head, str(folder / "head.safetensors"))
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors writes for its owner alone; a model folder is there to be read
    return sorted(["head.safetensors", *(f"encoder/{p.name}" for p in (folder / "encoder").iterdir())])


def parity(
    exported: Path,
    reference: Mapping[int, Logits],
    data: Sequence[Example],
    *,
    slope: Any,
    intercept: Any,
    threshold: Any,
) -> Parity:
    """Compare probabilities and labels of the exported model with fp32 logits, sentence by sentence."""
    runtime = OnnxRuntime(exported, precision="int8")  # the other form is closer
    differences, same, count = 0.0, 0, 0
    for example in data:
        rows = list(example.window.sentences)
        ours, _ = runtime.logits(example.window)
        p, q = (
            _sigmoid(np.asarray(slope) * x + np.asarray(intercept)) for x in (ours, reference[example.article][0][rows])
        )
        differences += float(np.abs(p - q).mean(axis=1).sum())
        same += int(((p >= threshold) == (q >= threshold)).all(axis=1).sum())
        count += len(rows)
    if not count:
        remedy = "train on articles that have sentences"
        raise ModelError("no sentence to compare the exported model on", where=str(exported), remedy=remedy)
    return Parity(differences / count, same / count, count)


class _OneWindow(torch.nn.Module):
    """The network on one window without padding. It needs no mask, and a mask costs a fifth of the time on a CPU."""

    def __init__(self, model: SentenceTagger) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, pool: torch.Tensor, last: torch.Tensor) -> Any:
        states = self.model.encoder(input_ids=input_ids, attention_mask=None).last_hidden_state
        return self.model.heads(states, pool, last)


def _export(model: SentenceTagger, target: Path) -> None:
    from bondlore.train.network import collate

    window = Window(tuple([1] * 24), (0, 1, 2), ((1, 8), (8, 16), (16, 24)))
    batch = collate([window], 0)
    tokens, sentences = (torch.export.Dim(n, min=1, max=512) for n in ("tokens", "sentences"))
    with _plain_attention(model.encoder):
        torch.onnx.export(
            _OneWindow(model),
            tuple(getattr(batch, name) for name in _INPUTS),
            str(target),
            input_names=list(_INPUTS),
            output_names=["presence", "stance"],
            dynamic_shapes=({1: tokens}, {1: sentences, 2: tokens}, {1: sentences, 2: tokens}),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextlib.contextmanager
def _plain_attention(encoder: Any) -> Iterator[None]:
    """Fused attention is exported with a guard against fully masked rows: a sixth of the time, for nothing here."""
    before = encoder.config._attn_implementation
    encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.set_attn_implementation(before)


def _prepared(source: Path, heads: int) -> Any:
    """The exported graph with constants folded and, where it can be, attention joined."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    simple = source.with_name("simple.onnx")
    quant_pre_process(str(source), str(simple), skip_symbolic_shape=True)
    length = 24
    pool = np.zeros((1, 2, length), dtype=np.float32)
    pool[0, 0, 1:10], pool[0, 1, 10:] = 1 / 9, 1 / (length - 10)
    ids = np.random.default_rng(0).integers(1, 20, (1, length))
    return joined(
        onnx.load(str(simple)), heads, {"input_ids": ids, "pool": pool, "last": (pool > 0).astype(np.float32)}
    )


def _quantise(model: Any) -> None:
    _narrow_weights(model.graph)
    _halve_embeddings(model)
    for domain in model.opset_import:
        if domain.domain == "":
            domain.version = max(domain.version, 21)  # the first with scales for blocks


def _narrow_weights(graph: Any) -> None:
    """Put every weight matrix of the encoder, [in, out], behind a DequantizeLinear: int8, a scale a block of inputs."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) == 2}
    for node in list(graph.node):
        name = node.input[1] if node.op_type == "MatMul" else ""
        # heads work on [sentences, 2 * width] and decide everything: they stay in fp32
        if name not in weights or weights[name].dims[0] % _BLOCK or min(weights[name].dims) < _NARROWEST:
            continue
        whole = numpy_helper.to_array(weights[name])
        blocks = whole.reshape(-1, _BLOCK, whole.shape[1])
        scale = np.abs(blocks).max(axis=1) / 127
        scale[scale == 0] = 1.0
        small = np.rint(blocks / scale[:, None]).astype(np.int8).reshape(whole.shape)
        graph.initializer.append(numpy_helper.from_array(small, f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
        widen = helper.make_node(
            "DequantizeLinear",
            [f"{name}_int8", f"{name}_scale"],
            [f"{name}_wide_{node.name}"],
            name=f"{node.name}_widen",
            axis=0,
            block_size=_BLOCK,
        )
        node.input[1] = widen.output[0]
        graph.node.insert(list(graph.node).index(node), widen)
    used = {name for node in graph.node for name in node.input}
    kept = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _halve_embeddings(model: Any) -> None:
    """Store every large table that is only looked up as fp16, and widen the rows after the look-up."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    tables = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) == 2}
    for node in list(graph.node):
        if node.op_type != "Gather" or node.input[0] not in tables or tables[node.input[0]].dims[0] < _LOOKED_UP:
            continue
        table = tables[node.input[0]]
        table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table).astype(np.float16), table.name))
        narrow = f"{node.output[0]}_fp16"
        widen = helper.make_node("Cast", [narrow], [node.output[0]], name=f"{node.name}_widen", to=TensorProto.FLOAT)
        node.output[0] = narrow
        graph.node.insert(list(graph.node).index(node) + 1, widen)


@contextlib.contextmanager
def _quiet() -> Any:
    """Exporters print pages of shapes and warn about themselves: none of it is for the user."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
