"""Panda: open the upper drawer of a small cabinet."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.workbench import (
    TOP_M,
    frame_numbers,
    furnish_panda,
    jitter,
    pose_fields,
    two_colours,
    yaw_quaternion,
)
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import GREY, Rgba, add_camera
from robot_stack.sim.truth import Truth

DEPTH_M, WIDTH_M, HEIGHT_M = 0.20, 0.30, 0.235
"""Outer size of the cabinet [m]."""

WAY_M = 0.16
"""How far the drawer comes out [m]."""

OPEN_M = 0.12
"""The drawer counts as open from here [m]."""

STANDOFF_M = 0.048
"""From the drawer's front to the middle of its handle [m]."""

HANDLE_Z_M = 0.207
"""Height of the handle above the table [m]."""

SHELL: Rgba = (0.70, 0.69, 0.66, 1.0)


class PandaDrawer:
    """The cabinet's place and heading, the drawer's friction, first opening and colours vary."""

    name = "panda/drawer"
    instruction = "open the upper drawer"
    horizon = 500
    milestones = ("reached", "grasped", "opening", "open")
    view = "behind"

    def controller(self, robot: RobotModel) -> Controller:
        """Joint positions."""
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """Table and cabinet."""
        furnish_panda(made, spec)
        add_camera(made, "behind", (-0.15, -1.25, TOP_M + 0.95), (0.36, 0.0, TOP_M + 0.18), fovy=48.0)
        _add_cabinet(made)

    def state_fields(self) -> tuple[Field, ...]:
        """The handle's pose (x into the cabinet, z up) and how far the drawer is open."""
        return (*pose_fields("handle"), Field("drawer_opening", 1, "m"))

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        handle = frame_numbers(truth.p_world_site("handle"), truth.R_world_site("handle"))
        return np.concatenate([handle, truth.joint_position("drawer")[..., None]], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the cabinet's place, friction and colours."""
        jitter(start, rng)
        model = start.robot.model
        angle, distance = rng.uniform(-0.28, 0.28), rng.uniform(0.58, 0.66)
        yaw = angle + rng.uniform(-0.15, 0.15)
        p_handle = distance * np.array([np.cos(angle), np.sin(angle)])
        into = np.array([np.cos(yaw), np.sin(yaw)])
        place = p_handle + (STANDOFF_M + DEPTH_M / 2) * into
        cabinet = start.robot.body("cabinet")
        start.change("body_pos", cabinet, np.array([*place, TOP_M]))
        start.change("body_quat", cabinet, yaw_quaternion(yaw))
        dof = int(model.joint("drawer").dofadr[0])
        start.change("dof_frictionloss", dof, rng.uniform(1.0, 5.0))
        start.change("dof_damping", dof, rng.uniform(5.0, 20.0))
        start.joint("drawer", rng.uniform(0.0, 0.02))
        front, lower = two_colours(rng)
        start.recolour("drawer_front", front)
        start.recolour("lower_front", lower)

    def score(self, truth: Truth) -> Scores:
        """Open: the drawer is out by :data:`OPEN_M`."""
        opening = truth.joint_position("drawer")
        reach = np.linalg.norm(truth.p_world_site("hand") - truth.p_world_site("handle"), axis=-1)
        held = (reach < 0.02) & (truth.joint_position("finger_joint1") < 0.012)
        done = opening > OPEN_M
        milestones = np.stack([reach < 0.04, held, held & (opening > 0.04), done], axis=-1)
        near, way = 1.0 - np.tanh(5.0 * reach), np.clip(opening / OPEN_M, 0.0, 1.0)
        reward = np.where(done, 1.0, 0.2 * near + 0.1 * held + 0.6 * way)
        return Scores(done, milestones, reward, np.zeros_like(done))


def _add_cabinet(made: Any) -> None:
    """A shell of five boards with a fixed lower front and a drawer that slides out along -x."""
    box = import_mujoco().mjtGeom.mjGEOM_BOX
    cabinet = made.worldbody.add_body(name="cabinet", pos=(0.75, 0.0, TOP_M))
    d, w, h, t = DEPTH_M / 2, WIDTH_M / 2, HEIGHT_M / 2, 0.006
    boards = {
        "bottom": ((d, w, t), (0.0, 0.0, t)),
        "top": ((d + 0.005, w + 0.005, t), (0.0, 0.0, 2 * h - t)),
        "back": ((t, w, h), (d - t, 0.0, h)),
        "left": ((d, t, h), (0.0, w - t, h)),
        "right": ((d, t, h), (0.0, -w + t, h)),
        "middle": ((d, w, t), (0.0, 0.0, h)),
    }
    for name, (size, place) in boards.items():
        cabinet.add_geom(name=f"cabinet_{name}", type=box, size=size, pos=place, rgba=SHELL)
    front = (t, w - 2 * t - 0.002, h / 2 - t - 0.002)
    cabinet.add_geom(name="lower_front", type=box, size=front, pos=(-d + t, 0.0, h / 2))
    cabinet.add_geom(name="lower_handle", type=box, size=(0.006, 0.05, 0.006), pos=(-d - 0.02, 0.0, h / 2), rgba=GREY)
    drawer = cabinet.add_body(name="drawer", pos=(0.0, 0.0, 1.5 * h))
    slide = import_mujoco().mjtJoint.mjJNT_SLIDE
    dry = {"frictionloss": 2.0, "solimp_friction": (0.99, 0.999, 0.001, 0.5, 2.0)}  # that does not creep
    way = {"axis": (-1.0, 0.0, 0.0), "range": (0.0, WAY_M), "damping": 10.0, "armature": 0.05}
    drawer.add_joint(name="drawer", type=slide, **way, **dry)
    low = -h / 2 + t + 0.004
    parts = {
        "front": ((*front,), (-d + t, 0.0, 0.0)),
        "floor": ((d - 0.012, w - 0.02, 0.003), (0.0, 0.0, low)),
        "left": ((d - 0.012, 0.003, 0.04), (0.0, w - 0.02, low + 0.04)),
        "right": ((d - 0.012, 0.003, 0.04), (0.0, -w + 0.02, low + 0.04)),
        "back": ((0.003, w - 0.02, 0.04), (d - 0.015, 0.0, low + 0.04)),
    }
    for name, (size, place) in parts.items():
        drawer.add_geom(name=f"drawer_{name}", type=box, size=size, pos=place, rgba=SHELL, mass=0.15)
    x, z = -d - STANDOFF_M, HANDLE_Z_M - 1.5 * h
    grip = {
        "friction": (1.0, 0.01, 0.001),
        "condim": 4,
        "solref": (0.005, 1.0),
        "solimp": (0.95, 0.99, 0.001, 0.5, 2.0),
    }
    drawer.add_geom(name="handle", type=box, size=(0.006, 0.055, 0.006), pos=(x, 0.0, z), rgba=GREY, mass=0.05, **grip)
    for side in (1, -1):
        place = (x + STANDOFF_M / 2, side * 0.05, z)
        drawer.add_geom(type=box, size=(STANDOFF_M / 2, 0.005, 0.005), pos=place, rgba=GREY, mass=0.01)
    drawer.add_site(name="handle", pos=(x, 0.0, z), group=4)
    made.add_exclude(bodyname1="cabinet", bodyname2="drawer")
