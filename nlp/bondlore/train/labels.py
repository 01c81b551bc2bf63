"""Labels files -> labelled articles: native JSON Lines, flat JSON Lines, CSV. Every row is checked."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bondlore.article import content_id, normalise
from bondlore.errors import LabelError, MissingExtraError
from bondlore.progress import say
from bondlore.taxonomy import Taxonomy, identifier

__all__ = ["LabelledArticle", "digest", "fingerprints", "flat_labels", "parse", "read", "read_all", "rows"]

_MAX_LINE = 10_000_000  # bytes
_STANCES = ("support", "reject")
_DERIVED = "row-"  # begins the id of a row that names none


@dataclass(frozen=True, slots=True)
class LabelledArticle:
    """Sentences (index 0 the title) and, for each sentence that carries one, narrative -> stance."""

    id: str
    sentences: tuple[str, ...]
    labels: Mapping[int, Mapping[str, str]]
    publisher: str = ""
    date: str = ""
    gate: str = ""
    primary: str = ""
    annotator: str = ""
    source: str = field(default="", compare=False)


def read_all(paths: Iterable[Path | str], taxonomy: Taxonomy, *, texts: Sequence[Path] = ()) -> list[LabelledArticle]:
    """Read several files. Raises LabelError naming file and row; also when an id occurs twice.

    `texts`: archives in which the sentences of keyed rows (`train.keyed`) are looked up; rows whose
    article is not there are left out, with a warning.
    """
    out: dict[str, LabelledArticle] = {}
    for path in paths:
        for article in read(path, taxonomy, texts=texts):
            if article.id in out and article.id.startswith(_DERIVED):
                # rows without ids may repeat a text: count them apart, and let the split keep them together
                number = sum(1 for key in out if key.startswith(article.id))
                article = replace(article, id=f"{article.id}-{number}")
            if article.id in out:
                where = f"{article.source} (also {out[article.id].source})"
                raise LabelError(f"the id {article.id!r} occurs twice", where=where, remedy="rename or drop one")
            out[article.id] = article
    if not out:
        where = ", ".join(map(str, paths)) or "labels"
        raise LabelError("hold no labelled article", where=where, remedy="one article a line; see corpus/labels")
    return list(out.values())


def read(path: Path | str, taxonomy: Taxonomy, *, texts: Sequence[Path] = ()) -> Iterator[LabelledArticle]:
    """Labelled articles of a file (`.csv`, JSON Lines) or a folder written by Hugging Face `datasets`.

    A data set has the columns `text` and `labels`, or those of a native row with `labels` as JSON text.
    Raises LabelError naming file and row, MissingExtraError when `datasets` is needed and not there.
    """
    keyed: list[tuple[str, dict[str, Any]]] = []
    for where, row in rows(path):
        if "keys" in row and "sentences" not in row:
            keyed.append((where, _checked_keys(row, where, texts)))
        else:
            yield parse(row, taxonomy, where)
    for where, row in _restored(keyed, path, texts):
        yield parse(row, taxonomy, where)


def rows(path: Path | str, *, skip: Callable[[LabelError], None] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:row` and the row as it stands, unchecked, of anything `read` reads. Raises as `read` does.

    With `skip`, a line of JSON Lines that is none is told to it and passed over.
    """
    path = Path(path)
    if path.is_dir():
        found = _dataset_rows(path)
    else:
        found = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path, skip)
    try:
        for number, row in found:
            yield f"{path}:{number}", row
    except OSError as error:
        raise LabelError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise LabelError("is not UTF-8", where=str(path), remedy="convert it, e.g. with iconv -t utf-8") from error


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


def _stance(label: object, taxonomy: Taxonomy) -> tuple[str, str]:
    """`a` supports, `a:reject` denies. A label may be written as its author likes where its id is in the taxonomy."""
    narrative, colon, stance = str(label).strip().rpartition(":")
    if not colon or (stance not in _STANCES and narrative not in taxonomy):
        narrative, stance = str(label).strip(), "support"
    if narrative not in taxonomy and identifier(narrative) in taxonomy:
        narrative = identifier(narrative)
    return narrative, stance


def flat_labels(given: object) -> list[str]:
    """The labels of a flat row, a list or one string; `none` and nothing are the absence of any. Raises TypeError."""
    items = [given] if isinstance(given, str) else given or []
    if not isinstance(items, list):
        raise TypeError("not a list")
    return [str(x).strip() for x in items if x is not None and str(x).strip().casefold() not in ("", "none")]


def _json_rows(path: Path, skip: Callable[[LabelError], None] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as handle:
        number = 0
        while line := handle.readline(_MAX_LINE + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > _MAX_LINE:
                raise LabelError(f"the row is longer than {_MAX_LINE} bytes", where=where, remedy="split the article")
            if not line.strip():
                continue
            try:
                row = _json_row(line, where)
            except LabelError as error:
                if skip is None:
                    raise
                skip(error)
                continue
            yield number, row


def _json_row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise LabelError("is not UTF-8", where=where, remedy="convert it, e.g. with iconv -t utf-8") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise LabelError(f"the row is not JSON ({error})", where=where, remedy="one object a line") from error
    if not isinstance(row, dict):
        raise LabelError("the row is not a JSON object", where=where, remedy="one object a line")
    return row


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        try:
            if "labels" not in (reader.fieldnames or ()):
                found = ", ".join(reader.fieldnames or ()) or "no header"
                raise LabelError(f"has no column 'labels' (it has {found})", where=f"{path}:1", remedy="rename yours")
            for row in reader:
                labels = [part for part in (row.get("labels") or "").replace(";", ",").split(",") if part.strip()]
                yield reader.line_num, {**row, "labels": [part.strip() for part in labels]}
        except csv.Error as error:
            where = f"{path}:{reader.line_num}"
            raise LabelError(f"is not CSV ({error})", where=where, remedy="quote texts with commas") from error


def _dataset_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a data set on disk; of several splits, those of `train`."""
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError as error:
        raise MissingExtraError("train", "datasets") from error
    try:
        data = load_from_disk(str(path))
    except (FileNotFoundError, ValueError, OSError) as error:
        remedy = "give a JSON Lines or CSV file, or a folder written by datasets' save_to_disk"
        raise LabelError("is not a data set on disk", where=str(path), remedy=remedy) from error
    if isinstance(data, DatasetDict):
        if "train" not in data:
            raise LabelError("has no split 'train'", where=str(path), remedy=f"save one of {', '.join(data)} by itself")
        data = data["train"]
    names = getattr(getattr(data.features.get("labels"), "feature", None), "names", None)
    for number, row in enumerate(data, 1):
        labels = row.get("labels")
        if isinstance(labels, str):
            try:
                row["labels"] = json.loads(labels)
            except json.JSONDecodeError:
                row["labels"] = [labels]
        elif names and isinstance(labels, list):
            row["labels"] = [names[i] for i in labels]  # a Sequence(ClassLabel) holds numbers
        yield number, row


def parse(row: Mapping[str, Any], taxonomy: Taxonomy, where: str) -> LabelledArticle:
    """A row, checked. Raises LabelError that names `where`."""

    def fail(message: str, remedy: str) -> LabelError:
        return LabelError(message, where=where, remedy=remedy)

    if "labels" not in row:
        raise fail("the row has no 'labels'", 'write "labels": {} where no sentence carries any')
    if "sentences" in row:
        sentences, labels = row["sentences"], row.get("labels") or {}
        if not isinstance(sentences, list) or not sentences or not all(isinstance(s, str) for s in sentences):
            raise fail("'sentences' is not a list of strings", "give [title, sentence, …]")
        if not isinstance(labels, dict):
            raise fail("'labels' is not a mapping from sentence to narratives", 'e.g. {"3": {"x": "support"}}')
    elif isinstance(row.get("text"), str):
        # flat rows: one sentence without a title
        sentences = ["", row["text"]]
        flat = row.get("labels")
        try:
            carried = flat if isinstance(flat, dict) else dict(_stance(x, taxonomy) for x in flat_labels(flat))
        except TypeError:
            raise fail("'labels' is not a list", 'e.g. ["a", "b"]') from None
        labels = {"1": carried} if carried else {}
    else:
        raise fail("the row has neither 'sentences' nor 'text'", "see corpus/labels/README.md for the form")
    checked: dict[int, dict[str, str]] = {}
    for key, carried in labels.items():
        if not str(key).isascii() or not str(key).isdecimal() or int(key) >= len(sentences):
            raise fail(f"label index {key!r} is not one of {len(sentences)} sentences", "indices count from the title")
        if not isinstance(carried, dict):
            raise fail(f"the labels of sentence {key} are not a mapping", 'e.g. {"x": "support"}')
        for narrative, stance in carried.items():
            if narrative not in taxonomy:
                known = ", ".join(taxonomy)
                remedy = f"the taxonomy has {known}; `bondlore labels taxonomy` makes one of your labels"
                raise fail(f"unknown narrative {narrative!r} in sentence {key}", remedy)
            if stance not in _STANCES:
                raise fail(f"unknown stance {stance!r} in sentence {key}", "use support or reject")
        if carried:
            checked[int(key)] = dict(carried)
    clean = tuple(normalise(s) for s in sentences)
    text = {k: str(row.get(k) or "") for k in ("publisher", "date", "gate", "primary", "annotator")}
    key = str(row.get("id") or _DERIVED + content_id(clean[0], "\n".join(clean[1:])))
    return LabelledArticle(key, clean, checked, **text, source=where)
