"""The command line: one thin module a command, imported only when that command runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from bondlore import __version__
from bondlore.errors import BondloreError
from bondlore.progress import say

__all__ = ["COMMANDS", "SUBCOMMANDS", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "run the whole chain offline on the shipped sample and write a report"),
    "classify": ("classify", "read one article: narratives, stance, evidence sentences"),
    "ingest": ("ingest", "poll the feeds once into the store"),
    "feeds": ("feeds", "how each feed is doing: last success, error, articles a day, next poll"),
    "import": ("importing", "read an archive (lines, tables, ZIP, WARC, GDELT, folders) into the store"),
    "archive": ("archive", "write the store's articles to Parquet, a file a month"),
    "tag": ("tag", "tag an archive into Parquet, resumable; or whatever in the store is untagged"),
    "share": ("share", "each narrative's share of coverage over time, with intervals"),
    "relate": ("relate", "changes of yields beside changes of shares: lead-lag profile, days of large moves"),
    "yields": ("yields", "fetch, refresh or show Treasury yields"),
    "report": ("report", "write the narrative report: HTML, PNG, Markdown, JSON, plain text"),
    "daily": ("daily", "ingest, yields, tag and report in one go, for cron"),
    "train": ("train", "labels to a model folder, in one command"),
    "evaluate": ("evaluate", "score a model on labelled articles"),
    "export": ("export", "a model for transformers or only what tagging opens; push it to a hub"),
    "compare": ("compare", "two models on the same articles: which is better, if either"),
    "labels": ("labels", "check, convert and compare labels, and choose what to label next"),
    "search": ("search", "full-text search in the store"),
    "copies": ("copies", "the near-copies of an article, why they count as one story, and how to part them"),
    "doctor": ("doctor", "what is installed, what is missing, and the command that mends it"),
}

# Second words that are commands of their own; a folder of that name is still reached as ./power.
SUBCOMMANDS: dict[tuple[str, str], str] = {("share", "power"): "power"}

_EXIT_BAD_INPUT, _EXIT_USAGE, _EXIT_INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 1 bad input, 2 usage, 3 done in part, 130 interrupted."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if args else _EXIT_USAGE
    if args[0] in ("-V", "--version"):
        print(f"bondlore {__version__}")
        return 0
    name, *rest = args
    if name not in COMMANDS:
        say(f"bondlore: error: no command {name!r}; bondlore --help lists them")
        return _EXIT_USAGE
    place = COMMANDS[name][0]
    if rest and (name, rest[0]) in SUBCOMMANDS:
        place, name, rest = SUBCOMMANDS[name, rest[0]], f"{name} {rest[0]}", rest[1:]
    module = import_module(f"bondlore.cli.{place}")
    try:
        return int(module.run(module.parser().parse_args(rest)))
    except BondloreError as error:
        say(f"bondlore {name}: error: {error}")
        return _EXIT_BAD_INPUT
    except BrokenPipeError:
        # the reader of our output (head, less) has gone: not an error
        sys.stderr.close()
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"bondlore {name}: error: {where}{error.strerror or error}; check the path, its permissions and free space")
        return _EXIT_BAD_INPUT
    except KeyboardInterrupt:
        say(f"\nbondlore {name}: interrupted; nothing half-written is kept, run the same command again to go on")
        return _EXIT_INTERRUPTED


def _help() -> str:
    lines = "\n".join(f"  {name:<10}{summary}" for name, (_, summary) in COMMANDS.items())
    return f"""usage: bondlore COMMAND [options]

Which causal story does bond-market news push for the move in Treasury yields, who denies it, and how often?

{lines}

bondlore COMMAND --help tells more, with an example. bondlore --version names this version.
First steps: bondlore demo"""
