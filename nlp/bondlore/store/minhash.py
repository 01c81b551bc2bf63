"""Near-copies by their words: shingles, MinHash signatures, LSH buckets. Pure numpy, versioned, our own,
so that a stored signature never depends on somebody else's release.

Lexical: it finds copies that were shortened, retitled or had figures updated. A paraphrase in other words
is not a near-copy. Broder (1997), "On the resemblance and containment of documents"; banding as in
Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", ch. 3.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["BANDS", "PERMUTATIONS", "SCHEME", "buckets", "compare", "minhash", "resemblance", "shingles", "stack"]

SCHEME = 1  # raise it when any number below changes: stored signatures are then made anew
SHINGLE = 5  # words
# Two rows a band: a pair at Jaccard 0.3 (a copy cut to a third) shares a bucket with probability 0.95, at 0.5
# with 0.9999, at 0.02 with 0.013. Recall first: what meets here is checked on its shingles.
PERMUTATIONS, ROWS = 64, 2
BANDS = PERMUTATIONS // ROWS
_LONG = 20  # words from which a text stands without its title
_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")  # soft hyphens, zero widths, bidi

Hashes = NDArray[np.uint64]


def _constants(seed: str, n: int) -> Hashes:
    digests = (hashlib.blake2b(f"{seed}:{SCHEME}:{i}".encode(), digest_size=8).digest() for i in range(n))
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


_MULTIPLY = _constants("multiply", PERMUTATIONS) | np.uint64(1)
_ADD = _constants("add", PERMUTATIONS)
_PLACE = _constants("place", SHINGLE) | np.uint64(1)
_BAND = _constants("band", BANDS)


@lru_cache(maxsize=1 << 17)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _words(text: str) -> list[str]:
    return _WORD.findall(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).casefold())


def _mix(x: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def shingles(title: str, text: str) -> Hashes:
    """Sorted distinct 64-bit hashes of every run of five words; the title counts only if the text is very short.

    Case, punctuation and white space are ignored, figures are kept (4.31 is one word). Fewer than five words
    make one shingle, none make an empty array.
    """
    words = _words(text)
    if len(words) < _LONG:
        words = _words(f"{title} {text}")
    if not words:
        return np.empty(0, np.uint64)
    codes = np.fromiter(map(_word_hash, words), np.uint64, len(words))
    runs = max(len(words) - SHINGLE + 1, 1)
    total = np.zeros(runs, np.uint64)
    for place, factor in enumerate(_PLACE[: len(words)]):
        total += codes[place : place + runs] * factor
    found = _mix(total)
    found.sort()  # np.unique takes three times as long for so few
    return found[np.r_[True, found[1:] != found[:-1]]]


def minhash(hashes: Hashes) -> NDArray[np.uint32]:
    """Signature of PERMUTATIONS 32-bit minima; shape (64,). Raises ValueError for no shingles."""
    permuted = hashes[:, None] * _MULTIPLY + _ADD
    return np.asarray(_mix(permuted).min(axis=0) >> np.uint64(32), dtype=np.uint32)


def buckets(signatures: NDArray[np.uint32]) -> NDArray[np.int64]:
    """LSH buckets: shape (documents, PERMUTATIONS) -> (documents, BANDS). Equal buckets make a pair of candidates."""
    rows = signatures.astype(np.uint64).reshape(len(signatures), BANDS, ROWS)
    key = (rows[:, :, 0] << np.uint64(32)) | rows[:, :, 1]
    return _mix(_mix(key) + _BAND).view(np.int64)


def resemblance(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Jaccard similarity of rows of signatures as estimated (standard error at most 0.0625)."""
    return np.asarray((a == b).mean(axis=-1), dtype=np.float64)


def compare(a: Hashes, b: Hashes) -> tuple[float, float, int]:
    """Exact (Jaccard, containment of the smaller in the larger, shared shingles)."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    smaller = min(len(a), len(b))
    return shared / max(len(a) + len(b) - shared, 1), shared / max(smaller, 1), shared


def stack(signatures: Sequence[bytes]) -> NDArray[np.uint32]:
    """Stored signatures as one array, shape (documents, PERMUTATIONS)."""
    return np.frombuffer(b"".join(signatures), dtype="<u4").reshape(-1, PERMUTATIONS).astype(np.uint32)
