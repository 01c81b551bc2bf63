"""What a check found: one record a problem, with file and row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is error where training would be wrong, warning where somebody should look.

    `kind` groups findings, `where` is `file:row` (empty for the whole), `message` one clause.
    """

    level: Literal["error", "warning"]
    kind: str
    where: str
    message: str

    def plain(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)
