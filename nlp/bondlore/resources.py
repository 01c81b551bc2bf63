"""Find the shipped model and corpus, from a checkout or from an installed wheel."""

from __future__ import annotations

from pathlib import Path

from bondlore.errors import InputError

__all__ = ["find"]

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries `models/` and `corpus/` under `_data`; a checkout has them beside `nlp/`.
_ROOTS = (_PACKAGE / "_data", _PACKAGE.parent.parent)


def find(name: str) -> Path:
    """The path of a shipped file or folder such as `corpus/taxonomy.yaml`.

    Raises InputError when neither the wheel nor the checkout has it.
    """
    for root in _ROOTS:
        if (path := root / name).exists():
            return path
    raise InputError(
        "this part of the installation is missing",
        where=name,
        remedy="reinstall bondlore, or run from a complete checkout",
    )
