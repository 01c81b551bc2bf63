"""Labels between forms: native, flat CSV and JSON Lines, Label Studio, doccano, Argilla 2, Hugging Face data sets.

Every form holds all that a native row holds, so that there and back gives the same articles.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bondlore import atomic
from bondlore.errors import InputError, LabelError, MissingExtraError
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelled import FIELDS, LabelledArticle, native_row
from bondlore.train.labelling import flat, label_studio
from bondlore.train.labelling.forms import native_rows
from bondlore.train.labels import parse

__all__ = ["FORGETS", "read", "write"]

FORGETS = ("csv", "doccano")  # an article not labelled yet reads back as one that carries nothing
_COLUMNS = ("text", "labels", "article", "sentence", "publisher", "date", "gate", "primary", "annotator")
_SELDOM = ("taxonomy", "extra")  # columns only where some article has them


def read(path: Path, taxonomy: Taxonomy, form: str = "") -> list[LabelledArticle]:
    """Articles of a file in `form` (found out when empty), one an annotator; those not labelled yet are `pending`.

    Raises LabelError naming file and row.
    """
    return [parse(row, taxonomy, where) for where, row in native_rows(path, form)]


def write(articles: Sequence[LabelledArticle], target: Path, form: str, taxonomy: Taxonomy) -> None:
    """Write `articles` at `target`, and read them back; beside Label Studio's tasks, its labelling interface (`.xml`).

    Raises InputError when something is there (nothing is overwritten), LabelError when the form loses anything of
    these articles; then nothing is left. That an article is not labelled yet is lost in the forms of `FORGETS`.
    """
    files = [target, target.with_suffix(".xml")] if form == "label-studio" else [target]
    for file in files:
        if file.exists():
            raise InputError("is there already", where=str(file), remedy="choose another --out")
    for kind, ending in (("csv", ".csv"), ("label-studio", ".json"), ("argilla", ".json")):
        if form == kind and target.suffix.lower() != ending:
            raise InputError(f"is no name for the form {kind}", where=str(target), remedy=f"end it in {ending}")
    _write(articles, target, form, taxonomy)
    forgets = form in FORGETS
    try:
        back = {repr(_content(a, forgets)) for a in read(target, taxonomy, form)}
    except LabelError:
        back = set()  # e.g. a label on an empty title, which no span can cover
    if lost := next((a for a in articles if repr(_content(a, forgets)) not in back), None):
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        for file in files[1:]:
            file.unlink()
        raise LabelError(
            f"the article {lost.id!r} would not read back from {form}",
            where=lost.source,
            remedy="mend its labels, or use --to native",
        )


def _content(a: LabelledArticle, forgets: bool) -> tuple[Any, ...]:
    labels = sorted((i, sorted(carried.items())) for i, carried in a.labels.items())
    extra = json.dumps(a.extra, sort_keys=True)
    return a.id, a.sentences, labels, sorted(a.fields().items()), extra, a.pending and not forgets


def _write(articles: Sequence[LabelledArticle], target: Path, form: str, taxonomy: Taxonomy) -> None:
    if form == "datasets":
        _write_dataset(articles, target)
    elif form == "csv":
        _write_csv(articles, target)
    elif form == "label-studio":
        atomic.write_json(target, label_studio.write(articles))
        atomic.write_text(target.with_suffix(".xml"), label_studio.config(taxonomy))
    elif form == "argilla":
        atomic.write_json(target, flat.write_argilla(articles))
    else:
        rows = {"native": _native, "flat": flat.write_flat, "doccano": flat.write_doccano}[form](articles)
        atomic.write_text(target, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _native(articles: Sequence[LabelledArticle]) -> Iterator[dict[str, Any]]:
    return map(native_row, articles)


def _write_csv(articles: Sequence[LabelledArticle], target: Path) -> None:
    rows = [
        row
        | {"labels": ";".join(row["labels"] or ())}
        | ({"extra": json.dumps(row["extra"], ensure_ascii=False)} if "extra" in row else {})
        for row in flat.write_flat(articles)
    ]
    text = io.StringIO()
    columns = [*_COLUMNS, *(c for c in _SELDOM if any(c in row for row in rows))]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic.write_text(target, text.getvalue())


def _write_dataset(articles: Sequence[LabelledArticle], target: Path) -> None:
    """A data set with the columns of a native row, `labels` and `extra` as JSON text; complete or not at all."""
    try:
        from datasets import Dataset, disable_progress_bars
    except ImportError as error:
        raise MissingExtraError("train", "datasets") from error
    columns: dict[str, list[Any]] = {
        "id": [a.id for a in articles],
        "sentences": [list(a.sentences) for a in articles],
        "labels": [json.dumps(native_row(a)["labels"]) for a in articles],
        **{k: [getattr(a, k) for a in articles] for k in FIELDS},
        "extra": [json.dumps(a.extra, ensure_ascii=False) for a in articles],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".convert-") as temporary:
        folder = Path(temporary) / "data"
        disable_progress_bars()
        Dataset.from_dict(columns).save_to_disk(str(folder))
        folder.rename(target)
