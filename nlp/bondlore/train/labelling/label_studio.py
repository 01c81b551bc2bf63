"""Label Studio's JSON: tasks with annotations. Spans are verified against the text they quote.

The format: https://labelstud.io/guide/task_format. Offsets of `labels` regions are UTF-16 units of the text as the
browser held it; pre-annotations made in Python are often code points, and carriage returns have shifted offsets in
past versions. A task is read in the first of these ways in which every quoted `value.text` is found where it is said
to be; a task that fits none is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from bondlore.errors import LabelError
from bondlore.train.labelling.spans import assign, to_codepoints, to_utf16, union
from bondlore.train.labels import LabelledArticle

__all__ = ["read", "write"]

_FIELDS = ("publisher", "date", "gate", "primary", "annotator")
_CHOICES = ("gate", "primary")  # asked of the whole article
_Span = tuple[int, int, str, str]  # start, end, label, text quoted


def write(articles: Sequence[LabelledArticle]) -> list[dict[str, Any]]:
    """Tasks to import into Label Studio: `text` is one sentence a line, the title first.

    The labelling interface they fit has <Labels name="label" toName="text"> and <Choices name="gate"> and "primary".
    """
    tasks = []
    for article in articles:
        text, spans = union(article.labels, article.sentences)
        at = to_utf16(text)
        result: list[dict[str, Any]] = [
            {
                "id": f"r{number}",
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "value": {"start": at[start], "end": at[end], "text": text[start:end], "labels": [label]},
            }
            for number, (start, end, label) in enumerate(spans)
        ]
        result += [
            {
                "id": name,
                "from_name": name,
                "to_name": "text",
                "type": "choices",
                "value": {"choices": [getattr(article, name)]},
            }
            for name in _CHOICES
            if getattr(article, name)
        ]
        given = {k: getattr(article, k) for k in _FIELDS if k not in _CHOICES and getattr(article, k)}
        data = {"id": article.id, "text": text, **given, "first_line_is_title": True}
        tasks.append({"data": data, "annotations": [{"result": result}]})
    return tasks


def read(tasks: Sequence[Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:task` and a native row for every annotation that was not cancelled. Raises LabelError.

    A task nobody annotated gives no row: it is not known to carry nothing. Where `data` has no `first_line_is_title`,
    its `title` becomes sentence 0 and the lines of `text` follow.
    """
    for number, task in enumerate(tasks, 1):
        at = f"{where}:{number}"
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("text"), str):
            raise LabelError("the task has no data.text", where=at, remedy="export as JSON, not JSON-MIN or CSV")
        for annotation in task.get("annotations") or ():
            if not annotation.get("was_cancelled"):
                yield at, _row(task, data, annotation, at)


def _row(task: dict[str, Any], data: dict[str, Any], annotation: dict[str, Any], where: str) -> dict[str, Any]:
    spans: list[_Span] = []
    whole: list[str] = []
    said: dict[str, str] = {}
    try:
        for region in annotation.get("result") or ():
            value = region["value"]
            if region["type"] == "labels":
                quoted = str(value.get("text") or "")
                spans += [(int(value["start"]), int(value["end"]), str(x), quoted) for x in value["labels"]]
            elif region["type"] == "choices" and region["from_name"] in _CHOICES:
                said[region["from_name"]] = str(value["choices"][0])
            elif region["type"] == "choices":
                whole += map(str, value["choices"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise LabelError(f"a region lacks {error}", where=where, remedy="export the project again as JSON") from error
    text, located = _located(data["text"], spans, where)
    found = assign(text, located)
    sentences = text.split("\n")
    shift = 0 if data.get("first_line_is_title") else 1
    if shift:
        sentences = [str(data.get("title") or ""), *sentences]
    if whole and len([s for s in sentences if s.strip()]) > 1:
        remedy = "label spans, or give one sentence a task"
        raise LabelError("choices label the whole text, which has several sentences", where=where, remedy=remedy)
    labels = {str(i + shift): _stances(given) for i, given in found.items()}
    if whole:
        (only,) = [i for i, s in enumerate(sentences) if s.strip()]
        labels.setdefault(str(only), {}).update(_stances(whole))
    given = {k: str(data[k]) for k in _FIELDS if data.get(k)} | said
    if who := _annotator(annotation.get("completed_by")):
        given["annotator"] = who
    return {"id": str(data.get("id") or task.get("id") or ""), "sentences": sentences, "labels": labels, **given}


def _located(text: str, spans: Sequence[_Span], where: str) -> tuple[str, list[tuple[int, int, str]]]:
    """The text with plain line ends, and spans in its code points, read in the way that finds what they quote."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    first: tuple[int, int, str] | None = None
    for body in dict.fromkeys((text, plain)):
        for places in (to_codepoints(body), {i: i for i in range(len(body) + 1)}):
            misfit = next((s for s in spans if not _fits(body, places, s)), None)
            if misfit is None:
                found = [(places[start], places[end], label) for start, end, label, _ in spans]
                if body != plain:  # its line breaks become one sign each: move what lies behind them
                    gone = [0, *accumulate(body.startswith("\r\n", i - 1) for i in range(len(body)))]
                    found = [(a - gone[a], b - gone[b], label) for a, b, label in found]
                return plain, found
            first = first or misfit[:3]
    assert first is not None
    raise LabelError(
        f"the span {first[0]} to {first[1]} ({first[2]}) does not hold the text it quotes",
        where=where,
        remedy="the text was changed after labelling: import it as it was",
    )


def _fits(body: str, places: dict[int, int], span: _Span) -> bool:
    start, end, _, quoted = span
    if start not in places or end not in places or start >= end:
        return False
    return not quoted or body[places[start] : places[end]].replace("\r\n", "\n") == quoted.replace("\r\n", "\n")


def _stances(labels: Sequence[str]) -> dict[str, str]:
    parts = (label.partition(":") for label in labels)
    return {narrative: stance or "support" for narrative, _, stance in parts}


def _annotator(who: Any) -> str:
    if isinstance(who, dict):
        return str(who.get("email") or who.get("id") or "")
    return f"user-{who}" if who else ""
