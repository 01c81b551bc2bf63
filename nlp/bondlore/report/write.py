"""Put a report's renderings into a folder, each replaced in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bondlore import atomic
from bondlore.errors import InputError
from bondlore.report.data import ReportData, to_json

__all__ = ["FORMATS", "write_report"]

FORMATS = ("html", "png", "md", "json", "txt")
_EXTRA = "interactive"  # asked for by name: it is large and needs the extra of that name


def write_report(data: ReportData, out_dir: Path, formats: Sequence[str] = FORMATS) -> dict[str, Path]:
    """Write `report.html`, `.png`, `.md`, `.json` and `.txt` (those asked for); returns format -> path.

    Only when asked for: `csv`, the numbers behind the charts, and `interactive`, which is `interactive.html`.
    All are rendered before the first is written, so a failure leaves yesterday's set whole; `report.json` is replaced
    last, so that a new one says that the others are new too.
    Raises InputError for an unknown format, MissingExtraError for `interactive` without its library.
    """
    renderers: dict[str, Callable[[ReportData], bytes]] = {
        "html": _html,
        "png": _png,
        "md": _markdown,
        "json": _json,
        "txt": _text,
        "csv": _csv,
        _EXTRA: _interactive,
    }
    for name in formats:
        if name not in renderers:
            raise InputError(
                f"no report format {name!r}", where="formats", remedy=f"use {', '.join((*FORMATS, 'csv'))}"
            )
    rendered = {name: renderers[name](data) for name in dict.fromkeys(formats)}
    paths = {name: out_dir / ("interactive.html" if name == _EXTRA else f"report.{name}") for name in rendered}
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


def _text(data: ReportData) -> bytes:
    from bondlore.report.plain import render_text

    return render_text(data).encode()


def _csv(data: ReportData) -> bytes:
    from bondlore.report.figures import render_csv

    return render_csv(data).encode()


def _interactive(data: ReportData) -> bytes:
    from bondlore.report.interactive import render_interactive

    return render_interactive(data).encode()
