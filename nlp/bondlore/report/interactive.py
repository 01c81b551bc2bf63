"""The page to explore: the report's shares and yields under hover, choice and zoom, with the sentences a click away.

One file that works from a disk: Vega-Lite is embedded (`vl-convert-python`, the extra `interactive`), expressions are
interpreted rather than compiled, and the page's policy names its two scripts by hash, so that no other can run and
nothing can be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bondlore.errors import MissingExtraError
from bondlore.report import words
from bondlore.report.data import ReportData
from bondlore.report.html import environment, style_sheet

__all__ = ["chart_spec", "render_interactive"]

_TENOR_DASHES = ([1, 2], [5, 3], [1, 0])


def render_interactive(data: ReportData) -> str:
    """The report as one HTML document with a chart to explore. Raises MissingExtraError without the library."""
    library, glue = _library(), Path(__file__).with_name("templates").joinpath("interactive.js").read_text("utf-8")
    scripts = " ".join(f"'sha256-{_digest(script)}'" for script in (library, glue))
    policy = f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:"
    payload = {
        "narratives": [{"id": n.id, "name": n.name} for n in data.narratives],
        "shares": _share_rows(data),
        "spec": chart_spec(data),
    }
    return (
        environment()
        .get_template("interactive.html.j2")
        .render(
            r=data,
            policy=policy,
            css=Markup(style_sheet(data)),  # noqa: S704  # colours are checked #rrggbb, the rest is our file
            narrative={row.id: row for row in data.narratives}.__getitem__,
            payload=Markup(_script_json(payload)),  # noqa: S704  # no "<" is left in it
            library=Markup(library),  # noqa: S704  # the library's own code, checked below
            glue=Markup(glue),  # noqa: S704  # our own file
        )
    )


def chart_spec(data: ReportData) -> dict[str, Any]:
    """The Vega-Lite specification: shares, yields below on the same dates, and a strip to choose the dates from.

    Colours are names of the page's CSS variables (`var(--n0)`), which its script fills in.
    """
    text = {"labelColor": "var(--muted)", "titleColor": "var(--ink)", "domainColor": "var(--muted)"}
    lines = {"gridColor": "var(--rule)", "tickColor": "var(--muted)"}
    parts = [_shares_part(data)]
    if data.yields:
        parts += [_yields_part(data), _strip(data)]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": words.day_range(data.chart_start, data.chart_end),
        "background": None,
        "spacing": 26,
        "datasets": {"shares": [], "yields": _yield_rows(data)},
        "vconcat": parts,
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
        "config": {
            "aria": False,  # the page names the drawing as a whole, and its tables and buttons say and do the same
            "font": "system-ui, sans-serif",
            "axis": text | lines,
            "title": {"color": "var(--ink)", "anchor": "start", "fontSize": 13},
            "view": {"stroke": None},
        },
    }


def _dates(data: ReportData, field: str, *, zoomed: bool) -> dict[str, Any]:
    scale = {"type": "utc"} | ({"domain": {"param": "brush"}} if zoomed and data.yields else {})
    days = (data.chart_end - data.chart_start).days
    axis = {"grid": False, "format": "%-d %b" if days < 300 else "%b %Y", "tickCount": 8, "labelOverlap": True}
    return {"field": field, "type": "temporal", "title": None, "scale": scale, "axis": axis}


def _ends(data: ReportData, field: str) -> dict[str, Any]:
    """A layer that shows nothing and makes a panel as wide as the chart's dates, so that all panels agree."""
    days = [{field: day.isoformat()} for day in (data.chart_start, data.chart_end)]
    return {
        "data": {"values": days},
        "mark": {"type": "rule", "opacity": 0, "tooltip": None},
        "encoding": {"x": _dates(data, field, zoomed=True)},
    }


def _shares_part(data: ReportData) -> dict[str, Any]:
    ids = [n.id for n in data.narratives]
    scale = {"domain": ids, "range": [f"var(--n{i})" for i in range(len(ids))]}
    common = {
        "x": _dates(data, "middle", zoomed=True),
        "color": {"field": "narrative", "type": "nominal", "scale": scale, "legend": None},
    }
    percent = {"type": "quantitative", "title": None, "axis": {"format": ".0%"}, "scale": {"domainMin": 0}}
    low, share = percent | {"field": "low"}, percent | {"field": "share"}
    tooltip = [
        {"field": "name", "title": "Story"},
        {"field": "when", "title": "Period"},
        {"field": "said", "title": "Share"},
        {"field": "n", "title": "Of articles"},
    ]
    bright = {"condition": {"param": "hover", "value": 1}, "value": 0.25}
    select = {"type": "point", "fields": ["narrative"], "on": "pointerover", "clear": "pointerout"}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "area", "opacity": 0.13, "clip": True},
            "encoding": common | {"y": low, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2.4, "clip": True},
            "encoding": common | {"y": share, "opacity": bright},
        },
        {
            "params": [{"name": "hover", "select": select}],
            "mark": {"type": "point", "filled": True, "size": 60, "clip": True, "cursor": "pointer"},
            "encoding": common | {"y": share, "opacity": bright, "tooltip": tooltip},
        },
        _ends(data, "middle"),
    ]
    title = f"Share of {words.counted_noun(data.denominator, data.by)}, with 95% intervals"
    return {"title": textwrap.wrap(title, 34), "height": 300, "data": {"name": "shares"}, "layer": layers}


def _yields_part(data: ReportData) -> dict[str, Any]:
    tenors = list(data.tenors)
    legend = {
        "title": None,
        "orient": "top",
        "labelColor": "var(--ink)",
        "symbolStrokeColor": "var(--ink)",
        "symbolType": "stroke",
        "symbolSize": 300,
        "direction": "horizontal",
    }
    scale = {"domain": tenors, "range": [list(d) for d in _TENOR_DASHES[-len(tenors) :]]}
    common = {
        "x": _dates(data, "date", zoomed=True),
        "y": {"field": "percent", "type": "quantitative", "title": None, "scale": {"zero": False}},
        "tooltip": [
            {"field": "tenor", "title": "Tenor"},
            {"field": "when", "title": "Day"},
            {"field": "percent", "title": "Per cent", "format": ".2f"},
        ],
    }
    dash = {"field": "tenor", "type": "nominal", "scale": scale, "legend": legend}
    mark = {"color": "var(--ink)", "clip": True}
    layers: list[dict[str, Any]] = [
        {"mark": mark | {"type": "line", "strokeWidth": 1.5}, "encoding": common | {"strokeDash": dash}},
        {"mark": mark | {"type": "point", "opacity": 0, "size": 40}, "encoding": common},
        _ends(data, "date"),
    ]
    return {"title": "Treasury yields, per cent", "height": 150, "data": {"name": "yields"}, "layer": layers}


def _strip(data: ReportData) -> dict[str, Any]:
    longest = data.tenors[-1]
    return {
        "title": f"Drag to zoom ({words.named_tenor(longest)} yield)",
        "height": 46,
        "data": {"name": "yields"},
        "transform": [{"filter": {"field": "tenor", "equal": longest}}],
        "params": [{"name": "brush", "select": {"type": "interval", "encodings": ["x"]}}],
        "mark": {"type": "line", "color": "var(--muted)", "strokeWidth": 1},
        "encoding": {
            "x": _dates(data, "date", zoomed=False),
            "y": {"field": "percent", "type": "quantitative", "title": None, "axis": None, "scale": {"zero": False}},
        },
    }


def _share_rows(data: ReportData) -> list[dict[str, Any]]:
    """A row a point of the two series; a refused one has nulls, so that its line breaks."""
    names = {n.id: n.name for n in data.narratives}
    out = []
    for line in data.lines:
        if line.series not in (data.lead_series, "rejection"):
            continue
        for p in line.points:
            middle = p.start + (p.end - p.start) / 2
            said = f"{words.percent(p.share)} ({words.interval(p)})" if p.share is not None else "not stated"
            out.append(
                {
                    "narrative": line.narrative,
                    "name": names[line.narrative],
                    "series": line.series,
                    "middle": middle.isoformat(),
                    "when": words.day_range(p.start, min(p.end, data.date)),
                    "share": p.share,
                    "low": p.low,
                    "high": p.high,
                    "said": said,
                    "n": p.n,
                }
            )
    return out


def _yield_rows(data: ReportData) -> list[dict[str, Any]]:
    return [
        {"tenor": y.tenor, "date": day.isoformat(), "when": words.day(day, year=True), "percent": value}
        for y in data.yields
        for day, value in zip(y.dates, y.percent, strict=True)
        if value is not None
    ]


@lru_cache(maxsize=1)
def _library() -> str:
    """Vega-Lite, Vega and their embedding as one script. Raises MissingExtraError."""
    try:
        import vl_convert
    except ImportError as error:
        raise MissingExtraError("interactive", "vl-convert-python") from error
    bundle: Any = vl_convert.javascript_bundle  # its stub asks for an argument that it can do without
    script = str(bundle())
    # Inside a page these would end the script, or begin a comment, wherever they stand in it.
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _script_json(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
