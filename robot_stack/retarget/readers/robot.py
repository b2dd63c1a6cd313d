"""Robot to robot: a result of ours, or recorded episodes of a robot with a keypoint table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import require_name
from robot_stack.datasets import layout
from robot_stack.datasets.metadata import read_json
from robot_stack.datasets.reader import Dataset
from robot_stack.retarget.body import Body
from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES
from robot_stack.retarget.motion import KEYPOINTS, MotionError
from robot_stack.retarget.readers.raw import RawMotion, ReadOptions
from robot_stack.retarget.saved import saved_from
from robot_stack.retarget.scene import Scene
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1

ROBOTS: dict[str, RobotSpec] = {spec.name: spec for spec in (UNITREE_G1, LOCOMAN)}
"""Robots whose recorded joints can be read: those with a keypoint table."""

_NEEDED = ("joint_position", "base_position", "base_quaternion")


def read_robot(path: Path, arrays: Mapping[str, np.ndarray], options: ReadOptions) -> tuple[RawMotion, Scene]:
    """The keypoints of the robot of a result, and the scene it moved in."""
    saved = saved_from(arrays, path)
    result = saved.result
    table = KEYPOINT_TABLES.get(result.robot)
    raw = RawMotion(
        names=result.keypoint_names,
        positions=result.p_world_keypoint,
        keypoint_names={name: name for name in result.keypoint_names},
        source=str(path),
        fps=result.fps,
        unit="m",
        height_m=table.height_m if table else saved.height_m,
        objects=result.objects,
        sure=True,
        notes=(f"the source is {result.robot}, itself retargeted",),
    )
    return raw, result.scene


def read_dataset(path: Path, options: ReadOptions) -> RawMotion:
    """The keypoints of the robot in one episode of a dataset, by its joints and its base's pose.

    Raises:
        MotionError: if there is no such episode, or the dataset does not record where the base is.
        UnknownNameError: if the robot has no keypoint table.
    """
    file = layout.embodiment_path(path)
    if not file.is_file():
        raise MotionError("a dataset does not say which robot it is of", where=path, expected=f"a file {file}")
    embodiment = from_plain(Embodiment, read_json(file), where=str(file))
    with Dataset(path) as dataset:
        name = require_name("robot with a keypoint table", embodiment.name, ROBOTS, where=path)
        missing = [n for n in _NEEDED if n not in embodiment.state_slices]
        if missing:
            raise MotionError(
                "a dataset does not record the robot's whole posture",
                where=path,
                got=", ".join(embodiment.state_slices),
                expected=f"also {', '.join(missing)}",
            )
        if not 0 <= options.episode < dataset.num_episodes:
            raise MotionError(
                "a dataset has no such episode",
                where=path,
                got=options.episode,
                expected=f"0 to {dataset.num_episodes - 1}",
            )
        states = dataset.episode(options.episode).column("observation.state").astype(np.float64)
        fps = float(dataset.fps)
    slices = embodiment.state_slices
    body, table = Body(ROBOTS[name], Scene(ground=False)), KEYPOINT_TABLES[name]
    field = next(f for f in embodiment.state if f.name == "joint_position")
    joints = [body.joint_names.index(require_name("joint", j, body.joint_names)) for j in field.element_names]
    qpos = np.repeat(body.home()[None], len(states), axis=0)
    qpos[:, :3] = states[:, slices["base_position"]]
    qpos[:, 3:7] = states[:, slices["base_quaternion"]]
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    qpos[:, 7 + np.array(joints)] = states[:, slices["joint_position"]]
    sweep = body.sweep(qpos, near=False)
    names = tuple(k for k in KEYPOINTS if k in table.keypoints)
    return RawMotion(
        names=names,
        positions=body.places(sweep, *body.points(tuple(table.keypoints[k] for k in names))),
        keypoint_names={k: k for k in names},
        source=f"{path}, episode {options.episode}",
        fps=fps,
        unit="m",
        height_m=table.height_m,
        sure=True,
        notes=(f"the source is {name}, as recorded; objects were not",),
    )
