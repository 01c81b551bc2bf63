"""A real small tagger for tests: a word tokenizer, a bundle of two narratives, a runtime that hashes token ids.

Importable by worker processes. `poison` in an article makes the runtime raise; `deadly` kills the process, once for
every marker file.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from bondlore import taxonomy
from bondlore.tag.bundle import Bundle, Calibration
from bondlore.tag.rollup import ArticleCalibration
from bondlore.tag.tagger import Tagger
from bondlore.tag.windows import Window, WindowPlan

WORDS = ["[UNK]", "[CLS]", "[SEP]", "poison", "deadly", *(f"w{i}" for i in range(200))]
TAXONOMY = taxonomy.parse(
    {"name": "tiny", "version": "1", "narratives": [{"id": "up", "definition": "rises"}, {"id": "down"}]},
    where="tiny_model.py",
)


class HashRuntime:
    """Logits from a hash of each sentence's window: any change of the input changes them, nothing else does."""

    def __init__(self, loader: TinyLoader) -> None:
        self.loader = loader

    def logits(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        if WORDS.index("poison") in window.ids:
            raise ValueError("a poisoned\nwindow")
        if self.loader.marker and WORDS.index("deadly") in window.ids:
            self._die()
        time.sleep(self.loader.delay)
        digest = hashlib.sha256(repr((self.loader.name, window.ids)).encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        presence, stance = rng.normal(0, 2, (2, len(window.spans), len(TAXONOMY))).astype(np.float32)
        return presence, stance

    def _die(self) -> None:
        marker = Path(self.loader.marker)
        if not marker.exists():
            if not self.loader.again:
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class TinyLoader:
    name: str = "tiny"
    delay: float = 0.0  # seconds a window
    marker: str = ""
    again: bool = False
    runtime: str = ""

    def __call__(self, threads: int) -> Tagger:
        tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        return Tagger(self.bundle(), HashRuntime(self), tokenizer)

    def bundle(self) -> Bundle:
        calibration = Calibration((1.0, 1.0), (0.0, 0.0), (0.6, 0.6), 0.5, ArticleCalibration(-0.5, 1.0, 0.3))
        return Bundle(
            name=self.name,
            taxonomy=TAXONOMY,
            window=WindowPlan(max_tokens=48, max_sentence=20, max_title=10),
            calibration=calibration,
            special={"cls": 1, "sep": 2},
            files={},
        )


def rows(n: int, *, start: int = 0, words: int = 12) -> list[dict[str, str]]:
    """`n` different rows of an archive."""
    out = []
    for i in range(start, start + n):
        rng = np.random.default_rng(i)
        text = " ".join(f"w{k}" for k in rng.integers(0, 200, words))
        out.append({"id": f"a{i}", "title": f"w{i % 200} w1", "text": f"{text}.", "published": "2025-04-09T14:00:00Z"})
    return out


def archive(path: Path, items: list[dict[str, str]]) -> Path:
    """Write rows as JSON Lines."""
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path
