"""The model card, written from the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bondlore import atomic
from bondlore.tag.bundle import Bundle
from bondlore.train.labels import LabelledArticle

__all__ = ["FIGURES_MARK", "figures_table", "write_card"]

FIGURES_MARK = "<!-- figures -->"
_SHOWN = (
    "core_micro_f1",
    "detection_f1",
    "micro_f1",
    "macro_f1",
    "reject_f1",
    "reject_as_support",
    "article_core_micro_f1",
    "article_micro_f1",
    "ece",
)


_UNCALIBRATED = (
    "there were no held-out articles, or too few, to fit probabilities and thresholds on: the model is uncalibrated,\n"
    "its probabilities are raw, every threshold is 0.5, and it holds no error counts."
)
_CARRIED_OVER = (
    "the base is a model of the same narratives, and {base_share:.0%} of the weights are still its own; its lines and\n"
    "thresholds were kept, the reject threshold was set on one of {folds} parts that shares no story with the others."
)
_SHARES = (
    "`bondlore share` corrects them with the held-out error counts in\n"
    "`bondlore.json`, which hold for articles like those it was trained on."
)
_NO_SHARES = "this model has no held-out error counts to correct them with."
_CALIBRATED = {
    "holdout": (
        "probabilities and thresholds fitted on the articles of one of {folds} parts that share no story with what\n"
        "it was trained on, with the very weights that ship."
    ),
    "soup": (
        "probabilities and thresholds fitted on {folds} held-out folds split by story, whose weights were averaged:\n"
        "the lines are those of single folds, so look at the calibration figures below."
    ),
    "refit": (
        "probabilities and thresholds fitted on {folds} held-out folds split by story, then trained once more on\n"
        "everything: the lines are those of single folds, so look at the calibration figures below."
    ),
}


def write_card(bundle: Bundle, articles: Sequence[LabelledArticle], path: Path) -> None:
    """Write the card. Figures are added by `bondlore evaluate --card`, where FIGURES_MARK stands."""
    recipe, labels = bundle.training["recipe"], bundle.training["labels"]
    counts: Counter[tuple[str, str]] = Counter(
        (n, stance) for a in articles for carried in a.labels.values() for n, stance in carried.items()
    )
    annotators = Counter(a.annotator or "unnamed" for a in articles)
    parity = bundle.training["parity"]
    rows = "\n".join(
        f"| {n} | {counts[n, 'support']} | {counts[n, 'reject']} | {t:.2f} |"
        for n, t in zip(bundle.taxonomy.ids, bundle.calibration.threshold, strict=True)
    )
    how = _CARRIED_OVER if recipe.get("base_share") else _CALIBRATED[recipe["combine"]]
    calibrated = bool(bundle.confusion)
    sort = "a calibrated" if calibrated else "an uncalibrated"
    if not calibrated:
        how = _UNCALIBRATED
    who = ", ".join(f"{a} ({n} articles)" for a, n in sorted(annotators.items()))
    text = f"""---
license: apache-2.0
language: en
tags: [text-classification, multi-label, stance, finance]
---
# {bundle.name}

Reads an article sentence by sentence, in context, and gives each sentence {sort} probability of
each of {len(bundle.taxonomy)} narratives of taxonomy `{bundle.taxonomy.name}` version {bundle.taxonomy.version},
and whether it pushes (`support`) or denies (`reject`) it. Model id `{bundle.id}`.

## Data
{labels["articles"]} labelled articles ({", ".join(labels["sources"]) or "sources not named"});
digest `{labels["sha256"][:16]}`. Annotators: {who}. An annotator whose name begins with `lm-` is a language
model: agreement between such annotators is consistency, not human agreement.

| narrative | support | reject | threshold |
|---|---|---|---|
{rows}

## Training
{_taught(bundle.training)}
{how.format(**recipe)} Exported in
{parity["precision"]}; int8 against fp32: probabilities differ by {parity["mean_difference"]} on average, every
label agrees on {parity["agreement"]:.2%} of sentences.
Trained {bundle.training["trained_on"]} by bondlore {bundle.code_version}.

## Figures
{FIGURES_MARK}
Not measured yet: `bondlore evaluate {bundle.name} LABELS --card`.

## Use and limits
For measuring what the press says about bond moves; not for what moved bonds, and not for trading. English.
Sentences are judged by what the text says, under the codebook; no outside knowledge is used.
Counting its positives gives biased shares: {_SHARES if calibrated else _NO_SHARES}
"""
    atomic.write_text(path, text)


def _taught(training: Mapping[str, Any]) -> str:
    recipe, way = training["recipe"], training.get("way") or {}
    if way.get("encoder") == "frozen":
        how = f"left as it is under logistic regressions (strength {way['strength']})"
    else:
        how = f"{recipe['epochs']} epochs, learning rate {recipe['learning_rate']}"
    figures = way.get("held_out_micro_f1") or {}
    both = ", ".join(f"{k} {v:.3f}" for k, v in figures.items())
    tried = f"; held-out micro-F1, thresholds fitted on the same folds: {both}" if len(figures) > 1 else ""
    return f"Base `{recipe['base']}`, {how}{tried}; seed {recipe['seed']};"


def figures_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table of figures with 95% intervals, one column a labels file."""
    names = list(results)
    head = "| figure | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1)
    rows = []
    for figure in _SHOWN:
        cells = []
        for name in names:
            value = results[name]["figures"].get(figure)
            ci = results[name]["ci95"].get(figure)
            span = f" ({ci[0]:.2f} to {ci[1]:.2f})" if ci else ""
            cells.append("–" if value is None else f"{value:.3f}{span}")
        rows.append(f"| {figure} | " + " | ".join(cells) + " |")
    return "\n".join([head, *rows])
