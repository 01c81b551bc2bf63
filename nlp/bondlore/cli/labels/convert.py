"""`bondlore labels convert`: labels from one form into another, nothing lost."""

from __future__ import annotations

import argparse
from pathlib import Path

from bondlore import taxonomy
from bondlore.cli.options import add_taxonomy, print_json
from bondlore.errors import LabelError
from bondlore.progress import say
from bondlore.train.labelling import convert
from bondlore.train.labelling.forms import FORMS

__all__ = ["EXAMPLE", "arguments", "run"]

EXAMPLE = """  bondlore labels convert my-labels.jsonl --to label-studio --out tasks.json
  bondlore labels convert project-1-export.json --to native --annotator ann@example.org --out ann.jsonl
  bondlore labels convert audit-labelled.jsonl --to audit --out audit.parquet"""
_AUDIT = "audit"  # a table for share --audit: verdicts only, so there is no way back


def arguments(p: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    p.add_argument("labels", metavar="LABELS", nargs="+", type=Path)
    p.add_argument(
        "--to",
        choices=(*FORMS, _AUDIT),
        required=True,
        help="native and flat are JSON Lines; datasets is a folder; label-studio also writes the interface (.xml)",
    )
    p.add_argument("--from", dest="form", choices=FORMS, default="", help="default: found out from the file")
    p.add_argument("--annotator", metavar="NAME", help="keep one annotator's labels only")
    p.add_argument("--out", type=Path, required=True, metavar="PATH", help="a new file or folder")
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_taxonomy(p)


def run(args: argparse.Namespace) -> int:
    """Write the file and say what is in it. Raises LabelError, InputError."""
    narratives = taxonomy.load(args.taxonomy)
    if args.to == _AUDIT:
        return _audit(args, narratives)
    articles = [a for path in args.labels for a in convert.read(path, narratives, args.form)]
    where = ", ".join(map(str, args.labels))
    if args.annotator is not None:
        names = sorted({a.annotator for a in articles})
        articles = [a for a in articles if a.annotator == args.annotator]
        if not articles:
            message = f"hold no labels of {args.annotator!r}"
            raise LabelError(message, where=where, remedy=f"they are of {', '.join(map(repr, names))}")
    if not articles:
        raise LabelError("hold no article", where=where, remedy="label some, or give another --from")
    convert.write(articles, args.out, args.to, narratives)
    pending = sum(a.pending for a in articles)
    if pending and args.to in convert.FORGETS:
        say(f"labels: warning: {args.to} cannot tell the {pending} articles not labelled yet from empty ones")
    summary = {
        "out": str(args.out),
        "form": args.to,
        "articles": len(articles),
        "not_labelled_yet": pending,
        "labels": sum(len(c) for a in articles for c in a.labels.values()),
    }
    if args.json:
        print_json(summary)
        return 0
    waiting = f", {pending} not labelled yet" if pending else ""
    beside = f"; its labelling interface in {args.out.with_suffix('.xml')}" if args.to == "label-studio" else ""
    print("{articles} articles{waiting}, {labels} labels in {out} ({form})".format(**summary, waiting=waiting) + beside)
    return 0


def _audit(args: argparse.Namespace, narratives: taxonomy.Taxonomy) -> int:
    from bondlore.train.labelling.audit import write_audit

    n = write_audit(args.labels, narratives, args.out, args.form)
    if args.json:
        print_json({"out": str(args.out), "form": _AUDIT, "articles": n})
    else:
        print(f"{n} audited articles in {args.out}, for bondlore share --audit")
    return 0
