"""A box on two sprung legs with a free base: small, floating, with feet and friction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import JointSpec, RobotSpec
from robot_stack.sim.scene import add_camera, add_room
from robot_stack.sim.truth import Truth

LEG = """
      <body name="{name}" pos="0 {y} -0.05">
        <joint name="{name}" type="slide" axis="0 0 1" range="-0.1 0.1" armature="0.01" damping="1"/>
        <geom type="box" size="0.08 0.04 0.05" pos="0 0 -0.1" mass="0.3"/>
        <site name="{name}_foot" pos="0 0 -0.15"/>
      </body>"""
MJCF = f"""
<mujoco model="toy_walker">
  <compiler angle="radian" autolimits="true"/>
  <worldbody>
    <body name="trunk" pos="0 0 0.2">
      <freejoint/>
      <geom type="box" size="0.1 0.12 0.04" mass="2"/>
      <site name="imu"/>{LEG.format(name="left", y=0.08)}{LEG.format(name="right", y=-0.08)}
    </body>
  </worldbody>
</mujoco>
"""


def walker_spec(folder: Path) -> RobotSpec:
    """The walker, its MJCF written into ``folder``."""
    path = folder / "toy_walker.xml"
    path.write_text(MJCF)
    joints = tuple(
        JointSpec(name, effort=60, velocity=1, stiffness=600, damping=20, acceleration=20) for name in ("left", "right")
    )
    return RobotSpec(
        name="toy_walker",
        title="Toy walker",
        mjcf=str(path),
        base="floating",
        root="trunk",
        joints=joints,
        feet=("left_foot", "right_foot"),
        imu="imu",
        home_height_m=0.2,
    )


class ToyStand:
    """Stay up."""

    name, instruction, horizon, view = "toy_walker/stand", "stand still", 60, "front"
    milestones = ("up",)

    def controller(self, robot: RobotModel) -> Controller:
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        add_room(made)
        add_camera(made, "front", (1.0, 0.5, 0.5), (0.0, 0.0, 0.1))

    def state_fields(self) -> tuple[Field, ...]:
        return (Field("feet_force", 2, "N"),)

    def state(self, truth: Truth) -> np.ndarray:
        forces = [truth.sensor(f"{foot}_contact_force")[..., 2] for foot in ("left_foot", "right_foot")]
        return np.stack(forces, axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        start.qpos[:2] = rng.uniform(-0.1, 0.1, 2)

    def score(self, truth: Truth) -> Scores:
        height = truth.p_world_body("trunk")[..., 2]
        return Scores(height > 1.0, (height > 0.15)[..., None], height, height < 0.1)
