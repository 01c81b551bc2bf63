"""The forms labels come in, told apart by their first row, and read as native rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bondlore.errors import LabelError
from bondlore.train.labelling import flat, label_studio
from bondlore.train.labelling.sources import HUB, rows

__all__ = ["FORMS", "form_of", "native_rows"]

FORMS = ("native", "csv", "flat", "label-studio", "doccano", "argilla", "datasets")
_Skip = Callable[[LabelError], None] | None
_MIN = {"annotation_id", "lead_time"}  # of Label Studio's JSON-MIN, which lacks the regions' names
_KEYS = (
    ("label-studio", {"data", "annotations"}),
    ("argilla", {"fields", "responses"}),
    ("native", {"sentences"}),
    ("native", {"keys", "of"}),
    ("flat", {"text", "labels", "article"}),
    ("doccano", {"text", "label"}),
    ("doccano", {"text", "entities"}),
    ("flat", {"text", "labels"}),
    ("label-studio", {"data"}),
)


def form_of(path: Path) -> str:
    """The form of a file, by its name and its first readable row. Raises LabelError when neither tells."""
    if str(path).startswith(HUB) or path.is_dir():
        return "datasets"
    if path.suffix.lower() == ".csv":
        return "csv"
    where, first = next(rows(path, skip=lambda _: None), (str(path), None))
    if first is None:
        return "native"  # empty, or broken throughout: reading it says so
    if first.keys() >= _MIN and "result" not in first:
        remedy = "export the project as JSON, which keeps what the regions mean"
        raise LabelError("is Label Studio's JSON-MIN", where=str(path), remedy=remedy)
    for form, keys in _KEYS:
        if keys <= first.keys() and (form != "label-studio" or isinstance(first["data"], dict)):
            return form
    if {"id", "labels"} <= first.keys():
        return "native"  # labels only: another file has the sentences
    raise LabelError("is in no known form", where=where, remedy="see corpus/labels/README.md, or labels convert --from")


def native_rows(path: Path | str, form: str = "", *, skip: _Skip = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:row` and a native (or one-sentence flat) row for each article and annotator, unchecked.

    `form`: one of `FORMS`, found out when empty. Raises LabelError, MissingExtraError as `rows` does; with `skip`, bad
    rows are told to it and passed over.
    """
    path = Path(path)
    form = form or form_of(path)
    found = rows(path, skip=skip)
    if form == "label-studio":
        return label_studio.read(found, skip)
    if form == "argilla":
        return flat.read_argilla(found, skip)
    if form == "doccano":
        return flat.read_doccano(found, skip)
    if form in ("csv", "flat"):
        return flat.read_flat(found, skip)
    return found
