"""Line plots as SVG text: one small plot for each group of numbers, colours left to the page's style."""

from __future__ import annotations

from html import escape
from itertools import pairwise

import numpy as np

WIDTH, HEIGHT = 1000, 120
_MOST_POINTS = 320
_COLOURS = 10
_LEGEND = 14


def line_plot(title: str, unit: str, names: tuple[str, ...], values: np.ndarray, seconds: float) -> str:
    """One plot as an HTML figure.

    Args:
        title: above the plot.
        unit: SI unit, shown behind the title.
        names: one for each column.
        values: shape ``(steps, columns)``; gaps where they are not finite.
        seconds: length of the time axis [s].
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    flat = high - low < 1e-9 * max(1.0, abs(low))
    bottom, top = (low - 0.5, high + 0.5) if flat else (low, high)
    lines = "".join(_line(values[:, i], bottom, top, i, names[i]) for i in range(values.shape[1]))
    zero = _zero_line(bottom, top)
    return (
        f'<figure class="plot" data-low="{bottom:.9g}" data-high="{top:.9g}" data-seconds="{seconds:.6g}">'
        f"<figcaption><b>{escape(title)}</b>{_unit(unit)}{_legend(names)}</figcaption>"
        f'<div class="canvas"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title, quote=True)} over time">{zero}{lines}</svg>'
        f'<i class="cursor"></i><output></output><span class="high">{_number(high)}</span>'
        f'<span class="low">{_number(low)}</span></div></figure>'
    )


def _line(column: np.ndarray, bottom: float, top: float, index: int, name: str) -> str:
    steps, values = thinned(column)
    x = steps / max(len(column) - 1, 1) * WIDTH
    y = (top - values) / (top - bottom) * (HEIGHT - 8) + 4
    pieces, pen = [], "M"
    for px, py in zip(x, y, strict=True):
        if np.isfinite(py):
            pieces.append(f"{pen}{px:.1f} {py:.1f}")
            pen = "L"
        else:
            pen = "M"
    colour = index % _COLOURS
    return f'<path class="c{colour}" d="{"".join(pieces)}"><title>{escape(name)}</title></path>'


def thinned(column: np.ndarray, most: int = _MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of at most about ``most`` points that keep every peak of ``column``, shape ``(steps,)``.

    Long columns are cut into buckets, of which the smallest and the largest value are kept, in order.
    """
    column = np.asarray(column, dtype=np.float64)
    if len(column) <= most:
        return np.arange(len(column)), column
    edges = np.linspace(0, len(column), most // 2 + 1).astype(int)
    keep = {0, len(column) - 1}
    for a, b in pairwise(edges):
        piece = column[a:b]
        if np.isfinite(piece).any():
            keep |= {a + int(np.nanargmin(piece)), a + int(np.nanargmax(piece))}
        else:
            keep.add(int(a))
    steps = np.array(sorted(keep))
    return steps, column[steps]


def _zero_line(bottom: float, top: float) -> str:
    if not bottom < 0 < top:
        return ""
    y = top / (top - bottom) * (HEIGHT - 8) + 4
    return f'<path class="zero" d="M0 {y:.1f}H{WIDTH}"/>'


def _legend(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return ""
    shown = "".join(f'<li class="c{i % _COLOURS}">{escape(name)}</li>' for i, name in enumerate(names[:_LEGEND]))
    rest = f"<li>and {len(names) - _LEGEND} more</li>" if len(names) > _LEGEND else ""
    return f"<ul>{shown}{rest}</ul>"


def _unit(unit: str) -> str:
    return f" <small>[{escape(unit)}]</small>" if unit not in ("", "1") else ""


def _number(value: float) -> str:
    return f"{value:.4g}"
