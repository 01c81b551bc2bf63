"""Labels between forms: native, flat CSV and JSON Lines, Label Studio, doccano, Argilla 2, Hugging Face data sets.

Every form holds all that a native row holds, so that there and back gives the same articles.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bondlore import atomic
from bondlore.errors import InputError, LabelError, MissingExtraError
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelling import flat, label_studio
from bondlore.train.labels import LabelledArticle, parse, rows

__all__ = ["FORMS", "form_of", "read", "write"]

FORMS = ("native", "csv", "flat", "label-studio", "doccano", "argilla", "datasets")
_MAX_BYTES = 500_000_000
_COLUMNS = ("text", "labels", "article", "sentence", "publisher", "date", "gate", "primary", "annotator")


def form_of(path: Path) -> str:
    """The form of a file, by its name and its first row. Raises LabelError when neither tells."""
    if path.is_dir():
        return "datasets"
    if path.suffix.lower() == ".csv":
        return "csv"
    first = _tasks(path)[0] if path.suffix.lower() == ".json" else next(iter(rows(path)), (str(path), {}))[1]
    for form, keys in (
        ("label-studio", {"data", "annotations"}),
        ("argilla", {"fields", "responses"}),
        ("native", {"sentences"}),
        ("doccano", {"text", "label"}),
        ("doccano", {"text", "entities"}),
        ("flat", {"text", "labels"}),
    ):
        if isinstance(first, dict) and keys <= first.keys():
            return form
    raise LabelError("is in no known form", where=str(path), remedy=f"name it: --from {', '.join(FORMS)}")


def read(path: Path, taxonomy: Taxonomy, form: str = "") -> list[LabelledArticle]:
    """Articles of a file in `form` (found out when empty), one an annotator. Raises LabelError naming file and row."""
    form = form or form_of(path)
    found: Iterable[tuple[str, dict[str, Any]]]
    if form == "label-studio":
        found = label_studio.read(_tasks(path), str(path))
    elif form == "argilla":
        found = flat.read_argilla(_tasks(path), str(path))
    elif form == "doccano":
        found = flat.read_doccano(rows(path))
    elif form in ("csv", "flat"):
        found = flat.read_flat(rows(path))
    else:
        found = rows(path)
    return [parse(row, taxonomy, where) for where, row in found]


def write(articles: Sequence[LabelledArticle], target: Path, form: str, taxonomy: Taxonomy) -> None:
    """Write `articles` at `target`, and read them back.

    Raises InputError when something is there (nothing is overwritten), LabelError when the form loses anything of
    these articles; then nothing is left.
    """
    if target.exists():
        raise InputError("is there already", where=str(target), remedy="choose another --out")
    if form == "csv" and target.suffix.lower() != ".csv":
        raise InputError("is no name for a CSV file", where=str(target), remedy="end it in .csv")
    _write(articles, target, form)
    try:
        back = {repr(_content(a)) for a in read(target, taxonomy, form)}
    except LabelError:
        back = set()  # e.g. a label on an empty title, which no span can cover
    if lost := next((a for a in articles if repr(_content(a)) not in back), None):
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        raise LabelError(
            f"the article {lost.id!r} would not read back from {form}",
            where=lost.source,
            remedy="mend its labels, or use --to native",
        )


def _content(a: LabelledArticle) -> tuple[Any, ...]:
    labels = sorted((i, sorted(carried.items())) for i, carried in a.labels.items())
    return a.id, a.annotator, a.sentences, labels, a.publisher, a.date, a.gate, a.primary


def _write(articles: Sequence[LabelledArticle], target: Path, form: str) -> None:
    if form == "datasets":
        _write_dataset(articles, target)
    elif form == "csv":
        _write_csv(articles, target)
    elif form in ("label-studio", "argilla"):
        made = label_studio.write(articles) if form == "label-studio" else flat.write_argilla(articles)
        atomic.write_json(target, made)
    else:
        lines = {"native": _native, "flat": flat.write_flat, "doccano": flat.write_doccano}[form](articles)
        atomic.write_text(target, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines))


def _native(articles: Sequence[LabelledArticle]) -> Iterator[dict[str, Any]]:
    for a in articles:
        given = {k: getattr(a, k) for k in ("publisher", "date", "gate", "primary", "annotator") if getattr(a, k)}
        labels = {str(i): dict(carried) for i, carried in sorted(a.labels.items())}
        yield {"id": a.id, "title": a.sentences[0], "sentences": list(a.sentences), "labels": labels, **given}


def _tasks(path: Path) -> list[Any]:
    """A JSON file that holds a list."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise LabelError(f"is larger than {_MAX_BYTES} bytes", where=str(path), remedy="export it in parts")
        tasks = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise LabelError("is not UTF-8", where=str(path), remedy="convert it, e.g. with iconv -t utf-8") from error
    except (ValueError, RecursionError) as error:
        raise LabelError(f"is not JSON ({error})", where=str(path), remedy="export it again") from error
    if not isinstance(tasks, list) or not tasks:
        raise LabelError("holds no list of tasks or records", where=str(path), remedy="export it again as JSON")
    return tasks


def _write_csv(articles: Sequence[LabelledArticle], target: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in flat.write_flat(articles):
        writer.writerow({**row, "labels": ";".join(row["labels"])})
    atomic.write_text(target, text.getvalue())


def _write_dataset(articles: Sequence[LabelledArticle], target: Path) -> None:
    """A data set with the columns of a native row, `labels` as JSON text; complete or not at all."""
    try:
        from datasets import Dataset, disable_progress_bars
    except ImportError as error:
        raise MissingExtraError("train", "datasets") from error
    columns: dict[str, list[Any]] = {
        "id": [a.id for a in articles],
        "sentences": [list(a.sentences) for a in articles],
        "labels": [json.dumps({str(i): dict(c) for i, c in sorted(a.labels.items())}) for a in articles],
    }
    columns |= {k: [getattr(a, k) for a in articles] for k in ("publisher", "date", "gate", "primary", "annotator")}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".convert-") as temporary:
        folder = Path(temporary) / "data"
        disable_progress_bars()
        Dataset.from_dict(columns).save_to_disk(str(folder))
        shutil.move(folder, target)
