"""A taxonomy made of the labels that a file uses: the way in for somebody who brings labels and no codebook yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bondlore import taxonomy
from bondlore.errors import LabelError
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelling.forms import native_rows
from bondlore.train.labelling.spans import NOTHING, parted
from bondlore.train.labels import flat_labels

__all__ = ["names", "narrative_of", "of_files"]


def names(paths: Iterable[Path | str]) -> Counter[str]:
    """How often each label occurs, stances dropped. Raises LabelError naming file and row."""
    found: Counter[str] = Counter()
    for path in paths:
        for where, row in native_rows(path):
            given = row.get("labels")
            try:
                if isinstance(given, dict) and (
                    "text" not in row or "sentences" in row
                ):  # native: sentence -> narrative -> stance
                    found.update(str(n) for carried in given.values() for n in dict(carried))
                elif isinstance(given, dict):
                    found.update(map(str, given))
                else:
                    found.update(narrative_of(label) for label in flat_labels(given) if label.casefold() != NOTHING)
            except (TypeError, ValueError) as error:
                raise LabelError("'labels' cannot be read", where=where, remedy='e.g. ["a", "b"]') from error
    return found


def of_files(paths: Iterable[Path | str], *, name: str = "derived") -> Taxonomy:
    """The narratives of labels files, the most frequent first. Raises LabelError, TaxonomyError."""
    paths = list(paths)
    found = names(paths)
    where = ", ".join(map(str, paths))
    if not found:
        raise LabelError("no row carries a label", where=where, remedy="label some sentences")
    return taxonomy.derive(sorted(found, key=lambda n: (-found[n], n)), name=name, where=where)


def narrative_of(label: str) -> str:
    """A flat label without its stance."""
    return parted(label)[0]
