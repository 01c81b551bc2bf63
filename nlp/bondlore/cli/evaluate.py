"""`bondlore evaluate`: a model's figures on labelled articles."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bondlore import atomic
from bondlore.cli.options import builder, print_json
from bondlore.errors import InputError
from bondlore.progress import Progress, say
from bondlore.train.slices import SLICES

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore evaluate models/default corpus/labels/passages.dev.jsonl
  bondlore evaluate models/mine dev.jsonl --baselines train.jsonl --json
  bondlore evaluate models/mine dev.jsonl --by publisher --errors errors.jsonl"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore evaluate`."""
    p = builder("evaluate", "Score a model on labelled articles, end to end, with 95% bootstrap intervals.", _EXAMPLE)
    p.add_argument("model", metavar="MODEL", help="a model folder or hub name")
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path, help="each file is scored by itself")
    p.add_argument(
        "--baselines", nargs="+", type=Path, metavar="TRAIN", help="TF-IDF trained on these labels, beside it"
    )
    p.add_argument("--predictions", type=Path, metavar="FILE", help="also write labels and scores as JSON Lines")
    p.add_argument("--by", choices=SLICES, action="append", default=[], help="also by month, publisher or length")
    p.add_argument("--errors", type=Path, metavar="FILE", help="list every error as JSON Lines, the surest first")
    p.add_argument("--card", action="store_true", help="write the table into the model's card")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    return p


def run(args: argparse.Namespace) -> int:
    """Print one table a labels file. Raises LabelError, ModelError, MissingExtraError."""
    from bondlore.tag.tagger import Tagger
    from bondlore.train import evaluate, labels, slices
    from bondlore.train.card import figures_table

    tagger = Tagger.load(args.model)
    results: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, Any]] = {}
    written: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    for path in args.labels:
        articles = labels.read_all([path], tagger.taxonomy)
        name = path.name if path.name not in results else str(path)
        known = set(tagger.bundle.training.get("labels", {}).get("texts", []))
        if overlap := sum(key in known for key in labels.fingerprints(articles)):
            say(f"evaluate: warning: {name}: the model was trained on {overlap} of these {len(articles)} articles")
        with Progress(f"evaluate {path.name}", total=len(articles), unit="articles") as progress:
            found = evaluate.predictions(tagger, articles, each=progress.step)
        results[name] = evaluate.figures(found, articles, tagger.taxonomy).plain()
        for by in args.by:
            for part, members in slices.sliced(articles, by).items():
                parts[f"{name}: {part}"] = evaluate.figures(found, members, tagger.taxonomy).plain()
        wrong += slices.errors(articles, found)
        written += [{"id": key, **value} for key, value in found.items()]
        if args.baselines:
            taught = labels.read_all(args.baselines, tagger.taxonomy)
            results[f"{name}: TF-IDF"] = evaluate.baseline(taught, articles, tagger.taxonomy).plain()
    for target, rows in ((args.predictions, written), (args.errors, wrong)):
        if target:
            atomic.write_text(target, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    if args.card:
        _into_card(tagger.bundle.folder / "README.md", figures_table(results))
    if args.json:
        print_json({"model": tagger.model, "results": results, **({"slices": parts} if args.by else {})})
    else:
        print(f"model {tagger.model}\n{figures_table(results)}")
        if parts:
            print("\n".join(["", *_slices(parts)]))
    return 0


def _slices(parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Four figures a slice: wide tables of all are for --json."""
    shown = ("core_micro_f1", "micro_f1", "detection_f1", "reject_f1")
    width = max(map(len, parts))
    yield f"{'':<{width}}{'articles':>10}" + "".join(f"{s:>24}" for s in shown)
    for name, part in parts.items():
        cells = []
        for figure in shown:
            value, ci = part["figures"].get(figure), part["ci95"].get(figure)
            span = f" ({ci[0]:.2f} to {ci[1]:.2f})" if ci else ""
            cells.append("–" if value is None else f"{value:.2f}{span}")
        yield f"{name:<{width}}{part['articles']:>10}" + "".join(f"{c:>24}" for c in cells)


def _into_card(card: Path, table: str) -> None:
    from bondlore.train.card import FIGURES_MARK

    try:
        head, mark, rest = card.read_text(encoding="utf-8").partition(FIGURES_MARK)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(card), remedy="leave --card away") from error
    if not mark:
        raise InputError(f"has no {FIGURES_MARK} mark", where=str(card), remedy="add the line where figures belong")
    _, _, after = rest.partition("\n## ")
    note = (
        "End to end, shipped thresholds, in the form this processor runs faster; 95% bootstrap intervals over stories"
        " (`bondlore evaluate --card`)."
    )
    atomic.write_text(card, f"{head}{mark}\n{table}\n\n{note}\n\n## {after}")
