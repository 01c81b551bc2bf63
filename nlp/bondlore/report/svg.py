"""A matplotlib figure as inline SVG that a strict page accepts: no metadata, no style sheet, no outside reference.

Only known elements and attributes pass. Colours become CSS variables where the caller says so, so that one
drawing serves light and dark paper; the typeface is the page's.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.figure import Figure

from bondlore.report.text import html

__all__ = ["inline_svg"]

_ELEMENTS = frozenset({"svg", "g", "path", "defs", "use", "clipPath", "rect", "text", "tspan"})
_ATTRIBUTES = ("d", "x", "y", "width", "height", "transform", "clip-path", "id", "style")
_STYLES = frozenset(
    {
        "fill",
        "fill-opacity",
        "fill-rule",
        "font-size",
        "opacity",
        "stroke",
        "stroke-dasharray",
        "stroke-dashoffset",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-opacity",
        "stroke-width",
        "text-anchor",
    }
)
_FONT = re.compile(r"font:\s*(?:(bold|[1-9]00)\s+)?([\d.]+)px[^;]*")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_COMMAND = re.compile(r"([MLCQZz])([^A-Za-z]*)")
_HREF = "{http://www.w3.org/1999/xlink}href"


def inline_svg(figure: Figure, *, name: str, title: str, description: str, colours: Mapping[str, str]) -> Markup:
    """The figure as one `<svg role="img">` element with text alternatives.

    `name` prefixes every id (unique in the page). `colours` maps a drawn #rrggbb to what the page shall say
    instead, such as `var(--ink)`.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314  # matplotlib's own output, made just now
    ids: dict[str, str] = {}
    body = "".join(_element(child, name, ids, colours) for child in root)
    width, height = (float(root.attrib[k].removesuffix("pt")) for k in ("width", "height"))
    head = (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-t {name}-d" focusable="false">'
        f'<title id="{name}-t">{html(title)}</title><desc id="{name}-d">{html(description)}</desc>'
    )
    return Markup(head + body + "</svg>")  # noqa: S704  # every part is escaped or from a fixed list


def _element(node: ElementTree.Element, name: str, ids: dict[str, str], colours: Mapping[str, str]) -> str:
    tag = node.tag.rpartition("}")[2]
    if tag not in _ELEMENTS:
        return ""
    inner = html(node.text.strip()) if tag in ("text", "tspan") and node.text else ""
    inner += "".join(_element(child, name, ids, colours) for child in node)
    attributes = _attributes(node, name, ids, colours)
    if tag == "g" and (not attributes or not inner):
        return inner
    if tag == "defs" and not inner:
        return ""
    return f"<{tag}{attributes}>{inner}</{tag}>" if inner else f"<{tag}{attributes}/>"


def _attributes(node: ElementTree.Element, name: str, ids: dict[str, str], colours: Mapping[str, str]) -> str:
    def local(reference: str) -> str:
        return ids.setdefault(reference, f"{name}-{len(ids)}")

    kept: list[str] = []
    tag = node.tag.rpartition("}")[2]
    for key in _ATTRIBUTES:
        value = node.attrib.get(key, "")
        if key == "id" and tag not in ("clipPath", "path"):
            continue  # groups are named by matplotlib, and nothing refers to them
        if key == "id" and value:
            value = local(value)
        elif key == "clip-path" and (match := re.fullmatch(r"url\(#([\w-]+)\)", value)):
            value = f"url(#{local(match[1])})"
        elif key == "style":
            value = _style(value, colours)
        elif key == "d":
            value = _path(value)
        elif key not in ("clip-path", "id"):
            value = _NUMBER.sub(lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), " ".join(value.split()))
        if value:
            kept.append(f'{key}="{html(value)}"')
    if tag == "use" and (target := node.attrib.get(_HREF, "")).startswith("#"):
        kept.append(f'href="#{local(target[1:])}"')
    return "".join(f" {k}" for k in kept)


def _path(value: str) -> str:
    """The same path in tenths of a pixel, upright and level strokes in their short form."""
    out: list[str] = []
    last = ("", "")
    for command, numbers in _COMMAND.findall(value):
        at = [f"{float(n):.1f}".removesuffix(".0").replace("-0.", "-.") for n in numbers.split()]
        if command == "L" and tuple(at) != last and last[0] == at[0]:
            out.append(f"V{at[1]}")
        elif command == "L" and last[1] == at[1]:
            out.append(f"H{at[0]}")
        else:
            out.append(command + " ".join(at))
        last = (at[-2], at[-1]) if at else ("", "")
    return "".join(out)


def _style(value: str, colours: Mapping[str, str]) -> str:
    # Older matplotlib writes the `font` shorthand, newer the parts; the family is the page's either way.
    value = _FONT.sub(lambda m: f"font-weight:{m[1] or 400};font-size:{m[2]}px", value)
    out: list[str] = []
    for rule in value.split(";"):
        key, _, said = rule.partition(":")
        key, said = key.strip(), said.strip()
        if key == "font-weight" and said in ("bold", "600", "700"):
            out.append("font-weight:600")
        elif key in _STYLES and re.fullmatch(r"[\w#.,\s-]+", said):
            out.append(f"{key}:{colours.get(said.lower(), said)}")
    return ";".join(out)
