"""The pictures of a trial report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_stack.evaluation.figures import INK, PALETTE, plain_figure
from robot_stack.evaluation.statistics.posterior import BetaPosterior
from robot_stack.evaluation.trials.analysis import ArmResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PERCENT = ([0, 0.25, 0.5, 0.75, 1.0], ["0", "25%", "50%", "75%", "100%"])


def violin_figure(arms: Sequence[ArmResult]) -> Figure:
    """Posterior of each success rate as a violin, with the observed rate, its credible interval and the letters."""
    figure, axes = _canvas(6.6, 0.7 + 0.62 * len(arms))
    rates = np.linspace(0.0, 1.0, 501)
    for row, arm in enumerate(arms):
        color = color_of(row)
        density = BetaPosterior(*arm.posterior).density(rates)
        density = np.nan_to_num(density, nan=0.0, posinf=0.0)
        width = 0.42 * density / density.max()
        axes.fill_between(rates, row - width, row + width, color=color, alpha=0.32, linewidth=0)
        axes.plot(arm.credible, [row, row], color=color, linewidth=2.2)
        axes.plot([arm.success.rate], [row], "o", color=color, markersize=7)
        note = f"{arm.letters}   {arm.success.successes}/{arm.success.trials}"
        _beside(axes, note, row)
    _rows(axes, [arm.name for arm in arms])
    _percent(axes.xaxis, axes.set_xlim)
    return figure


def curve_figure(arms: Sequence[ArmResult], decided_at: int | None) -> Figure:
    """Success rate along the trials, with intervals that hold at all times, and where the decision fell."""
    figure, axes = _canvas(6.6, 3.2)
    for row, arm in enumerate(arms):
        if not arm.curve:
            continue
        n, rate, low, high = (np.array(column) for column in zip(*arm.curve, strict=True))
        axes.fill_between(n, low, high, color=color_of(row), alpha=0.13, linewidth=0)
        axes.plot(n, rate, color=color_of(row), linewidth=1.8, label=arm.name)
    if decided_at is not None:
        axes.axvline(decided_at, color=INK, alpha=0.5, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"stopped at {decided_at}", (decided_at, 0.02), xytext=(-4, 0), textcoords="offset points",
            ha="right", va="bottom", rotation=90, fontsize=8, color=INK,
        )  # fmt: skip
    _percent(axes.yaxis, axes.set_ylim)
    axes.set_xlabel("trials of each policy")
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=4)
    return figure


def funnel_figure(arms: Sequence[ArmResult]) -> Figure:
    """How often each milestone was reached, with Wilson intervals."""
    names = [name.replace("_", " ") for name, _ in arms[0].milestones]
    figure, axes = _canvas(6.6, 0.6 + (0.22 * len(arms) + 0.22) * len(names))
    for row, arm in enumerate(arms):
        for step, (_, reached) in enumerate(arm.milestones):
            at = step + 0.7 * ((row + 0.5) / len(arms) - 0.5)
            axes.barh(at, reached.rate, height=0.6 / len(arms), color=color_of(row), alpha=0.85)
            axes.plot([reached.low, reached.high], [at, at], color=INK, linewidth=1.1)
    _rows(axes, names)
    _percent(axes.xaxis, axes.set_xlim)
    return figure


def completion_figure(arms: Sequence[ArmResult]) -> Figure:
    """Mean task completion with its posterior interval, and the betting interval behind it."""
    figure, axes = _canvas(6.6, 0.6 + 0.46 * len(arms))
    for row, arm in enumerate(arms):
        color = color_of(row)
        _, low, high = arm.completion_posterior
        axes.plot([arm.completion.low, arm.completion.high], [row, row], color=color, linewidth=7, alpha=0.22)
        axes.plot([low, high], [row, row], color=color, linewidth=2.2)
        axes.plot([arm.completion.mean], [row], "o", color=color, markersize=7)
        _beside(axes, f"{arm.completion.mean:.3f}", row)
    _rows(axes, [arm.name for arm in arms])
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    return figure


def condition_figure(arms: Sequence[ArmResult]) -> Figure:
    """Success by initial condition, hardest first: one column a condition, one row a policy."""
    from matplotlib.colors import LinearSegmentedColormap

    names = sorted(arms[0].conditions, key=lambda c: (sum(arm.conditions[c][0] for arm in arms), c))
    shares = np.array([[arm.conditions[c][0] / arm.conditions[c][1] for c in names] for arm in arms])
    figure, axes = _canvas(6.6, 0.6 + 0.34 * len(arms))
    shades = LinearSegmentedColormap.from_list("success", ["#c8553d", "#d9c7a3", "#3a9a5f"])
    axes.imshow(shares, aspect="auto", cmap=shades, vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks(range(len(arms)), [arm.name for arm in arms])
    axes.tick_params(length=0)
    few = len(names) <= 16
    axes.set_xticks(range(len(names)) if few else [], names if few else [], rotation=40, ha="right")
    axes.set_xlabel("initial conditions, hardest first")
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def color_of(row: int) -> str:
    """Of a policy, by its row in the report."""
    return PALETTE[row % len(PALETTE)]


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure, axes = plain_figure(width, height)
    axes.xaxis.label.set_fontsize(9)
    axes.grid(color=INK, alpha=0.1)
    axes.set_axisbelow(True)
    return figure, axes


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _percent(axis: Any, limits: Any) -> None:
    limits(-0.02, 1.02)
    axis.set_ticks(*_PERCENT)


def _beside(axes: Axes, text: str, row: int) -> None:
    axes.annotate(
        text,
        (1.03, row),
        xycoords=("axes fraction", "data"),
        va="center",
        color=INK,
        annotation_clip=False,
        fontsize=10,
    )
