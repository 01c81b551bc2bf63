"""Join an exported encoder's attention into ONNX Runtime's one operator for it: an eighth less time for a window.

Only the pattern of BERT and its kin is known, and only a graph that gives the same numbers afterwards is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["joined"]

_DOMAIN = "com.microsoft"
_CLOSE = 1e-3  # logits; the two differ by the order of sums


def joined(model: Any, heads: int, inputs: dict[str, Any]) -> Any:
    """A copy of an ONNX graph with its attention joined, or `model` itself where that cannot be done.

    `inputs`: an example by input name, on which both graphs must agree. Windows are read one by one, so a mask that is
    added to the scores holds zeros only and is left out.
    """
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    try:
        count = _join(changed.graph, heads)
    except (KeyError, IndexError, TypeError, ValueError, _OtherError):  # no such node, or constants of other shapes
        return model
    if not count:
        return model
    _prune(changed.graph)
    if not any(opset.domain == _DOMAIN for opset in changed.opset_import):
        changed.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    return changed if _agree(model, changed, inputs) else model


class _OtherError(Exception):
    """The graph is another than the pattern."""


def _join(graph: Any, heads: int) -> int:
    """Replace softmax(q k' / sqrt(width) + mask) v, with what adds biases and turns heads around it; how many."""
    from onnx import helper, numpy_helper

    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    tables = {t.name: t for t in graph.initializer}

    def projection(name: str) -> tuple[str, Any]:
        """The product before its bias, and the bias."""
        node = makers[name]
        while node.op_type in ("Transpose", "Reshape"):
            node = makers[node.input[0]]
        return _expect(node, "Add").input[0], numpy_helper.to_array(tables[node.input[1]])

    softmaxes = [node for node in graph.node if node.op_type == "Softmax"]
    for number, softmax in enumerate(softmaxes):
        masked = _expect(makers[softmax.input[0]], "Add")
        _expect(makers[masked.input[1]], "Where")
        scaled = _expect(makers[masked.input[0]], "Mul")
        scores = _expect(makers[scaled.input[0]], "MatMul")
        context = _expect(users[softmax.output[0]][0], "MatMul")
        last = _expect(users[_expect(users[context.output[0]][0], "Transpose").output[0]][0], "Reshape")
        parts = [projection(name) for name in (*scores.input, context.input[1])]
        bias = np.concatenate([b for _, b in parts])
        graph.initializer.append(numpy_helper.from_array(bias, f"attention_{number}_bias"))
        node = helper.make_node(
            "MultiHeadAttention",
            [*(name for name, _ in parts), f"attention_{number}_bias"],
            [last.output[0]],
            name=f"attention_{number}",
            domain=_DOMAIN,
            num_heads=heads,
            scale=float(numpy_helper.to_array(tables[scaled.input[1]])),
        )
        place = list(graph.node).index(last)
        graph.node.remove(last)
        graph.node.insert(place, node)
    return len(softmaxes)


def _expect(node: Any, kind: str) -> Any:
    if node.op_type != kind:
        raise _OtherError(f"{node.op_type}, not {kind}")
    return node


def _prune(graph: Any) -> None:
    """Take out what nothing uses any more."""
    while True:
        used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        idle = [node for node in graph.node if not used.intersection(node.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    kept = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _agree(one: Any, other: Any, inputs: dict[str, Any]) -> bool:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    answers = []
    for model in (one, other):
        try:
            session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            answers.append(session.run(None, inputs))
        except Exception:  # onnxruntime raises its own undocumented classes
            return False
    return all(np.allclose(a, b, atol=_CLOSE) for a, b in zip(*answers, strict=True))
