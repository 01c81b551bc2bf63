"""`bondlore doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from bondlore import __version__, resources, taxonomy
from bondlore.cli.options import add_db, add_model, builder, database, print_json
from bondlore.errors import BondloreError

__all__ = ["Finding", "parser", "run"]

_EXAMPLE = "  bondlore doctor --db news.db"
_CORE = (
    "feedparser",
    "jinja2",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "pyarrow",
    "sqlalchemy",
    "tokenizers",
    "trafilatura",
)
_EXTRAS = {
    "train": ("torch", "transformers", "scikit-learn", "datasets"),
    "ray": ("ray",),
    "postgres": ("psycopg",),
    "interactive": ("vl-convert-python",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `state` is ok, note (works without it) or bad; `remedy` is a command."""

    what: str
    state: str
    detail: str
    remedy: str = ""


def parser() -> argparse.ArgumentParser:
    """Arguments of `bondlore doctor`."""
    p = builder("doctor", "Versions, model, store, feeds: what is missing and the command that mends it.", _EXAMPLE)
    p.add_argument(
        "--feeds", metavar="FILE", type=Path, help="a feed list, OPML or YAML (default: the shipped public feeds)"
    )
    p.add_argument("--json", action="store_true", help="machine-readable result")
    add_model(p)
    add_db(p)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit code 1 when something that bondlore needs is missing."""
    checks: list[Callable[[], list[Finding]]] = [
        _versions,
        _extras,
        lambda: _model(args.model),
        _corpus,
        lambda: _feeds(args.feeds),
        lambda: _store(database(args)),
    ]
    findings = [finding for check in checks for finding in _guarded(check)]
    if args.json:
        print_json([asdict(f) for f in findings])
    else:
        for f in findings:
            mark = {"ok": "ok  ", "note": "note", "bad": "BAD "}[f.state]
            print(f"{mark}  {f.what}: {f.detail}" + (f"\n      → {f.remedy}" if f.remedy else ""))
    return 1 if any(f.state == "bad" for f in findings) else 0


def _guarded(check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except BondloreError as error:
        return [Finding(error.where or "bondlore", "bad", error.message, error.remedy)]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> list[Finding]:
    python = Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    out = [Finding("bondlore", "ok", f"{__version__} in {Path(sys.prefix).name}"), python]
    missing = [n for n in _CORE if _version(n) is None]
    if missing:
        out.append(Finding("libraries", "bad", f"missing: {', '.join(missing)}", "pip install bondlore"))
    else:
        out.append(Finding("libraries", "ok", ", ".join(f"{n} {_version(n)}" for n in _CORE)))
    return out


def _extras() -> list[Finding]:
    out = []
    for extra, names in _EXTRAS.items():
        missing = [n for n in names if _version(n) is None]
        if missing:
            out.append(
                Finding(
                    f"extra {extra}",
                    "note",
                    f"not installed ({', '.join(missing)})",
                    f"pip install 'bondlore[{extra}]'",
                )
            )
        else:
            out.append(Finding(f"extra {extra}", "ok", ", ".join(f"{n} {_version(n)}" for n in names)))
    return out


def _model(folder: str | None) -> list[Finding]:
    from bondlore.tag import bundle as bundles
    from bondlore.tag.runtime import available_cores, best_precision

    bundle = bundles.read(folder)
    # export --to onnx leaves out all that only training opens; some of it without the rest is a broken folder
    rest = [name for name in bundle.files if name not in bundles.RUN]
    small = bool(rest) and not any((bundle.folder / name).exists() for name in rest)
    for name in () if small else rest:
        bundles.check_file(bundle, name)
    size = sum((bundle.folder / name).stat().st_size for name in bundle.files if (bundle.folder / name).is_file())
    detail = f"{bundle.id}, {len(bundle.taxonomy)} narratives, {size / 1e6:.0f} MB, hashes match"
    detail += "; only what tagging opens" if small else ""
    why = "has" if best_precision() == "int8" else "has no"
    how = f"{best_precision()} (this processor {why} fast int8 products), {available_cores()} threads"
    return [Finding("model", "ok", detail), Finding("runtime", "ok", how)]


def _corpus() -> list[Finding]:
    from bondlore.chain import load_yields

    narratives = taxonomy.load()
    yields = load_yields()
    return [
        Finding("taxonomy", "ok", f"{narratives.name} version {narratives.version}: {', '.join(narratives)}"),
        Finding("yields", "ok", f"shipped table to {yields.dates[-1]}", "bondlore yields --source treasury"),
        Finding("sample", "ok", str(len(list(resources.find("corpus/sample").iterdir()))) + " files"),
    ]


def _feeds(path: Path | None) -> list[Finding]:
    from bondlore.ingest import fetch
    from bondlore.ingest.feedlist import read_feeds

    feeds = read_feeds(path or resources.find("corpus/feeds.opml"))
    found = [Finding("feeds", "ok", f"{len(feeds)} in {path.name if path else 'the shipped list'}")]
    if contact := os.environ.get("BONDLORE_CONTACT"):
        return [*found, Finding("contact", "ok", fetch.agent(contact))]
    none = "publishers are not told whom to write to"
    return [*found, Finding("contact", "note", none, "export BONDLORE_CONTACT=you@example.org")]


def _store(address: str) -> list[Finding]:
    if "://" not in address and not Path(address).exists():
        return [Finding("store", "note", f"{address} does not exist yet", f"bondlore ingest --db {address}")]
    from bondlore.store import Store

    with Store.open(address, create=False) as store:
        counts = store.counts()
        polls = store.poll_log(50)
    out = [Finding("store", "ok", f"{address}: {counts.articles} articles in {counts.clusters} clusters")]
    out += [
        Finding(f"feed {p.feed}", "note", f"last poll {p.outcome}: {p.error}", "open it in a browser")
        for p in {p.feed: p for p in reversed(polls)}.values()
        if p.outcome in ("failed", "gone")
    ]
    return out
