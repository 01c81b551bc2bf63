"""What decides the bytes of a batch job. A folder belongs to one fingerprint; another one is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bondlore
from bondlore.errors import BatchError, InputError
from bondlore.tag.bundle import Bundle, file_digest

__all__ = ["Fingerprint", "Source", "fingerprint", "hash_sources", "require_same"]


@dataclass(frozen=True, slots=True)
class Source:
    """One input file as it was when hashed; `size` and `modified` (ns) tell cheaply whether it has changed since."""

    path: str
    size: int
    modified: int
    sha256: str

    def unchanged(self) -> bool:
        """Whether size and time of change are still those of when it was hashed."""
        try:
            now = Path(self.path).stat()
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) == (self.size, self.modified)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Named parts, each a short string, so that a refusal can say which one differs."""

    parts: Mapping[str, str]

    @property
    def id(self) -> str:
        """16 hex digits over all parts."""
        return hashlib.sha256(json.dumps(dict(self.parts), sort_keys=True).encode()).hexdigest()[:16]


def hash_sources(paths: Sequence[Path]) -> tuple[Source, ...]:
    """Hash the input files, in order. Raises InputError naming the one that cannot be read."""
    out = []
    for path in paths:
        try:
            stat = path.stat()
            out.append(Source(str(path), stat.st_size, stat.st_mtime_ns, file_digest(path)))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"cannot be read ({reason})", where=str(path), remedy="check the path and rights"
            ) from error
    return tuple(out)


def fingerprint(
    bundle: Bundle,
    sources: Sequence[Source],
    *,
    mapping: Mapping[str, str] | None,
    limit: int | None,
    shard_size: int,
    runtime: str = "",
) -> Fingerprint:
    """The job's fingerprint. The model's own covers weights, tokenizer, windows, thresholds and taxonomy.

    File names count (a date may stand in one), the folders they lie in do not: an archive may be moved.
    """
    inputs = hashlib.sha256()
    for source in sources:
        inputs.update(f"{Path(source.path).name}\x1f{source.sha256}\x1e".encode(errors="surrogateescape"))
    parts = {"runtime": runtime} if runtime else {}
    return Fingerprint(
        parts
        | {
            "model": bundle.id,
            "taxonomy": bundle.taxonomy.digest,
            "code": bondlore.__version__,
            "input": inputs.hexdigest()[:16],
            "columns": ",".join(f"{field}={column}" for field, column in sorted((mapping or {}).items())) or "guessed",
            "limit": str(limit or "none"),
            "shard size": str(shard_size),
        }
    )


def require_same(there: Fingerprint, now: Fingerprint, *, where: str) -> None:
    """Raise BatchError naming every part in which `now` differs from what the folder was planned with."""
    names = sorted(set(there.parts) | set(now.parts))
    differ = [n for n in names if there.parts.get(n) != now.parts.get(n)]
    if differ:
        what = ", ".join(f"{n} ({there.parts.get(n, 'none')} there, {now.parts.get(n, 'none')} now)" for n in differ)
        raise BatchError(
            f"belongs to another job: it differs in {what}",
            where=where,
            remedy="give another --out, or run with what it was begun with",
        )
