"""Run the exported network with ONNX Runtime: one window a call, so that an answer never depends on a batch.

Dynamic quantisation takes one scale over everything in a call. Alone in its call, a window of some
four hundred tokens gets the same answer whatever else is read that day, wastes nothing on padding,
and already keeps the matrix units as busy as a batch would.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bondlore.errors import ModelError
from bondlore.tag.windows import Window

__all__ = ["OnnxRuntime", "available_cores", "pooling"]

Floats = NDArray[np.float32]


def available_cores(control: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores this process may use: those it may run on, or fewer where a container's quota gives less time.

    ONNX Runtime by itself counts every core of the machine; more threads than the quota feeds only wait for each other.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(control)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _quota(control: Path) -> float | None:
    """Processors' worth of time the control group allows, None for no limit or no such thing."""
    try:
        if (control / "cpu.max").is_file():  # cgroup v2: "400000 100000" or "max 100000"
            quota, period = (control / "cpu.max").read_text().split()
        else:
            quota, period = ((control / "cpu" / f"cpu.cfs_{n}_us").read_text().strip() for n in ("quota", "period"))
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def pooling(window: Window) -> tuple[Floats, Floats]:
    """Two [sentences, tokens] matrices: the mean over each sentence's tokens, and its separator."""
    mean = np.zeros((len(window.spans), len(window.ids)), dtype=np.float32)
    last = np.zeros_like(mean)
    for row, (start, end) in enumerate(window.spans):
        mean[row, start:end] = 1.0 / (end - start)
        last[row, end - 1] = 1.0
    return mean, last


class OnnxRuntime:
    """The network behind `model.onnx`. Inputs and outputs are those of `train.network.SentenceTagger`."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.inter_op_num_threads = 1
        # windows differ in length: arenas and memory patterns would only ratchet up (onnxruntime#9313, #11627)
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own undocumented classes
            raise ModelError(
                f"ONNX Runtime cannot load it ({' '.join(str(error).split())[:200]})",
                where=str(path),
                remedy="train or download the model again",
            ) from error

    def logits(self, window: Window) -> tuple[Floats, Floats]:
        """Presence and stance logits, each [sentences, narratives]."""
        ids = np.asarray([window.ids], dtype=np.int64)
        mean, last = pooling(window)
        presence, stance = self._session.run(
            ["presence", "stance"],
            {"input_ids": ids, "attention_mask": np.ones_like(ids), "pool": mean[None], "last": last[None]},
        )
        return presence[0], stance[0]
