"""Labels files -> labelled articles, whatever form they come in. Every row is checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bondlore.article import content_id, normalise
from bondlore.errors import LabelError
from bondlore.progress import say
from bondlore.taxonomy import Taxonomy, identifier
from bondlore.train.labelled import FIELDS, LabelledArticle, further
from bondlore.train.labelling.forms import native_rows
from bondlore.train.labelling.spans import STANCES, stances

__all__ = ["LabelledArticle", "digest", "fingerprints", "flat_labels", "parse", "read", "read_all"]

_LONGEST = 100_000  # characters of a sentence: longer ones are texts that nobody split
_HALF = re.compile("[\ud800-\udfff]")  # a surrogate without its other half, which no UTF-8 can hold
_DERIVED = "row-"  # begins the id of a row that names none


def read_all(paths: Iterable[Path | str], taxonomy: Taxonomy, *, texts: Sequence[Path] = ()) -> list[LabelledArticle]:
    """Read several files. Raises LabelError naming file and row; also when an id occurs twice.

    `texts`: archives in which the sentences of keyed rows (`train.keyed`) are looked up; rows whose
    article is not there are left out, with a warning. So are articles that nobody has labelled yet.
    """
    out: dict[str, LabelledArticle] = {}
    repeats: Counter[str] = Counter()
    for path in paths:
        pending = 0
        for article in read(path, taxonomy, texts=texts):
            if article.pending:
                pending += 1
                continue
            if article.id in out and article.id.startswith(_DERIVED):
                # rows without ids may repeat a text: count them apart, and let the split keep them together
                repeats[article.id] += 1
                article = replace(article, id=f"{article.id}-{repeats[article.id]}")
            if (other := out.get(article.id)) is not None:
                where = f"{article.source} (also {other.source})"
                remedy = "rename or drop one"
                if article.annotator != other.annotator:
                    remedy = "keep one annotator's, with bondlore labels convert --annotator"
                raise LabelError(f"the id {article.id!r} occurs twice", where=where, remedy=remedy)
            out[article.id] = article
        if pending:
            say(f"labels: warning: {path}: {pending} articles are not labelled yet; they are left out")
    if not out:
        where = ", ".join(map(str, paths)) or "labels"
        raise LabelError("hold no labelled article", where=where, remedy="one article a line; see corpus/labels")
    return list(out.values())


def read(path: Path | str, taxonomy: Taxonomy, *, texts: Sequence[Path] = ()) -> Iterator[LabelledArticle]:
    """Labelled articles of a file in any of `labelling.forms.FORMS`, a data set's folder or `hf:owner/name`.

    A data set has the columns `text` and `labels`, or those of a native row with `labels` as JSON text.
    Raises LabelError naming file and row, MissingExtraError when `datasets` is needed and not there.
    """
    keyed: list[tuple[str, dict[str, Any]]] = []
    for where, row in native_rows(path):
        if "keys" in row and "sentences" not in row:
            keyed.append((where, _checked_keys(row, where, texts)))
        else:
            yield parse(row, taxonomy, where)
    for where, row in _restored(keyed, path, texts):
        yield parse(row, taxonomy, where)


def _checked_keys(row: dict[str, Any], where: str, texts: Sequence[Path]) -> dict[str, Any]:
    keys = row["keys"]
    if not isinstance(keys, list) or not keys or not all(isinstance(k, str) for k in keys) or "of" not in row:
        raise LabelError(
            "'keys' is not a list of strings, or 'of' is missing", where=where, remedy="see corpus/labels/README.md"
        )
    if not texts:
        remedy = "pass --texts with the archive that the labels were given on, or leave the file out"
        raise LabelError("holds the keys of sentences, not their words", where=where, remedy=remedy)
    return row


def _restored(
    keyed: Sequence[tuple[str, dict[str, Any]]], path: Path | str, texts: Sequence[Path]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if not keyed:
        return
    from bondlore.train.keyed import find, restored

    sentences = find((row for _, row in keyed), texts)
    found = [(where, whole) for where, row in keyed if (whole := restored(row, sentences)) is not None]
    if not found:
        raise LabelError(
            f"has no article that {path} labels",
            where=", ".join(map(str, texts)),
            remedy="pass the archive it was made on",
        )
    if len(found) < len(keyed):
        say(f"labels: warning: {path}: {len(keyed) - len(found)} of {len(keyed)} articles are not in the texts given")
    yield from found


def fingerprints(articles: Sequence[LabelledArticle]) -> list[str]:
    """12 hex digits for each article's sentences, labels apart: tells whether a model has seen a text, and no more."""
    return [hashlib.sha256("\x1e".join(a.sentences).encode()).hexdigest()[:12] for a in articles]


def digest(articles: Sequence[LabelledArticle]) -> str:
    """SHA-256 over ids, sentences and labels, whatever the order of articles: a data set's name in a model card."""
    lines = sorted(
        json.dumps([a.id, a.sentences, {str(k): dict(v) for k, v in a.labels.items()}], sort_keys=True)
        for a in articles
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _id(narrative: str, taxonomy: Taxonomy) -> str:
    """A narrative's id, written as its author likes where that comes to one of the taxonomy."""
    return key if narrative not in taxonomy and (key := identifier(narrative)) in taxonomy else narrative


def flat_labels(given: object) -> list[str]:
    """The labels of a flat row, a list or one string, without empty ones. Raises TypeError."""
    items = [given] if isinstance(given, str) else given or []
    if not isinstance(items, list):
        raise TypeError("not a list")
    return [text for x in items if x is not None and (text := str(x).strip())]


def parse(row: Mapping[str, Any], taxonomy: Taxonomy, where: str) -> LabelledArticle:
    """A row, checked; `labels: null` makes an article that nobody has labelled yet.

    Raises LabelError that names `where`.
    """

    def fail(message: str, remedy: str) -> LabelError:
        return LabelError(message, where=where, remedy=remedy)

    if "labels" not in row:
        raise fail("the row has no 'labels'", 'write "labels": {} where no sentence carries any')
    if row.get("review"):
        raise fail("sentences wait for a decision", "label them as 'review' says, and remove 'review'")
    stamp = str(row.get("taxonomy") or "")
    if stamp and stamp != taxonomy.stamp:
        remedy = "carry them over with bondlore labels map, or pass the --taxonomy they were made under"
        raise fail(f"labelled under {stamp}, not {taxonomy.stamp}", remedy)
    sentences, labels = _parts(row, fail, where)
    checked: dict[int, dict[str, str]] = {}
    for key, carried in (labels or {}).items():
        number = str(key)
        if not number.isascii() or not number.isdecimal() or len(number) > 9 or int(number) >= len(sentences):
            raise fail(f"label index {key!r} is not one of {len(sentences)} sentences", "indices count from the title")
        if not isinstance(carried, dict):
            raise fail(f"the labels of sentence {key} are not a mapping", 'e.g. {"x": "support"}')
        if int(number) in checked:
            raise fail(f"sentence {int(number)} is labelled twice", "write each index once")
        meant: dict[str, str] = {}
        for name, stance in carried.items():
            narrative = _id(str(name), taxonomy)
            if narrative not in taxonomy:
                head, _, said = narrative.rpartition(":")
                if _id(head, taxonomy) in taxonomy:
                    raise fail(f"unknown stance {said!r} in sentence {key}", "use support or reject")
                known = ", ".join(taxonomy)
                remedy = f"the taxonomy has {known}; `bondlore labels taxonomy` makes one of your labels"
                raise fail(f"unknown narrative {narrative!r} in sentence {key}", remedy)
            if stance not in STANCES:
                raise fail(f"unknown stance {stance!r} in sentence {key}", "use support or reject")
            if meant.setdefault(narrative, stance) != stance:
                remedy = "one sentence, one stance: keep the one that prevails"
                raise fail(f"sentence {key} both supports and denies {narrative!r}", remedy)
        checked[int(number)] = meant
    clean = tuple(normalise(s) for s in sentences)
    extra = row.get("extra")
    if extra and isinstance(extra, str):  # a form of plain cells holds it as text
        try:
            extra = json.loads(extra)
        except ValueError:
            extra = {"extra": extra}
    text = {k: str(row.get(k) or "") for k in FIELDS}
    named = row.get("id") not in (None, "")
    return LabelledArticle(
        str(row["id"]) if named else _DERIVED + content_id(clean[0], "\n".join(clean[1:])),
        clean,
        {i: carried for i, carried in checked.items() if carried},
        **text,
        source=where,
        pending=labels is None,
        extra={**(extra if isinstance(extra, dict) else {}), **further(row)},
    )


def _parts(
    row: Mapping[str, Any], fail: Callable[[str, str], LabelError], where: str
) -> tuple[list[str], dict[str, Any] | None]:
    """Sentences and labels by sentence (None: not labelled yet), of native and flat rows alike."""
    labels: Any = row["labels"]
    if "sentences" in row:
        sentences = row["sentences"]
        if not isinstance(sentences, list) or not sentences or not all(isinstance(s, str) for s in sentences):
            raise fail("'sentences' is not a list of strings", "give [title, sentence, …]")
        if labels is not None and not isinstance(labels or {}, dict):
            raise fail("'labels' is not a mapping from sentence to narratives", 'e.g. {"3": {"x": "support"}}')
    elif isinstance(row.get("text"), str):
        # flat rows: one sentence without a title
        sentences = ["", row["text"]]
        if isinstance(labels, dict):
            labels = {"1": labels} if labels else {}
        elif labels is not None:
            try:
                labels = {"1": stances(flat_labels(labels), where)}
            except TypeError:
                raise fail("'labels' is not a list", 'e.g. ["a", "b"]') from None
    else:
        raise fail("the row has neither 'sentences' nor 'text'", "see corpus/labels/README.md for the form")
    for i, sentence in enumerate(sentences):
        if len(sentence) > _LONGEST:
            raise fail(f"sentence {i} has {len(sentence)} characters", "split the text into sentences")
        if _HALF.search(sentence):
            raise fail(f"sentence {i} holds half a character", "export the text again as UTF-8")
    return sentences, labels if labels is None else labels or {}
