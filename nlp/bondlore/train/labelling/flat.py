"""Forms with one sentence a row: flat CSV, flat JSON Lines, Argilla 2 records; and doccano's, with one article a row.

`article` and `sentence` put the rows of an article together again; a row without them is an article of one sentence.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bondlore.errors import LabelError
from bondlore.train.labelling.spans import assign, label_of, union
from bondlore.train.labels import LabelledArticle

__all__ = ["read_argilla", "read_doccano", "read_flat", "write_argilla", "write_doccano", "write_flat"]

_FIELDS = ("publisher", "date", "gate", "primary", "annotator")
_Row = dict[str, Any]
_Located = tuple[str, _Row]
_QUESTION = "labels"


def write_flat(articles: Sequence[LabelledArticle]) -> Iterator[_Row]:
    """One row a sentence, sentences without a label too; an empty title makes no row."""
    for article in articles:
        for i, sentence in enumerate(article.sentences):
            if i or sentence:
                labels = [label_of(n, s) for n, s in article.labels.get(i, {}).items()]
                yield {"text": sentence, "labels": labels, "article": article.id, "sentence": i, **_given(article)}


def read_flat(rows: Iterable[_Located]) -> Iterator[_Located]:
    """Native rows, in order of their first sentence. Raises LabelError: a sentence twice, or one that is missing."""
    parts: dict[tuple[str, str], list[_Located]] = {}
    for where, row in rows:
        if not row.get("article"):
            yield where, row
            continue
        parts.setdefault((str(row["article"]), str(row.get("annotator") or "")), []).append((where, row))
    for (name, _), located in parts.items():
        yield located[0][0], _joined(name, located)


def _joined(name: str, located: Sequence[_Located]) -> _Row:
    texts: dict[int, str] = {}
    labels: dict[str, dict[str, str]] = {}
    for where, row in located:
        number = str(row.get("sentence"))
        if not number.isdecimal() or int(number) in texts or not isinstance(row.get("text"), str):
            remedy = "number the sentences of an article 0 (title), 1, 2, …"
            raise LabelError(f"'sentence' is {number!r}, no new number", where=where, remedy=remedy)
        texts[int(number)] = row["text"]
        if row.get("labels"):
            labels[number] = _stances(row["labels"])
    texts.setdefault(0, "")
    if missing := sorted(set(range(max(texts))) - set(texts)):
        raise LabelError(
            f"sentence {missing[0]} of {name!r} is missing", where=located[0][0], remedy="keep rows without a label too"
        )
    given = {k: str(located[0][1][k]) for k in _FIELDS if located[0][1].get(k)}
    return {"id": name, "sentences": [texts[i] for i in range(len(texts))], "labels": labels, **given}


def _stances(labels: Any) -> dict[str, str]:
    if isinstance(labels, dict):
        return {str(n): str(s) for n, s in labels.items()}
    parts = (str(label).partition(":") for label in ([labels] if isinstance(labels, str) else labels))
    return {narrative: stance or "support" for narrative, _, stance in parts}


def _given(article: LabelledArticle) -> dict[str, str]:
    return {k: getattr(article, k) for k in _FIELDS if getattr(article, k)}


def write_argilla(articles: Sequence[LabelledArticle]) -> list[_Row]:
    """Records as Argilla 2's `records.to_list()` gives them: field `text`, MultiLabelQuestion `labels`.

    Argilla's users are UUIDs: the annotator's is derived from the name, which stays in the metadata.
    """
    out = []
    several = Counter(a.id for a in articles)
    for row in write_flat(articles):
        who = str(uuid.uuid5(uuid.NAMESPACE_URL, f"bondlore:annotator:{row.get('annotator', '')}"))
        name = f"{row['article']}/{row['sentence']}"
        if several[row["article"]] > 1:  # ids are unique in Argilla
            name += f"/{row.get('annotator', '')}"
        responses = {_QUESTION: [{"value": row["labels"], "user_id": who}]} if row["labels"] else {}
        out.append(
            {
                "id": name,
                "fields": {"text": row["text"]},
                "metadata": {k: v for k, v in row.items() if k not in ("text", "labels")},
                "suggestions": {},
                "responses": responses,
                "vectors": {},
                "status": "completed",
            }
        )
    return out


def read_argilla(records: Sequence[Any], where: str) -> Iterator[_Located]:
    """Native rows of the answers to the question `labels`; each user's answers make an article of their own.

    Suggestions are a model's and are not read. A record that is not `completed` was not answered and is passed over,
    and so is its article: the sentences of an article are labelled together or not at all.
    """
    located: list[_Located] = []
    users: dict[tuple[str, str], dict[str, None]] = {}
    flat: list[tuple[str, _Row, dict[str, list[str]]]] = []
    for number, record in enumerate(records, 1):
        at = f"{where}:{number}"
        try:
            text, meta = record["fields"]["text"], dict(record.get("metadata") or {})
            answers = {str(r["user_id"]): list(map(str, r["value"])) for r in record["responses"].get(_QUESTION, [])}
        except (KeyError, TypeError, AttributeError) as error:
            remedy = f"records need the field 'text' and answers to a multi-label question '{_QUESTION}'"
            raise LabelError(f"the record lacks {error}", where=at, remedy=remedy) from error
        meta.setdefault("article", str(record.get("id") or f"record-{number}"))
        meta.setdefault("sentence", 1)
        if record.get("status", "completed") == "completed":
            users.setdefault(_whose(meta), {}).update(dict.fromkeys(answers))
            flat.append((at, {"text": text, **meta}, answers))
    for at, row, answers in flat:
        who = list(users[_whose(row)])
        for user in who or [""]:
            # answers we wrote keep the name in the metadata; a person's answers in Argilla are hers
            named = {} if user in ("", _user(row.get("annotator", ""))) else {"annotator": user}
            located.append((at, {**row, **named, "labels": answers.get(user, [])}))
    yield from read_flat(located)


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
        yield {"text": text, "label": [list(s) for s in spans], "article": article.id, **_given(article)}


def read_doccano(rows: Iterable[_Located]) -> Iterator[_Located]:
    """Native rows of doccano's JSONL: spans in code points (`label`, `labels` or `entities`), or a list of classes.

    Rows without `article` were not written here: their first line is a sentence, not a title. Raises LabelError.
    """
    for where, row in rows:
        text = row.get("text")
        if not isinstance(text, str):
            raise LabelError("the row has no 'text'", where=where, remedy="export from doccano as JSONL")
        given = row.get("entities", row.get("label", row.get("labels"))) or []
        name = str(row.get("article") or f"doccano-{row.get('id', where.rpartition(':')[2])}")
        meta = {k: str(row[k]) for k in _FIELDS if row.get(k)}
        if given and all(isinstance(label, str) for label in given):
            yield where, {"id": name, "text": text, "labels": list(given), **meta}
            continue
        spans = [_span(label, text, where) for label in given]
        shift = 0 if row.get("article") else 1
        labels = {str(i + shift): _stances(found) for i, found in assign(text, spans).items()}
        yield where, {"id": name, "sentences": [""] * shift + text.split("\n"), "labels": labels, **meta}


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
