"""A small quadruped of our own, in random states, so that whole-body control is tested without a shipped model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_stack.core.joint_control import RobotState
from robot_stack.core.seeding import generator
from robot_stack.sim.control.whole_body.contacts import Contact
from robot_stack.sim.control.whole_body.dynamics import Dynamics
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import GripperSpec, JointSpec, RobotSpec

LEGS = {"FR": (0.19, -0.05), "FL": (0.19, 0.05), "RR": (-0.19, -0.05), "RL": (-0.19, 0.05)}
STAND = (0.0, 0.9, -1.8)


def leg(name: str, x: float, y: float) -> str:
    side = 0.08 if y > 0 else -0.08
    jaw = """
        <body name="jaw" pos="0.05 0 -0.1">
          <joint name="jaw" axis="0 1 0" range="0 1"/><geom type="box" size=".02 .01 .01" pos=".02 0 0" mass=".1"/>
        </body>"""
    return f"""
    <body name="{name}_hip" pos="{x} {y} 0">
      <joint name="{name}_hip" axis="1 0 0" range="-0.86 0.86" armature="0.01" damping="0.3"/>
      <geom type="capsule" fromto="0 0 0 0 {side} 0" size=".04" mass=".7"/>
      <body name="{name}_thigh" pos="0 {side} 0">
        <joint name="{name}_thigh" axis="0 1 0" range="-0.6 4.5" armature="0.01"/>
        <geom type="capsule" fromto="0 0 0 -.02 0 -.213" size=".02" mass="1"/>
        <body name="{name}_calf" pos="0 0 -.213">
          <joint name="{name}_calf" axis="0 1 0" range="-2.8 -0.8" armature="0.01"/>
          <geom type="capsule" fromto="0 0 0 0 0 -.19" size=".01" mass=".2"/>
          <site name="{name}" pos="0 0 -.213"/>{jaw if name == "FR" else ""}
        </body>
      </body>
    </body>"""


def spec_of(folder: Path) -> RobotSpec:
    path = folder / "quadruped.xml"
    legs = "".join(leg(name, *place) for name, place in LEGS.items())
    path.write_text(
        f"""<mujoco><compiler angle="radian"/><worldbody><body name="trunk"><freejoint/>
        <geom type="box" size=".19 .05 .05" mass="5.2" pos=".02 0 0"/>{legs}</body></worldbody></mujoco>"""
    )
    joints = tuple(
        JointSpec(f"{name}_{part}", effort, 30.0, 60.0, 2.0, home)
        for name in LEGS
        for part, effort, home in zip(("hip", "thigh", "calf"), (24.0, 24.0, 36.0), STAND, strict=True)
    )
    jaw = GripperSpec("jaw", (JointSpec("jaw", 1.0, 5.0, 5.0, 0.1),), (0.0,), (1.0,))
    return RobotSpec("quadruped", "Test quadruped", str(path), "floating", "trunk", joints, (jaw,), home_height_m=0.27)


def random_state(robot: RobotModel, seed: int, spread: float = 0.3) -> RobotState:
    random = generator(seed, 18)
    driven = len(robot.spec.driven)
    quaternion = np.array([1.0, 0.0, 0.0, 0.0]) + spread * random.standard_normal(4)
    home = np.array([joint.home for joint in robot.spec.driven])
    return RobotState(
        time_s=0.0,
        joint_position=home + spread * random.standard_normal(driven),
        joint_velocity=2.0 * random.standard_normal(driven),
        p_world_base=np.array([0.3, -0.2, 0.27]) + 0.1 * random.standard_normal(3),
        q_world_base=quaternion / np.linalg.norm(quaternion),
        v_world_base=random.standard_normal(3),
        w_base=2.0 * random.standard_normal(3),
        foot_force=np.zeros(0),
    )


def standing(robot: RobotModel) -> RobotState:
    driven = len(robot.spec.driven)
    return RobotState(
        0.0,
        np.array([joint.home for joint in robot.spec.driven]),
        np.zeros(driven),
        np.array([0.0, 0.0, 0.265]),
        np.array([1.0, 0.0, 0.0, 0.0]),
        np.zeros(3),
        np.zeros(3),
        np.zeros(0),
    )


def feet(dynamics: Dynamics, names: tuple[str, ...] = tuple(LEGS), friction: float = 0.6) -> list[Contact]:
    return [Contact(dynamics.site(name), friction=friction) for name in names]
