"""`bondlore labels suggest`: the next articles to label, and why each."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from bondlore import atomic
from bondlore.cli.options import positive, print_json
from bondlore.errors import InputError
from bondlore.progress import say

__all__ = ["EXAMPLE", "arguments", "run"]

EXAMPLE = """  bondlore labels suggest tagged/ --for training -n 50 --archive news.jsonl --out to-label.jsonl
  bondlore labels suggest tagged/ --for audit -n 200 --strata month,score --seed 7 --out audit.jsonl"""


def arguments(p: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    p.add_argument("tagged", metavar="TAGGED", type=Path, help="a folder written by bondlore tag")
    p.add_argument(
        "--for",
        dest="purpose",
        choices=("training", "audit"),
        required=True,
        help="what teaches most, or a probability sample that may correct shares (share --audit)",
    )
    p.add_argument("-n", type=positive, default=50, help="how many articles (default 50)")
    p.add_argument("--labels", nargs="+", type=Path, default=[], metavar="FILE", help="leave out those labelled here")
    p.add_argument("--archive", nargs="+", type=Path, default=[], metavar="PATH", help="add their sentences from here")
    p.add_argument(
        "--strata",
        default="month,score",
        metavar="A,B",
        help="audit: month, week, publisher, gate, score (default month,score)",
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, metavar="FILE", help="write rows as JSON Lines, ready to be labelled")
    p.add_argument("--json", action="store_true", help="rows as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Print or write the rows. Raises BatchError, LabelError, InputError."""
    from bondlore.train.labelling.candidates import read_candidates, to_label
    from bondlore.train.labelling.forms import native_rows
    from bondlore.train.labelling.suggest import for_audit, for_training

    if args.out and args.out.exists():
        raise InputError("is there already", where=str(args.out), remedy="choose another --out")
    if args.purpose == "training":
        known = {str(row.get("id")) for path in args.labels for _, row in native_rows(path)}
        chosen = for_training(read_candidates(args.tagged, known=known), args.n, seed=args.seed)
    else:
        # what was labelled before was not drawn at random: leaving it out would bias the sample
        if args.labels:
            raise InputError("an audit draws from all articles", where="--labels", remedy="leave --labels away")
        strata = [s.strip() for s in args.strata.split(",") if s.strip()]
        chosen = for_audit(read_candidates(args.tagged), args.n, strata=strata, seed=args.seed)
    if len(chosen) < args.n:
        say(f"labels: only {len(chosen)} articles to choose from")
    out = list(to_label(chosen, args.archive))
    if args.archive and (missing := sum("sentences" not in row for row in out)):
        say(f"labels: warning: {missing} of the articles are not in the archive; their rows have no sentences")
    if args.out:
        atomic.write_text(args.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in out))
    if args.json:
        print_json(out)
    elif args.out:
        about = Counter(row.get("narrative") or row["stratum"] for row in out)
        print(f"{len(out)} articles in {args.out}: " + ", ".join(f"{n} {k}" for k, n in sorted(about.items())))
    else:
        for row in out:
            print(f"{row['id']}  {row['title']}\n    {row['why']}")
    return 0
