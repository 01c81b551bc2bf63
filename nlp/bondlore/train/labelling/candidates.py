"""Candidates for labelling from a folder of tagged articles, and the rows to label, with sentences where known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from bondlore.ingest.archive import read_archive
from bondlore.tag.batch import read_tagged
from bondlore.tag.sentences import split
from bondlore.train.labelling.suggest import Candidate, Suggestion

__all__ = ["read_candidates", "to_label"]


def read_candidates(folder: Path, *, known: Collection[str] = ()) -> list[Candidate]:
    """Articles that were tagged and read further (gate causal or topical), without those in `known`, ids once.

    Raises BatchError when the folder is no tagged archive.
    """
    table = read_tagged(folder)
    narratives = [n[2:] for n in table.column_names if n.startswith("p_")]
    out: dict[str, Candidate] = {}
    for row in table.to_pylist():
        if row["status"] != "ok" or row["gate"] == "off_topic" or row["id"] in known or row["id"] in out:
            continue
        evidence = " ".join(e["text"] for e in row["evidence"] or ())
        out[row["id"]] = Candidate(
            id=row["id"],
            title=row["title"] or "",
            publisher=row["publisher"] or "",
            published=row["published_at"],
            cluster=row["cluster"] or row["id"],
            gate=row["gate"],
            probabilities={n: float(row[f"p_{n}"] or 0.0) for n in narratives},
            words=f"{row['title'] or ''} {evidence}",
        )
    return list(out.values())


def to_label(chosen: Sequence[Suggestion], archive: Sequence[Path] = ()) -> Iterator[dict[str, Any]]:
    """A row for each suggestion: what was picked and why; with `archive`, its sentences and `labels: null`.

    That is, not labelled yet: the file can be labelled as it is or converted for a tool. Raises InputError.
    """
    wanted = {s.candidate.id for s in chosen}
    found = {a.id: a for a in read_archive(archive) if a.id in wanted} if archive else {}
    for s in chosen:
        c = s.candidate
        row: dict[str, Any] = {"id": c.id, "title": c.title, "publisher": c.publisher}
        row["date"] = c.published.isoformat() if c.published else ""
        if article := found.get(c.id):
            row |= {"sentences": split(article), "labels": None}
        yield row | {"why": s.why, **s.details}
