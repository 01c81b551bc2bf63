"""Several annotators' labels of the same articles, side by side. Rows without sentences take them from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bondlore.article import normalise
from bondlore.errors import LabelError
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelling.forms import native_rows
from bondlore.train.labels import LabelledArticle, parse

__all__ = ["Annotations", "side_by_side"]


@dataclass(frozen=True, slots=True)
class Annotations:
    """`articles` holds, for each id that two or more annotators labelled, one article an annotator (None: not theirs).

    `annotators` names them in order; `alone` counts the articles that only one of them labelled.
    """

    annotators: tuple[str, ...]
    articles: dict[str, tuple[LabelledArticle | None, ...]]
    alone: int


def side_by_side(paths: Sequence[Path], taxonomy: Taxonomy) -> Annotations:
    """Read files of any form: two or more, one annotator each; or any number whose rows name several annotators.

    Rows not labelled yet count as not theirs. Raises LabelError naming file and row: an unusable row, an id twice under
    one annotator, two texts under one id, an id whose sentences no file holds; and when no article was labelled twice.
    """
    raw = [list(native_rows(path)) for path in paths]
    texts = _texts(raw)
    by_file = len(paths) > 1 and not any(map(_shared_out, raw))
    found: dict[str, dict[str, LabelledArticle]] = {}
    for number, (path, part) in enumerate(zip(paths, raw, strict=True), 1):
        alias = _alias(path, part)
        if by_file and alias in found:
            alias = f"{alias} ({number})"  # the same person twice, or two files of one name
        for where, row in part:
            article = parse(_with_sentences(row, texts, where), taxonomy, where)
            if article.pending:
                continue
            name = alias if by_file else article.annotator or "unnamed"
            mine = found.setdefault(name, {})
            if article.id in mine:
                raise LabelError(
                    f"the id {article.id!r} occurs twice under {name!r}",
                    where=f"{where} (also {mine[article.id].source})",
                    remedy="keep one, or name the annotators apart",
                )
            mine[article.id] = article
    names = tuple(found)
    ids = dict.fromkeys(i for mine in found.values() for i in mine)
    every = {i: tuple(found[n].get(i) for n in names) for i in ids}
    shared = {i: given for i, given in every.items() if sum(a is not None for a in given) > 1}
    if not shared:
        raise LabelError(
            "no article was labelled by two annotators",
            where=", ".join(map(str, paths)),
            remedy="give files with the same ids, or one file whose rows name different annotators",
        )
    return Annotations(names, shared, len(every) - len(shared))


def _alias(path: Path, part: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Whose file it is: the one annotator its rows name, else the file's name."""
    named = {str(row.get("annotator") or "") for _, row in part}
    return next(iter(named)) if len(named) == 1 and "" not in named else path.stem


def _shared_out(part: Sequence[tuple[str, dict[str, Any]]]) -> bool:
    """Whether one file has several annotators' labels of an article, as a tool's export does."""
    seen: dict[str, str] = {}
    pairs = ((str(row.get("id")), str(row.get("annotator") or "")) for _, row in part)
    return any(seen.setdefault(key, who) != who for key, who in pairs)


def _texts(raw: Sequence[Sequence[tuple[str, dict[str, Any]]]]) -> dict[str, tuple[list[Any], str]]:
    """Sentences of every id, and where they were first given."""
    texts: dict[str, tuple[list[Any], str]] = {}
    for part in raw:
        for where, row in part:
            if "id" not in row or not isinstance(row.get("sentences"), list):
                continue
            said = [normalise(s) if isinstance(s, str) else s for s in row["sentences"]]
            first = texts.setdefault(str(row["id"]), (said, where))
            if first[0] != said:
                raise LabelError(
                    f"other sentences under the id {row['id']!r}",
                    where=f"{where} (also {first[1]})",
                    remedy="agreement needs the same sentences; give different articles different ids",
                )
    return texts


def _with_sentences(row: dict[str, Any], texts: dict[str, tuple[list[Any], str]], where: str) -> dict[str, Any]:
    if "sentences" in row or "text" in row:
        return row
    if str(row.get("id")) not in texts:
        raise LabelError(
            f"the sentences of {row.get('id')!r} are in none of the files",
            where=where,
            remedy="give also a file that holds them",
        )
    return {**row, "sentences": texts[str(row["id"])][0]}
