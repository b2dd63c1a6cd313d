"""LocoMan: walk to a post and press the button on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import XYZ
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.locoman_yard import all_modes, furnish_yard, has_fallen, stand_somewhere
from robot_stack.sim.robot_tasks.workbench import two_colours, yaw_quaternion
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import GREY
from robot_stack.sim.truth import Truth

DISTANCE_M, BEARING_RAD, TURN_RAD = (0.95, 1.5), 0.45, 0.3
"""How far the post stands from the origin, largest angle from straight ahead, largest turn away from the robot."""

HEIGHT_M = (0.13, 0.19)
"""Of the button's middle [m]."""

TRAVEL_M, PRESSED_M = 0.014, 0.009
"""How far the button goes in, and how far counts as pressed [m]."""

SPRING = 300.0
"""Stiffness of the button [N/m]; pressing it takes some 3 N."""

FACE_M = 0.07
"""The button's face is so far ahead of the middle of the post [m]."""


class LocoManPress:
    """The post's place and turn, the button's height, and colours vary, and so does where the robot looks at first."""

    name = "locoman/press"
    instruction = "walk to the post and press the button"
    horizon = 1200
    milestones = ("walked there", "touching", "pressed")
    view = "side"

    def controller(self, robot: RobotModel) -> Controller:
        """Every mode of LocoMan."""
        return all_modes(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """A post with a spring button on its front; the post's x axis points towards who presses it."""
        furnish_yard(made, (0.5, 0.0, 0.15), 1.6)
        geom = import_mujoco().mjtGeom
        post = made.worldbody.add_body(name="post", pos=(1.2, 0.0, 0.0))
        post.add_geom(name="foot", type=geom.mjGEOM_CYLINDER, size=(0.11, 0.008, 0.0), pos=(-0.02, 0, 0.008), rgba=GREY)
        post.add_geom(name="post", type=geom.mjGEOM_BOX, size=(0.04, 0.06, 0.14), pos=(0.0, 0.0, 0.14), rgba=GREY)
        button = post.add_body(name="button", pos=(0.04, 0.0, 0.16))
        made.add_exclude(bodyname1="post", bodyname2="button")  # a fixed parent would stop its child
        kind = import_mujoco().mjtJoint.mjJNT_SLIDE
        button.add_joint(name="button", type=kind, axis=(-1, 0, 0), range=(0.0, TRAVEL_M), limited=1)
        joint = made.joint("button")
        joint.stiffness, joint.damping, joint.armature = (np.array([SPRING, 0, 0]), np.array([6.0, 0, 0]), 0.02)
        stem = button.add_geom(name="button", type=geom.mjGEOM_CYLINDER, size=(0.03, 0.015, 0.0), pos=(0.015, 0, 0))
        stem.quat, stem.mass = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0), 0.03
        ring = button.add_geom(name="ring", type=geom.mjGEOM_CYLINDER, size=(0.02, 0.0155, 0.0), pos=(0.015, 0, 0))
        ring.quat, ring.mass, ring.contype, ring.conaffinity = stem.quat, 0.0, 0, 0

    def state_fields(self) -> tuple[Field, ...]:
        """The button's place, the way it faces, and how far it is in."""
        return (
            Field("button_position", 3, "m", tuple(f"button_{a}" for a in XYZ)),
            Field("button_normal", 3, "1", tuple(f"button_normal_{a}" for a in XYZ)),
            Field("button_travel", 1, "m"),
        )

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields; the place is the middle of the face."""
        face, normal = _face(truth)
        return np.concatenate([face, normal, truth.joint_position("button")[..., None]], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the robot's heading, the post's place and turn, the button's height, and colours."""
        stand_somewhere(start, rng, yaw_rad=0.3, place_m=0.05)
        distance, bearing = rng.uniform(*DISTANCE_M), rng.uniform(-BEARING_RAD, BEARING_RAD)
        post, button = start.robot.body("post"), start.robot.body("button")
        start.change("body_pos", post, np.array([distance * np.cos(bearing), distance * np.sin(bearing), 0.0]))
        start.change("body_quat", post, yaw_quaternion(bearing + np.pi + rng.uniform(-TURN_RAD, TURN_RAD)))
        start.change("body_pos", button, np.array([0.04, 0.0, rng.uniform(*HEIGHT_M)]))
        first, second = two_colours(rng)
        start.recolour("button", first)
        start.recolour("ring", (0.93, 0.9, 0.84, 1.0))
        start.recolour("post", second)

    def score(self, truth: Truth) -> Scores:
        """Success: the button is in, and the robot has not fallen."""
        face, _ = _face(truth)
        tools = ("right_hand", "left_hand", *LOCOMAN.feet[:2])
        reach = np.min([np.linalg.norm(truth.p_world_site(tool) - face, axis=-1) for tool in tools], axis=0)
        trunk = np.linalg.norm((truth.p_world_body(LOCOMAN.root) - face)[..., :2], axis=-1)
        pressed = truth.joint_position("button") > PRESSED_M
        fallen = has_fallen(truth)
        milestones = np.stack([trunk < 0.55, reach < 0.06, pressed], axis=-1)
        reward = 0.4 * (1.0 - np.tanh(np.maximum(trunk - 0.45, 0.0))) + 0.3 * (1.0 - np.tanh(5.0 * reach))
        return Scores(pressed & ~fallen, milestones, np.where(fallen, 0.0, np.where(pressed, 1.0, reward)), fallen)


def _face(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Middle of the button's face and the direction it faces, each of shape ``(..., 3)``."""
    w, x, y, z = np.moveaxis(truth.q_world_body("button"), -1, 0)
    normal = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=-1)
    return truth.p_world_body("button") + (FACE_M - 0.04) * normal, normal
