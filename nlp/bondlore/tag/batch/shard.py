"""Tag one shard: a plain function from articles to a table. No engine, no disk, no clock in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from bondlore.article import Article
from bondlore.tag.cache import TaggerLike
from bondlore.tagging import row, schema

__all__ = ["NONE", "printable", "tag_shard"]

NONE: Mapping[int, str] = MappingProxyType({})
_REASON = 300  # characters of an exception's text kept in `error`


def tag_shard(
    articles: Sequence[Article],
    tagger: TaggerLike,
    *,
    refused: Mapping[int, str] = NONE,
    step: Callable[[bool], None] = lambda _: None,
) -> pa.Table:
    """One row of `tagging.schema` an article, in order. `step` hears of each article whether it failed.

    A poison article (any exception while it is tagged, or an answer Parquet cannot hold) becomes a row with
    status "error" and the reason; the others are not touched by it. So do articles in `refused` (place in the shard ->
    reason), which are not given to the tagger.
    """
    form = schema(tagger.bundle.taxonomy.ids)
    rows = []
    for place, article in enumerate(articles):
        built = row(article, None, error=refused[place]) if place in refused else _row(article, tagger)
        rows.append(built)
        step(built["status"] == "error")
    try:
        return pa.Table.from_pylist(rows, schema=form)
    except _UNFIT:
        checked = [_fitting(r, a, form) for r, a in zip(rows, articles, strict=True)]
        return pa.Table.from_pylist(checked, schema=form)


def printable(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode()


_UNFIT = (pa.ArrowException, UnicodeError, ValueError, TypeError, OverflowError)


def _row(article: Article, tagger: TaggerLike) -> dict[str, Any]:
    try:
        return row(article, tagger.tag_one(article))
    except Exception as error:  # whatever an article does to the tagger, it must cost one row and no more
        return row(article, None, error=_reason(error))


def _fitting(built: dict[str, Any], article: Article, form: pa.Schema) -> dict[str, Any]:
    """The row itself if it fits the schema, else an error row without what does not fit."""
    try:
        pa.Table.from_pylist([built], schema=form)
    except _UNFIT as error:
        failed = row(article, None, error=built["error"] or _reason(error))
        return {key: printable(value) if isinstance(value, str) else value for key, value in failed.items()}
    return built


def _reason(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {' '.join(str(error).split())[:_REASON]}")
