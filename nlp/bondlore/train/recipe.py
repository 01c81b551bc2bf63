"""A recipe: everything a training run depends on besides its labels. One TOML file reproduces a run."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bondlore.errors import InputError
from bondlore.tag.windows import WindowPlan

__all__ = ["ENCODERS", "Recipe", "check", "read"]

ENCODERS = ("auto", "tuned", "frozen")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Defaults are those of the shipped model; models/README.md says what was tried.

    `base`: folder or hub name of a Hugging Face encoder. `encoder`: `tuned` trains it with the heads, `frozen` leaves
    it as it is under logistic regressions (seconds; for few labels), `auto` ships what does better on the held-out
    folds; a base that knows these narratives already, `soup`, `holdout` and large sets are tuned. `epochs`: passes
    over the labels.
    `learning_rate` is the top layer's; each layer below has `layer_decay` times the one above it.
    `batch`: windows a step. `folds`: held-out folds for calibration and thresholds (0 skips them, and
    leaves the model uncalibrated). `combine`: `refit` trains once more on everything; `soup` averages the
    folds' weights (Wortsman et al. 2022, Model soups) and goes on for `polish` epochs on everything at half the
    learning rate (a quarter in the heads), which costs less; `holdout` trains once, without the first fold, and
    ships that: what it is calibrated on is the very model that ships. `average`: decay of an exponential moving
    average of the weights, which is what is kept (0: the last weights; Polyak and Juditsky 1992). `replay`: share
    of the articles that the base was trained on already to show again in each epoch. `base_share`: how much of the
    taught base's own weights is mixed into what is kept, which holds what the base knew (Wortsman et al. 2022, Robust
    fine-tuning of zero-shot models); the base must be a model of the same narratives, and its lines, thresholds and
    error counts are kept and added to. `stance_weight`: weight of
    the stance loss against presence. `soften`: label smoothing towards the base rate. `threads`: 0 takes what the
    machine has.
    """

    base: str = ""
    encoder: str = "auto"
    epochs: int = 5
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.1
    batch: int = 4
    dropout: float = 0.1
    stance_weight: float = 0.3
    soften: float = 0.0
    folds: int = 3
    combine: str = "refit"
    polish: int = 0
    average: float = 0.0
    replay: float = 1.0
    base_share: float = 0.0
    seed: int = 0
    threads: int = 0
    freeze_embeddings: bool = True
    window: WindowPlan = field(default_factory=WindowPlan)

    def plain(self) -> dict[str, Any]:
        """For the model's record; the base is named by its folder's name alone, never by a local path."""
        return asdict(self) | {"base": Path(self.base).name}


def read(path: Path | str) -> Recipe:
    """A recipe from TOML. Unknown keys and wrong types are errors. Raises InputError."""
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not TOML ({error})", where=str(path), remedy="mend the syntax") from error
    window = data.pop("window", {})
    if not isinstance(window, dict):
        raise InputError(f"window is {window!r}", where=str(path), remedy="write a table: [window]")
    recipe = Recipe(**_checked(Recipe, data, path), window=WindowPlan(**_checked(WindowPlan, window, path)))
    check(recipe, where=str(path))
    return recipe


def check(recipe: Recipe, *, where: str) -> None:
    """Raise InputError for a value that no training can do with."""
    ways = ("soup", "refit", "holdout")
    for name, allowed in (("combine", ways), ("encoder", ENCODERS)):
        if (value := getattr(recipe, name)) not in allowed:
            remedy = f"use {', '.join(allowed[:-1])} or {allowed[-1]}"
            raise InputError(f"{name} is {value!r}", where=where, remedy=remedy)
    for name in ("average", "replay", "base_share"):
        value = getattr(recipe, name)
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value!r}", where=where, remedy="use a number from 0 to 1")
    for name, least in (("epochs", 1), ("batch", 1), ("folds", 0), ("polish", 0), ("threads", 0)):
        if (value := getattr(recipe, name)) < least:
            raise InputError(f"{name} is {value!r}", where=where, remedy=f"use a whole number from {least}")
    if recipe.folds == 1:
        raise InputError("folds is 1, which leaves nothing to train on", where=where, remedy="use 0, or at least 2")


def _checked(kind: type[Any], data: dict[str, Any], path: Path) -> dict[str, Any]:
    known = {f.name: f.default for f in fields(kind) if f.name != "window"}
    out = {}
    for key, value in data.items():
        if key not in known:
            raise InputError(f"unknown key {key!r}", where=str(path), remedy=f"known keys: {', '.join(known)}")
        wanted = type(known[key])
        if type(value) is int and wanted is float:
            value = float(value)
        if type(value) is not wanted:
            remedy = f"the default is {known[key]!r}"
            raise InputError(f"{key} must be {wanted.__name__}, not {value!r}", where=str(path), remedy=remedy)
        out[key] = value
    return out
