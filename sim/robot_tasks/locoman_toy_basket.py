"""LocoMan: pick a toy up from the floor with one gripper, standing on three feet, and drop it into a basket."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.robot_senses import XYZ
from robot_stack.sim.robot_tasks.contract import Scores, Start
from robot_stack.sim.robot_tasks.locoman_yard import (
    add_basket,
    add_figure,
    all_modes,
    furnish_yard,
    has_fallen,
    stand_somewhere,
)
from robot_stack.sim.robot_tasks.workbench import WHITE, two_colours, yaw_quaternion
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.truth import Truth

TOY_X_M, TOY_Y_M = (0.36, 0.43), (0.05, 0.15)
"""Where the toy stands, ahead of the trunk and to the side of the gripper that will take it [m]."""

BASKET_X_M, BASKET_Y_M = (0.31, 0.37), (0.27, 0.31)
"""Likewise the basket [m]."""

RADIUS_M = (0.014, 0.019)
"""Of the toy [m]."""

HEIGHT_M = 0.075
"""Of the toy [m]."""

HALF_M, WALL_M = 0.065, 0.06
"""Half the basket's inner width, and the height of its walls [m]."""


class LocoManToyBasket:
    """Side (and so which gripper is the nearer one), places, the toy's girth and weight, and colours vary."""

    name = "locoman/toy-basket"
    instruction = "put the toy into the basket"
    horizon = 900
    milestones = ("reached", "lifted", "over the basket", "in the basket")
    view = "front"

    def controller(self, robot: RobotModel) -> Controller:
        """Every mode of LocoMan."""
        return all_modes(robot)

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """A toy and a basket on the floor."""
        furnish_yard(made, (0.25, 0.0, 0.12), 0.85)
        add_figure(made, "toy", RADIUS_M[1], HEIGHT_M, 0.03)
        add_basket(made, "basket", HALF_M, WALL_M, WHITE)

    def state_fields(self) -> tuple[Field, ...]:
        """Where toy and basket are, and the toy's up axis."""
        return (
            Field("toy_position", 3, "m", tuple(f"toy_{a}" for a in XYZ)),
            Field("toy_up", 3, "1", tuple(f"toy_up_{a}" for a in XYZ)),
            Field("basket_position", 3, "m", tuple(f"basket_{a}" for a in XYZ)),
        )

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields."""
        w, x, y, z = np.moveaxis(truth.q_world_body("toy"), -1, 0)
        up = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=-1)
        return np.concatenate([truth.p_world_body("toy"), up, truth.p_world_body("basket")], axis=-1)

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw the side, places, girth, weight and colours."""
        stand_somewhere(start, rng)
        side = 1.0 if rng.random() < 0.5 else -1.0
        radius, mass = rng.uniform(*RADIUS_M), rng.uniform(0.02, 0.06)
        geom, body = start.robot.geom("toy"), start.robot.body("toy")
        start.change("geom_size", geom, np.array([radius, HEIGHT_M / 2, 0.0]))
        start.change("body_mass", body, mass)
        across = mass * (3 * radius**2 + HEIGHT_M**2) / 12
        start.change("body_inertia", body, np.array([across, across, mass * radius**2 / 2]))
        p_toy = np.array([rng.uniform(*TOY_X_M), side * rng.uniform(*TOY_Y_M), HEIGHT_M / 2])
        start.place("toy", p_toy, yaw_quaternion(rng.uniform(-np.pi, np.pi)))
        p_basket = np.array([rng.uniform(*BASKET_X_M), side * rng.uniform(*BASKET_Y_M), 0.0])
        start.change("body_pos", start.robot.body("basket"), p_basket)
        start.change("body_quat", start.robot.body("basket"), yaw_quaternion(rng.uniform(-0.3, 0.3)))
        toy, basket = two_colours(rng)
        start.recolour("toy", toy)
        for part in ("bottom", *(f"wall_{i}" for i in range(4))):
            start.recolour(f"basket_{part}", basket)

    def score(self, truth: Truth) -> Scores:
        """Success: the toy is in the basket, let go and at rest."""
        p_toy, p_basket = truth.p_world_body("toy"), truth.p_world_body("basket")
        hands = [np.linalg.norm(truth.p_world_site(f"{side}_hand") - p_toy, axis=-1) for side in ("right", "left")]
        reach = np.minimum(*hands)
        aside = np.linalg.norm((p_toy - p_basket)[..., :2], axis=-1)
        lifted = p_toy[..., 2] > HEIGHT_M / 2 + 0.03
        inside = (np.abs((p_toy - p_basket)[..., :2]).max(axis=-1) < 1.2 * HALF_M) & (p_toy[..., 2] < 1.2 * WALL_M)
        still = np.linalg.norm(truth.v_world_free("toy"), axis=-1) < 0.05
        done = inside & still & (reach > 0.04)
        milestones = np.stack([reach < 0.03, lifted & (reach < 0.05), lifted & (aside < HALF_M), done], axis=-1)
        near, over = 1.0 - np.tanh(5.0 * reach), 1.0 - np.tanh(4.0 * aside)
        reward = np.where(done, 1.0, 0.2 * near + 0.2 * lifted + 0.4 * over * (lifted | inside))
        fallen = has_fallen(truth)
        return Scores(done & ~fallen, milestones, np.where(fallen, 0.0, reward), fallen | (p_toy[..., 2] < -0.05))
