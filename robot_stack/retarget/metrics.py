"""How good a retargeting is: OmniRetarget's figures, and stricter ones."""

from __future__ import annotations

import numpy as np

from robot_stack.retarget.body import Sweep
from robot_stack.retarget.problem import Problem
from robot_stack.retarget.result import Retargeted, Violations

UNREACHED_M = 0.25
"""A keypoint farther than this from its target is not followed. Bodies of other proportions, whose shape is kept rather
than their points, are off by up to 0.2 m [m]."""


def violations(problem: Problem, qpos: np.ndarray, sweep: Sweep) -> Violations:
    """By how much each frame misses the constraints, on MuJoCo's own distances."""
    body, frames = problem.body, len(qpos)
    both = np.asarray(body.of_robot(sweep.geoms).all(axis=1))
    soles = body.places(sweep, *problem.soles)
    away = np.where(problem.touches, np.linalg.norm(soles - problem.on, axis=2), 0.0)
    joints = qpos[:, 7:]
    over = np.maximum(np.maximum(body.low - joints, joints - body.high), 0.0)
    speed = np.abs(np.diff(joints, axis=0)) / problem.dt
    fast = np.maximum(speed - body.speed, 0.0).max(axis=1, initial=0.0)
    return Violations(
        penetration_m=_deepest(sweep, np.logical_not(both), frames),
        self_penetration_m=_deepest(sweep, both, frames),
        anchor_m=away.max(axis=1, initial=0.0),
        joint_limit=over.max(axis=1, initial=0.0),
        velocity=np.concatenate([[0.0], fast]),
        acceleration=_excess_acceleration(problem, joints),
    )


def figures(problem: Problem, result: Retargeted, sweep: Sweep) -> dict[str, float]:
    """All metrics by name.

    The paper's (section V and its open evaluation): share of frames deeper than 1 cm and the worst depth; share of
    stance frames in which a stance point moves more than 1 cm a frame in the plane; share of the source's contact
    frames in which the robot's point is within 10 cm of its surface. Stricter ones: depth without threshold, drift of
    each contact point from its mean over the stay, speed of stance points, contact within 1 cm, jerk of the joints.
    """
    off, dt = result.violations, problem.dt
    depth = off.penetration_m
    soles = problem.body.places(sweep, *problem.soles)
    touches = problem.touches
    # Relative to the surface, which may move.
    way = np.diff(soles - problem.on, axis=0)
    step, level = np.linalg.norm(way, axis=2), np.linalg.norm(way[..., :2], axis=2)
    stays = touches[1:] & touches[:-1]
    gap = np.abs(np.sum((soles - problem.on) * problem.normal, axis=2))
    wanted = problem.source_touches
    joints = result.qpos[:, 7:]
    jerk = np.diff(joints, 3, axis=0) / dt**3
    return {
        "paper_penetration_share": float((depth > 0.01).mean()),
        "paper_penetration_depth_m": float(depth[depth > 0.01].mean()) if (depth > 0.01).any() else 0.0,
        "paper_skating_share": float((level[stays] > 0.01).mean()) if stays.any() else 0.0,
        "paper_skating_speed_max": float(level[stays].max(initial=0.0) / dt),
        "paper_contact_share": float((gap[wanted] < 0.10).mean()) if wanted.any() else 1.0,
        "penetration_max_m": float(depth.max(initial=0.0)),
        "self_penetration_max_m": float(off.self_penetration_m.max(initial=0.0)),
        "stance_drift_max_m": _drift(result, soles, problem),
        "stance_speed_max": float(step[stays].max(initial=0.0) / dt),
        "contact_share": float((gap[wanted] < 0.01).mean()) if wanted.any() else 1.0,
        "joint_speed_max": float(np.abs(np.diff(joints, axis=0)).max(initial=0.0) / dt),
        "joint_acceleration_max": float(np.abs(np.diff(joints, 2, axis=0)).max(initial=0.0) / dt**2),
        "joint_jerk_rms": float(np.sqrt(np.mean(jerk**2))) if len(jerk) else 0.0,
        "keypoint_error_max_m": float(result.off_target_m().max()),
        "keypoint_error_mean_m": float(np.linalg.norm(result.p_world_keypoint - result.p_world_target, axis=2).mean()),
        "mesh_energy_mean": float(result.mesh_energy.mean()),
        "accepted_share": float(result.accepted().mean()),
    }


def shortcomings(result: Retargeted) -> list[str]:
    """Sentences on what was asked of the robot and could not be done, none when all was."""
    out, off = [], result.violations
    missed = np.logical_not(result.accepted())
    if missed.any():
        said = ", ".join(f"{name} {value:.3g}" for name, value in off.worst().items() if value > 1e-9)
        which = _spans(np.flatnonzero(missed))
        out.append(f"not every constraint could be met in {int(missed.sum())} frames ({which}); worst: {said}")
    far = result.off_target_m() > UNREACHED_M
    if far.any():
        apart = np.linalg.norm(result.p_world_keypoint - result.p_world_target, axis=2)
        frame, point = np.unravel_index(int(np.argmax(apart)), apart.shape)
        out.append(
            f"the robot cannot follow the source in {int(far.sum())} frames ({_spans(np.flatnonzero(far))}): "
            f"{result.keypoint_names[point]} is {apart[frame, point]:.2f} m from where it should be in frame {frame}"
        )
    return out


def _spans(frames: np.ndarray) -> str:
    """Frame numbers as spans, the first five of them."""
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    said = [f"{p[0]}" if len(p) == 1 else f"{p[0]} to {p[-1]}" for p in parts[:5]]
    return ", ".join(said) + (", …" if len(parts) > 5 else "")


def _excess_acceleration(problem: Problem, joints: np.ndarray) -> np.ndarray:
    out = np.zeros(len(joints))
    if problem.acceleration is not None and len(joints) > 2:
        over = np.abs(np.diff(joints, 2, axis=0)) / problem.dt**2 - problem.acceleration
        out[1:-1] = np.maximum(over, 0.0).max(axis=1, initial=0.0)
    return out


def _drift(result: Retargeted, soles: np.ndarray, problem: Problem) -> float:
    """Largest way of a contact point from its first place, over all stays, relative to where its surface went."""
    worst = 0.0
    on = problem.on
    for p in range(soles.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], problem.touches[:, p].astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2):
            # Anchors that jump inside a run belong to two stays.
            jumps = np.flatnonzero(np.linalg.norm(np.diff(on[start:stop, p], axis=0), axis=1) > 1e-3) + 1
            for part in np.split(np.arange(start, stop), jumps):
                way = (soles[part, p] - on[part, p]) - (soles[part[0], p] - on[part[0], p])
                worst = max(worst, float(np.linalg.norm(way, axis=1).max()))
    return worst


def _deepest(sweep: Sweep, which: np.ndarray, frames: int) -> np.ndarray:
    out = np.zeros(frames)
    np.maximum.at(out, sweep.frame[which], np.maximum(-sweep.distance[which], 0.0))
    return out
