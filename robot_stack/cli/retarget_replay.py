"""How far physics follows a retargeted motion, for its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robot_stack.retarget.keypoint_table import KeypointTable
    from robot_stack.retarget.result import Retargeted
    from robot_stack.retarget.tracking import TrackingReport
    from robot_stack.sim.robots.spec import RobotSpec

EXPLANATION = (
    "Joints follow the motion by PD with the robot's own gains and torques of inverse dynamics; nothing balances. With "
    "a free base a humanoid falls sooner or later, also in motions that a tracking policy follows well: the time "
    "compares motions, it is no verdict. With the base moved along, what is left says whether the joints can follow."
)
"""What the figures mean."""


def replay_of(result: Retargeted, spec: RobotSpec, table: KeypointTable) -> dict[str, Any]:
    """Replays with the base free and held, as plain data; curves are thinned to at most 400 points."""
    from robot_stack.retarget.tracking import TrackingReplay, TrackingRule

    held = TrackingRule(hold_base=True, stop=False)
    return {
        "free": _plain(TrackingReplay(spec, table)(result)),
        "held": _plain(TrackingReplay(spec, table, held)(result)),
    }


def _plain(report: TrackingReport) -> dict[str, Any]:
    import numpy as np

    step = -(-len(report.time_s) // 400) or 1
    curves = {
        name: [round(float(v), 5) for v in np.nan_to_num(getattr(report, name)[::step])]
        for name in ("time_s", "base_m", "tilt_rad", "joint_rms")
    }
    return {**report.summary(), "text": report.text(), "curves": curves}
