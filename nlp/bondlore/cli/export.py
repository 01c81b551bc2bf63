"""`bondlore export`: a trained model for transformers, or only what tagging needs; and to a hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from bondlore.cli.options import builder
from bondlore.errors import InputError, MissingExtraError

__all__ = ["parser", "run"]

_EXAMPLE = """  bondlore export models/mine --to onnx --out mine-small
  bondlore export models/mine --to hf --out mine-hf --push owner/mine"""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore export`."""
    p = builder("export", "Write a model in another form, and push it to a hub if asked.", _EXAMPLE)
    p.add_argument("model", metavar="MODEL", help="a model folder or hub name")
    p.add_argument(
        "--to",
        choices=("hf", "onnx"),
        required=True,
        help="hf: for transformers (class in bondlore.train.hf); onnx: only what tagging opens, to copy or --model",
    )
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    p.add_argument("--push", metavar="OWNER/NAME", help="upload the folder to the hub ($HF_ENDPOINT, $HF_TOKEN)")
    p.add_argument("--private", action="store_true", help="make the hub model private where it is new")
    return p


def run(args: argparse.Namespace) -> int:
    """Write the folder and push it. Raises ModelError, InputError, MissingExtraError."""
    from bondlore.tag import bundle as bundles
    from bondlore.train import publish

    if args.push and args.push.count("/") != 1:
        raise InputError(f"{args.push!r} is no name of a hub model", where="--push", remedy="write owner/name")
    bundle = bundles.read(args.model)
    try:
        names = publish.export(bundle, args.to, args.out)
    except ImportError as error:
        raise MissingExtraError("train", str(error.name)) from error
    size = sum(p.stat().st_size for p in args.out.iterdir()) / 1e6
    print(f"{bundle.id} in {args.out}: {', '.join(names)} ({size:.1f} MB)")
    if args.push:
        print(publish.push(args.out, args.push, private=args.private))
    return 0
