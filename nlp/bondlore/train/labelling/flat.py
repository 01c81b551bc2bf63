"""Forms with one sentence a row: flat CSV, flat JSON Lines, Argilla 2 records; and doccano's, with one article a row.

`article` and `sentence` put the rows of an article together again; a row without them is an article of one sentence.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bondlore.errors import LabelError
from bondlore.train.labelled import FIELDS, LabelledArticle
from bondlore.train.labelling.spans import NOTHING, assign, label_of, stances, union

__all__ = ["read_argilla", "read_doccano", "read_flat", "write_argilla", "write_doccano", "write_flat"]

_Row = dict[str, Any]
_Located = tuple[str, _Row]
_Skip = Callable[[LabelError], None] | None
_QUESTION = "labels"
# what doccano's own exports hold beside the text; anything else was imported with it
_DOCCANO = ("id", "text", "label", "labels", "entities", "relations", "cats", "Comments", "comments", "article")


def write_flat(articles: Sequence[LabelledArticle]) -> Iterator[_Row]:
    """One row a sentence, sentences without a label too; an empty title makes no row.

    `labels` is null in an article that nobody has labelled yet.
    """
    for article in articles:
        for i, sentence in enumerate(article.sentences):
            if i or sentence:
                labels = [label_of(n, s) for n, s in article.labels.get(i, {}).items()]
                row = {"text": sentence, "labels": None if article.pending else labels, "article": article.id}
                extra = {"extra": dict(article.extra)} if article.extra else {}
                yield {**row, "sentence": i, **article.fields(), **extra}


def read_flat(rows: Iterable[_Located], skip: _Skip = None) -> Iterator[_Located]:
    """Native rows, in order of their first sentence. Raises LabelError: a sentence twice, or one that is missing.

    With `skip`, errors are told to it and their article passed over.
    """
    parts: dict[tuple[str, str], list[_Located]] = {}
    for where, row in rows:
        if row.get("article") in (None, ""):
            yield where, row
            continue
        parts.setdefault((str(row["article"]), str(row.get("annotator") or "")), []).append((where, row))
    for (name, _), located in parts.items():
        try:
            joined = _joined(name, located)
        except LabelError as error:
            if skip is None:
                raise
            skip(error)
            continue
        yield located[0][0], joined


def _joined(name: str, located: Sequence[_Located]) -> _Row:
    texts: dict[int, str] = {}
    labels: dict[str, dict[str, str]] = {}
    pending = 0
    for where, row in located:
        number = str(row.get("sentence"))
        if not number.isdecimal() or len(number) > 9 or int(number) in texts or not isinstance(row.get("text"), str):
            remedy = "number the sentences of an article 0 (title), 1, 2, …"
            raise LabelError(f"'sentence' is {number!r}, no new number", where=where, remedy=remedy)
        texts[int(number)] = row["text"]
        given = row.get("labels")
        pending += given is None
        if isinstance(given, dict):
            labels[number] = {str(n): str(s) for n, s in given.items()}
        elif isinstance(given, (str, list)):
            labels[number] = stances([given] if given and isinstance(given, str) else given, where)
        elif given is not None:
            raise LabelError("'labels' is not a list", where=where, remedy='e.g. ["a", "b"]')
    texts.setdefault(0, "")
    if missing := next((i for i, have in enumerate(sorted(texts)) if i != have), None):
        raise LabelError(
            f"sentence {missing} of {name!r} is missing", where=located[0][0], remedy="keep rows without a label too"
        )
    first = located[0][1]
    if 0 < pending < len(located):
        remedy = "label all sentences of an article, [] where one carries nothing"
        raise LabelError(f"{pending} sentences of {name!r} are not labelled yet", where=located[0][0], remedy=remedy)
    row = {"id": name, "sentences": [texts[i] for i in range(len(texts))], "labels": None if pending else labels}
    return row | {k: str(first[k]) for k in FIELDS if first.get(k)} | {"extra": first.get("extra")}


def write_argilla(articles: Sequence[LabelledArticle]) -> list[_Row]:
    """Records as Argilla 2's `records.to_list()` gives them: field `text`, MultiLabelQuestion `labels`.

    Argilla refuses an answer without a label, so the question needs one more, `none`. Its users are UUIDs: the
    annotator's is derived from the name, which stays in the metadata. Metadata are plain values there, so `extra` is
    JSON text.
    """
    out = []
    several = Counter(a.id for a in articles)
    for row in write_flat(articles):
        name = f"{row['article']}/{row['sentence']}"
        if several[row["article"]] > 1:  # ids are unique in Argilla
            name += f"/{row.get('annotator', '')}"
        meta = {k: v for k, v in row.items() if k not in ("text", "labels")}
        if "extra" in meta:
            meta["extra"] = json.dumps(meta["extra"], ensure_ascii=False)
        answer = {"value": row["labels"] or [NOTHING], "user_id": _user(row.get("annotator", ""))}
        out.append(
            {
                "id": name,
                "fields": {"text": row["text"]},
                "metadata": meta,
                "suggestions": {},
                "responses": {} if row["labels"] is None else {_QUESTION: [answer]},
                "vectors": {},
                "status": "pending" if row["labels"] is None else "completed",
            }
        )
    return out


def read_argilla(records: Iterable[_Located], skip: _Skip = None) -> Iterator[_Located]:
    """Native rows of the answers to the question `labels`; each user's answers make an article of their own.

    Suggestions are a model's and are not read. An article with a record that is not `completed` is not labelled yet:
    its sentences are labelled together or not at all. Discarded answers are no answers.
    """
    located: list[_Located] = []
    users: dict[tuple[str, str], dict[str, None]] = {}
    found: list[tuple[str, _Row, dict[str, list[str]]]] = []
    waiting: set[tuple[str, str]] = set()
    for at, record in records:
        try:
            row, answers, done = _record(record, at)
        except LabelError as error:
            if skip is None:
                raise
            skip(error)
            continue
        users.setdefault(_whose(row), {}).update(dict.fromkeys(answers))
        found.append((at, row, answers))
        if not done:
            waiting.add(_whose(row))
    for at, row, answers in found:
        if _whose(row) in waiting:
            located.append((at, {**row, "labels": None}))
            continue
        for user in users[_whose(row)] or [""]:
            # answers we wrote keep the name in the metadata; a person's answers in Argilla are hers
            named = {} if user in ("", _user(row.get("annotator", ""))) else {"annotator": user}
            located.append((at, {**row, **named, "labels": answers.get(user, [])}))
    yield from read_flat(located, skip)


def _record(record: _Row, at: str) -> tuple[_Row, dict[str, list[str]], bool]:
    """A record's row without labels, each user's answer, and whether it is answered."""
    try:
        text, meta = record["fields"]["text"], dict(record.get("metadata") or {})
        answers = {
            str(r["user_id"]): [r["value"]] if isinstance(r["value"], str) else list(map(str, r["value"]))
            for r in (record.get("responses") or {}).get(_QUESTION) or ()
            if r.get("status", "submitted") == "submitted" and r.get("value") is not None
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        remedy = f"records need the field 'text' and answers to a multi-label question '{_QUESTION}'"
        raise LabelError(f"the record lacks {error}", where=at, remedy=remedy) from error
    meta.setdefault("article", str(record.get("id") or f"record-{at.rpartition(':')[2]}"))
    meta.setdefault("sentence", 1)
    return {"text": text, **meta}, answers, record.get("status", "completed") == "completed"


def _user(annotator: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"bondlore:annotator:{annotator}"))


def _whose(meta: _Row) -> tuple[str, str]:
    return str(meta["article"]), str(meta.get("annotator") or "")


def write_doccano(articles: Sequence[LabelledArticle]) -> Iterator[_Row]:
    """Rows for doccano's sequence labelling (JSONL): `text` is one sentence a line, the title first.

    doccano puts a number of its own in `id`, hence `article`; it keeps further keys and gives them back.
    """
    for article in articles:
        text, spans = union(article.labels, article.sentences)
        row = {"text": text, "label": [list(s) for s in spans], "article": article.id}
        yield {**article.extra, **row, **article.fields()}


def read_doccano(rows: Iterable[_Located], skip: _Skip = None) -> Iterator[_Located]:
    """Native rows of doccano's JSONL: spans in code points (`label`, `labels` or `entities`), or classes.

    Rows without `article` were not written here: their first line is a sentence, not a title. Raises LabelError; with
    `skip`, tells it and passes the row over.
    """
    for where, row in rows:
        try:
            native = _doccano(row, where)
        except LabelError as error:
            if skip is None:
                raise
            skip(error)
            continue
        yield where, native


def _doccano(row: _Row, where: str) -> _Row:
    text = row.get("text")
    if not isinstance(text, str):
        raise LabelError("the row has no 'text'", where=where, remedy="export from doccano as JSONL")
    given: Any = next((row[k] for k in ("entities", "label", "labels") if row.get(k) not in (None, [], "")), [])
    name = str(row.get("article") or f"doccano-{row.get('id', where.rpartition(':')[2])}")
    meta = {k: str(row[k]) for k in FIELDS if row.get(k)}
    meta |= {k: v for k, v in row.items() if k not in FIELDS and k not in _DOCCANO}
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list):
        remedy = 'doccano writes [[start, end, "label"], …] or ["label", …]'
        raise LabelError(f"the label is {given!r}", where=where, remedy=remedy)
    if given and all(isinstance(label, str) for label in given):
        return {**meta, "id": name, "text": text, "labels": given}
    spans = [_span(label, text, where) for label in given]
    shift = 0 if row.get("article") else 1
    labels = {str(i + shift): stances(found, where) for i, found in assign(text, spans).items()}
    return {**meta, "id": name, "sentences": [""] * shift + text.split("\n"), "labels": labels}


def _span(label: Any, text: str, where: str) -> tuple[int, int, str]:
    try:
        if isinstance(label, dict):
            start, end, name = int(label["start_offset"]), int(label["end_offset"]), str(label["label"])
        else:
            start, end, name = int(label[0]), int(label[1]), str(label[2])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        remedy = 'doccano writes [start, end, "label"]'
        raise LabelError(f"{label!r} is not a span", where=where, remedy=remedy) from error
    if not 0 <= start < end <= len(text):
        remedy = "the text was changed after labelling: import it as it was"
        raise LabelError(
            f"the span {start} to {end} leaves the text ({len(text)} characters)", where=where, remedy=remedy
        )
    return start, end, name
