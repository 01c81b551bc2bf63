"""Write shards so that each counts once, and read what was committed.

A shard: temporary file -> close -> read back and compare -> fsync -> rename -> fsync the folder -> done-record the same
way. It is done only when its record exists *and* the Parquet footer agrees. `COMMITTED.json` comes last, and readers
open only what it names.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from bondlore import atomic
from bondlore.errors import BatchError
from bondlore.tag.batch.folder import Folder, Shard
from bondlore.tag.batch.machine import describe
from bondlore.tag.bundle import file_digest
from bondlore.tagging import schema

if TYPE_CHECKING:
    import pyarrow.dataset as ds  # brings pandas along

__all__ = ["Record", "commit", "open_tagged", "read_record", "read_tagged", "write_shard"]

FORMAT = 1
_NAME = re.compile(r"shard-\d{5,9}")
_ANEW = "delete it and run the same `bondlore tag` again: it makes the shard anew"


@dataclass(frozen=True, slots=True)
class Record:
    """A done-record: what was written for one shard, by which job, where."""

    name: str
    id: str
    rows: int
    errors: int
    bytes: int
    sha256: str
    seconds: float
    job: str
    machine: dict[str, str] = field(default_factory=dict)
    copies: int = 0  # articles with the very words of another, whose answer they were given


def write_shard(
    folder: Folder,
    shard: Shard,
    table: pa.Table,
    *,
    ids: Sequence[str],
    job: str,
    seconds: float,
    machine: dict[str, str] | None = None,
    copies: int = 0,
) -> Record:
    """Write one shard's table, then its done-record. `ids` are those planned, in order.

    `seconds` were spent on `machine` (default: this one, see `machine.describe`).

    Two workers on one shard write the same bytes, so that the second rename is harmless. Raises BatchError when what
    was written does not read back as what was planned.
    """
    target = folder.table(shard.name)
    with atomic.replacing(target) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_statistics=True)
        _check_written(temporary, target, ids)
        digest, size = file_digest(temporary), temporary.stat().st_size
    errors = table["status"].to_pylist().count("error")
    record = Record(
        shard.name, shard.id, shard.rows, errors, size, digest, round(seconds, 3), job, machine or describe(), copies
    )
    atomic.write_json(folder.record(shard), asdict(record))
    return record


def _check_written(path: Path, target: Path, ids: Sequence[str]) -> None:
    try:
        with pq.ParquetFile(path) as file:
            rows = file.metadata.num_rows
            written = file.read(columns=["id"])["id"].to_pylist()
    except pa.ArrowException as error:
        raise BatchError(f"cannot be read back ({error})", where=str(target), remedy="check the disk") from error
    if rows != len(ids) or written != list(ids):
        raise BatchError(
            f"reads back {rows} rows where {len(ids)} were planned, or other ids",
            where=str(target),
            remedy="check the disk, then run the same command again",
        )


def read_record(folder: Folder, shard: Shard, job: str) -> Record | None:
    """The shard's record if it is done: the record fits the plan, and the Parquet file is there, whole, of its rows."""
    try:
        record = Record(**json.loads(folder.record(shard).read_bytes()))
        path = folder.table(shard.name)
        if path.stat().st_size != record.bytes:
            return None
        footer = pq.read_metadata(path)
    except (OSError, ValueError, TypeError, pa.ArrowException):  # Arrow calls a garbled footer an OSError
        return None
    planned = (shard.name, shard.id, shard.rows, job)
    fits = (record.name, record.id, record.rows, record.job) == planned and footer.num_rows == shard.rows
    return record if fits else None


def commit(
    folder: Folder, records: Sequence[Record], *, job: str, model: str, narratives: Sequence[str], rejects: int
) -> None:
    """Name the files that make up the table, with their hashes. Holds nothing that differs between equal runs.

    A commit that says all this already is left as it is; a damaged one, or one of other files, is replaced.
    """
    value = {
        "format": FORMAT,
        "job": job,
        "model": model,
        "narratives": list(narratives),
        "rows": sum(r.rows for r in records),
        "errors": sum(r.errors for r in records),
        "rejects": rejects,
        "files": [{"name": r.name, "id": r.id, "rows": r.rows, "sha256": r.sha256} for r in records],
    }
    try:
        if json.loads(folder.committed.read_bytes()) == value:
            return
    except (OSError, ValueError):
        pass
    atomic.write_json(folder.committed, value)


def read_tagged(root: Path | str, *, partial: bool = False) -> pa.Table:
    """The table a job committed, in the order of its input, with `tagging.schema`.

    Opens only what COMMITTED.json names and checks every file's hash and rows. With `partial`, an unfinished job gives
    the shards done so far. Raises BatchError for anything else: no job, an unfinished one, a missing or altered file.
    """
    folder = Folder(Path(root))
    narratives, files = _unfinished(folder) if partial and not folder.committed.exists() else _committed(folder)
    form = schema(narratives)
    tables = [_verified(folder, name, rows, digest, form) for name, rows, digest in files]
    return pa.concat_tables(tables) if tables else form.empty_table()


def open_tagged(root: Path | str) -> ds.Dataset:
    """What `read_tagged` gives, as a data set read batch by batch: ten million rows need not lie in memory.

    Hashes are checked now, in blocks. Raises BatchError as `read_tagged` does.
    """
    import pyarrow.dataset as ds

    folder = Folder(Path(root))
    narratives, files = _committed(folder)
    form, paths = schema(narratives), [folder.table(name) for name, _, _ in files]
    for path, (_, rows, digest) in zip(paths, files, strict=True):
        try:
            found = file_digest(path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BatchError(f"cannot be read ({reason})", where=str(path), remedy=_ANEW) from error
        if found != digest:
            raise BatchError("is not the file that was committed (hash differs)", where=str(path), remedy=_ANEW)
        footer = pq.read_metadata(path)
        if footer.num_rows != rows or not footer.schema.to_arrow_schema().equals(form):
            raise BatchError("has other rows or columns than were committed", where=str(path), remedy=_ANEW)
    return ds.dataset([str(path) for path in paths], schema=form, format="parquet")


_Files = tuple[list[str], list[tuple[str, int, str]]]  # narratives; name, rows, sha256 of every shard


def _committed(folder: Folder) -> _Files:
    where = str(folder.committed)
    try:
        data = json.loads(folder.committed.read_bytes())
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, this version reads {FORMAT}")
        files = [(str(f["name"]), int(f["rows"]), str(f["sha256"])) for f in data["files"]]
        if not all(_NAME.fullmatch(name) for name, _, _ in files) or sum(f[1] for f in files) != data["rows"]:
            raise ValueError("its files and its rows contradict each other")
        return [str(n) for n in data["narratives"]], files
    except OSError as error:
        raise _not_committed(folder) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BatchError(
            f"cannot be understood ({error})",
            where=where,
            remedy="run the same `bondlore tag` again: it commits anew",
        ) from error


def _not_committed(folder: Folder) -> BatchError:
    if not folder.manifest.is_file():
        return BatchError(
            "is not a tagged archive (no COMMITTED.json)",
            where=str(folder.root),
            remedy="make one with `bondlore tag INPUT... --out DIR`",
        )
    done = len(list((folder.root / "done").glob("shard-*.json")))
    return BatchError(
        f"is not finished ({done} shards done)",
        where=str(folder.root),
        remedy="run the same `bondlore tag` again: it goes on from there",
    )


def _unfinished(folder: Folder) -> _Files:
    from bondlore.tag.batch.plan import read_plan

    plan = read_plan(folder)
    if plan is None:
        raise _not_committed(folder)
    records = [read_record(folder, shard, plan.fingerprint.id) for shard in plan.shards]
    return list(plan.narratives), [(r.name, r.rows, r.sha256) for r in records if r is not None]


def _verified(folder: Folder, name: str, rows: int, digest: str, form: pa.Schema) -> pa.Table:
    path = folder.table(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise BatchError(f"cannot be read ({reason})", where=str(path), remedy=_ANEW) from error
    if sha256(data).hexdigest() != digest:
        raise BatchError("is not the file that was committed (hash differs)", where=str(path), remedy=_ANEW)
    table: pa.Table = pq.read_table(io.BytesIO(data))
    if table.num_rows != rows or not table.schema.equals(form):
        raise BatchError("has other rows or columns than were committed", where=str(path), remedy=_ANEW)
    return table.cast(form)  # only drops the field numbers that Parquet adds
