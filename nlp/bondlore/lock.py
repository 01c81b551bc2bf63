"""One run at a time: a lock file that says who holds it.

The lock is the kernel's (flock), so it ends with its holder however that dies; what the file says is for people only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from bondlore.errors import StoreError

__all__ = ["holding"]

_MOST = 200  # bytes read of what a holder wrote


@contextmanager
def holding(path: Path, what: str, *, now: datetime) -> Iterator[None]:
    """Hold `path` for the time of the block; `what` names this kind of run and `now` (UTC) is written into the file.

    Raises StoreError that names process, machine and time of the run that holds it, or says why there can be no lock.
    """
    try:
        # the file of another's link is not ours to write into
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror})", where=str(path), remedy="choose another --db"
        ) from error
    try:
        _take(descriptor, path, what)
        os.ftruncate(descriptor, 0)
        told = f"process {os.getpid()} on {platform.node()} since {now:%Y-%m-%d %H:%M:%S} UTC"
        os.write(descriptor, told.encode())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StoreError(
                f"cannot be locked ({error.strerror})", where=str(path), remedy="keep the store on a local disk"
            ) from error
        told = os.pread(descriptor, _MOST, 0).decode(errors="replace")
        holder = "".join(c for c in told if c.isprintable()) or "an unnamed process"
        remedy = "wait for it to end, or end that process"
        raise StoreError(f"another {what} is at work: {holder}", where=str(path), remedy=remedy) from error
