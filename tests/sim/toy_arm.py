"""A small arm with a gripper and a cube to reach for: quick to compile, with every part that robots have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import EndEffectorSpec, GripperSpec, JointSpec, RobotSpec
from robot_stack.sim.scene import RED, add_box, add_camera, add_room
from robot_stack.sim.truth import Truth

USUAL = MujocoRobotConfig()

MJCF = """
<mujoco model="toy_arm">
  <compiler angle="radian" autolimits="true"/>
  <default><joint armature="0.02" damping="0.1"/></default>
  <worldbody>
    <body name="base" pos="0 0 0.1">
      <geom type="cylinder" size="0.05 0.1" mass="1" contype="0" conaffinity="0"/>
      <body name="upper" pos="0 0 0.1">
        <joint name="shoulder" axis="0 1 0" range="-2 2"/>
        <geom type="capsule" fromto="0 0 0 0 0 0.2" size="0.02" mass="0.3" contype="0" conaffinity="0"/>
        <body name="fore" pos="0 0 0.2">
          <joint name="elbow" axis="0 1 0" range="-2.5 2.5"/>
          <geom type="capsule" fromto="0 0 0 0 0 0.2" size="0.02" mass="0.2" contype="0" conaffinity="0"/>
          <site name="tip" pos="0 0 0.24"/>
          <camera name="wrist" pos="0.05 0 0.1" xyaxes="0 1 0 1 0 0.3"/>
          <body name="finger" pos="0 0 0.21">
            <joint name="finger" type="slide" axis="0 1 0" range="0 0.03"/>
            <geom type="box" size="0.01 0.004 0.03" pos="0 0.004 0.02" mass="0.02"/>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def toy_spec(folder: Path, mjcf: str = MJCF) -> RobotSpec:
    """The arm, its MJCF written into ``folder``."""
    path = folder / "toy_arm.xml"
    path.write_text(mjcf)
    return RobotSpec(
        name="toy_arm",
        title="Toy arm",
        mjcf=str(path),
        base="fixed",
        root="base",
        joints=(
            JointSpec("shoulder", effort=20, velocity=3, stiffness=100, damping=5, home=0.5),
            JointSpec("elbow", effort=10, velocity=3, stiffness=60, damping=3, home=1.0),
        ),
        grippers=(
            GripperSpec("gripper", (JointSpec("finger", 10, 0.2, 200, 10, home=0.03),), closed=(0.0,), open=(0.03,)),
        ),
        end_effectors=(EndEffectorSpec("hand", "tip", ("shoulder", "elbow"), "gripper"),),
        cameras=("wrist",),
    )


class ToyReach:
    """Bring the hand near the cube."""

    name, instruction, horizon, view = "toy_arm/reach", "reach for the red cube", 80, "front"
    milestones = ("near", "touching")

    def controller(self, robot: RobotModel) -> Controller:
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        add_room(made)
        add_box(made, "cube", (0.02, 0.02, 0.02), (0.3, 0.0, 0.02), RED, mass=0.05)
        add_camera(made, "front", (1.2, 0.8, 0.8), (0.1, 0.0, 0.2))

    def state_fields(self) -> tuple[Field, ...]:
        return (Field("cube_position", 3, "m"),)

    def state(self, truth: Truth) -> np.ndarray:
        return truth.p_world_body("cube")

    def start(self, start: Start, rng: np.random.Generator) -> None:
        start.place("cube", np.array([rng.uniform(0.25, 0.4), rng.uniform(-0.1, 0.1), 0.02]))
        start.recolour("cube", (rng.random(), 0.2, 0.2, 1.0))
        start.change("body_mass", start.robot.body("cube"), rng.uniform(0.02, 0.2))

    def score(self, truth: Truth) -> Scores:
        distance = np.linalg.norm(truth.p_world_site("tip") - truth.p_world_body("cube"), axis=-1)
        near = distance < 0.15
        return Scores(distance < 0.08, np.stack([near, distance < 0.08], -1), 1 - np.tanh(distance), distance > 5)


def toy_robot(folder: Path, config: MujocoRobotConfig = USUAL, mode: Any = None) -> MujocoRobot:
    """The arm with its task; ``mode`` makes the controller."""
    return MujocoRobot(toy_spec(folder), ToyReach(), mode, config)
