"""Labels of texts that may not travel: each sentence is named by its hash, and found again in the reader's archive.

A keyed row is a native row with `of` (the article's id in the archive) and `keys` (one for each sentence, the
title first) in place of `sentences`: it carries labels, and no word of the text.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bondlore.article import normalise
from bondlore.ingest.archive import read_archive
from bondlore.tag.sentences import split

__all__ = ["find", "key", "keyed_row", "restored"]


def key(sentence: str) -> str:
    """16 hex digits of SHA-256 over the normalised sentence."""
    return hashlib.sha256(normalise(sentence).encode()).hexdigest()[:16]


def keyed_row(row: Mapping[str, Any], of: str) -> dict[str, Any]:
    """A native row without its words: sentences become keys, title, publisher and date are left behind."""
    kept = {k: row[k] for k in ("id", "labels", "gate", "primary", "annotator") if k in row}
    return kept | {"of": of, "keys": [key(s) for s in row["sentences"]]}


def find(rows: Iterable[Mapping[str, Any]], archives: Sequence[Path]) -> dict[str, str]:
    """Key -> sentence, for every key of `rows` that the named articles of `archives` have.

    Raises InputError when an archive cannot be read.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        wanted[str(row["of"])].update(map(str, row["keys"]))
    out: dict[str, str] = {}
    for article in read_archive(archives):
        if article.id in wanted:
            keys = wanted[article.id]
            out.update((k, s) for s in split(article) if (k := key(s)) in keys)
    return out


def restored(row: Mapping[str, Any], sentences: Mapping[str, str]) -> dict[str, Any] | None:
    """The native row of a keyed one, or None when a sentence of it was not found."""
    empty = key("")
    texts = ["" if k == empty else sentences.get(str(k)) for k in row["keys"]]
    if any(t is None for t in texts):
        return None
    return {k: v for k, v in row.items() if k not in ("of", "keys")} | {"sentences": texts}
