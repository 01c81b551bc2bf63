"""The article gate: is this about the taxonomy's subject at all? A word test, before any model runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bondlore.taxonomy import Subject

__all__ = ["Aboutness", "SubjectGate", "compile_terms"]

Aboutness = Literal["topical", "related", "off_topic"]


@lru_cache(maxsize=32)
def compile_terms(terms: tuple[str, ...]) -> re.Pattern[str] | None:
    """One pattern for whole words, case ignored, `*` standing for any run of word characters."""
    if not terms:
        return None
    # longest first, so that an alternation never stops at a prefix
    parts = (re.escape(t).replace(r"\*", r"\w*") for t in sorted(terms, key=lambda t: (-len(t), t)))
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SubjectGate:
    """`topical`: one of the subject's own terms occurs. `related`: only a neighbouring term. Else `off_topic`."""

    subject: Subject

    def __call__(self, sentences: Sequence[str]) -> Aboutness:
        """Judge sentences (title first). A taxonomy without a subject finds everything topical."""
        terms, related = compile_terms(self.subject.terms), compile_terms(self.subject.related)
        if terms is None:
            return "topical" if any(sentences) else "off_topic"
        if any(terms.search(s) for s in sentences):
            return "topical"
        return "related" if related and any(related.search(s) for s in sentences) else "off_topic"
