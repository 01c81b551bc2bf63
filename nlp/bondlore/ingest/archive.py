"""Archives of articles, streamed: JSON Lines, CSV, Parquet and folders of files. Nothing is read whole.

A row that cannot be read is rejected with its reason; a file that cannot be read stops the run with its name.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from bondlore.article import Article
from bondlore.clock import Clock, utc_now
from bondlore.errors import InputError
from bondlore.ingest.rows import RowReader, check_mapping
from bondlore.ingest.text import plain

__all__ = ["FORMATS", "Reject", "archive_files", "read_archive"]

FORMATS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".html", ".htm", ".txt")
_MAX_LINE = 8_000_000  # bytes
_MAX_PAGE = 10_000_000  # bytes of one .html or .txt file
_HOPELESS = 1_000  # rows rejected without one read: the file is something else
_BATCH = 512
_FILE_DAY = re.compile(r"(?<!\d)(\d{4}-\d\d-\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read. `row` counts from 1, for CSV the header is row 1; 0 is the file itself."""

    path: str
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Row:
    """What a format reader found at one place: a mapping, a finished Article, or why there is neither."""

    number: int
    value: Mapping[str, Any] | Article | None
    reason: str = ""


def read_archive(
    paths: Sequence[Path],
    *,
    mapping: Mapping[str, str] | None = None,
    rejects: list[Reject] | None = None,
    limit: int | None = None,
    zone: str = "",
    clock: Clock = utc_now,
) -> Iterator[Article]:
    """Yield the articles of files and folders, in the order given (folders by name).

    `mapping` names columns, as in `{"title": "headline"}`, over the guesses of `rows.FIELDS`. Unreadable rows go to
    `rejects`; without a list the first one raises. `zone` is for times that name none. Raises InputError for a file
    that cannot be read or is in no known format, and when there is not one article.
    """
    check_mapping(mapping)
    reader = RowReader(mapping=mapping, zone=zone, now=clock())
    return islice(_articles([Path(path) for path in paths], reader, rejects), limit)


def _articles(paths: Sequence[Path], reader: RowReader, rejects: list[Reject] | None) -> Iterator[Article]:
    found, refused = 0, 0
    for path in archive_files(paths):
        good = bad = 0
        for row in _rows(path, reader):
            reason = row.reason
            if isinstance(row.value, Article):
                article = row.value
            elif row.value is not None:
                try:
                    article = reader.article(row.value)
                except (ValueError, RecursionError) as error:
                    reason = str(error)[:200] or type(error).__name__
            if not reason:
                good += 1
                yield article
                continue
            bad += 1
            if rejects is None:
                raise InputError(reason, where=f"{path}, row {row.number}", remedy="mend the row or skip bad rows")
            rejects.append(Reject(str(path), row.number, reason))
            if bad >= _HOPELESS and not good:
                raise InputError(f"none of {bad} rows can be read ({reason})", where=str(path), remedy=_REMEDY)
        if bad and not good and path.suffix not in (".html", ".htm", ".txt"):
            raise InputError(f"no row can be read ({reason})", where=f"{path}, row {row.number}", remedy=_REMEDY)
        found, refused = found + good, refused + bad
    if not found:
        what = f"no article in {refused} files" if refused else "no article in it"
        raise InputError(what, where=", ".join(map(str, paths[:3])) or "archive", remedy=_REMEDY)


_REMEDY = f"give files with {', '.join(FORMATS)} (also .gz for lines and CSV) and name odd columns: title=COLUMN"


def _kind(path: Path) -> str:
    """The format by name, without `.gz`; "" when there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        return suffixes[-2] if len(suffixes) > 1 and suffixes[-2] in FORMATS[:4] else ""
    return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ""


def archive_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files in order; of a folder all known ones, by name, without hidden ones and links. Raises InputError."""
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if _kind(p) and not _hidden(p.relative_to(path)))
            kept = [p for p in inside if p.is_file() and not p.is_symlink()]
            if not kept:
                raise InputError("has no file in a known format", where=str(path), remedy=_REMEDY)
            yield from kept
        elif not path.exists():
            raise InputError("does not exist", where=str(path), remedy="check the path")
        elif not _kind(path):
            raise InputError(f"is in no known format ({path.suffix or 'no ending'})", where=str(path), remedy=_REMEDY)
        else:
            yield path


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _rows(path: Path, reader: RowReader) -> Iterator[_Row]:
    """The rows of one file. What goes wrong with the file itself becomes InputError with the row reached."""
    readers: dict[str, Callable[[Path, RowReader], Iterator[_Row]]] = {
        ".csv": _csv_rows,
        ".tsv": _csv_rows,
        ".parquet": _parquet_rows,
        ".html": _page_rows,
        ".htm": _page_rows,
        ".txt": _text_rows,
    }
    number = 0
    try:
        for row in readers.get(_kind(path), _json_rows)(path, reader):
            number = row.number
            yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"is not a whole gzip file ({error})", where=f"{path}, after row {number}", remedy="get the file again"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be read ({reason})", where=str(path), remedy="check the path and rights") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(cast(io.RawIOBase, gzip.open(path, "rb")), 1 << 17)
    return path.open("rb")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None for one longer than the bound, which is skipped without being held."""
    number = 0
    while line := stream.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line


def _json_rows(path: Path, _reader: RowReader) -> Iterator[_Row]:
    with _open(path) as stream:
        for number, line in _lines(stream):
            if line is None:
                yield _Row(number, None, f"line over {_MAX_LINE} bytes")
            elif stripped := line.removeprefix(b"\xef\xbb\xbf").strip():
                try:
                    value = json.loads(stripped)
                except (ValueError, RecursionError) as error:
                    yield _Row(number, None, f"not JSON ({str(error)[:120]})")
                    continue
                is_row = isinstance(value, dict)
                yield _Row(number, value if is_row else None, "" if is_row else "not a JSON object")


def _csv_rows(path: Path, reader: RowReader) -> Iterator[_Row]:
    where = str(path)
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_LINE))
    with _open(path) as stream:
        first = stream.readline(_MAX_LINE)
        if len(first) == _MAX_LINE:
            raise InputError(f"has a header over {_MAX_LINE} bytes", where=where, remedy=_REMEDY)
        text_lines = _decoded([(1, first)], where), _decoded(((n + 1, line) for n, line in _lines(stream)), where)
        delimiter = max(",;\t|", key=first.decode("utf-8", "replace").count)
        header: list[str] = []
        number = 1
        try:
            rows = csv.reader((line for part in text_lines for line in part), delimiter=delimiter, strict=True)
            for row in rows:
                number = rows.line_num
                if not row:
                    continue
                if not header:
                    header = [name.strip() for name in row]
                    reader.columns(header, where=where)
                elif len(row) != len(header):
                    yield _Row(number, None, f"{len(row)} fields where the header has {len(header)}")
                else:
                    yield _Row(number, dict(zip(header, row, strict=True)))
        except csv.Error as error:
            raise InputError(
                f"is not CSV ({error})", where=f"{path}, row {number + 1}", remedy="check the quotes there"
            ) from error
        if not header:
            raise InputError("is empty", where=where, remedy=_REMEDY)


def _decoded(lines: Iterable[tuple[int, bytes | None]], where: str) -> Iterator[str]:
    for number, line in lines:
        if line is None:
            raise InputError(f"has a line over {_MAX_LINE} bytes", where=f"{where}, row {number}", remedy=_REMEDY)
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8", where=f"{where}, row {number}", remedy="save it as UTF-8") from error


def _parquet_rows(path: Path, reader: RowReader) -> Iterator[_Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            plan = reader.columns(file.schema_arrow.names, where=str(path))
            batches = file.iter_batches(batch_size=_BATCH, columns=sorted(set(plan.values())))
            number = 0
            for batch in batches:
                for value in batch.to_pylist():
                    number += 1
                    yield _Row(number, value)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"is not a readable Parquet file ({reason})", where=str(path), remedy=_REMEDY) from error


def _page_rows(path: Path, reader: RowReader) -> Iterator[_Row]:
    from bondlore.ingest.page import extract_page

    try:
        article = extract_page(_whole(path), url="", zone=reader.zone, now=reader.now)
    except InputError as error:
        yield _Row(0, None, error.message)
        return
    yield _Row(0, article)


def _text_rows(path: Path, _reader: RowReader) -> Iterator[_Row]:
    """A text file: the first line is the title; a date in the file's name is its day."""
    try:
        title, _, text = plain(_whole(path).decode("utf-8-sig")).partition("\n")
    except (UnicodeDecodeError, InputError) as error:
        yield _Row(0, None, "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.message)
        return
    day = _FILE_DAY.search(path.name)
    row = {"title": title, "text": text, "published": day[1] if day else ""}
    if len(title) > 300:  # a paragraph, not a title
        row |= {"title": "", "text": f"{title}\n{text}"}
    yield _Row(0, row)


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MAX_PAGE + 1)
    if len(data) > _MAX_PAGE:
        raise InputError(f"over {_MAX_PAGE} bytes", where=str(path), remedy="split it")
    return data
