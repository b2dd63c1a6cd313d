"""Retargeted motions as episodes of a dataset that policies train on.

The embodiment is that of the simulated robot in joint positions (``robot_stack.sim``), so that a policy trained on
these episodes runs on the simulated robot as it is: the state is what the robot would sense in each frame, the action
is where the joints are to be one frame later. Objects that move are added to the state by their pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.datasets.episode_buffer import EpisodeBuffer
from robot_stack.retarget.reference import TrackingReference
from robot_stack.sim.control.joint_modes import GripperMap, JointPositionMode
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_embodiment import describe_robot
from robot_stack.sim.robot_senses import ROT6D, XYZ, RobotSenses
from robot_stack.sim.robots.model import RobotModel, compile_robot
from robot_stack.sim.robots.spec import RobotSpec


def episode(
    reference: TrackingReference, spec: RobotSpec, instruction: str, facts: Mapping[str, Any], *, success: bool
) -> EpisodeBuffer:
    """One episode, for :meth:`robot_stack.datasets.writer.DatasetWriter.write_episode`.

    Args:
        reference: the motion, at the rate that the dataset is to have.
        spec: its robot.
        instruction: what is done, in words.
        facts: provenance: plain data.
        success: whether it keeps all constraints; the last frame's ``next.success``.
    """
    robot = compile_robot(spec)
    senses, mode = RobotSenses(robot), JointPositionMode(robot)
    embodiment = describe_robot(
        robot,
        state=senses.fields + _object_fields(reference),
        action=mode.fields,
        control_hz=reference.fps,
    )
    last = np.zeros(len(reference), dtype=bool)
    last[-1] = True
    columns = {
        "observation.state": np.concatenate([_sensed(robot, senses, reference), _objects(reference)], axis=1),
        "action": _actions(robot, mode, reference),
        "next.success": last & success,
        "next.done": last,
    }
    about = {"driver": "retargeting", "success": success, **facts}
    return EpisodeBuffer(embodiment, instruction, about, columns, {})


def _sensed(robot: RobotModel, senses: RobotSenses, reference: TrackingReference) -> np.ndarray:
    mujoco = import_mujoco()
    data = mujoco.MjData(robot.model)
    out = []
    for qpos, qvel in zip(reference.qpos, reference.qvel, strict=True):
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_kinematics(robot.model, data)
        out.append(senses.read(data))
    return np.array(out)


def _actions(robot: RobotModel, mode: JointPositionMode, reference: TrackingReference) -> np.ndarray:
    """Positions one frame later, the last frame's own behind the end; grippers as they are."""
    later = np.concatenate([reference.qpos[1:], reference.qpos[-1:]])
    joints = later[:, robot.qpos]
    count = len(robot.spec.joints)
    grippers = GripperMap(robot)
    parts = [joints[:, :count]]
    if grippers.size:
        parts.append(grippers.openings(joints[:, count:]))
    return mode.within_limits(np.concatenate(parts, axis=1))


def _object_fields(reference: TrackingReference) -> tuple[Field, ...]:
    out = []
    for name in reference.object_names:
        out.append(Field(f"{name}_position", 3, "m", tuple(f"{name}_{axis}" for axis in XYZ)))
        out.append(Field(f"{name}_rotation", 6, "1", tuple(f"{name}_{axis}" for axis in ROT6D)))
    return tuple(out)


def _objects(reference: TrackingReference) -> np.ndarray:
    """Position and first two columns of the rotation of every object, shape ``(frames, 9 * objects)``."""
    w, x, y, z = np.moveaxis(reference.object_quat_w, 2, 0)
    first = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=2)
    second = np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], axis=2)
    return np.concatenate([reference.object_pos_w, first, second], axis=2).reshape(len(reference), -1)
