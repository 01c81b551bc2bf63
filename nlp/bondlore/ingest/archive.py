"""Archives of articles, streamed into Articles with the place each came from. Nothing is read whole.

A row that cannot be read is rejected with its reason; a file that cannot be read stops the run with its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from bondlore.article import Article
from bondlore.clock import Clock, utc_now
from bondlore.errors import InputError
from bondlore.ingest.formats import rows
from bondlore.ingest.rows import Extract, RowReader, check_mapping
from bondlore.ingest.sources import FORMATS, REMEDY, Source, archive_files, sources

__all__ = ["FORMATS", "Placed", "Reject", "Rejects", "archive_files", "guess", "read_archive", "read_placed"]

_HOPELESS = 1_000  # rows rejected without one read: the file is something else


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read. `row` counts from 1, for CSV the header is row 1; 0 is the file itself."""

    path: str
    row: int
    reason: str


class Rejects(Protocol):
    """Where rejected rows go: a list, or a file."""

    def append(self, reject: Reject, /) -> None:
        """Keep one."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An article and the row it came from; `source` is the file as it was found."""

    article: Article
    source: Source
    row: int


def read_archive(
    paths: Sequence[Path],
    *,
    mapping: Mapping[str, str] | None = None,
    rejects: Rejects | None = None,
    limit: int | None = None,
    zone: str = "",
    clock: Clock = utc_now,
) -> Iterator[Article]:
    """Yield the articles of files and folders, in the order given (folders by name).

    `mapping` names columns, as in `{"title": "headline"}`, over the guesses of `rows.FIELDS`. Unreadable rows go to
    `rejects`; without it the first one raises. `zone` is for times that name none. Raises InputError for a file
    that cannot be read or is in no known format, and when there is not one article.
    """
    placed = read_placed(paths, mapping=mapping, rejects=rejects, zone=zone, clock=clock)
    return (one.article for one in islice(placed, limit))


def read_placed(
    paths: Sequence[Path],
    *,
    mapping: Mapping[str, str] | None = None,
    rejects: Rejects | None = None,
    zone: str = "",
    clock: Clock = utc_now,
    done: Mapping[str, int] | None = None,
    extract: Extract | None = None,
) -> Iterator[Placed]:
    """As `read_archive`, with places. `done` maps a source's `key` to the last row already dealt with: up to there
    rows are passed over. `extract` reads HTML pages (by default here, without limits).
    """
    check_mapping(mapping)
    reader = RowReader(mapping=mapping, zone=zone, now=clock(), extract=extract)
    return _placed([Path(path) for path in paths], reader, rejects, done or {})


def guess(
    paths: Sequence[Path], *, mapping: Mapping[str, str] | None = None, extract: Extract | None = None
) -> tuple[str, dict[str, str]]:
    """The name of the first readable file and which of its columns would be read as what: for a person to check.

    The mapping is empty for files without columns. Raises InputError where `read_archive` does.
    """
    check_mapping(mapping)
    reader = RowReader(mapping=mapping, now=utc_now(), extract=extract)
    first = next(_placed([Path(path) for path in paths], reader, [], {}))
    return first.source.name, reader.last_plan


def _placed(
    paths: Sequence[Path], reader: RowReader, rejects: Rejects | None, done: Mapping[str, int]
) -> Iterator[Placed]:
    found, refused = 0, 0
    for source in sources(paths):
        good = bad = 0
        last = done.get(source.key, -1)
        for row in rows(source, reader, after=last):
            if row.number <= last:
                good += 1
                continue
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
                yield Placed(article, source, row.number)
                continue
            bad += 1
            if rejects is None:
                raise InputError(
                    reason, where=f"{source.name}, row {row.number}", remedy="mend the row or skip bad rows"
                )
            rejects.append(Reject(source.name, row.number, reason))
            if bad >= _HOPELESS and not good and source.columned:
                raise InputError(f"none of {bad} rows can be read ({reason})", where=source.name, remedy=REMEDY)
        if bad and not good and source.columned and not source.zipped:
            raise InputError(f"no row can be read ({reason})", where=f"{source.name}, row {row.number}", remedy=REMEDY)
        found, refused = found + good, refused + bad
    if not found:
        what = f"no article in {refused} files" if refused else "no article in it"
        raise InputError(what, where=", ".join(map(str, paths[:3])) or "archive", remedy=REMEDY)
