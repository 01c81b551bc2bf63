"""The one error tree.

BondloreError
├── InputError          a file, row or argument the user gave cannot be used
│   ├── TaxonomyError   a taxonomy file contradicts itself or the labels
│   ├── LabelError      a labels file has an unusable row
│   └── DateError       a date string no rule accepts
├── ModelError          a model folder is missing, incomplete or not what its hashes say
├── FetchError          a URL could not be fetched (blocked, too large, too slow, refused)
├── FeedError           a document was fetched but is not a feed
├── StoreError          the article store cannot be opened, read or written
├── YieldsError         no source gave usable yields
├── BatchError          an output directory belongs to another job, or a shard cannot be committed
└── MissingExtraError   an optional dependency is needed: names the extra to install

Every message says what happened, where (file, row, URL) and what to do next.
"""

from __future__ import annotations

__all__ = [
    "BatchError",
    "BondloreError",
    "DateError",
    "FeedError",
    "FetchError",
    "InputError",
    "LabelError",
    "MissingExtraError",
    "ModelError",
    "StoreError",
    "TaxonomyError",
    "YieldsError",
]


class BondloreError(Exception):
    """Root of every error bondlore raises on purpose.

    `where` names the file, row or URL; `remedy` is one imperative clause.
    """

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.where, self.remedy = message, where, remedy

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}; {self.remedy}" if self.remedy else head


class InputError(BondloreError):
    """A file, row or argument the user gave cannot be used."""


class TaxonomyError(InputError):
    """A taxonomy file contradicts itself, or labels name a narrative it lacks."""


class LabelError(InputError):
    """A labels file has an unusable row."""


class DateError(InputError):
    """A date string no rule accepts."""


class ModelError(BondloreError):
    """A model folder is missing, incomplete or not what its hashes say."""


class FetchError(BondloreError):
    """A URL could not be fetched: blocked, too large, too slow or refused."""


class FeedError(BondloreError):
    """A document was fetched but is not a feed."""


class StoreError(BondloreError):
    """The article store cannot be opened, read or written."""


class YieldsError(BondloreError):
    """No source gave usable yields."""


class BatchError(BondloreError):
    """An output directory belongs to another job, or a shard cannot be committed."""


class MissingExtraError(BondloreError):
    """An optional dependency is needed.

    >>> str(MissingExtraError("train", "torch"))
    "torch is not installed; pip install 'bondlore[train]'"
    """

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"{module} is not installed", remedy=f"pip install 'bondlore[{extra}]'")
        self.extra, self.module = extra, module
