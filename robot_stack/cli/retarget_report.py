"""The report of a retargeted motion as plain data, and what its figures are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robot_stack.cli.retarget_job import MOTION, PAGE, REFERENCE, RetargetJob

if TYPE_CHECKING:
    from robot_stack.retarget.reference import TrackingReference
    from robot_stack.retarget.result import Retargeted

OURS = (
    ("penetration_max_m", "deepest in the scene", 1e3, "mm", "at most 1"),
    ("self_penetration_max_m", "deepest in itself", 1e3, "mm", "at most 1"),
    ("stance_drift_max_m", "drift of a contact point over a stay", 1e3, "mm", "at most 1"),
    ("stance_speed_max", "fastest contact point that stays", 1e2, "cm/s", "below 1"),
    ("contact_share", "contacts of the source kept, within 1 cm", 1e2, "%", "at least 95"),
    ("joint_speed_max", "fastest joint", 1.0, "rad/s", ""),
    ("joint_jerk_rms", "jerk of the joints, root mean square", 1.0, "rad/s³", ""),
    ("keypoint_error_mean_m", "keypoints from the scaled source, mean", 1e2, "cm", ""),
    ("mesh_energy_mean", "energy of the interaction mesh, mean", 1.0, "m²", ""),
    ("accepted_share", "frames that keep every constraint", 1e2, "%", ""),
)
"""Metric, words, factor, unit, bar."""

PAPERS = (
    ("paper_penetration_share", "frames deeper than 1 cm", 1e2, "%", ""),
    ("paper_penetration_depth_m", "mean depth of those", 1e2, "cm", ""),
    ("paper_skating_share", "stance frames that slide by over 1 cm a frame", 1e2, "%", ""),
    ("paper_contact_share", "contacts of the source kept, within 10 cm", 1e2, "%", ""),
)
"""OmniRetarget's own measures, likewise."""

WORST = 20
"""So many frames that miss a constraint are listed."""


def report_of(
    job: RetargetJob,
    result: Retargeted,
    reference: TrackingReference,
    replay: dict[str, Any] | None,
    times: dict[str, float],
    episode: dict[str, Any] | None,
) -> dict[str, Any]:
    """The report as plain data."""
    import numpy as np

    from robot_stack.core import provenance
    from robot_stack.core.config_json import to_plain

    good = result.accepted()
    off = result.violations
    bad = np.flatnonzero(np.logical_not(good))
    columns = dict(vars(off))
    return {
        "format": 1,
        "job": to_plain(job),
        "robot": result.robot,
        "frames": len(result),
        "fps": result.fps,
        "duration_s": (len(result) - 1) / result.fps,
        "scale": result.scale,
        "metrics": result.metrics,
        "accepted_frames": int(good.sum()),
        "violations_worst": off.worst(),
        "violations": [
            {"frame": int(t), **{name: float(values[t]) for name, values in columns.items()}} for t in bad[:WORST]
        ],
        "contacts": [
            {"group": c.group, "start": c.start, "stop": c.stop, "surface": c.surface} for c in result.contacts
        ],
        "tracking_reference": {"fps": reference.fps, "frames": len(reference), **reference.checks},
        "replay": replay,
        "episode": episode,
        "notes": [*result.notes, *_interpolation(result, reference)],
        "times_s": times,
        "files": {"result": MOTION, "tracking_reference": REFERENCE, "page": PAGE},
        "provenance": provenance.collect(),
    }


def summary(report: dict[str, Any]) -> str:
    """One or two sentences."""
    kept = report["accepted_frames"]
    met = (
        "every frame keeps every constraint"
        if kept == report["frames"]
        else f"{kept} of {report['frames']} frames keep every constraint"
    )
    return f"{report['duration_s']:.1f} s, {report['frames']} frames at {report['fps']:g} a second; {met}."


def _interpolation(result: Retargeted, reference: TrackingReference) -> list[str]:
    """A note when frames between the solved ones miss what the solved ones keep."""
    deep = max(reference.checks["penetration_max_m"], reference.checks["self_penetration_max_m"])
    if reference.fps == result.fps or deep <= 1e-3:
        return []
    return [
        f"{REFERENCE} lies between frames solved at {result.fps:g} a second and is up to {1e3 * deep:.1f} mm deep "
        f"there: --rate {reference.fps:g} solves its own frames"
    ]
