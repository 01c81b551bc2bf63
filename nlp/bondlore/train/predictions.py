"""Predictions kept in a file, one article a line: what `bondlore evaluate --predictions` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bondlore.errors import InputError

__all__ = ["read_predictions"]


def read_predictions(path: Path) -> dict[str, dict[str, Any]]:
    """`labels` and `scores` (both may be absent) by article id. Raises InputError naming file and row."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", where=str(path), remedy="give a file of JSON Lines") from error
    out: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            key, labels, scores = str(row["id"]), row.get("labels") or {}, row.get("scores") or {}
            if not all(isinstance(v, dict) for part in (labels, scores) for v in [part, *part.values()]):
                raise TypeError("labels and scores map sentences to narratives")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"is no row of predictions ({error})",
                where=f"{path}:{number}",
                remedy="write them with bondlore evaluate --predictions",
            ) from error
        out[key] = {"labels": labels, "scores": scores}
    return out
