"""ALOHA: both hands lift a tray with a carton on it, and keep it level."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.control.joint_modes import JointPositionMode
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robot_tasks.aloha_hand_over import PAD_TOUCH_M
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.workbench import (
    TOP_M,
    furnish_aloha,
    jitter,
    pose_fields,
    pose_numbers,
    resize_box,
    rotation_matrices,
    two_colours,
    yaw_quaternion,
)
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.scene import GRIP_FRICTION, RED, WOOD, add_box
from robot_stack.sim.truth import Truth

TRAY_HALF_M = (0.14, 0.10, 0.004)
"""Half the plate's edges [m]."""

HANDLE_M = 0.175
"""From the tray's middle to the middle of each handle [m]."""

HANDLE_HALF_M = (0.03, 0.008, 0.012)
"""Half the handles' edges; the hands take them from both sides [m]."""

HANDLE_RISE_M = 0.024
"""Of the handles' middle above the plate's middle [m]."""

LIFTED_M, LEVEL_RAD = 0.10, np.radians(6.0)
"""How high the tray must be lifted [m], and how level it must be [rad]."""


class AlohaLiftTray:
    """The tray's place, heading and colour vary; so do the carton's size, weight, place and colour."""

    name = "aloha/lift-tray"
    instruction = "lift the tray with both hands and keep it level"
    horizon = 500
    milestones = ("left hand grasped", "right hand grasped", "off the table", "lifted level")
    view = "front"

    def controller(self, robot: RobotModel) -> Controller:
        """Joint positions, as ALOHA's own software has it."""
        return JointPositionMode(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """Table, tray and carton."""
        furnish_aloha(made, spec)
        _add_tray(made)
        add_box(made, "carton", (0.025, 0.025, 0.03), (0.0, 0.0, TOP_M + 0.04), RED, mass=0.1)

    def state_fields(self) -> tuple[Field, ...]:
        """Poses of tray (x from the left handle to the right one) and carton."""
        return (*pose_fields("tray"), *pose_fields("carton"))

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        things = [pose_numbers(truth.p_world_body(name), truth.q_world_body(name)) for name in ("tray", "carton")]
        return np.concatenate(things, axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw places, the carton's size and weight, and colours."""
        jitter(start, rng)
        yaw = rng.uniform(-0.25, 0.25)
        p_tray = np.array([rng.uniform(-0.04, 0.04), rng.uniform(-0.10, 0.12), TOP_M + TRAY_HALF_M[2]])
        start.place("tray", p_tray, yaw_quaternion(yaw))
        half = rng.uniform((0.018, 0.018, 0.02), (0.032, 0.032, 0.045))
        resize_box(start, "carton", half, rng.uniform(0.05, 0.2))
        x, y = rng.uniform(-0.07, 0.07), rng.uniform(-0.04, 0.04)
        aside = np.array([np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y, 0.0])
        p_carton = p_tray + aside + np.array([0.0, 0.0, TRAY_HALF_M[2] + half[2]])
        start.place("carton", p_carton, yaw_quaternion(rng.uniform(-np.pi, np.pi)))
        tray, carton = two_colours(rng)
        start.recolour("carton", carton)
        start.recolour("tray", tray)

    def score(self, truth: Truth) -> Scores:
        """Lifted level: high, level and still, with the carton standing on it, in both hands."""
        p_tray, R_tray = truth.p_world_body("tray"), rotation_matrices(truth.q_world_body("tray"))
        held, reach = zip(
            *(_grasp(truth, p_tray, R_tray, side, end) for side, end in (("left", -1), ("right", 1))), strict=True
        )
        both = held[0] & held[1]
        rise = p_tray[..., 2] - TOP_M - TRAY_HALF_M[2]
        level = R_tray[..., 2, 2] > np.cos(LEVEL_RAD)
        p_carton = np.einsum("...ji,...j->...i", R_tray, truth.p_world_body("carton") - p_tray)
        stands = np.abs(p_carton[..., 2] - TRAY_HALF_M[2] - truth.geom_size("carton")[..., 2]) < 0.01
        on = stands & (np.abs(p_carton[..., 0]) < TRAY_HALF_M[0]) & (np.abs(p_carton[..., 1]) < TRAY_HALF_M[1])
        still = np.linalg.norm(truth.v_world_free("tray"), axis=-1) < 0.05
        done = both & (rise > LIFTED_M) & level & on & still
        milestones = np.stack([held[0], held[1], both & (rise > 0.02), done], axis=-1)
        near = 1.0 - np.tanh(5.0 * 0.5 * (reach[0] + reach[1]))
        way = np.clip(rise / LIFTED_M, 0.0, 1.0) * (level & on)
        reward = np.where(done, 1.0, 0.2 * near + 0.1 * held[0] + 0.1 * held[1] + 0.4 * way)
        lost = truth.p_world_body("carton")[..., 2] < p_tray[..., 2] - 0.02
        return Scores(done, milestones, reward, lost)


def _grasp(truth: Truth, p_tray: np.ndarray, R_tray: np.ndarray, side: str, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether a hand holds its handle, and how far it is from it [m]."""
    p_handle = np.array([end * HANDLE_M, 0.0, HANDLE_RISE_M])
    local = np.einsum("...ji,...j->...i", R_tray, truth.p_world_site(f"{side}_hand") - p_tray) - p_handle
    reach = np.linalg.norm(local, axis=-1)
    gap = truth.joint_position(f"{side}/left_finger") - PAD_TOUCH_M - HANDLE_HALF_M[1]
    return (reach < 0.035) & (np.abs(gap) < 0.004), reach


def _add_tray(made: Any) -> None:
    """A plate with a rim and a handle at each end, on a free joint."""
    mujoco = import_mujoco()
    box = mujoco.mjtGeom.mjGEOM_BOX
    tray = made.worldbody.add_body(name="tray", pos=(0.0, 0.0, TOP_M + TRAY_HALF_M[2]))
    tray.add_freejoint(name="tray_free")
    firm = {"friction": GRIP_FRICTION, "condim": 4, "solref": (0.005, 1.0), "solimp": (0.95, 0.99, 0.001, 0.5, 2.0)}
    tray.add_geom(name="tray", type=box, size=TRAY_HALF_M, mass=0.25, **firm)
    x, y, rim = TRAY_HALF_M[0], TRAY_HALF_M[1], 0.010
    rims = {
        "front": ((x, 0.004, rim), (0.0, -y, rim)),
        "back": ((x, 0.004, rim), (0.0, y, rim)),
        "left": ((0.004, y, rim), (-x, 0.0, rim)),
        "right": ((0.004, y, rim), (x, 0.0, rim)),
    }
    for name, (size, place) in rims.items():
        tray.add_geom(name=f"tray_{name}", type=box, size=size, pos=place, mass=0.015, rgba=WOOD, **firm)
    for name, end in (("left", -1), ("right", 1)):
        place = (end * HANDLE_M, 0.0, HANDLE_RISE_M)
        tray.add_geom(name=f"handle_{name}", type=box, size=HANDLE_HALF_M, pos=place, mass=0.02, rgba=WOOD, **firm)
        stem = (end * (x + 0.001), 0.0, 0.018)
        tray.add_geom(type=box, size=(0.005, 0.02, 0.014), pos=stem, mass=0.005, rgba=WOOD, **firm)
