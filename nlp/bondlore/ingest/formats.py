"""Row readers: one file of one format -> numbered rows. Streams; a line, a page or a member has a bound."""

from __future__ import annotations

import csv
import functools
import gzip
import json
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from bondlore.article import Article
from bondlore.errors import InputError
from bondlore.ingest import gdelt, warc
from bondlore.ingest.rows import RowReader
from bondlore.ingest.sources import REMEDY, Source, bounded
from bondlore.ingest.text import plain

__all__ = ["Row", "rows"]

_MAX_LINE = 8_000_000  # bytes
_MAX_PAGE = 10_000_000  # bytes of one .html or .txt file
_MAX_JSON = 200_000_000  # bytes of one .json file, which is read whole
_BATCH = 512
_SPOOL = 64_000_000  # bytes of a zipped Parquet file kept in memory
_FILE_DAY = re.compile(r"(?<!\d)(\d{4}-\d\d-\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Row:
    """What a format reader found at one place: a mapping, a finished Article, or why there is neither."""

    number: int
    value: Mapping[str, Any] | Article | None
    reason: str = ""


def rows(source: Source, reader: RowReader, *, after: int = -1) -> Iterator[Row]:
    """The rows of one file. What goes wrong with the file itself becomes InputError with the row reached.

    Rows up to `after` are known: of pages among them no more than the number is told, for extraction takes long.
    """
    if source.refused:
        yield Row(0, None, source.refused)
        return
    if after >= 0 and source.kind in (".html", ".htm", ".txt"):
        yield Row(0, None)
        return
    readers: dict[str, Callable[[Source, RowReader], Iterator[Row]]] = {
        ".csv": _csv_rows,
        ".tsv": _csv_rows,
        ".parquet": _parquet_rows,
        ".arrow": _arrow_rows,
        ".html": _page_rows,
        ".htm": _page_rows,
        ".txt": _text_rows,
        ".json": _document_rows,
        ".gkg": _gkg_rows,
        ".warc": functools.partial(_warc_rows, after=after),
    }
    number = 0
    try:
        for row in readers.get(source.kind, _json_rows)(source, reader):
            number = row.number
            yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"is not a whole gzip file ({error})",
            where=f"{source.name}, after row {number}",
            remedy="get the file again",
        ) from error
    except OSError as error:
        if source.packing == ".zst" and error.errno is None:  # Arrow's decompressor knows no error of its own
            raise InputError(
                f"is not a whole zstd file ({error})",
                where=f"{source.name}, after row {number}",
                remedy="get the file again",
            ) from error
        reason = error.strerror or str(error)
        raise InputError(f"cannot be read ({reason})", where=source.name, remedy="check the path and rights") from error


def _open(source: Source) -> BinaryIO:
    """The bytes of a source of lines, decompressed."""
    packed = source.open()
    if source.packing == ".gz":
        unpacked = gzip.GzipFile(fileobj=packed)
        # Closed with it: a file handed in is otherwise left open. Any file will do, whatever its stub says.
        unpacked.myfileobj = packed  # type: ignore[assignment]
        return bounded(cast(BinaryIO, unpacked), source.size, source.name)
    if source.packing == ".zst":
        import pyarrow as pa  # it brings zstd along; Python's own comes with 3.14

        return bounded(pa.CompressedInputStream(packed, "zstd"), source.size, source.name)
    return packed


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


def _json_rows(source: Source, _reader: RowReader) -> Iterator[Row]:
    with _open(source) as stream:
        for number, line in _lines(stream):
            if line is None:
                yield Row(number, None, f"line over {_MAX_LINE} bytes")
            elif stripped := line.removeprefix(b"\xef\xbb\xbf").strip():
                try:
                    value = json.loads(stripped)
                except (ValueError, RecursionError) as error:
                    yield Row(number, None, f"not JSON ({str(error)[:120]})")
                    continue
                is_row = isinstance(value, dict)
                yield Row(number, value if is_row else None, "" if is_row else "not a JSON object")


def _csv_rows(source: Source, reader: RowReader) -> Iterator[Row]:
    where = source.name
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_LINE))
    with _open(source) as stream:
        first = stream.readline(_MAX_LINE)
        if len(first) == _MAX_LINE:
            raise InputError(f"has a header over {_MAX_LINE} bytes", where=where, remedy=REMEDY)
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
                    yield Row(number, None, f"{len(row)} fields where the header has {len(header)}")
                else:
                    yield Row(number, dict(zip(header, row, strict=True)))
        except csv.Error as error:
            raise InputError(
                f"is not CSV ({error})", where=f"{source.name}, row {number + 1}", remedy="check the quotes there"
            ) from error
        if not header:
            raise InputError("is empty", where=where, remedy=REMEDY)


def _decoded(lines: Iterable[tuple[int, bytes | None]], where: str) -> Iterator[str]:
    for number, line in lines:
        if line is None:
            raise InputError(f"has a line over {_MAX_LINE} bytes", where=f"{where}, row {number}", remedy=REMEDY)
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8", where=f"{where}, row {number}", remedy="save it as UTF-8") from error


def _parquet_rows(source: Source, reader: RowReader) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with _seekable(source) as stream, pq.ParquetFile(stream) as file:
            plan = reader.columns(file.schema_arrow.names, where=source.name)
            batches = file.iter_batches(batch_size=_BATCH, columns=sorted(set(plan.values())))
            number = 0
            for batch in batches:
                for value in batch.to_pylist():
                    number += 1
                    yield Row(number, value)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"is not a readable Parquet file ({reason})", where=source.name, remedy=REMEDY) from error


def _seekable(source: Source) -> BinaryIO:
    """The source as a file one may jump in: a member of a ZIP is copied out first, to a nameless file."""
    stream = source.open()
    if stream.seekable() and not source.zipped:
        return stream
    copy = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115 - the caller closes it
    with stream:
        while chunk := stream.read(1 << 20):
            copy.write(chunk)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _arrow_rows(source: Source, reader: RowReader) -> Iterator[Row]:
    """A shard of a Hugging Face data set saved to disk (an Arrow stream), or an Arrow file."""
    import pyarrow as pa
    from pyarrow import ipc

    try:
        with _seekable(source) as stream:
            is_file = stream.read(6) == b"ARROW1"
            stream.seek(0)
            opened = ipc.open_file(stream) if is_file else ipc.open_stream(stream)
            plan = reader.columns(opened.schema.names, where=source.name)
            columns, number = sorted(set(plan.values())), 0
            batches = (opened.get_batch(i) for i in range(opened.num_record_batches)) if is_file else opened
            for batch in batches:
                for value in batch.select(columns).to_pylist():
                    number += 1
                    yield Row(number, value)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"is not a readable Arrow file ({reason})", where=source.name, remedy=REMEDY) from error


def _document_rows(source: Source, _reader: RowReader) -> Iterator[Row]:
    """A JSON document: a list of articles, or an object with one under `articles` (GDELT's article list)."""
    try:
        found = json.loads(_whole(source, _MAX_JSON))
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON ({str(error)[:120]})"
        raise InputError(reason, where=source.name, remedy="JSON Lines end in .jsonl") from error
    if isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, list)), [found])
    for number, value in enumerate(found if isinstance(found, list) else [found], 1):
        is_row = isinstance(value, dict)
        yield Row(number, value if is_row else None, "" if is_row else "not a JSON object")


def _gkg_rows(source: Source, reader: RowReader) -> Iterator[Row]:
    with _open(source) as stream:
        for number, line in _lines(stream):
            if line is None:
                yield Row(number, None, f"line over {_MAX_LINE} bytes")
            elif line.strip():
                try:
                    yield Row(number, gdelt.article(line, now=reader.now))
                except ValueError as error:
                    yield Row(number, None, str(error))


def _warc_rows(source: Source, reader: RowReader, *, after: int) -> Iterator[Row]:
    with source.open() as stream:
        for number, page in warc.pages(stream, where=source.name, max_bytes=_MAX_PAGE):
            if number <= after:
                yield Row(number, None)
                continue
            if isinstance(page, str):
                yield Row(number, None, page)
                continue
            try:
                article = reader.extract(
                    page.body, url=page.url, content_type=page.content_type, zone=reader.zone, now=page.at or reader.now
                )
            except InputError as error:
                yield Row(number, None, error.message)
                continue
            yield Row(number, warc.seen(article, page))


def _page_rows(source: Source, reader: RowReader) -> Iterator[Row]:
    try:
        article = reader.extract(_whole(source), url="", content_type="", zone=reader.zone, now=reader.now)
    except InputError as error:
        yield Row(0, None, error.message)
        return
    yield Row(0, article)


def _text_rows(source: Source, _reader: RowReader) -> Iterator[Row]:
    """A text file: the first line is the title; a date in the file's name is its day."""
    try:
        title, _, text = plain(_whole(source).decode("utf-8-sig")).partition("\n")
    except (UnicodeDecodeError, InputError) as error:
        yield Row(0, None, "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.message)
        return
    day = _FILE_DAY.search(source.name.replace("\\", "/").rpartition("/")[2])
    row = {"title": title, "text": text, "published": day[1] if day else ""}
    if len(title) > 300:  # a paragraph, not a title
        row |= {"title": "", "text": f"{title}\n{text}"}
    yield Row(0, row)


def _whole(source: Source, limit: int = _MAX_PAGE) -> bytes:
    with _open(source) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InputError(f"over {limit} bytes", where=source.name, remedy="split it")
    return data
