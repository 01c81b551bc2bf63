"""`NarrativeClassifier`: bondlore's training in scikit-learn's verbs, for notebooks.

>>> from bondlore import NarrativeClassifier
>>> model = NarrativeClassifier(encoder="frozen").fit(frame["text"], frame["labels"])   # doctest: +SKIP
>>> model.predict_proba(frame["text"])                                                  # doctest: +SKIP
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags

from bondlore import taxonomy as taxonomies
from bondlore.article import Article
from bondlore.clock import utc_now
from bondlore.errors import InputError
from bondlore.tag import bundle as bundles
from bondlore.tag.tagger import Tagger
from bondlore.taxonomy import Taxonomy
from bondlore.train.labelling.derive import narrative_of
from bondlore.train.labelling.spans import NOTHING
from bondlore.train.labels import LabelledArticle, parse
from bondlore.train.recipe import Recipe, check, read
from bondlore.train.run import train

__all__ = ["NarrativeClassifier"]


class NarrativeClassifier(BaseEstimator):
    """Sentences in, narratives out: what `bondlore train` does, with the same recipe and the same model.

    `X`: texts, one sentence each: a list, array or Series of strings, or a DataFrame with the column `text`.
    `y`: the labels of each: lists (or sets) of names, one name a row, or an indicator array or DataFrame
    [sentences, narratives], whose columns then name the narratives; `none` and the empty list mean no narrative. A name
    may end in `:reject`, for a sentence that denies it.
    From a Series or DataFrame come a DataFrame with the same index, else arrays.

    Parameters: `taxonomy` a file or Taxonomy (None: the labels that occur); `base` an encoder's folder or hub name
    (None: the shipped one); `encoder`, `epochs`, `folds`, `seed` as in the recipe (None: the recipe's); `recipe` a TOML
    file. After `fit`: `classes_` (names, in the order of columns), `tagger_` (a Tagger of the model, which reads whole
    articles) and `bundle_` (its record). `save` keeps the model folder, `load` reads one.
    """

    def __init__(
        self,
        *,
        taxonomy: Taxonomy | Path | str | None = None,
        base: str | None = None,
        encoder: str | None = None,
        epochs: int | None = None,
        folds: int | None = None,
        seed: int | None = None,
        recipe: Path | str | None = None,
        verbose: bool = False,
    ) -> None:
        self.taxonomy = taxonomy
        self.base = base
        self.encoder = encoder
        self.epochs = epochs
        self.folds = folds
        self.seed = seed
        self.recipe = recipe
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> NarrativeClassifier:  # noqa: N803 - scikit-learn's name
        """Train. Raises LabelError, TaxonomyError, ModelError, InputError."""
        texts = _texts(X)
        names, rows = _labels(y)
        if len(rows) != len(texts):
            raise InputError(f"{len(texts)} texts and {len(rows)} rows of labels", where="fit", remedy="give as many")
        narratives = self._narratives(names or sorted({narrative_of(n) for row in rows for n in row}))
        articles = [_article(i, t, row, narratives) for i, (t, row) in enumerate(zip(texts, rows, strict=True))]
        home = Path(tempfile.mkdtemp(prefix="bondlore-"))
        weakref.finalize(self, shutil.rmtree, home, ignore_errors=True)
        out = home / narratives.name
        said: list[str] = []
        report = print if self.verbose else said.append
        train(articles, narratives, self._settled(), out, now=utc_now(), sources=["fit"], report=report)
        self._open(out)
        known = {taxonomies.identifier(n): n for n in names or (narrative_of(n) for row in rows for n in row)}
        self.classes_ = np.array([known.get(n, n) for n in narratives], dtype=object)
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Calibrated probabilities [sentences, narratives]: columns are independent, rows do not sum to one."""
        tags = self._read(X)
        scores = [[t.scores[n] for n in self.tagger_.taxonomy] for t in tags]
        return self._framed(np.array(scores, dtype=float).reshape(len(tags), len(self.classes_)), X)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """0 or 1 for each sentence and narrative, by the thresholds fitted on held-out folds."""
        tags = self._read(X)
        found = [[int(n in t.labels) for n in self.tagger_.taxonomy] for t in tags]
        return self._framed(np.array(found, dtype=int).reshape(len(tags), len(self.classes_)), X)

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        """Micro-F1 over (sentence, narrative) pairs: "no narrative" is never a class."""
        _, rows = _labels(y)
        known = {taxonomies.identifier(n) for n in self.classes_}
        if odd := [n for row in rows for n in row if taxonomies.identifier(narrative_of(n)) not in known]:
            raise InputError(f"the label {odd[0]!r} is none of the model's", where="score", remedy="see classes_")
        ids = [{taxonomies.identifier(narrative_of(n)) for n in row} for row in rows]
        gold = np.array([[taxonomies.identifier(str(c)) in row for c in self.classes_] for row in ids], dtype=bool)
        said = np.asarray(self.predict(X), dtype=bool)
        if gold.shape != said.shape:
            raise InputError(f"{len(said)} texts and {len(gold)} rows of labels", where="score", remedy="give as many")
        return float(2 * (gold & said).sum() / max(1, gold.sum() + said.sum()))

    def save(self, folder: Path | str) -> Path:
        """Keep the model folder, for `--model`, `Tagger.load` and `load`. Raises InputError where something is."""
        self._check()
        target = Path(folder)
        if target.exists():
            raise InputError("is there already", where=str(target), remedy="choose another folder")
        shutil.copytree(self.bundle_.folder, target)
        return target

    @classmethod
    def load(cls, model: Path | str | None = None) -> NarrativeClassifier:
        """A fitted classifier of a model folder or hub name (None: the shipped model). Raises ModelError."""
        made = cls()
        made._open(bundles.locate(model))
        made.classes_ = np.array(made.tagger_.taxonomy.ids, dtype=object)
        return made

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "tagger_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.no_validation = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # a fitted one holds an ONNX session and a temporary folder, which no pickle can carry
        if self.__sklearn_is_fitted__():
            raise TypeError("a fitted NarrativeClassifier is kept with save(folder) and read with load(folder)")
        return dict(super().__getstate__())

    def _narratives(self, names: Sequence[str]) -> Taxonomy:
        if self.taxonomy is None:
            return taxonomies.derive(names, where="fit")
        return self.taxonomy if isinstance(self.taxonomy, Taxonomy) else taxonomies.load(self.taxonomy)

    def _settled(self) -> Recipe:
        recipe = read(self.recipe) if self.recipe else Recipe()
        given = {k: getattr(self, k) for k in ("base", "encoder", "epochs", "folds", "seed")}
        recipe = replace(recipe, **{k: v for k, v in given.items() if v is not None})
        check(recipe, where=type(self).__name__)
        return recipe if recipe.base else replace(recipe, base=str(bundles.read(verify=()).folder / "encoder"))

    def _open(self, folder: Path) -> None:
        self.tagger_ = Tagger.load(folder)
        self.bundle_ = self.tagger_.bundle

    def _check(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("this NarrativeClassifier is not fitted yet: call fit, or NarrativeClassifier.load")

    def _read(self, X: Any) -> list[Any]:  # noqa: N803
        self._check()
        articles = (Article(str(i), "", text, sentences=("", text)) for i, text in enumerate(_texts(X)))
        return [self.tagger_.tag_one(a).sentences[1] for a in articles]

    def _framed(self, values: NDArray[Any], X: Any) -> Any:  # noqa: N803
        if not hasattr(X, "index") or callable(X.index):  # a list has a method of that name
            return values
        import pandas as pd

        return pd.DataFrame(values, index=X.index, columns=list(self.classes_))


def _texts(X: Any) -> list[str]:  # noqa: N803
    if hasattr(X, "columns"):
        if "text" not in X.columns:
            found = ", ".join(map(str, X.columns))
            raise InputError(f"has no column 'text' (it has {found})", where="X", remedy="rename yours")
        return _texts(X["text"])
    if isinstance(X, (str, bytes, Mapping)):
        raise InputError("is one text, not many", where="X", remedy="put it into a list")
    items = list(X)
    if odd := [i for i in items if not isinstance(i, str)]:
        raise InputError(
            f"holds {type(odd[0]).__name__}, not only strings", where="X", remedy="give one sentence a row"
        )
    return items


def _labels(y: Any) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, in order (of an indicator; else none), and the labels of each row."""
    if hasattr(y, "columns") or (hasattr(y, "ndim") and y.ndim == 2):
        values = np.asarray(y)
        if not np.isin(values, (0, 1)).all():
            raise InputError("holds other numbers than 0 and 1", where="y", remedy="give an indicator of narratives")
        columns = getattr(y, "columns", [f"label_{k}" for k in range(values.shape[1])])
        names = [str(c) for c in columns]
        rows = [[names[k] for k in np.flatnonzero(row)] for row in values]
        return _carried(names), [_carried(row) for row in rows]
    if isinstance(y, (str, bytes)) or not isinstance(y, Iterable):
        raise InputError("is no row of labels for each text", where="y", remedy='e.g. [["a"], [], ["a", "b"]]')
    return [], [_carried(_row(one)) for one in y]


def _carried(names: Iterable[str]) -> list[str]:
    return [n for n in names if n.strip().casefold() not in ("", NOTHING)]


def _row(given: Any) -> list[str]:
    if given is None or isinstance(given, float):  # pandas writes a missing label as NaN
        return []
    if not isinstance(given, (str, Iterable)):
        raise InputError(f"holds {given!r}, which is no label", where="y", remedy='e.g. [["a"], [], ["a", "b"]]')
    return [given] if isinstance(given, str) else [str(x) for x in given]


def _article(number: int, text: str, labels: Sequence[str], narratives: Taxonomy) -> LabelledArticle:
    row = {"id": str(number), "text": text, "labels": list(labels)}
    return parse(row, narratives, f"row {number}")
