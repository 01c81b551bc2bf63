"""The files of an archive: on disk, in folders, in ZIP files. Nothing is unpacked onto the disk under its own name.

A member of a ZIP whose name leads out of it, which is a link or encrypted, or which swells beyond all proportion, is
refused with the reason; the rest of the ZIP is read.
"""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from bondlore.errors import InputError

__all__ = ["FORMATS", "REMEDY", "Source", "archive_files", "bounded", "sources"]

FORMATS = (
    ".jsonl",
    ".ndjson",
    ".csv",
    ".tsv",
    ".warc",
    ".gkg",
    ".parquet",
    ".arrow",
    ".html",
    ".htm",
    ".txt",
    ".json",
    ".zip",
)
REMEDY = (
    f"give files with {', '.join(FORMATS)} (also .gz for lines, CSV and WARC, .zst for lines and CSV)"
    " and name odd columns: title=COLUMN"
)
_PACKED = {".gz": FORMATS[:6], ".zst": (*FORMATS[:4], ".gkg")}
_NOT_IN_FOLDERS = (".json",)  # there it is settings more often than articles
_COLUMNLESS = (".html", ".htm", ".txt", ".warc", ".gkg")
_MAX_MEMBERS = 200_000
_FREE = 50_000_000  # bytes a member may give before its ratio counts
_MAX_RATIO = 200  # text seldom shrinks to a tenth; a bomb shrinks to a thousandth


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. `name` is for messages (`news.zip!2025/april.csv`), `stamp` changes when the file does,
    `refused` says why it must not be read.
    """

    name: str
    kind: str
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)
    stamp: str = ""
    packing: str = ""  # .gz or .zst
    size: int = 0  # bytes as packed, where `packing` says how
    zipped: bool = False
    refused: str = ""

    @property
    def columned(self) -> bool:
        """Whether the file has columns that may be named wrongly."""
        return self.kind not in _COLUMNLESS

    @property
    def key(self) -> str:
        """64 hex digits: the same file with the same content, as far as size and time tell."""
        return hashlib.sha256(f"{self.name}\x1f{self.stamp}".encode("utf-8", "surrogatepass")).hexdigest()


def sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Every file to read, ZIP files by their members. Raises InputError."""
    for path in archive_files(paths):
        status = path.stat()
        stamp = f"{status.st_size}:{status.st_mtime_ns}"
        if _kind(path.name) == ".zip":
            yield from _members(path, stamp)
        else:
            yield Source(str(path), _kind(path.name), _opener(path), stamp, _packing(path.name), status.st_size)


def archive_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files in order; of a folder all known ones, by name, without hidden ones and links. Raises InputError."""
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if _wanted(p.name) and not _hidden(p.relative_to(path).parts))
            kept = [p for p in inside if p.is_file() and not p.is_symlink()]
            if not kept:
                raise InputError("has no file in a known format", where=str(path), remedy=REMEDY)
            yield from kept
        elif not path.exists():
            raise InputError("does not exist", where=str(path), remedy="check the path")
        elif not _kind(path.name):
            raise InputError(f"is in no known format ({path.suffix or 'no ending'})", where=str(path), remedy=REMEDY)
        else:
            yield path


def _kind(name: str) -> str:
    """The format by name, without `.gz` and `.zst`; "" when there is none."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    known = _PACKED.get(_packing(name), FORMATS)
    if known is not FORMATS:
        suffixes.pop()
    if suffixes[-2:] == [".gkg", ".csv"]:  # GDELT's knowledge graph: tabs, no header
        return ".gkg"
    return suffixes[-1] if suffixes and suffixes[-1] in known else ""


def _packing(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix in _PACKED else ""


def bounded(stream: BinaryIO, packed: int, name: str) -> BinaryIO:
    """What comes out of a decompressor fed `packed` bytes: InputError when it is a bomb. Closes `stream`."""
    return cast(BinaryIO, io.BufferedReader(_Bounded(stream, max(_FREE, _MAX_RATIO * packed), name), 1 << 17))


def _wanted(name: str) -> bool:
    """Whether a file met in a folder is read; a data set's own caches are not."""
    return _kind(name) not in ("", *_NOT_IN_FOLDERS) and not name.startswith(("cache-", "indices-"))


def _hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith((".", "_")) for part in parts)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _members(path: Path, stamp: str) -> Iterator[Source]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"is not a readable ZIP file ({error})", where=str(path), remedy="get the file again"
        ) from error
    with archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS:
            raise InputError(f"has more than {_MAX_MEMBERS} members", where=str(path), remedy="split it")
        for member in members:
            # A backslash is a separator to whoever unpacks on Windows.
            parts = PurePosixPath(member.filename.replace("\\", "/")).parts
            if member.is_dir() or not _wanted(parts[-1] if parts else ""):
                continue
            if _hidden([part for part in parts if part != ".."]):
                continue
            name = f"{path}!{member.filename}"
            refused = _refusal(member, parts)
            open_, packing = _member_opener(archive, member, name), _packing(parts[-1])
            yield Source(name, _kind(parts[-1]), open_, stamp, packing, member.file_size, True, refused)


def _refusal(member: zipfile.ZipInfo, parts: Sequence[str]) -> str:
    """Why a member must not be read, or ""."""
    if ".." in parts or parts[0].startswith("/") or ":" in parts[0]:
        return "its name leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "it is a link"
    if member.flag_bits & 0x1:
        return "it is encrypted"
    if _kind(parts[-1]) == ".zip":
        return "it is a ZIP within a ZIP: unpack it first"
    return ""


def _member_opener(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Callable[[], BinaryIO]:
    def open_() -> BinaryIO:
        try:
            stream = archive.open(member)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise InputError(f"cannot be unpacked ({error})", where=name, remedy="make the ZIP again") from error
        return bounded(cast(BinaryIO, stream), member.compress_size, name)

    return open_


class _Bounded(io.RawIOBase):
    """Unpacked bytes, counted as they come: what a header says of their number may be a lie."""

    def __init__(self, stream: BinaryIO, limit: int, name: str) -> None:
        self._stream, self._left, self._name = stream, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """Fill `buffer`; raises InputError past the bound or for a damaged member."""
        view = memoryview(cast(bytearray, buffer))
        try:
            data = self._stream.read(len(view))
        except (zipfile.BadZipFile, ValueError) as error:
            raise InputError(f"cannot be unpacked ({error})", where=self._name, remedy="make the ZIP again") from error
        self._left -= len(data)
        if self._left < 0:
            raise InputError(
                f"swells to more than {_MAX_RATIO} times its size", where=self._name, remedy="unpack it yourself"
            )
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
