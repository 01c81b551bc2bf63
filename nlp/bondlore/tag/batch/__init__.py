"""Archives into tagged Parquet, exactly once: plan, shards, commit, engines.

    from bondlore.tag.batch import read_tagged, run
    run([Path("archive.jsonl.gz")], Path("tagged"))     # again after a crash: it goes on
    table = read_tagged(Path("tagged"))                 # `tagging.schema`

A folder holds `manifest.json` (the plan), `input/` (the articles of shards still to tag), `shards/` (Parquet),
`done/` (one record a finished shard), `rejects.jsonl` (rows that could not be read), `planned.json` (when) and, last,
`COMMITTED.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bondlore.tag.batch.commit import open_tagged, read_tagged
    from bondlore.tag.batch.job import JobReport, plan_only, run
    from bondlore.tag.batch.shard import tag_shard
    from bondlore.tag.batch.task import Pick, run_shards

__all__ = ["JobReport", "Pick", "open_tagged", "plan_only", "read_tagged", "run", "run_shards", "tag_shard"]

# Loaded when first asked for: reading a finished folder needs neither tokenizers nor archive readers.
_LAZY = {
    "JobReport": "job",
    "Pick": "task",
    "open_tagged": "commit",
    "plan_only": "job",
    "read_tagged": "commit",
    "run": "job",
    "run_shards": "task",
    "tag_shard": "shard",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
