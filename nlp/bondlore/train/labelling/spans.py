"""An article as one text with one sentence a line, and spans of it: what annotation tools work on.

Label Studio counts UTF-16 units, as browsers do; Python and doccano count code points. Sentences hold no line break
(`article.normalise`), so the text splits back into exactly the sentences it was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from bondlore.errors import LabelError

__all__ = [
    "NOTHING",
    "STANCES",
    "assign",
    "label_of",
    "lines",
    "parted",
    "stances",
    "to_codepoints",
    "to_utf16",
    "union",
]

NOTHING = "none"  # a label that says: no narrative here, in any case
STANCES = ("support", "reject")


def label_of(narrative: str, stance: str) -> str:
    """How a tool shows a label: `a` supports, `a:reject` denies. `stances` reads it."""
    return narrative if stance == "support" else f"{narrative}:{stance}"


def parted(label: str) -> tuple[str, str]:
    """Narrative and stance of a label. A colon before anything but a stance is part of the name.

    >>> parted("effect: prices"), parted("effect: prices:reject")
    (('effect: prices', 'support'), ('effect: prices', 'reject'))
    """
    narrative, _, stance = label.rpartition(":")
    narrative, stance = (narrative.rstrip(), stance) if narrative and stance in STANCES else (label, STANCES[0])
    return (NOTHING if narrative.casefold() == NOTHING else narrative), stance


def stances(labels: Iterable[str], where: str) -> dict[str, str]:
    """Narrative -> stance of a sentence's labels; `none` alone stands for no label.

    Raises LabelError that names `where`: a narrative with both stances, or `none` beside another label.
    """
    out: dict[str, str] = {}
    for label in labels:
        narrative, stance = parted(str(label).strip())
        if out.setdefault(narrative, stance) != stance:
            remedy = "one sentence, one stance: keep the one that prevails"
            raise LabelError(f"a sentence both supports and denies {narrative!r}", where=where, remedy=remedy)
    if NOTHING in out and len(out) > 1:
        message = f"a sentence carries {NOTHING!r} and {', '.join(n for n in out if n != NOTHING)}"
        raise LabelError(message, where=where, remedy="keep the one or the others")
    return {n: s for n, s in out.items() if n != NOTHING}


def lines(text: str) -> list[tuple[int, int]]:
    """Start and end, in code points, of every line of `text`; only a line feed ends one."""
    ends = list(accumulate(len(line) + 1 for line in text.split("\n")))
    return [(start, end - 1) for start, end in zip([0, *ends], ends, strict=False)]


def to_utf16(text: str) -> list[int]:
    """For each code point of `text`, and its end, the offset in UTF-16 units; length len(text) + 1."""
    return [0, *accumulate(2 if ord(c) > 0xFFFF else 1 for c in text)]


def to_codepoints(text: str) -> dict[int, int]:
    """UTF-16 offset -> code point offset. An offset within a surrogate pair is not a key."""
    return {unit: i for i, unit in enumerate(to_utf16(text))}


def assign(text: str, spans: Iterable[tuple[int, int, str]]) -> dict[int, list[str]]:
    """Labels of each line: a span (start, end, label) in code points labels every line it has a visible sign of."""
    places = lines(text)
    out: dict[int, list[str]] = {}
    for start, end, label in spans:
        for number, (low, high) in enumerate(places):
            if text[max(start, low) : min(end, high)].strip() and label not in out.setdefault(number, []):
                out[number].append(label)
    return {number: labels for number, labels in sorted(out.items()) if labels}


def union(labels: Mapping[int, Mapping[str, str]], sentences: Sequence[str]) -> tuple[str, list[tuple[int, int, str]]]:
    """The text of an article and one span a label, covering its sentence. Inverse of `assign`."""
    text = "\n".join(sentences)
    places = lines(text)
    return text, [
        (*places[i], label_of(narrative, stance))
        for i, carried in sorted(labels.items())
        for narrative, stance in carried.items()
    ]
