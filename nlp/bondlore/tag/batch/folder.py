"""The output folder of a batch job: its names, its lock, and what to say when it cannot be written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bondlore.errors import BatchError

__all__ = ["GO_ON", "Folder", "Shard", "writing"]

_OURS = {"LOCK", "planned.json", "manifest.json", "rejects.jsonl", "COMMITTED.json", "input", "shards", "done"}
GO_ON = "then run the same command again: finished shards are kept"


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of consecutive articles. `id` is a digest of their content: no worker count or path enters it."""

    number: int
    id: str
    rows: int

    @property
    def name(self) -> str:
        """File name without ending; the number orders shards as the input orders articles."""
        return f"shard-{self.number:05d}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where everything of one job lies."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The plan."""
        return self.root / "manifest.json"

    @property
    def planned(self) -> Path:
        """When the input was first read: dates that lay ahead then are refused whenever it is read again."""
        return self.root / "planned.json"

    @property
    def rejects(self) -> Path:
        """Rows of the input that could not be read, one JSON object a line."""
        return self.root / "rejects.jsonl"

    @property
    def committed(self) -> Path:
        """Written last: the files that make up the finished table, with their hashes."""
        return self.root / "COMMITTED.json"

    def articles(self, shard: Shard) -> Path:
        """The shard's articles, kept until the job is committed."""
        return self.root / "input" / f"{shard.name}.jsonl.gz"

    def table(self, name: str) -> Path:
        """The Parquet file of shard `name`."""
        return self.root / "shards" / f"{name}.parquet"

    def record(self, shard: Shard) -> Path:
        """The shard's done-record."""
        return self.root / "done" / f"{shard.name}.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run; sweep away what a killed run left half-written.

        The kernel drops the lock with the process, so a crash leaves none behind. Raises BatchError when another
        run holds it, or when the folder holds things that are not a batch job's.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        foreign = sorted(p.name for p in self.root.iterdir() if p.name not in _OURS and not p.name.startswith("."))
        if foreign:
            raise BatchError(
                f"holds {foreign[0]}, which is no part of a tagged archive",
                where=str(self.root),
                remedy="give --out an empty or new folder",
            )
        with self._lock(fcntl.LOCK_EX, f"process {os.getpid()}"):
            for leftover in (p for p in self.root.glob("**/.*.tmp") if p.is_file()):
                leftover.unlink(missing_ok=True)
            yield

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the folder beside other tasks of single shards, against whole runs.

        Sweeps nothing away: a half-written file may be a neighbour's. Raises BatchError when a whole run holds it.
        """
        with self._lock(fcntl.LOCK_SH, "tasks of single shards"):
            yield

    @contextmanager
    def _lock(self, kind: int, holder: str) -> Iterator[None]:
        descriptor = os.open(self.root / "LOCK", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                other = os.read(descriptor, 40).decode("ascii", "replace").strip() or "unknown"
                raise BatchError(
                    f"another run is working here ({other})",
                    where=str(self.root),
                    remedy="wait for it, or give another --out",
                ) from error
            note = f"{holder}\n".encode()
            os.pwrite(descriptor, note, 0)
            os.ftruncate(descriptor, len(note))
            yield
        finally:
            os.close(descriptor)


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn the system's refusal to write (full disk, no right, read-only) into BatchError."""
    try:
        yield
    except BrokenPipeError:  # the reader of our progress has gone: not the folder's fault
        raise
    except OSError as error:
        raise BatchError(
            f"cannot be written ({error.strerror or error})",
            where=str(error.filename or root),
            remedy=f"free space or mend the rights, {GO_ON}",
        ) from error
