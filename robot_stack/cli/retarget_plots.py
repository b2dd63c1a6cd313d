"""Plots of a retargeted motion for its report, as SVG that takes the page's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from robot_stack.evaluation.figures import INK, PALETTE, plain_figure, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from robot_stack.retarget.result import Retargeted
    from robot_stack.sim.robots.spec import RobotSpec

ALLOWED_M = 1e-3
"""Depth and distance that an accepted frame may have [m]."""

POINTS = 2000
"""A curve has at most so many points, so that a page of an hour's motion is not larger than one of a minute's."""


def plots(result: Retargeted, spec: RobotSpec) -> list[tuple[str, str]]:
    """SVG elements with their captions, in the order of the page.

    Args:
        result: what is shown.
        spec: its robot.
    """
    return [
        (distances(result), "How far each frame is from its constraints, on MuJoCo's own distances."),
        (contacts(result), "Stays of the robot's contact points, by what they touch."),
        (keypoints(result), "Distance of the robot's keypoints from the scaled source."),
        (speeds(result, spec), "The fastest joint of each frame, as a share of its limit."),
        (from_above(result), "From above: pelvis of source and robot, objects, and where feet and hands stayed."),
    ]


def thinned(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most :data:`POINTS` points of a curve; each keeps the largest of those it stands for.

    Args:
        time: shape ``(n,)``.
        values: likewise.
    """
    step = -(-len(time) // POINTS)
    if step <= 1:
        return time, values
    starts = np.arange(0, len(time), step)
    return time[starts], np.maximum.reduceat(values, starts)


def distances(result: Retargeted) -> str:
    """Depth and distance from anchors over time."""
    figure, axes = _figure("time [s]", "mm")
    off, time = result.violations, _time(result)
    for i, (label, values) in enumerate(
        (
            ("into the scene", off.penetration_m),
            ("into itself", off.self_penetration_m),
            ("contact points off their places", off.anchor_m),
        )
    ):
        axes.plot(*thinned(time, 1e3 * values), color=PALETTE[i], linewidth=1.4, label=label)
    axes.axhline(1e3 * ALLOWED_M, color=INK, alpha=0.5, linewidth=1, linestyle="--")
    top = max(
        1.3, 1.15e3 * max(float(v.max(initial=0.0)) for v in (off.penetration_m, off.self_penetration_m, off.anchor_m))
    )
    axes.set_ylim(0, top)
    axes.annotate(
        "allowed",
        (0.995, ALLOWED_M * 1e3),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        color=INK,
        fontsize=8,
    )
    _legend(axes)
    return to_svg(figure)


def contacts(result: Retargeted) -> str:
    """A bar for every stay."""
    groups = list(dict.fromkeys(segment.group for segment in result.contacts))
    surfaces = sorted({segment.surface for segment in result.contacts})
    figure, axes = _figure("time [s]", "", height=0.9 + 0.27 * max(1, len(groups)))
    for i, surface in enumerate(surfaces):
        bars = [s for s in result.contacts if s.surface == surface]
        axes.barh(
            [groups.index(s.group) for s in bars],
            [len(s) / result.fps for s in bars],
            left=[s.start / result.fps for s in bars],
            height=0.6,
            color=PALETTE[i % len(PALETTE)],
            label=surface,
        )
    axes.set_yticks(range(len(groups)), [group.replace("_", " ") for group in groups])
    axes.set_xlim(0, max(1e-3, (len(result) - 1) / result.fps))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    if surfaces:
        _legend(axes)
    else:
        axes.annotate("nothing is touched", (0.5, 0.5), xycoords="axes fraction", ha="center", color=INK)
    return to_svg(figure)


def keypoints(result: Retargeted) -> str:
    """Mean and largest distance of the keypoints from their targets."""
    figure, axes = _figure("time [s]", "cm")
    off = 100 * np.linalg.norm(result.p_world_keypoint - result.p_world_target, axis=2)
    axes.plot(*thinned(_time(result), off.max(axis=1)), color=PALETTE[1], linewidth=1.4, label="worst keypoint")
    axes.plot(*thinned(_time(result), off.mean(axis=1)), color=PALETTE[0], linewidth=1.4, label="mean")
    axes.set_ylim(bottom=0)
    _legend(axes)
    return to_svg(figure)


def speeds(result: Retargeted, spec: RobotSpec) -> str:
    """Largest speed of any joint over its limit."""
    figure, axes = _figure("time [s]", "share of limit")
    limits = {joint.name: joint.velocity for joint in spec.driven}
    limit = np.array([limits.get(name, np.inf) for name in result.joint_names])
    share = np.abs(np.diff(result.qpos[:, 7:], axis=0)) * result.fps / limit
    axes.plot(*thinned(_time(result)[1:], share.max(axis=1)), color=PALETTE[0], linewidth=1.4)
    axes.axhline(1.0, color=INK, alpha=0.5, linewidth=1, linestyle="--")
    axes.set_ylim(0, max(1.1, 1.05 * float(share.max(initial=0.0))))
    return to_svg(figure)


def from_above(result: Retargeted) -> str:
    """The ground plan."""
    figure, axes = _figure("x [m]", "y [m]", height=4.2)
    step = -(-len(result) // POINTS)
    for thing in result.scene.objects:
        if not thing.moving:
            corners = thing.vertices[:, :2]
            axes.fill(*_hull(corners).T, color="#7f8c8d", alpha=0.25, linewidth=1)
    for i, thing in enumerate(result.objects):
        axes.plot(*thing.p_world_object[::step, :2].T, color=PALETTE[3 + i % 3], linewidth=1.4, label=thing.name)
    names = result.keypoint_names
    if "pelvis" in names:
        pelvis = names.index("pelvis")
        axes.plot(
            *result.p_world_target[::step, pelvis, :2].T,
            color=PALETTE[0],
            linewidth=3,
            alpha=0.4,
            label="source, scaled",
        )
    axes.plot(*result.qpos[::step, :2].T, color=PALETTE[1], linewidth=1.4, label=result.robot)
    still = {thing.name for thing in result.scene.objects if thing.moving}
    for segment in result.contacts:
        if segment.surface not in still and len(segment.p_surface_anchor):
            axes.plot(*segment.p_surface_anchor[:, :2].T, ".", color=INK, alpha=0.55, markersize=4)
    axes.set_aspect("equal", adjustable="datalim")
    _legend(axes)
    return to_svg(figure)


def replays(replay: dict[str, Any]) -> list[tuple[str, str]]:
    """SVG elements with captions of replays in physics, as :mod:`robot_stack.cli.retarget_replay` has them."""
    runs = [
        (title, replay[name]) for title, name in (("base free", "free"), ("base moved along", "held")) if replay[name]
    ]
    joints, first = _figure("time [s]", "degrees")
    base, second = _figure("time [s]", "m")
    for i, (title, run) in enumerate(runs):
        curves = run["curves"]
        first.plot(curves["time_s"], np.degrees(curves["joint_rms"]), color=PALETTE[i], linewidth=1.4, label=title)
    curves = replay["free"]["curves"]
    second.plot(curves["time_s"], curves["base_m"], color=PALETTE[0], linewidth=1.4)
    first.set_ylim(bottom=0)
    second.set_ylim(bottom=0)
    _legend(first)
    return [
        (to_svg(joints), "Joints off the motion, root mean square."),
        (to_svg(base), "The free base off the motion, until a bound is broken."),
    ]


def _hull(points: np.ndarray) -> np.ndarray:
    from scipy.spatial import ConvexHull, QhullError

    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        return points


def _time(result: Retargeted) -> np.ndarray:
    return np.arange(len(result)) / result.fps


def _figure(x: str, y: str, *, height: float = 2.5) -> tuple[Figure, Axes]:
    figure, axes = plain_figure(6.2, height)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(axes: Axes) -> None:
    axes.legend(
        frameon=False,
        labelcolor=INK,
        fontsize=8.5,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=4,
        borderaxespad=0.2,
    )
