"""Run the exported network with ONNX Runtime: one window a call, so that an answer never depends on a batch.

Dynamic quantisation takes its scales over what is in a call. Alone in its call, a window of some four hundred tokens
gets the same answer whatever else is read that day, wastes nothing on padding, and already keeps the arithmetic units
as busy as a batch would. Windows are independent, so several threads read one each: two threads on two windows do more
than two threads on one, which wait for each other a hundred times a window.

The file holds int8 weights. A processor with integer dot products (VNNI and its kin) multiplies them as they are, with
activations in int8 too; on one without, that is slower than fp32, and the weights are widened once, on loading.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bondlore.errors import ModelError
from bondlore.tag.windows import Window

__all__ = ["PRECISIONS", "OnnxRuntime", "Precision", "available_cores", "best_precision", "pooling"]

Floats = NDArray[np.float32]
Precision = Literal["int8", "fp32"]
PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")

# Flags of /proc/cpuinfo for products of four pairs of int8 added to an int32: x86 by two encodings, ARM, AMX.
_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp", "amx_int8"})
_SETTINGS = {
    "int8": {"session.qdq_matmulnbits_accuracy_level": "4"},  # 4: activations in int8 too
    "fp32": {"session.disable_quant_qdq": "1"},  # weights are then widened once, as a constant
}


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


def best_precision(cpuinfo: Path = Path("/proc/cpuinfo"), machine: str = "") -> Precision:
    """The faster form of the model on this processor: int8 where it has integer dot products, fp32 elsewhere.

    Where the system does not list the processor's abilities, 64-bit ARM counts as having them, and x86 as not.
    """
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    flags = {word for line in lines if line.casefold().startswith(("flags", "features")) for word in line.split()}
    if flags:
        return "int8" if flags & _DOT_PRODUCTS else "fp32"
    return "int8" if (machine or platform.machine()).casefold() in ("arm64", "aarch64") else "fp32"


def pooling(window: Window) -> tuple[Floats, Floats]:
    """Two [sentences, tokens] matrices: the mean over each sentence's tokens, and its separator."""
    mean = np.zeros((len(window.spans), len(window.ids)), dtype=np.float32)
    last = np.zeros_like(mean)
    for row, (start, end) in enumerate(window.spans):
        mean[row, start:end] = 1.0 / (end - start)
        last[row, end - 1] = 1.0
    return mean, last


class OnnxRuntime:
    """The network behind `model.onnx`. Inputs and outputs are those of `train.export`.

    A call keeps to the thread it is made on, and calls may be made on several at once. `precision`: by default the
    faster one here. Raises ModelError when the file cannot be loaded.
    """

    def __init__(self, path: Path, *, precision: Precision | None = None) -> None:
        import onnxruntime as ort

        self.precision = precision or best_precision()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # windows differ in length: arenas and memory patterns would only ratchet up (onnxruntime#9313, #11627)
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        for name, value in _SETTINGS[self.precision].items():
            options.add_session_config_entry(name, value)
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
            ["presence", "stance"], {"input_ids": ids, "pool": mean[None], "last": last[None]}
        )
        return presence[0], stance[0]
