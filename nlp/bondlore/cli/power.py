"""`bondlore share power`: how many articles or audits a given change of share needs."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from bondlore.cli.options import add_model, builder, positive, print_json
from bondlore.errors import InputError

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore share power --from 20 --to 30
  bondlore share power --from 5 --to 8 --narrative deleveraging --copies 3 --articles 2000"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore share power`."""
    p = builder("share power", "How many articles, or audited articles, a change of share needs.", _EXAMPLE)
    p.add_argument("--from", dest="before", type=float, required=True, metavar="PCT", help="share before, in percent")
    p.add_argument("--to", dest="after", type=float, required=True, metavar="PCT", help="share after, in percent")
    p.add_argument("--power", type=float, default=0.8, help="chance that the change shows (default 0.8)")
    p.add_argument("--alpha", type=float, default=0.05, help="chance of a false alarm, two-sided (default 0.05)")
    p.add_argument("--articles", type=positive, metavar="N", help="articles a period that are counted, for the audit")
    p.add_argument("--copies", type=float, default=1, metavar="M", help="mean copies a story (default 1)")
    p.add_argument("--alike", type=float, default=1, metavar="R", help="how alike copies are, 0 to 1 (default 1)")
    p.add_argument("--narrative", metavar="ID", help="take the error rates of this narrative from the model")
    p.add_argument("--tpr", type=float, help="true positive rate (default 1, or the model's)")
    p.add_argument("--fpr", type=float, help="false positive rate (default 0, or the model's)")
    p.add_argument("--json", action="store_true", help="the plan as JSON on standard output")
    add_model(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Print the plan."""
    from bondlore.measure.power import design_effect, plan

    tpr, fpr = _rates(args)
    found = plan(
        args.before / 100,
        args.after / 100,
        articles=args.articles,
        power=args.power,
        alpha=args.alpha,
        tpr=tpr,
        fpr=fpr,
        effect=design_effect(args.copies, args.alike),
    )
    if args.json:
        print_json(asdict(found))
        return 0
    print(f"from {args.before:g}% to {args.after:g}%, seen with a chance of {args.power:g} at level {args.alpha:g}")
    print(f"true positive rate {tpr:.2f}, false positive rate {fpr:.2f}, design effect {found.design_effect:.2f}")
    if (tpr, fpr) != (1, 0):
        print(f"{found.articles_perfect:>9}  articles a period, were the classifier perfect")
    print(f"{found.articles:>9}  articles a period, counted by the classifier")
    of = f"audited articles a period, of {found.articles_counted} counted"
    print(f"{_said(found.audits):>9}  {of}, with PPI++")
    print(f"{_said(found.audits_by_hand):>9}  {of}, by hand alone")
    if args.articles:
        print(f"{100 * found.power_of_counted:8.0f}%  chance with {args.articles} articles a period")
    return 0


def _said(audits: int | None) -> str:
    return "too few" if audits is None else str(audits)


def _rates(args: argparse.Namespace) -> tuple[float, float]:
    """Rates given, else the model's for the narrative, else those of a perfect classifier."""
    tpr, fpr = 1.0, 0.0
    if args.narrative:
        from bondlore.measure.confusion import load_confusion
        from bondlore.measure.correction import unusable
        from bondlore.tag.bundle import locate

        folder = locate(args.model)
        confusion = load_confusion(folder)
        counts = confusion.counts(args.narrative, "presence") if confusion else None
        if counts is None or unusable(counts):
            raise InputError(
                f"{args.narrative!r}: {unusable(counts)}", where=str(folder), remedy="give --tpr and --fpr yourself"
            )
        tpr, fpr = counts.tpr, counts.fpr
    return (tpr if args.tpr is None else args.tpr), (fpr if args.fpr is None else args.fpr)
