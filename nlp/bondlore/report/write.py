"""Put a report's renderings into a folder, each replaced in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bondlore import atomic
from bondlore.errors import InputError
from bondlore.report.data import ReportData, to_json

__all__ = ["FORMATS", "write_report"]

FORMATS = ("html", "png", "md", "json")


def write_report(data: ReportData, out_dir: Path, formats: Sequence[str] = FORMATS) -> dict[str, Path]:
    """Write `report.html`, `.png`, `.md` and `.json` (those asked for); returns format -> path.

    All are rendered before the first is written, so a failure leaves yesterday's set whole; `report.json` is replaced
    last, so that a new one says that the others are new too.
    Raises InputError for an unknown format.
    """
    renderers: dict[str, Callable[[ReportData], bytes]] = {"html": _html, "png": _png, "md": _markdown, "json": _json}
    for name in formats:
        if name not in renderers:
            raise InputError(f"no report format {name!r}", where="formats", remedy=f"use {', '.join(FORMATS)}")
    rendered = {name: renderers[name](data) for name in dict.fromkeys(formats)}
    paths = {name: out_dir / f"report.{name}" for name in rendered}
    for name in sorted(rendered, key=lambda name: name == "json"):
        atomic.write_bytes(paths[name], rendered[name])
    return paths


# matplotlib and jinja are imported only when a format needs them.
def _html(data: ReportData) -> bytes:
    from bondlore.report.html import render_html

    return render_html(data).encode()


def _png(data: ReportData) -> bytes:
    from bondlore.report.charts import picture_png

    return picture_png(data)


def _markdown(data: ReportData) -> bytes:
    from bondlore.report.markdown import render_markdown

    return render_markdown(data).encode()


def _json(data: ReportData) -> bytes:
    return to_json(data).encode()
