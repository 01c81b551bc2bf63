"""Which causal story bond-market news pushes for the move in Treasury yields.

>>> from bondlore import Tagger
>>> tagger = Tagger.load()
>>> tagger.tag([{"title": "", "text": "Treasuries sank as hedge funds met margin calls."}])[0].primary
'deleveraging'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bondlore.article import Article
from bondlore.errors import BondloreError
from bondlore.tagging import NarrativeTag, SentenceTag, Tagging
from bondlore.taxonomy import Narrative, Taxonomy

if TYPE_CHECKING:
    from bondlore.store.store import Store
    from bondlore.tag.tagger import Tagger
    from bondlore.train.estimator import NarrativeClassifier as NarrativeClassifier

__version__ = "0.1.0"

__all__ = [
    "Article",
    "BondloreError",
    "Narrative",
    "NarrativeTag",
    "SentenceTag",
    "Store",
    "Tagger",
    "Tagging",
    "Taxonomy",
    "__version__",
]

# Loaded when first asked for, so that `import bondlore` stays light.
# NarrativeClassifier needs `bondlore[train]` and is not in __all__, so that `from bondlore import *` works without.
_LAZY = {
    "Tagger": "bondlore.tag.tagger",
    "Store": "bondlore.store.store",
    "NarrativeClassifier": "bondlore.train.estimator",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
