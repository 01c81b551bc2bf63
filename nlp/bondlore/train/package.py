"""A trained network to a model folder: export, parity gate, manifest, card; complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bondlore import __version__
from bondlore.tag import bundle as bundles
from bondlore.tag.bundle import Bundle, Calibration, file_digest
from bondlore.taxonomy import Taxonomy
from bondlore.train import export, fit
from bondlore.train import labels as label_files
from bondlore.train.card import write_card
from bondlore.train.labels import LabelledArticle
from bondlore.train.network import SentenceTagger
from bondlore.train.recipe import Recipe

__all__ = ["Made", "package"]

_SAMPLE = 150  # windows on which the exported model is compared with fp32


@dataclass(frozen=True, slots=True)
class Made:
    """How a network came about, for its manifest and card.

    `seen`: fingerprints of what its base was trained on. `way`: was the encoder tuned, and the held-out figures that
    decided it.
    """

    taxonomy: Taxonomy
    recipe: Recipe
    calibration: Calibration
    confusion: dict[str, Any]
    scores: dict[str, Any]
    sources: tuple[str, ...]
    seen: frozenset[str]
    now: datetime
    way: dict[str, Any] = field(default_factory=dict)


def package(
    model: SentenceTagger,
    articles: Sequence[LabelledArticle],
    data: Sequence[fit.Example],
    reader: fit.Reader,
    made: Made,
    out: Path,
    *,
    report: Callable[[str], None],
) -> Bundle:
    """Write the folder `out`; `data` are the windows of `articles`. An older model there gives way at the end.

    A model whose int8 form strays from fp32 is written in fp32.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".train-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        report("train: exporting int8")
        export.to_onnx(model, folder / "model.onnx")
        reader.save(folder / "encoder")
        names = export.save_encoder(model, folder)
        reader.tokenizer.save(str(folder / "tokenizer.json"))
        checked, precision = _gated(model, data, reader, made.calibration, folder, report)
        bundle = Bundle(
            name=out.name,
            taxonomy=made.taxonomy,
            window=made.recipe.window,
            calibration=made.calibration,
            special={"cls": reader.cls, "sep": reader.sep, "pad": reader.pad},
            files={n: file_digest(folder / n) for n in ["model.onnx", "tokenizer.json", *names]},
            confusion=made.confusion,
            scores=made.scores,
            training={
                "recipe": made.recipe.plain(),
                "way": made.way,
                "labels": {
                    "sha256": label_files.digest(articles),
                    "articles": len(articles),
                    "sources": list(made.sources),
                    "texts": sorted(made.seen | set(label_files.fingerprints(articles))),
                },
                "parity": {
                    "precision": precision,
                    "mean_difference": round(checked.mean_difference, 5),
                    "agreement": round(checked.agreement, 5),
                },
                "trained_on": made.now.date().isoformat(),
            },
            code_version=__version__,
            folder=folder,
        )
        bundles.write(bundle, folder)
        write_card(bundle, articles, folder / "README.md")
        _install(folder, out)
    return replace(bundle, folder=out)


def _gated(
    model: SentenceTagger,
    data: Sequence[fit.Example],
    reader: fit.Reader,
    settled: Calibration,
    folder: Path,
    report: Callable[[str], None],
) -> tuple[export.Parity, str]:
    """Parity of the exported model with fp32, and the precision that ships for it."""
    sample = data[:: max(1, len(data) // _SAMPLE)]
    chosen = {s.article for s in sample}
    reference = fit.predict(model, [e for e in data if e.article in chosen], reader, exact=True)
    checked = export.parity(
        folder / "model.onnx",
        reference,
        sample,
        slope=settled.slope,
        intercept=settled.intercept,
        threshold=settled.threshold,
    )
    if checked.passed:
        return checked, "int8"
    # a model that strays from what was trained does not ship: the larger, slower one does
    export.to_onnx(model, folder / "model.onnx", quantise=False)
    report(
        f"train: warning: int8 differs from fp32 by {checked.mean_difference:.4f} on average and agrees on"
        f" {checked.agreement:.2%} of sentences (gate: 0.01 and 99%); exported in fp32 instead"
    )
    return checked, "fp32"


def _install(folder: Path, out: Path) -> None:
    """Move a finished folder into place; an older model there gives way only now."""
    old = out.with_name(f".{out.name}.old-{os.getpid()}")
    if out.exists():
        for kept in ("floors.json",):
            if (out / kept).exists():
                shutil.copy2(out / kept, folder / kept)
        out.rename(old)
    folder.rename(out)
    shutil.rmtree(old, ignore_errors=True)
