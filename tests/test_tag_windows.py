"""Windows: every sentence scored once, in context, within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bondlore.tag.windows import WindowPlan, cut

CLS, SEP = 101, 102
TOKENS = st.lists(st.lists(st.integers(1000, 2000), max_size=60), min_size=1, max_size=60)


@given(TOKENS)
def test_every_sentence_is_scored_exactly_once(tokens):
    windows = cut(tokens, WindowPlan(max_tokens=128), cls=CLS, sep=SEP)
    assert sorted(i for w in windows for i in w.sentences) == list(range(len(tokens)))


@given(TOKENS)
def test_a_span_holds_its_sentence_and_separator(tokens):
    plan = WindowPlan(max_tokens=128)
    for window in cut(tokens, plan, cls=CLS, sep=SEP):
        for i, (start, end) in zip(window.sentences, window.spans, strict=True):
            longest = plan.max_title if i == 0 else plan.max_sentence
            assert list(window.ids[start:end]) == [*tokens[i][:longest], SEP]


@given(TOKENS)
def test_windows_stay_within_their_bound(tokens):
    plan = WindowPlan(max_tokens=192)
    assert all(len(w.ids) <= plan.max_tokens for w in cut(tokens, plan, cls=CLS, sep=SEP))


def test_every_window_opens_with_the_title():
    tokens = [[7, 8], *([[i] * 30 for i in range(1000, 1012)])]
    windows = cut(tokens, WindowPlan(max_tokens=128), cls=CLS, sep=SEP)
    assert len(windows) > 1
    assert all(w.ids[:4] == (CLS, 7, 8, SEP) for w in windows)


def test_the_sentences_before_are_carried_over_as_context():
    tokens = [[7], *([[i] * 10 for i in range(1000, 1030)])]
    _, second, *_ = cut(tokens, WindowPlan(max_tokens=128, context=2), cls=CLS, sep=SEP)
    first = second.sentences[0]
    carried = [*tokens[first - 2], SEP, *tokens[first - 1], SEP]
    assert list(second.ids[3 : 3 + len(carried)]) == carried
