"""Labels to a model folder, in one call: folds, calibration, the final fit, export, parity gate, card."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bondlore.errors import LabelError, MissingExtraError, ModelError
from bondlore.progress import say
from bondlore.tag import bundle as bundles
from bondlore.tag.bundle import Bundle, Calibration
from bondlore.taxonomy import Taxonomy
from bondlore.train import labels as label_files
from bondlore.train.labels import LabelledArticle
from bondlore.train.predictions import from_logits, write_predictions
from bondlore.train.recipe import Recipe
from bondlore.train.split import folds, unrelated

__all__ = ["train"]

_FEWEST = 8  # articles
_FEWEST_HELD_OUT = 20  # articles, below which a calibration line is noise


def train(
    articles: Sequence[LabelledArticle],
    taxonomy: Taxonomy,
    recipe: Recipe,
    out: Path,
    *,
    now: datetime,
    sources: Sequence[str] = (),
    predictions: Path | None = None,
    report: Callable[[str], None] = say,
) -> Bundle:
    """Train on `articles` and write a model folder at `out`, complete or not at all.

    `predictions`: a file for what the held-out folds' models say of the articles, in the form of
    `evaluate --predictions`; `labels check --predictions` finds likely label errors with it.
    Raises LabelError when the labels cannot teach anything, ModelError when the base cannot be loaded.
    """
    _check(articles, taxonomy)
    out = out.resolve()
    if out.exists() and (not out.is_dir() or (not (out / bundles.MANIFEST).exists() and any(out.iterdir()))):
        raise ModelError("is there and is no model folder", where=out.name, remedy="choose another --out")
    try:
        import torch

        from bondlore.train import calibration as calibrating
        from bondlore.train import choice, fit
        from bondlore.train.checkpoint import Checkpoints
        from bondlore.train.package import Made, package
    except ImportError as error:
        raise MissingExtraError("train", str(error.name)) from error
    torch.set_num_threads(recipe.threads or len(os.sched_getaffinity(0)))
    reader = _reader(recipe.base)
    data = fit.examples(articles, reader, taxonomy, recipe)
    words = sum(bool(s) for a in articles for s in a.sentences)
    report(f"train: {len(articles)} articles, {words} sentences, {len(data)} windows")

    seen = _seen_by(recipe.base)
    fresh = {i for i, key in enumerate(label_files.fingerprints(articles)) if key not in seen}
    everything = set(range(len(articles)))
    head = _head_of(recipe.base, taxonomy)
    if recipe.base_share and head is None:
        raise ModelError(
            "has no heads for these narratives, so its weights cannot be mixed in (base_share)",
            where=recipe.base or "base",
            remedy="pass the encoder/ of a model trained on this taxonomy, or set base_share = 0",
        )

    probe: choice.Probe | None = None

    def one(chosen: set[int], seed: int, name: str, *, recipe: Recipe = recipe, start: Any = None) -> Any:
        def after(epoch: int, loss: float) -> None:
            report(f"train: {name}, epoch {epoch + 1}/{recipe.epochs}, loss {loss:.4f}")

        if start is None and head is not None:
            start = fit.build(len(taxonomy), recipe, head=head)
        elif start is None and probe is not None:
            start = probe.model(chosen)
        part = [e for e in data if e.article in chosen]
        known = everything - fresh
        return fit.fit(part, reader, len(taxonomy), recipe, seed=seed, after_epoch=after, start=start, seen=known)

    parts = folds(articles, recipe.folds, seed=recipe.seed) if recipe.folds else []
    if not all(parts):
        raise LabelError(
            f"the articles are fewer stories than {recipe.folds} folds",
            remedy="label other stories too, or pass --folds with a smaller number (0: uncalibrated)",
        )
    if recipe.combine == "holdout":
        parts = [unrelated(articles, part, everything - fresh) for part in parts[:1]]
    if len(fresh) < len(articles):
        report(
            f"train: warning: the base was trained on {len(articles) - len(fresh)} of these articles;"
            " they are left out of calibration"
        )
    held_out: dict[int, Any] = {}
    untuned: dict[int, Any] = {}
    barred = _not_frozen(recipe, taught=head is not None)
    if recipe.encoder == "frozen" and barred:
        report(f"train: warning: the encoder is tuned all the same: {barred}")
    if not barred and (recipe.encoder == "frozen" or (recipe.encoder == "auto" and words <= choice.MOST)):
        report("train: reading every sentence with the encoder as it is")
        probe = choice.Probe(recipe, data, articles, reader, taxonomy)
        untuned = probe.choose(parts, fresh)
    states: list[dict[str, Any]] = []
    kept = Checkpoints(out, articles, taxonomy, recipe, head)
    for number, fold in enumerate(parts if probe is None or recipe.encoder != "frozen" else ()):
        name = f"fold {number + 1}/{recipe.folds}" if recipe.combine != "holdout" else "all but the held-out fold"
        if (found := kept.load(number)) is None:
            model = one(everything - set(fold), recipe.seed + number, name)
            logits = fit.predict(model, [e for e in data if e.article in set(fold)], reader)
            # on the CPU, where one read back from disk is
            found = {k: v.cpu() for k, v in model.state_dict().items()}, logits
            kept.save(number, *found)
        else:
            report(f"train: {name} was trained before the interruption")
        states.append(found[0])
        held_out |= {i: pair for i, pair in found[1].items() if i in fresh}
    held_out = dict(sorted(held_out.items()))  # sums must not depend on what was resumed
    way = _choose(recipe, probe, untuned, held_out, articles, taxonomy)
    if way["encoder"] == "frozen":
        held_out, states = untuned, []
    if probe is not None:
        told = ", ".join(f"{k} {v:.3f}" for k, v in way["held_out_micro_f1"].items())
        report(f"train: held-out micro-F1: {told or 'not measured'}; shipping the {way['encoder']} encoder")
    said = held_out
    continued = _home(recipe.base) if recipe.base_share else None
    if parts and len(held_out) < _FEWEST_HELD_OUT:
        then = "the base's calibration is kept" if continued else "the model stays uncalibrated"
        few_left = f"only {len(held_out)} held-out articles are new to the base"
        report(f"train: warning: {few_left}; {then} (it takes {_FEWEST_HELD_OUT})")
        held_out = {}
    if continued is not None:  # with nothing held out, its very calibration
        settled = calibrating.carried_over(continued.calibration, held_out, articles, taxonomy)
    else:
        settled = calibrating.calibrate(held_out, articles, taxonomy) if held_out else _uncalibrated(taxonomy)
    confusion = calibrating.count_errors(held_out, articles, taxonomy, settled) if held_out else {}
    if continued is not None:
        confusion = calibrating.added(continued.confusion, confusion)
    # a continued model's own held-out articles are too few for histograms of scores
    enough = held_out and continued is None
    scores = calibrating.held_out_scores(held_out, articles, taxonomy, settled).to_dict() if enough else {}
    if predictions is not None:
        write_predictions(predictions, from_logits(said, articles, settled, taxonomy.ids))
    if probe is not None and way["encoder"] == "frozen":
        model = probe.model(everything)
    elif states and recipe.combine == "holdout":
        model = fit.build(len(taxonomy), recipe, head=head)  # the heads say on what they work, which no weight does
        model.load_state_dict(states[0])
        model.eval()
    elif states and recipe.combine == "soup":
        model = fit.build(len(taxonomy), recipe, head=head)
        model.load_state_dict({k: sum(s[k].float() for s in states) / len(states) for k in states[0]})
        model.eval()
        if recipe.polish:
            gentle = replace(
                recipe,
                epochs=recipe.polish,
                learning_rate=recipe.learning_rate / 2,
                head_learning_rate=recipe.head_learning_rate / 4,
                base_share=0.0,
            )
            model = one(everything, recipe.seed, "polish", recipe=gentle, start=model)
    else:
        model = one(everything, recipe.seed, "final")

    bundle = package(
        model,
        articles,
        data,
        reader,
        Made(taxonomy, recipe, settled, confusion, scores, tuple(sources), frozenset(seen), now, way),
        out,
        report=report,
    )
    kept.clear()
    report(f"train: wrote {out}")
    return bundle


def _check(articles: Sequence[LabelledArticle], taxonomy: Taxonomy) -> None:
    if len(articles) < _FEWEST:
        remedy = f"give at least {_FEWEST}, a few for each narrative"
        raise LabelError(f"only {len(articles)} labelled articles", remedy=remedy)
    seen = {n for a in articles for carried in a.labels.values() for n in carried}
    if not seen:
        raise LabelError("no sentence carries any narrative", remedy="label some sentences")
    if missing := [n for n in taxonomy if n not in seen]:
        say(f"train: warning: no example of {', '.join(missing)}; the model will never find it")


def _not_frozen(recipe: Recipe, *, taught: bool) -> str:
    """Why the encoder cannot be left as it is; "" when it can. `taught`: the base has heads for these narratives."""
    if taught:
        return "the base knows these narratives and goes on from its heads; pass --base an encoder that does not"
    return "" if recipe.combine == "refit" else f'the recipe says combine = "{recipe.combine}"; take "refit"'


def _choose(
    recipe: Recipe,
    probe: Any,
    untuned: dict[int, Any],
    tuned: dict[int, Any],
    articles: Sequence[LabelledArticle],
    taxonomy: Taxonomy,
) -> dict[str, Any]:
    """Which encoder ships and why, for the model's record: without a comparison the one that was trained."""
    from bondlore.train.choice import micro_f1

    pairs = {"frozen": untuned, "tuned": tuned} if probe is not None else {}
    figures = {k: round(micro_f1(v, articles, taxonomy), 4) for k, v in pairs.items() if v}
    chosen = max(figures, key=lambda k: figures[k]) if figures else "tuned"  # a tie goes to the frozen one
    if probe is not None and recipe.encoder == "frozen":
        chosen = "frozen"
    return {"encoder": chosen, "held_out_micro_f1": figures, "strength": probe.strength if probe is not None else None}


def _reader(base: str) -> Any:
    """Tokenizer of the base, and its special ids. Raises ModelError."""
    from transformers import AutoTokenizer
    from transformers.utils import logging as hf_logging

    from bondlore.train.fit import Reader

    hf_logging.disable_progress_bar()
    try:
        whole = AutoTokenizer.from_pretrained(base, use_fast=True)
        backend = whole.backend_tokenizer
    except Exception as error:  # the hub client and the loaders raise some dozen classes
        reason = " ".join(str(error).split())[:200]
        remedy = "pass --base a folder with a Hugging Face encoder (safetensors), or a hub name"
        raise ModelError(f"cannot be loaded ({reason})", where=base or "base", remedy=remedy) from error
    backend.no_padding()
    backend.no_truncation()
    save = functools.partial(_save_tokenizer, whole)
    return Reader(backend, whole.cls_token_id, whole.sep_token_id, whole.pad_token_id, save)


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    tokenizer.save_pretrained(folder)


def _home(base: str) -> Bundle | None:
    """The model whose encoder the base is, None for any other base. Raises ModelError."""
    home = Path(base).parent
    if Path(base).name != "encoder" or not (home / bundles.MANIFEST).is_file():
        return None
    return bundles.read(home, verify=())


def _seen_by(base: str) -> set[str]:
    """Fingerprints of the articles a base was trained on: those of the model folder it is the encoder of."""
    home = _home(base)
    return set(home.training.get("labels", {}).get("texts", [])) if home else set()


def _head_of(base: str, taxonomy: Taxonomy) -> Path | None:
    """The heads beside a model folder's encoder, if they are for these narratives: training goes on from them."""
    home = _home(base)
    if home is None or home.taxonomy.ids != taxonomy.ids:
        return None
    return bundles.check_file(home, "head.safetensors")


def _uncalibrated(taxonomy: Taxonomy) -> Calibration:
    from bondlore.train.calibration import NEUTRAL

    n = len(taxonomy)
    return Calibration((1.0,) * n, (0.0,) * n, (0.5,) * n, 0.5, NEUTRAL)
