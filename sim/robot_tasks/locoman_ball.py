"""LocoMan: sit up on the hind legs, take a ball from a stand between both hands, and lift it.

The stand's arm reaches over the nose of the robot that stands before it. Sitting up, LocoMan draws its shoulders back
by 0.4 m, so that what both hands can reach then is where its nose was, and above: a ball on a low stand in front of the
nose would be out of reach, and on four feet this one is too high for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.whole_body.rotations import matrix_of, yaw_of
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_senses import XYZ
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.locoman_yard import all_modes, furnish_yard, has_fallen, stand_somewhere
from robot_stack.sim.robot_tasks.workbench import two_colours, yaw_quaternion
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import GREY
from robot_stack.sim.truth import Truth

BALL_X_M, BALL_Y_M = (0.20, 0.265), (-0.05, 0.05)
"""Where the ball lies, ahead of the middle of the standing robot's feet and to the left [m]."""

STAND_M = (0.42, 0.48)
"""Height of the stand's arm above the floor [m]; the standing robot's head camera reaches up to 0.393 m."""

RADIUS_M, MASS_KG = (0.042, 0.06), (0.05, 0.2)
"""Of the ball [m, kg]."""

FRICTION = (0.8, 0.01, 0.001)
"""Sliding, torsional and rolling friction of the ball; the hands' pads have their own."""

PRONG_M, PRONGS_M = 0.006, 0.026
"""Radius of the stand's three prongs, and of the circle they stand on [m]."""

ARM_M, POST_M = 0.006, 0.14
"""Half the thickness of the stand's arm, and how far behind the ball its post stands [m]."""

FOOT_M = (0.09, 0.006)
"""Radius and half the thickness of its foot [m]."""

SAT_UP_RAD = 0.8
"""LocoMan sits up when its trunk is pitched up so far [rad]; the mode pitches it to 1.1."""

LIFTED_M = 0.05
"""The ball must be lifted so far [m]."""

HELD_M = 0.03
"""A hand holds the ball when its frame is no farther than this from the ball's surface [m]; it touches at about 0.01 m,
the pads reach beyond the frame."""


def resting_height(radius: np.ndarray | float) -> np.ndarray:
    """Height of the ball's centre above the stand's arm when it lies on the prongs [m]."""
    reach = np.asarray(radius) + PRONG_M
    return ARM_M + PRONG_M + np.sqrt(reach * reach - PRONGS_M**2)


class LocoManBall:
    """The robot's place and heading, the stand's place, height and turn, the ball's size, mass and colours vary."""

    name = "locoman/ball"
    instruction = "sit up, take the ball from the stand with both hands and lift it"
    horizon = 800
    milestones = ("sitting up", "both hands at the ball", "off the stand", "lifted")
    view = "front"

    def controller(self, robot: RobotModel) -> Controller:
        """Every mode of LocoMan."""
        return all_modes(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """A ball with a band, and a stand; the stand's frame lies in its arm below the ball, x away from the robot."""
        furnish_yard(made, (0.05, 0.0, 0.33), 1.02)
        _add_stand(made)
        _add_ball(made)

    def state_fields(self) -> tuple[Field, ...]:
        """Where the ball is, its radius, and where the stand's cup is."""
        return (
            Field("ball_position", 3, "m", tuple(f"ball_{a}" for a in XYZ)),
            Field("ball_radius", 1, "m"),
            Field("stand_position", 3, "m", tuple(f"stand_{a}" for a in XYZ)),
        )

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        p_ball, p_stand = truth.p_world_body("ball"), truth.p_world_body("stand")
        radius = np.broadcast_to(truth.geom_size("ball")[..., :1], (*p_ball.shape[:-1], 1))
        return np.concatenate([p_ball, radius, p_stand], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw where everything is, the ball's size and mass, and colours."""
        stand_somewhere(start, rng, yaw_rad=0.4, place_m=0.08)
        base = start.robot.base_qpos.start
        yaw = yaw_of(matrix_of(start.qpos[base + 3 : base + 7]))
        x, y, height = rng.uniform(*BALL_X_M), rng.uniform(*BALL_Y_M), rng.uniform(*STAND_M)
        cos, sin = np.cos(yaw), np.sin(yaw)
        p_robot = start.qpos[base : base + 2]
        p_stand = np.array([p_robot[0] + cos * x - sin * y, p_robot[1] + sin * x + cos * y, height])
        stand, ball = start.robot.body("stand"), start.robot.body("ball")
        turn = yaw + rng.uniform(-0.25, 0.25)
        start.change("body_pos", stand, p_stand)
        start.change("body_quat", stand, yaw_quaternion(turn))
        p_foot = np.array([p_stand[0] + POST_M * np.cos(turn), p_stand[1] + POST_M * np.sin(turn), FOOT_M[1]])
        start.change("body_pos", start.robot.body("stand_foot"), p_foot)
        radius, mass = rng.uniform(*RADIUS_M), rng.uniform(*MASS_KG)
        start.change("geom_size", start.robot.geom("ball"), np.array([radius, 0.0, 0.0]))
        start.change("geom_size", start.robot.geom("band"), np.array([1.004 * radius, 0.16 * radius, 0.0]))
        start.change("body_mass", ball, mass)
        start.change("body_inertia", ball, np.full(3, 0.4 * mass * radius**2))
        rolled = rng.normal(size=4)
        p_ball = p_stand + np.array([0.0, 0.0, float(resting_height(radius))])
        start.place("ball", p_ball, rolled / np.linalg.norm(rolled))
        for name, colour in zip(("ball", "band"), two_colours(rng), strict=True):
            start.recolour(name, colour)

    def score(self, truth: Truth) -> Scores:
        """Success: the ball is lifted by 5 cm and rests between both hands, which alone hold it there."""
        p_ball, p_stand = truth.p_world_body("ball"), truth.p_world_body("stand")
        radius = truth.geom_size("ball")[..., 0]
        hands = [truth.p_world_site(f"{side}_hand") for side in ("right", "left")]
        gaps = np.stack([np.linalg.norm(hand - p_ball, axis=-1) - radius for hand in hands], axis=-1)
        held = (gaps < HELD_M).all(axis=-1)
        rise = p_ball[..., 2] - p_stand[..., 2] - resting_height(radius)
        still = np.linalg.norm(truth.v_world_free("ball"), axis=-1) < 0.02
        calm = np.linalg.norm(truth.w_body_free("ball"), axis=-1) < 0.4
        nose_up = _rise_of_x(truth.q_world_body("trunk")) > np.sin(SAT_UP_RAD)
        done = held & (rise > LIFTED_M) & still & calm
        milestones = np.stack([nose_up, held, held & (rise > 0.01), held & (rise > LIFTED_M)], axis=-1)
        near = 1.0 - np.tanh(5.0 * np.maximum(gaps, 0.0).mean(axis=-1))
        way = np.clip(rise / LIFTED_M, 0.0, 1.0) * held
        reward = np.where(done, 1.0, 0.1 * nose_up + 0.2 * near + 0.1 * held + 0.4 * way)
        failed = has_fallen(truth) | (rise < -0.1)
        return Scores(done & ~failed, milestones, np.where(failed, 0.0, reward), failed)


def _rise_of_x(quaternion: np.ndarray) -> np.ndarray:
    """How far the x axis of frames points up: wxyz ``(..., 4)`` to ``(...)``."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    return 2.0 * (x * z - w * y)


def _add_stand(made: Any) -> None:
    """A foot, a post, and an arm with three prongs on its end."""
    geom = import_mujoco().mjtGeom
    stand = made.worldbody.add_body(name="stand", pos=(0.25, 0.0, STAND_M[1]))
    stand.add_geom(name="stand_arm", type=geom.mjGEOM_BOX, size=(0.08, 0.012, ARM_M), pos=(0.06, 0, 0), rgba=GREY)
    stand.add_geom(name="stand_cup", type=geom.mjGEOM_CYLINDER, size=(0.034, ARM_M, 0), rgba=GREY)
    post = STAND_M[1] / 2 + 0.02  # longer than it is high: the lower end is in the floor
    stand.add_geom(name="stand_post", type=geom.mjGEOM_CYLINDER, size=(0.012, post, 0), pos=(POST_M, 0, -post))
    for i, angle in enumerate(np.arange(3) * 2 * np.pi / 3):
        place = (PRONGS_M * np.cos(angle), PRONGS_M * np.sin(angle), ARM_M + PRONG_M)
        stand.add_geom(name=f"stand_prong_{i}", type=geom.mjGEOM_SPHERE, size=(PRONG_M, 0, 0), pos=place, rgba=GREY)
    made.geom("stand_post").rgba = GREY
    foot = made.worldbody.add_body(name="stand_foot", pos=(0.25 + POST_M, 0.0, FOOT_M[1]))
    foot.add_geom(name="stand_foot", type=geom.mjGEOM_CYLINDER, size=(*FOOT_M, 0), rgba=GREY)


def _add_ball(made: Any) -> None:
    """A ball on a free joint; the band shows how it turns."""
    geom, radius = import_mujoco().mjtGeom, RADIUS_M[1]
    ball = made.worldbody.add_body(name="ball", pos=(0.25, 0.0, STAND_M[1] + float(resting_height(radius))))
    ball.add_freejoint(name="ball_free")
    solid = ball.add_geom(name="ball", type=geom.mjGEOM_SPHERE, size=(radius, 0, 0), mass=0.1)
    solid.friction, solid.condim, solid.priority = FRICTION, 6, 1  # the pads' priority is 2
    solid.solref, solid.solimp = (0.005, 1.0), (0.95, 0.99, 0.001, 0.5, 2.0)
    band = ball.add_geom(name="band", type=geom.mjGEOM_CYLINDER, size=(radius, 0.008, 0), mass=0.0)
    band.contype = band.conaffinity = 0
