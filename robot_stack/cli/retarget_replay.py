"""How far physics follows a retargeted motion, for its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robot_stack.retarget.keypoint_table import KeypointTable
    from robot_stack.retarget.result import Retargeted
    from robot_stack.retarget.tracking import TrackingReport
    from robot_stack.sim.robots.spec import RobotSpec

LONGEST_S = 60.0
"""Longer motions are replayed with the base free only, which ends early [s]."""

EXPLANATION = (
    "Joints follow the motion by PD with the robot's own gains and torques of inverse dynamics; nothing balances. With "
    "a free base a humanoid falls sooner or later, also in motions that a tracking policy follows well: the time "
    "compares motions, it is no verdict. With the base moved along, what is left says whether the joints can follow."
)
"""What the figures mean."""


def replay_of(result: Retargeted, spec: RobotSpec, table: KeypointTable) -> dict[str, Any]:
    """Replays with the base free and held, as plain data; curves are thinned to at most 400 points."""
    from robot_stack.retarget.tracking import TrackingReplay, TrackingRule

    out = {"free": _plain(TrackingReplay(spec, table)(result)), "held": None}
    if (len(result) - 1) / result.fps <= LONGEST_S:
        out["held"] = _plain(TrackingReplay(spec, table, TrackingRule(hold_base=True, stop=False))(result))
    return out


def _plain(report: TrackingReport) -> dict[str, Any]:
    import numpy as np

    step = max(1, len(report.time_s) // 400)
    missing = float(report.missing_n)
    return {
        "text": report.text(),
        "duration_s": report.duration_s,
        "held_s": report.held_s,
        "share": report.share,
        "broken": report.broken,
        "joint_rms_rad": float(np.sqrt(np.mean(report.joint_rms**2))),
        "joint_max_rad": float(report.joint_max.max(initial=0.0)),
        "saturated_share": float(report.saturated.mean()) if len(report.saturated) else 0.0,
        "missing_n": missing if np.isfinite(missing) else None,
        "curves": {
            name: [round(float(v), 5) for v in np.nan_to_num(getattr(report, name)[::step])]
            for name in ("time_s", "base_m", "tilt_rad", "joint_rms")
        },
    }
