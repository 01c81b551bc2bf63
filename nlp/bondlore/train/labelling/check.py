"""Debug a labels file: everything that would make training wrong, and what somebody should look at, by file and row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from bondlore.errors import LabelError
from bondlore.tagging import Gate
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelling.confident import out_of_fold, suspects
from bondlore.train.labelling.copies import copies
from bondlore.train.labelling.findings import Finding
from bondlore.train.labelling.forms import native_rows
from bondlore.train.labelling.languages import language
from bondlore.train.labels import LabelledArticle, parse
from bondlore.train.split import stories

__all__ = ["Checked", "check"]

_FEWEST_ARTICLES = 8  # training refuses fewer
_FEWEST_EXAMPLES = 8  # sentences a narrative, below which it is hardly learnt
_IMBALANCE = 50  # times the rarest
_LONG = 2_000  # characters: a "sentence" this long is a whole text
_GATES = get_args(Gate)
_NONE = ("", "none")
_GARBLED = re.compile("\ufffd|Ã[\u0080-\u00bf]|â€[\u0080-\u2122]")  # UTF-8 read as something else


@dataclass(frozen=True)
class Checked:
    """The articles that could be read, and the findings: errors first."""

    articles: tuple[LabelledArticle, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings would make training wrong."""
        return sum(f.level == "error" for f in self.findings)


def check(
    paths: Sequence[Path],
    taxonomy: Taxonomy,
    *,
    held_out: Sequence[Path] = (),
    predictions: Mapping[str, Mapping[str, Any]] | None = None,
    doubts: bool = False,
) -> Checked:
    """Check files, in any form, as one training set, against `held_out` files that it must not know.

    `predictions` by article id, made out of fold, add likely label errors; `doubts` makes them here, with the TF-IDF
    baseline. Raises LabelError only when a file cannot be read at all, MissingExtraError when `doubts` needs it.
    """
    findings: list[Finding] = []
    whole = [a for path in paths for a in _read(path, taxonomy, findings)]
    articles = [a for a in whole if not a.pending]
    kept = [a for path in held_out for a in _read(path, taxonomy, findings)]
    findings += [Finding("warning", "not labelled", a.source, "nobody has labelled it yet") for a in whole if a.pending]
    findings += _ids(articles)
    findings += _versions(articles, taxonomy)
    findings += [f for a in [*articles, *kept] for f in _rules(a)]
    findings += _counts(articles, taxonomy)
    findings += _copies(articles, kept)
    findings += _languages(articles)
    if doubts and predictions is None:
        once = list({a.id: a for a in articles}.values())
        predictions = out_of_fold(once, taxonomy)
    if predictions is not None:
        findings += [
            Finding(
                "warning",
                "likely label error",
                s.article.source,
                _doubt(s.narrative, s.sentence, s.given, s.probability),
            )
            for s in suspects(articles, predictions, taxonomy.ids)
        ]
    return Checked(tuple(articles), tuple(sorted(findings, key=lambda f: f.level)))


def _read(path: Path, taxonomy: Taxonomy, findings: list[Finding]) -> Iterator[LabelledArticle]:
    def note(error: LabelError) -> None:
        findings.append(Finding("error", "unusable row", error.where, f"{error.message}; {error.remedy}"))

    for where, row in native_rows(path, skip=note):
        try:
            yield parse(row, taxonomy, where)
        except LabelError as error:
            note(error)


def _versions(articles: Sequence[LabelledArticle], taxonomy: Taxonomy) -> Iterator[Finding]:
    """Where the taxonomy has changed, labels that do not say of which version they are."""
    silent = [a for a in articles if not a.taxonomy]
    if taxonomy.history and silent:
        message = f"{len(silent)} articles do not say under which version of the taxonomy they were labelled"
        yield Finding("warning", "version", silent[0].source, f"{message}, this one first; see labels map")


def _ids(articles: Sequence[LabelledArticle]) -> Iterator[Finding]:
    first: dict[str, LabelledArticle] = {}
    for a in articles:
        if a.id in first and not a.id.startswith("row-"):  # rows without ids may repeat a text
            message = f"the id {a.id!r} is also that of {first[a.id].source}"
            if a.annotator != first[a.id].annotator:
                message += ", by another annotator: keep one with labels convert --annotator"
            yield Finding("error", "id twice", a.source, message)
        first.setdefault(a.id, a)


def _rules(a: LabelledArticle) -> Iterator[Finding]:
    """Labels against sentences, gate and primary."""
    carried = {n for given in a.labels.values() for n in given}
    for i, sentence in enumerate(a.sentences):
        if not sentence and i in a.labels:
            yield Finding("error", "empty sentence", a.source, f"sentence {i} is empty and carries a label")
        elif not sentence and i:
            yield Finding("warning", "empty sentence", a.source, f"sentence {i} is empty")
        if len(sentence) > _LONG:
            message = f"sentence {i} has {len(sentence)} characters: is it split?"
            yield Finding("warning", "long sentence", a.source, message)
        if _GARBLED.search(sentence):
            yield Finding("warning", "garbled text", a.source, f"sentence {i} was read in a wrong encoding")
    if a.gate and a.gate not in _GATES:
        yield Finding("error", "rule", a.source, f"the gate {a.gate!r} is none of {', '.join(_GATES)}")
    elif a.gate == "causal" and not carried:
        yield Finding("error", "rule", a.source, "the gate is 'causal' and no sentence carries a label")
    elif a.gate and a.gate != "causal" and carried:
        yield Finding(
            "error", "rule", a.source, f"the gate is {a.gate!r} and sentences carry {', '.join(sorted(carried))}"
        )
    if a.primary not in _NONE and a.primary not in carried:
        yield Finding("error", "rule", a.source, f"the primary {a.primary!r} is carried by no sentence")
    if a.primary == "none" and carried:
        yield Finding(
            "warning", "rule", a.source, f"the primary is 'none', sentences carry {', '.join(sorted(carried))}"
        )


def _counts(articles: Sequence[LabelledArticle], taxonomy: Taxonomy) -> Iterator[Finding]:
    """Too little, one class only, imbalance."""
    counts = Counter((n, s) for a in articles for given in a.labels.values() for n, s in given.items())
    each = {n: counts[n, "support"] + counts[n, "reject"] for n in taxonomy}
    if len(articles) < _FEWEST_ARTICLES:
        message = f"{len(articles)} articles; training needs {_FEWEST_ARTICLES}"
        yield Finding("error", "too few", "", message)
    if not sum(each.values()):
        yield Finding("error", "one class only", "", "no sentence carries any narrative")
        return
    if all(i in a.labels for a in articles for i, s in enumerate(a.sentences) if s):
        message = "every sentence carries a narrative: without counter-examples a model finds them everywhere"
        yield Finding("warning", "one class only", "", message)
    most = max(each, key=lambda n: each[n])
    for n, count in each.items():
        if not count:
            yield Finding("warning", "too few", "", f"no example of {n}: the model will never find it")
        elif count < _FEWEST_EXAMPLES:
            yield Finding("warning", "too few", "", f"{count} examples of {n}")
        elif each[most] > _IMBALANCE * count:
            yield Finding("warning", "imbalance", "", f"{count} examples of {n}, {each[most]} of {most}")


def _copies(articles: Sequence[LabelledArticle], held_out: Sequence[LabelledArticle]) -> Iterator[Finding]:
    """A copy across the line is a leak; within the training set, folds keep it together, unless its labels differ."""
    both = [*articles, *held_out]
    line = len(articles)
    leaks: set[tuple[int, int]] = set()
    for c in copies(both):
        a, b = both[c.a], both[c.b]
        alike = "the same text as" if c.same else f"{c.resemblance:.0%} of the five-word runs of"
        if c.a < line <= c.b:
            leaks.add((c.a, c.b))
            yield Finding("error", "leak", a.source, f"{alike} {b.source}, which is held out")
        elif c.b < line and c.same and a.sentences == b.sentences and a.labels != b.labels:
            yield Finding("error", "contradiction", b.source, f"the same text as {a.source} with other labels")
        elif c.b < line:
            yield Finding("warning", "copy", b.source, f"{alike} {a.source}")
    if held_out:
        story = stories(both)
        trained: dict[int, int] = {}
        for i in range(line):
            trained.setdefault(story[i], i)
        leaked = {b for _, b in leaks}
        for i in range(line, len(both)):
            if story[i] in trained and i not in leaked:
                message = f"shares a sentence with {both[i].source}, which is held out, or a story that joins them"
                yield Finding("warning", "shared story", both[trained[story[i]]].source, message)


def _languages(articles: Sequence[LabelledArticle]) -> Iterator[Finding]:
    found = [language(" ".join(a.sentences)) for a in articles]
    usual = Counter(x for x in found if x).most_common(1)
    for a, x in zip(articles, found, strict=True):
        if x and x != usual[0][0]:
            yield Finding("warning", "language", a.source, f"looks {x}, most of the rest {usual[0][0]}")


def _doubt(narrative: str, sentence: int, given: bool, probability: float) -> str:
    said = "carries" if given else "does not carry"
    return f"sentence {sentence} {said} {narrative}; the model gives it {probability:.2f}"
