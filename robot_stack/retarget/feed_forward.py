"""Joint torques that a motion needs by itself: inverse dynamics with contact forces inside their friction cones."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from robot_stack.retarget.body import Body
from robot_stack.retarget.contacts import object_poses
from robot_stack.retarget.keypoint_table import KeypointTable
from robot_stack.retarget.result import Retargeted
from robot_stack.sim.render import import_mujoco

FRICTION = 0.6
"""Of the cones that contact forces stay in."""

_SMOOTH_S = 0.1
"""Accelerations are averaged over about as long [s]; third differences of a motion at 30 frames a second are noise."""


def feed_forward(body: Body, result: Retargeted, table: KeypointTable) -> tuple[np.ndarray, np.ndarray]:
    """Torques of every joint behind the base, and what no contact force can give the base.

    The equations of the base's six degrees of freedom say what the contacts have to give; the forces nearest to that,
    inside friction pyramids at the touching points, load the joints. Contacts with objects that move carry nothing.

    Args:
        body: the robot in its scene, as retargeting has it.
        result: the motion.
        table: with the contact groups of the motion.

    Returns:
        Torques ``(frames, nv - 6)`` [N·m or N], and the norm of the base's missing force ``(frames,)`` [N]: large where
        the motion cannot be balanced as it is.
    """
    mujoco, model = import_mujoco(), body.model
    data = mujoco.MjData(model)
    qacc = _accelerations(result)
    frames = len(result)
    objects = object_poses(result.objects, result.scene, frames)
    sweep = body.sweep(result.qpos, objects, near=False)
    groups = {group.name: group for group in table.contacts}
    static = {thing.name for thing in result.scene.objects if not thing.moving} | {"ground"}
    points = {name: body.points(group.points) for name, group in groups.items()}
    slopes = {name: body.jacobians(sweep, p[0], body.places(sweep, *p)) for name, p in points.items()}
    torques, missing = np.empty((frames, body.nv - 6)), np.empty(frames)
    edges = _pyramid()
    for t in range(frames):
        data.qpos[:], data.qvel[:], data.qacc[:] = result.qpos[t], result.qvel[t], qacc[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        wanted = np.zeros(model.nv)
        mujoco.mj_rne(model, data, 1, wanted)
        wanted += model.dof_armature * qacc[t] + model.dof_damping * result.qvel[t]
        touching = [s.group for s in result.contacts if s.start <= t < s.stop and s.surface in static]
        rows = [slopes[name][t].reshape(-1, body.nv) for name in touching if name in slopes]
        if not rows:
            torques[t], missing[t] = wanted[6:], np.linalg.norm(wanted[:3])
            continue
        jacobian = np.concatenate(rows)
        spread = np.kron(np.eye(len(jacobian) // 3), edges)
        push = jacobian.T @ spread
        # A little of every force costs something, so that the load is shared between the points.
        matrix = np.concatenate([push[:6], 0.02 * np.eye(push.shape[1])])
        share, _ = nnls(matrix, np.concatenate([wanted[:6], np.zeros(push.shape[1])]))
        torques[t] = wanted[6:] - push[6:] @ share
        missing[t] = np.linalg.norm(wanted[:3] - push[:3] @ share)
    return torques, missing


def _accelerations(result: Retargeted) -> np.ndarray:
    """Central differences of the velocities, smoothed, shape ``(frames, nv)``."""
    raw = np.gradient(result.qvel, axis=0) * result.fps
    reach = max(1, round(0.5 * _SMOOTH_S * result.fps))
    bell = np.hanning(2 * reach + 3)[1:-1]
    padded = np.pad(raw, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, bell / bell.sum(), mode="valid") for column in padded.T], axis=1)


def _pyramid() -> np.ndarray:
    """Edges of a friction pyramid about z, as columns, shape ``(3, 4)``."""
    x = FRICTION / np.sqrt(2)
    return np.array([[x, x, -x, -x], [x, -x, x, -x], [1.0, 1.0, 1.0, 1.0]])
