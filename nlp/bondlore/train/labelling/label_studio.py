"""Label Studio's JSON: tasks with annotations. Spans are verified against the text they quote.

The format: https://labelstud.io/guide/task_format. Offsets of `labels` regions are UTF-16 units of the text as the
browser held it; pre-annotations made in Python are often code points, and carriage returns have shifted offsets in
past versions. A task is read in the first of these ways in which every quoted `value.text` is found where it is said
to be; a task that fits none is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, get_args
from xml.sax.saxutils import quoteattr

from bondlore.errors import LabelError
from bondlore.tagging import Gate
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelled import FIELDS, LabelledArticle
from bondlore.train.labelling.spans import NOTHING, assign, label_of, stances, to_codepoints, to_utf16, union

__all__ = ["config", "read", "write"]

_ONES = ("gate", "primary")  # choices asked of the whole article
_WHO = "annotator"  # a text area: whose labels these are, kept from another file
_TITLED = "first_line_is_title"
_OURS = {"id", "text", "title", _TITLED, *FIELDS}
_UNREAD = ("relation", "textarea", "rating", "number", "datetime", "pairwise")  # cannot hold a label
_LONGEST = 10_000_000  # characters of a task
_Span = tuple[int, int, str, str]  # start, end, label, text quoted


def config(taxonomy: Taxonomy) -> str:
    """The labelling interface (XML) of a project for these narratives: what `write` fills and `read` understands."""
    hints = {"support": "", "reject": " (denied)"}
    labels = "\n".join(
        f"    <Label value={quoteattr(label_of(n.id, stance))} hint={quoteattr(n.name + denied)}"
        f" background={quoteattr(n.colour)}/>"
        for stance, denied in hints.items()
        for n in taxonomy.narratives
    )
    gates = "\n".join(f"    <Choice value={quoteattr(g)}/>" for g in get_args(Gate))
    primaries = "\n".join(f"    <Choice value={quoteattr(n)}/>" for n in (*taxonomy, NOTHING))
    return f"""<View>
  <Labels name="label" toName="text">
{labels}
  </Labels>
  <Text name="text" value="$text" granularity="word"/>
  <Header value="What the article is"/>
  <Choices name="gate" toName="text" choice="single" showInline="true">
{gates}
  </Choices>
  <Header value="Its main narrative"/>
  <Choices name="primary" toName="text" choice="single" showInline="true">
{primaries}
  </Choices>
  <TextArea name="{_WHO}" toName="text" maxSubmissions="1" rows="1" placeholder="whose labels, if not yours"/>
</View>
"""


def write(articles: Sequence[LabelledArticle]) -> list[dict[str, Any]]:
    """Tasks to import into a project of `config`: `text` is one sentence a line, the title first.

    An article that nobody has labelled yet has no annotation, so that Label Studio asks for one.
    """
    tasks = []
    for article in articles:
        text = "\n".join(article.sentences)
        given = {k: v for k, v in article.fields().items() if k not in (*_ONES, _WHO)}
        task: dict[str, Any] = {"data": {**article.extra, "id": article.id, "text": text, **given, _TITLED: True}}
        tasks.append(task | {"annotations": [] if article.pending else [{"result": _result(article)}]})
    return tasks


def _result(article: LabelledArticle) -> list[dict[str, Any]]:
    text, spans = union(article.labels, article.sentences)
    at = to_utf16(text)
    out: list[dict[str, Any]] = [
        _region(
            f"r{number}",
            "label",
            "labels",
            {"start": at[start], "end": at[end], "text": text[start:end], "labels": [label]},
        )
        for number, (start, end, label) in enumerate(spans)
    ]
    out += [_region(x, x, "choices", {"choices": [getattr(article, x)]}) for x in _ONES if getattr(article, x)]
    # empty where unknown, for Label Studio would put whoever imports the tasks in its place
    return [*out, _region(_WHO, _WHO, "textarea", {"text": [article.annotator]})]


def _region(key: str, name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"id": key, "from_name": name, "to_name": "text", "type": kind, "value": value}


def read(
    tasks: Iterable[tuple[str, dict[str, Any]]], skip: Callable[[LabelError], None] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:task` and a native row for every annotation that was not cancelled. Raises LabelError.

    A task nobody annotated gives a row whose `labels` are null: it is not known to carry nothing. Where `data` has no
    `first_line_is_title`, its `title` becomes sentence 0 and the lines of `text` follow. With `skip`, errors are told
    to it and their task passed over.
    """
    for at, task in tasks:
        try:
            found = list(_rows(task, at))
        except LabelError as error:
            if skip is None:
                raise
            skip(error)
            continue
        yield from ((at, row) for row in found)


def _rows(task: dict[str, Any], at: str) -> Iterator[dict[str, Any]]:
    data = task.get("data")
    text = _text(data) if isinstance(data, dict) else None
    if not isinstance(data, dict) or text is None:
        raise LabelError("the task has no data.text", where=at, remedy="export as JSON, not JSON-MIN or CSV")
    if len(text) > _LONGEST:
        raise LabelError(f"the text has more than {_LONGEST} characters", where=at, remedy="split the article")
    given = task.get("annotations") or []
    if not isinstance(given, list) or not all(isinstance(a, dict) for a in given):
        raise LabelError("the annotations are no list of objects", where=at, remedy="export the project again as JSON")
    done = [a for a in given if not a.get("was_cancelled")]
    if not done:
        plain, _ = _located(text, [], at)
        yield _native(task, data, plain.split("\n")) | {"labels": None}
    for annotation in done:
        yield _row(task, data, text, annotation, at)


def _text(data: dict[str, Any]) -> str | None:
    """`data.text`, or the only text there is under another name."""
    if isinstance(data.get("text"), str):
        return str(data["text"])
    texts = [v for k, v in data.items() if isinstance(v, str) and k not in _OURS]
    return texts[0] if len(texts) == 1 else None


def _native(task: dict[str, Any], data: dict[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    sentences = [*lines] if data.get(_TITLED) else [str(data.get("title") or ""), *lines]
    given = {k: str(data[k]) for k in FIELDS if data.get(k)}
    name = next((str(x) for x in (data.get("id"), task.get("id")) if x not in (None, "")), "")
    beyond = {k: v for k, v in data.items() if k not in _OURS} if "text" in data else {}
    return {"id": name, "sentences": sentences, **given, "extra": beyond}


def _row(task: dict[str, Any], data: dict[str, Any], text: str, annotation: Any, where: str) -> dict[str, Any]:
    spans: list[_Span] = []
    whole: list[str] = []
    said: dict[str, str] = {}
    try:
        for region in annotation.get("result") or ():
            kind, name, value = region["type"], region.get("from_name"), region.get("value") or {}
            if kind == "labels":
                quoted = str(value.get("text") or "")
                spans += [(int(value["start"]), int(value["end"]), str(x), quoted) for x in value["labels"]]
            elif kind == "choices" and name in _ONES:
                said[name] = str(value["choices"][0])
            elif kind == "choices":
                whole += map(str, value["choices"])
            elif kind == "textarea" and name == _WHO:
                said[_WHO] = " ".join(value["text"] if isinstance(value["text"], list) else [str(value["text"])])
            elif kind not in _UNREAD:
                remedy = "label texts with <Labels> or <Choices>, as in the .xml that labels convert writes"
                raise LabelError(f"regions of the kind {kind!r} are not read", where=where, remedy=remedy)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise LabelError(f"a region lacks {error}", where=where, remedy="export the project again as JSON") from error
    plain, located = _located(text, spans, where)
    row = _native(task, data, plain.split("\n"))
    shift = 0 if data.get(_TITLED) else 1
    labels = {i + shift: given for i, given in assign(plain, located).items()}
    if whole:
        filled = [i for i, s in enumerate(row["sentences"]) if s.strip()]
        if len(filled) != 1:
            remedy = "label spans, or give one sentence a task"
            message = f"choices label the whole text, which {'has several sentences' if filled else 'is empty'}"
            raise LabelError(message, where=where, remedy=remedy)
        labels.setdefault(filled[0], []).extend(whole)
    row |= said
    who = _annotator(annotation.get("completed_by"))
    if who and _WHO not in said:
        row[_WHO] = who
    return row | {"labels": {str(i): stances(given, where) for i, given in sorted(labels.items())}}


def _located(text: str, spans: Sequence[_Span], where: str) -> tuple[str, list[tuple[int, int, str]]]:
    """The text with plain line ends, and spans in its code points, read in the way that finds what they quote."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    if not spans:
        return plain, []
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


def _annotator(who: Any) -> str:
    if isinstance(who, dict):
        return str(who.get("email") or who.get("id") or "")
    return f"user-{who}" if who else ""
