"""Articles, sightings, versions, near-copies and taggings in one database. See `bondlore.store.store.Store`.

This module stays light: `Store` is loaded (with SQLAlchemy and pyarrow) when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bondlore.store.store import Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    if name == "Store":
        from bondlore.store.store import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
