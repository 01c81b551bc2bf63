"""Rows of anything labels come in, as they stand: JSON Lines, JSON lists, CSV, Hugging Face data sets."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bondlore.errors import LabelError, MissingExtraError
from bondlore.jsonlines import MAX_LINE, objects

__all__ = ["HUB", "rows"]

HUB = "hf:"  # hf:owner/name or hf:owner/name:split
_MAX_LIST = 500_000_000  # bytes of a JSON list, which is read whole
_MAX_FIELD = MAX_LINE  # characters of a CSV field
_Skip = Callable[[LabelError], None] | None


def rows(path: Path | str, *, skip: _Skip = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:row` and the row, unchecked. A folder is a data set on disk, `hf:owner/name` one of the hub.

    Raises LabelError naming file and row; MissingExtraError when `datasets` is needed and not there. With `skip`, a row
    of JSON that is no object is told to it and passed over.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if str(path).startswith(HUB) or path.is_dir():
        found = _dataset(str(path))
    elif kind == ".csv":
        found = _csv(path)
    else:
        found = _list(path, skip) if kind == ".json" else objects(path, skip=skip)
    for number, row in found:
        yield f"{path}:{number}", row


def _list(path: Path, skip: _Skip) -> Iterator[tuple[int, dict[str, Any]]]:
    """Items of a JSON list. A file named .json that holds JSON Lines is read as that."""
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= _MAX_LIST else b""
    except OSError as error:
        raise LabelError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
    if size > _MAX_LIST:
        raise LabelError(f"is larger than {_MAX_LIST} bytes", where=str(path), remedy="export it in parts")
    try:
        items = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LabelError("is not UTF-8", where=str(path), remedy="convert it, e.g. with iconv -t utf-8") from error
    except (ValueError, RecursionError) as error:
        if raw.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
            yield from objects(path, skip=skip)
            return
        raise LabelError(f"is not JSON ({error})", where=str(path), remedy="export it again") from error
    items = [items] if isinstance(items, dict) else items
    if not isinstance(items, list) or not items:
        raise LabelError("holds no list of tasks, records or articles", where=str(path), remedy="export it as JSON")
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield number, item
            continue
        error_ = LabelError("is not a JSON object", where=f"{path}:{number}", remedy="export it again as JSON")
        if skip is None:
            raise error_
        skip(error_)


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    before = csv.field_size_limit(_MAX_FIELD)  # one setting for the whole program; the default cuts long articles off
    number = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if "labels" not in (reader.fieldnames or ()):
                found = ", ".join(reader.fieldnames or ()) or "no header"
                raise LabelError(f"has no column 'labels' (it has {found})", where=f"{path}:1", remedy="rename yours")
            for row in reader:
                number = reader.line_num
                if None in row:
                    message = f"the row has more fields than the header ({len(reader.fieldnames or ())})"
                    raise LabelError(message, where=f"{path}:{number}", remedy="put texts with commas in quotes")
                labels = [part for part in (row.get("labels") or "").replace(";", ",").split(",") if part.strip()]
                yield number, {**row, "labels": [part.strip() for part in labels]}
    except csv.Error as error:
        where = f"{path}:{number}"
        raise LabelError(
            f"is not CSV after this row ({error})", where=where, remedy="quote texts with commas"
        ) from error
    except UnicodeDecodeError as error:
        raise LabelError("is not UTF-8", where=str(path), remedy="convert it, e.g. with iconv -t utf-8") from error
    except OSError as error:
        raise LabelError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
    finally:
        csv.field_size_limit(before)


def _dataset(place: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a data set on disk or of the hub; of several splits those of `train`, unless `hf:name:split` says."""
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("train", "datasets") from error
    split = "train"
    try:
        if place.startswith(HUB):
            name, _, other = place.removeprefix(HUB).partition(":")
            split = other or split
            data = datasets.load_dataset(name)
        else:
            data = datasets.load_from_disk(place)
    except Exception as error:  # its loaders and the hub client raise some dozen classes
        reason = " ".join(str(error).split())[:160]
        what = "the hub has" if place.startswith(HUB) else "on disk"
        remedy = "give a file, a folder written by datasets' save_to_disk, or hf:owner/name"
        raise LabelError(f"is not a data set {what} ({reason})", where=place, remedy=remedy) from error
    if isinstance(data, dict):
        if split not in data:
            remedy = f"it has {', '.join(data)}: save one by itself, or name it: hf:owner/name:split"
            raise LabelError(f"has no split {split!r}", where=place, remedy=remedy)
        data = data[split]
    feature = data.features.get("labels")
    names = getattr(getattr(feature, "feature", feature), "names", None)
    for number, row in enumerate(data, 1):
        given = row.get("labels")
        if isinstance(given, str):
            try:
                row["labels"] = json.loads(given)
            except ValueError:
                row["labels"] = [given]
        elif names and isinstance(given, list):
            row["labels"] = [names[i] for i in given]  # a Sequence(ClassLabel) holds numbers
        elif names and isinstance(given, int):
            row["labels"] = [names[given]]
        yield number, row
