"""Colours that stay readable: WCAG contrast, and a hue nudged until it passes on light and on dark paper."""

from __future__ import annotations

import colorsys

__all__ = ["DARK", "LIGHT", "contrast", "readable"]

LIGHT, DARK = "#fffdf8", "#15171a"


def contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio of two #rrggbb colours, 1 to 21."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def readable(colour: str, paper: str, ratio: float = 4.5) -> str:
    """`colour` with its lightness moved, in steps of 2 %, until it has `ratio` against `paper`."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    step = -0.02 if _luminance(paper) > 0.5 else 0.02
    while contrast(colour, paper) < ratio and 0 < lightness + step < 1:
        lightness += step
        colour = "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hls_to_rgb(hue, lightness, saturation))
    return colour.lower()


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
