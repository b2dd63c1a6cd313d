"""Pictures of results, drawn with matplotlib: PNG for documents, SVG that follows a page's light or dark colours."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_stack.core.atomic import write_bytes
from robot_stack.core.errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's text colour; replaced by ``currentColor`` in SVG."""

PALETTE = ("#2f7ed8", "#e07b39", "#7f8c8d", "#3a9a5f", "#a05fb4", "#c2a12d")
"""One colour for each series; told apart by colour-blind readers in this order."""


@dataclass(frozen=True)
class Rate:
    """One success rate with its interval."""

    label: str
    """Who."""

    successes: int
    """Of ``trials``."""

    trials: int
    """How many episodes."""

    low: float
    """Lower end of the interval."""

    high: float
    """Upper end of the interval."""

    series: int | None = None
    """Rates of one series share a colour; the row's number when left out."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One line over training steps."""

    label: str
    """What it shows."""

    x: np.ndarray
    """Shape ``(points,)``."""

    y: np.ndarray
    """Shape ``(points,)``."""


def rate_figure(rates: Sequence[Rate], *, title: str = "") -> Figure:
    """Success rates as points with their intervals, one row each.

    Args:
        rates: from top to bottom.
        title: above the plot.
    """
    figure, axes = plain_figure(6.4, 0.55 + 0.42 * len(rates) + (0.3 if title else 0.0))
    for row, rate in enumerate(rates):
        color = PALETTE[(row if rate.series is None else rate.series) % len(PALETTE)]
        share = rate.successes / rate.trials if rate.trials else 0.0
        axes.plot([rate.low, rate.high], [row, row], color=color, linewidth=6, alpha=0.3, solid_capstyle="round")
        axes.plot([share], [row], "o", color=color, markersize=8)
        axes.annotate(
            f"{rate.successes}/{rate.trials}",
            (1.04, row),
            xycoords=("axes fraction", "data"),
            va="center",
            color=INK,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(rates)), [rate.label for rate in rates])
    axes.set_ylim(len(rates) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25%", "50%", "75%", "100%"])
    axes.grid(axis="x", color=INK, alpha=0.12)
    axes.tick_params(axis="y", length=0)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    return figure


def curve_figure(curves: Sequence[Curve], *, x_label: str = "training step", y_label: str = "loss") -> Figure:
    """Curves over training steps, logarithmic upwards where all values are positive.

    Args:
        curves: drawn in this order.
        x_label: under the plot.
        y_label: beside the plot.
    """
    figure, axes = plain_figure(6.4, 2.6)
    for number, curve in enumerate(curves):
        axes.plot(curve.x, curve.y, color=PALETTE[number % len(PALETTE)], linewidth=1.6, label=curve.label)
    if all((curve.y > 0).all() for curve in curves):
        axes.set_yscale("log")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=INK, alpha=0.12)
    if len(curves) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def frame_sheet(frames: Sequence[np.ndarray], *, columns: int = 6) -> np.ndarray:
    """Frames side by side, evenly chosen over time, as one image.

    Args:
        frames: uint8 images of one shape ``(height, width, 3)``, at least one.
        columns: how many to show.

    Returns:
        uint8 of shape ``(height, width * columns, 3)``.
    """
    chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
    return np.concatenate([frames[i] for i in chosen], axis=1)


def to_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element that takes the page's text colour."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "robot_stack"}):
        figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%"', text, count=1)


def save_png(figure: Figure, path: str | Path) -> None:
    """Write the figure as a PNG on white, atomically."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white", bbox_inches="tight")
    write_bytes(path, buffer.getvalue())


def save_image(image: np.ndarray, path: str | Path) -> None:
    """Write a uint8 RGB image of shape ``(height, width, 3)``, atomically; the ending says how: ``.png``, ``.jpg``."""
    import cv2

    encoded, data = cv2.imencode(Path(path).suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise ShapeError("an image cannot be encoded", where=path, got=image.shape)
    write_bytes(path, data.tobytes())


def plain_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure in the house's style, its one pair of axes with a lower edge only.

    Args:
        width: [inch].
        height: [inch].
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return figure, axes
