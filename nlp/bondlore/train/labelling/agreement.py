"""Do annotators agree, narrative by narrative? Alpha, AC1, positive agreement, prevalence, with bootstrap intervals.

No coefficient is enough alone: where a label is rare, alpha can be near 0 and AC1 near 1 on the same answers, so both
stand beside prevalence and positive agreement (Feinstein and Cicchetti 1990; Gwet 2008).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bondlore.taxonomy import Taxonomy
from bondlore.train.labelling import coefficients as on
from bondlore.train.labelling.annotations import Annotations
from bondlore.train.labels import LabelledArticle

__all__ = ["Agreement", "Confusion", "Figure", "Row", "measure"]

_NONE = "none"
_Given = Sequence[LabelledArticle | None]
_Units = list[tuple[int, list[Hashable]]]  # number of the article, the answers given


@dataclass(frozen=True, slots=True)
class Figure:
    """A coefficient and its 95% interval; None where it is undefined (nobody, or everybody, used the label)."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def plain(self) -> dict[str, float | None]:
        """For JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Row:
    """One question put to the annotators: a narrative, "any narrative", a stance, the label set, the gate.

    `unit` is sentence or article, `units` how many had two answers or more, `named` the answers that said yes.
    """

    question: str
    unit: str
    units: int
    named: int | None
    figures: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often one annotator gave `a` where another gave `b` instead (either way round), and where first."""

    a: str
    b: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything `bondlore labels agreement` prints."""

    annotators: tuple[str, ...]
    articles: int
    alone: int
    rows: tuple[Row, ...]
    confusions: tuple[Confusion, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "annotators": list(self.annotators),
            "articles": self.articles,
            "articles_of_one_annotator": self.alone,
            "rows": [
                {
                    "question": r.question,
                    "unit": r.unit,
                    "units": r.units,
                    "named": r.named,
                    **{k: f.plain() for k, f in r.figures.items()},
                }
                for r in self.rows
            ],
            "confusions": [{"a": c.a, "b": c.b, "count": c.count, "example": c.example} for c in self.confusions],
        }


def measure(given: Annotations, taxonomy: Taxonomy, *, draws: int = 1000, seed: int = 0) -> Agreement:
    """All figures. Intervals are percentiles of a bootstrap over articles; `draws=0` leaves them out."""
    articles = list(given.articles.values())
    rng = np.random.default_rng(seed)
    n = len(articles)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(float) if draws else np.zeros((0, n))

    def yes_no(question: str, unit: str, units: _Units) -> Row:
        return _row(question, unit, units, [False, True], weights, yes=True)

    def within(narrative: str) -> Row:
        return yes_no(narrative, "sentence", _sentences(articles, lambda a, i: narrative in a.labels.get(i, {})))

    def throughout(narrative: str) -> Row:
        return yes_no(narrative, "article", _articles(articles, lambda a: narrative in _carried(a)))

    out = [yes_no("any narrative", "sentence", _sentences(articles, lambda a, i: bool(a.labels.get(i))))]
    out += [*map(within, taxonomy), *map(throughout, taxonomy)]
    stance = _stances(articles, taxonomy)
    out.append(_row("stance, where both see the narrative", "sentence", stance, ["support", "reject"], weights))
    for unit, sets in (
        ("sentence", _sentences(articles, lambda a, i: frozenset(a.labels.get(i, {})))),
        ("article", _articles(articles, _carried)),
    ):
        out.append(_row("label set (MASI)", unit, sets, _categories(sets), weights, distance=on.masi))
    for field in ("gate", "primary"):
        units = _articles(articles, partial(_said, field))
        if any(len(answers) > 1 for _, answers in units):
            out.append(_row(field, "article", units, _categories(units), weights))
    return Agreement(given.annotators, n, given.alone, tuple(out), tuple(_confusions(given)))


def _row(
    question: str,
    unit: str,
    units: _Units,
    categories: Sequence[Any],
    weights: NDArray[np.float64],
    *,
    yes: bool = False,
    distance: Callable[[Any, Any], float] | None = None,
) -> Row:
    size = len(categories)
    column = {c: k for k, c in enumerate(categories)}
    counts = np.zeros((len(units), max(size, 1)))
    for u, (_, answers) in enumerate(units):
        for answer in answers:
            counts[u, column[answer]] += 1
    apart = on.nominal(max(size, 1))
    if distance:
        apart = np.array([[distance(a, b) for b in categories] for a in categories]).reshape(apart.shape)
    groups = np.array([g for g, _ in units], dtype=np.int64)
    each = on.summed(counts, apart, groups, weights.shape[1])
    wanted: dict[str, Callable[[on.Sums], NDArray[np.float64]]] = {"alpha": lambda s: on.alpha(s, apart)}
    if not distance and size > 1:
        wanted |= {"ac1": on.ac1}
    wanted |= {"agreement": on.agreement}
    if yes:
        wanted |= {"positive_agreement": on.positive, "prevalence": on.prevalence}
    total, drawn = each.total(), each.weighted(weights)
    figures = {name: _figure(f(total), f(drawn)) for name, f in wanted.items()}
    named = int(counts[counts.sum(axis=1) > 1][:, 1].sum()) if yes else None
    return Row(question, unit, int(total.paired[0]), named, figures)


def _figure(value: NDArray[np.float64], drawn: NDArray[np.float64]) -> Figure:
    if not math.isfinite(value[0]):
        return Figure(None)
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < max(len(drawn) / 2, 1):  # of a label seen in one article, most draws have none
        return Figure(round(float(value[0]), 4))
    low, high = np.quantile(finite, [0.025, 0.975])
    return Figure(*(round(float(x), 4) for x in (value[0], low, high)))


def _sentences(articles: Sequence[_Given], answer: Callable[[LabelledArticle, int], Hashable]) -> _Units:
    out: _Units = []
    for number, given in enumerate(articles):
        there = [a for a in given if a is not None]
        out += [(number, [answer(a, i) for a in there]) for i in range(len(there[0].sentences))]
    return out


def _articles(articles: Sequence[_Given], answer: Callable[[LabelledArticle], Hashable]) -> _Units:
    """One unit an article; an annotator whose answer is None gave none."""
    answers = ([answer(a) for a in given if a is not None] for given in articles)
    return [(number, [x for x in all_ if x is not None]) for number, all_ in enumerate(answers)]


def _stances(articles: Sequence[_Given], taxonomy: Taxonomy) -> _Units:
    """One unit a (sentence, narrative) that two or more annotators see: support or reject."""
    out: _Units = []
    for number, given in enumerate(articles):
        there = [a for a in given if a is not None]
        for i in range(len(there[0].sentences)):
            for narrative in taxonomy:
                said: list[Hashable] = [a.labels[i][narrative] for a in there if narrative in a.labels.get(i, {})]
                if len(said) > 1:
                    out.append((number, said))
    return out


def _said(field: str, article: LabelledArticle) -> str | None:
    return getattr(article, field) or None


def _carried(article: LabelledArticle) -> frozenset[str]:
    return frozenset(n for carried in article.labels.values() for n in carried)


def _categories(units: _Units) -> list[Any]:
    """The answers that occur, in a fixed order."""
    found = {a for _, answers in units for a in answers}
    return sorted(found, key=lambda a: sorted(a) if isinstance(a, frozenset) else a)


def _confusions(given: Annotations) -> Iterable[Confusion]:
    """Labels that stand for each other on a sentence, most frequent first; `none` where one saw nothing more."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for key, articles in given.articles.items():
        for a, b in combinations([x for x in articles if x is not None], 2):
            for i in sorted(a.labels.keys() | b.labels.keys()):
                one, two = set(a.labels.get(i, {})), set(b.labels.get(i, {}))
                for x in (one - two) or {_NONE}:
                    for y in (two - one) or {_NONE}:
                        if x != y:
                            pair = (min(x, y), max(x, y))
                            counts[pair] += 1
                            first.setdefault(pair, f"{key}, sentence {i}")
    for pair, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield Confusion(*pair, count, first[pair])
