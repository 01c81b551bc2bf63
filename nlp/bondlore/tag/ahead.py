"""Read many articles' windows at once, for hardware that gains by it: sorted by length, in batches of so many tokens.

Which windows an article has is asked of `Tagger` itself, by running it on a runtime that only takes note. Whatever the
tagger does before and after the network is thus done by the same code as anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bondlore.article import Article
from bondlore.tag.bundle import Bundle
from bondlore.tag.tagger import Tagger
from bondlore.tag.windows import Window
from bondlore.tagging import Tagging

__all__ = ["AheadTagger", "BatchRuntime", "Logits", "batches"]

Logits = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Presence and stance logits of one window, each [sentences, narratives]."""

_TOKENS = 32_768  # tokens a batch, padding included: some gigabytes of a GPU's memory for encoders of any usual width


class BatchRuntime(Protocol):
    """Whatever runs the network over several windows at once."""

    def read(self, windows: Sequence[Window]) -> list[Logits]:
        """The logits of each window, in order."""


class AheadTagger:
    """A tagger that has read the windows of the articles it was told to expect.

    In one order of articles the batches, and with them the last bits of the answers, are always the same.
    """

    def __init__(self, bundle: Bundle, runtime: BatchRuntime, tokenizer: Any, *, tokens: int = _TOKENS) -> None:
        self._runtime, self._tokens = runtime, tokens
        self._known: dict[Window, Logits] = {}
        self._width = len(bundle.taxonomy)
        self._tagger = Tagger(bundle, self, tokenizer)
        self._noted: dict[Window, None] = {}
        self._notes = Tagger(bundle, _Notes(self._noted, self._width), tokenizer)

    @property
    def bundle(self) -> Bundle:
        """The model but for its weights."""
        return self._tagger.bundle

    def expect(self, articles: Iterable[Article]) -> None:
        """Read all that `tag_one` will ask for these articles; what was read for others is let go.

        A window that cannot be read costs its article alone, when that is tagged. Raises what the runtime raises where
        it can read none of several: then it is the hardware.
        """
        self._known.clear()
        self._noted.clear()
        for article in articles:
            with suppress(Exception):  # a poison article fails again when it is tagged, and there costs one row
                self._notes.tag_one(article)
        failure: Exception | None = None
        for batch in batches(self._noted, self._tokens):
            failure = self._read(batch) or failure
        if failure is not None and not self._known and len(self._noted) > 1:
            raise failure

    def _read(self, batch: list[Window]) -> Exception | None:
        """Read a batch, one by one if it cannot be read together; what went wrong."""
        try:
            self._known |= zip(batch, self._runtime.read(batch), strict=True)
        except Exception as error:
            for window in batch:
                with suppress(Exception):
                    self._known[window] = self._runtime.read([window])[0]
            return error
        return None

    def tag_one(self, article: Article) -> Tagging:
        """As `Tagger.tag_one`."""
        return self._tagger.tag_one(article)

    def logits(self, window: Window) -> Logits:
        """Presence and stance logits of one window, read now unless it was expected."""
        found = self._known.get(window)
        return found if found is not None else self._runtime.read([window])[0]


class _Notes:
    """A runtime that only takes note of what it is asked."""

    def __init__(self, noted: dict[Window, None], width: int) -> None:
        self._noted, self._width = noted, width

    def logits(self, window: Window) -> Logits:
        self._noted[window] = None
        nothing = np.full((len(window.spans), self._width), -20.0, dtype=np.float32)
        return nothing, nothing


def batches(windows: Iterable[Window], tokens: int) -> Iterator[list[Window]]:
    """Windows by length, longest first, so many together that padded to the longest they hold at most `tokens`.

    >>> some = [Window((0,) * n, (0,), ((0, n),)) for n in (3, 9, 4, 5)]
    >>> [[len(w.ids) for w in batch] for batch in batches(some, 12)]
    [[9], [5, 4], [3]]
    """
    batch: list[Window] = []
    for window in sorted(windows, key=lambda w: (-len(w.ids), w.ids)):
        if batch and len(batch[0].ids) * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
