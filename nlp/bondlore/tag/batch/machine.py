"""On what machine a shard was tagged: kept with it, as int8 answers may differ between kinds of processor."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["describe"]

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


@cache
def describe() -> dict[str, str]:
    """Processor, its vector flags, library versions."""
    flags: list[str] = []
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            words: set[str] = set(next((x for x in lines if x.startswith(("flags", "Features"))), "").split())
            flags = [flag for flag in _FLAGS if flag in words]
    except OSError:
        pass
    out: dict[str, Any] = {"cpu": platform.machine(), "flags": " ".join(flags), "python": platform.python_version()}
    return out | {name: version(name) for name in ("onnxruntime", "pyarrow", "tokenizers")}
