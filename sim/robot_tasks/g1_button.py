"""G1: press a button on a panel with the nearer hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_rpy
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.g1_hall import balance, fingertips, furnish_hall, has_fallen, stand_ready
from robot_stack.sim.robot_tasks.workbench import pose_fields, pose_numbers, two_colours
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import RED
from robot_stack.sim.truth import Truth

X_M, Y_M, Z_M = (0.38, 0.45), (-0.28, 0.28), (0.80, 1.08)
"""Where the button is, from the middle of the soles [m]."""

FACING_RAD, TILT_RAD = 0.35, (0.0, 0.7)
"""How far the panel may be turned about the vertical, and tilted up [rad]."""

RADIUS_M = (0.018, 0.032)
"""Of the button [m]."""

TRAVEL_M, PROUD_M = 0.012, 0.018
"""How far the button goes in, and stands out [m]."""

STIFFNESS, PRELOAD_M = (150.0, 400.0), 0.01
"""Of its spring [N/m], and how far that is pressed when the button is out [m]: it takes 3.3 to 8.8 N."""

PRESSED = 0.85
"""Share of the way that counts."""


class G1Button:
    """Side (and so which hand is nearer), place, height, facing and tilt of the panel vary.

    So do the button's size, spring and colour.
    """

    name = "g1/button"
    instruction = "press the button"
    horizon = 400
    milestones = ("reached", "touched", "pressed")
    view = "behind"

    def controller(self, robot: RobotModel) -> Controller:
        """Hand poses, balanced."""
        return balance(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """A panel on a column, with a sprung button; its frame's x axis looks out of the panel."""
        furnish_hall(made)
        geom = import_mujoco().mjtGeom
        panel = made.worldbody.add_body(name="panel", pos=(0.42, 0.1, 0.95), quat=(0.0, 0.0, 0.0, 1.0))
        dark, light = (0.25, 0.27, 0.30, 1.0), (0.80, 0.80, 0.78, 1.0)
        panel.add_geom(name="housing", type=geom.mjGEOM_BOX, size=(0.03, 0.075, 0.095), pos=(-0.034, 0, 0), rgba=dark)
        face = panel.add_geom(name="face", type=geom.mjGEOM_BOX, size=(0.002, 0.065, 0.085), pos=(-0.002, 0, 0))
        face.rgba = light
        button = panel.add_body(name="button")
        joint = button.add_joint(name="button", type=import_mujoco().mjtJoint.mjJNT_SLIDE, axis=(-1.0, 0.0, 0.0))
        joint.range, joint.limited, joint.damping[0], joint.stiffness[0] = (0.0, TRAVEL_M), True, 3.0, STIFFNESS[0]
        joint.springref, joint.solref_limit = -PRELOAD_M, (0.005, 1.0)
        ends = (0.0, 0.0, 0.0, PROUD_M, 0.0, 0.0)
        cap = button.add_geom(name="button", type=geom.mjGEOM_CYLINDER, fromto=ends, mass=0.05, rgba=RED)
        cap.size[0] = RADIUS_M[1]
        made.add_exclude(bodyname1="panel", bodyname2="button")  # it goes into the housing
        post = made.worldbody.add_body(name="post", pos=(0.49, 0.1, 0.85))
        post.add_geom(name="post", type=geom.mjGEOM_CYLINDER, size=(0.03, 0.6, 0.0), pos=(0, 0, -0.6), rgba=dark)

    def state_fields(self) -> tuple[Field, ...]:
        """Pose of the button's face (x looks out of the panel), and how far it is pressed."""
        return (*pose_fields("button"), Field("button_pressed", 1, "m"))

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        pressed = truth.joint_position("button")
        return np.concatenate([pose_numbers(_face(truth), truth.q_world_body("button")), pressed[..., None]], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the panel's pose, the button's size and spring, and colours."""
        stand_ready(start, rng)
        robot = start.robot
        place = rng.uniform((X_M[0], Y_M[0], Z_M[0]), (X_M[1], Y_M[1], Z_M[1]))
        turn = quaternion_from_rpy(
            np.array([0.0, -rng.uniform(*TILT_RAD), np.pi + rng.uniform(-FACING_RAD, FACING_RAD)])
        )
        axes = matrix_of(turn)
        p_panel = place - PROUD_M * axes[:, 0]
        start.change("body_pos", robot.body("panel"), p_panel)
        start.change("body_quat", robot.body("panel"), turn)
        start.change("body_pos", robot.body("post"), p_panel - 0.06 * axes[:, 0] - (0.0, 0.0, 0.02))
        radius, cap = rng.uniform(*RADIUS_M), robot.geom("button")
        half = np.array([radius, radius, PROUD_M / 2])
        start.change("geom_size", cap, np.array([radius, PROUD_M / 2, 0.0]))
        start.change("geom_rbound", cap, float(np.hypot(radius, PROUD_M / 2)))
        start.change("geom_aabb", cap, np.concatenate([np.zeros(3), half]))
        start.change("jnt_stiffness", int(robot.model.joint("button").id), rng.uniform(*STIFFNESS))
        button, housing = two_colours(rng)
        start.recolour("button", button)
        start.recolour("housing", housing)

    def score(self, truth: Truth) -> Scores:
        """Success: pressed all the way by a hand."""
        reach = np.linalg.norm(fingertips(truth) - _face(truth)[..., None, :], axis=-1).min(axis=-1)
        way = np.clip(truth.joint_position("button") / TRAVEL_M, 0.0, 1.0)
        near = reach < 0.06
        done = near & (way > PRESSED)
        fallen = has_fallen(truth)
        reward = np.where(done, 1.0, 0.4 * (1.0 - np.tanh(4.0 * reach)) + 0.4 * way * near)
        milestones = np.stack([near, near & (way > 0.1), done], axis=-1)
        return Scores(done & ~fallen, milestones, np.where(fallen, 0.0, reward), fallen)


def _face(truth: Truth) -> np.ndarray:
    """The middle of the button's outer face in the world, shape ``(..., 3)`` [m]."""
    w, x, y, z = np.moveaxis(truth.q_world_body("button"), -1, 0)
    out = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=-1)
    return truth.p_world_body("button") + PROUD_M * out
