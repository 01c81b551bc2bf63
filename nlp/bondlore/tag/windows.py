"""Cut an article's token ids into windows that the encoder reads once, every sentence in context.

A window is `[CLS] title [SEP] s_i [SEP] s_{i+1} [SEP] …`. The title opens every window; a few
sentences before the first scored one are carried over as context, because labels depend on
the passage a sentence continues. Each sentence is scored in exactly one window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Window", "WindowPlan", "cut"]


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """How long a window and a sentence may be, in tokens, and how many sentences of context carry over."""

    max_tokens: int = 448
    max_sentence: int = 120
    max_title: int = 60
    context: int = 3


@dataclass(frozen=True, slots=True)
class Window:
    """Token ids, and for each scored sentence its index in the article and its token span [start, end)."""

    ids: tuple[int, ...]
    sentences: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def cut(tokens: Sequence[Sequence[int]], plan: WindowPlan, *, cls: int, sep: int) -> list[Window]:
    """Windows over `tokens`, one list of ids a sentence, index 0 the title (may be empty).

    An empty sentence still gets a span (its separator), so that every index comes back.
    The span of a sentence includes its separator. The title is scored in the first window.
    """
    title = list(tokens[0][: plan.max_title]) if tokens else []
    body = [list(t[: plan.max_sentence]) for t in tokens[1:]]
    head = [cls, *title, sep]
    windows: list[Window] = []
    start = 0
    while start < len(body) or not windows:
        ids, scored, spans = list(head), [], []
        if not windows:
            scored.append(0)
            spans.append((1, len(head)))
        for sentence in _carried(body, start, plan, len(head)):
            ids += [*sentence, sep]
        first = start
        while start < len(body) and (start == first or len(ids) + len(body[start]) + 1 <= plan.max_tokens):
            spans.append((len(ids), len(ids) + len(body[start]) + 1))
            ids += [*body[start], sep]
            scored.append(start + 1)
            start += 1
        windows.append(Window(tuple(ids), tuple(scored), tuple(spans)))
    return windows


def _carried(body: list[list[int]], start: int, plan: WindowPlan, used: int) -> list[list[int]]:
    """The sentences before `start` that serve as context: at most `context`, at most a third of the window."""
    if start >= len(body):
        return []
    room = min(plan.max_tokens // 3, plan.max_tokens - used - len(body[start]) - 1)
    out: list[list[int]] = []
    for sentence in reversed(body[max(0, start - plan.context) : start]):
        room -= len(sentence) + 1
        if room < 0:
            break
        out.insert(0, sentence)
    return out
