"""Scripted operator of ``locoman/toy-basket``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import quaternion_from_rpy
from robot_stack.sim.operators.locoman_script import LocoManScript, Side
from robot_stack.sim.robot_tasks.locoman_toy_basket import HEIGHT_M, WALL_M

RAISED_S = 4.2
"""From standing until a gripper serves targets [s]."""

GRASP_RPY = np.array([0.5 * np.pi, 0.25, 0.0])
"""How the hand is turned to grasp: jaws forward and a little down, opening to the sides [rad]."""

GRASP_M = 0.052
"""Height at which the toy is grasped [m]."""


class ToyBasket(LocoManScript):
    """Takes the toy round its middle with the nearer gripper; tries again when it slipped away."""

    def script(self) -> Iterator[None]:
        """Raise the limb, pick, carry, drop."""
        side: Side = "left" if self.from_world(self.see("toy_position"))[1] > 0 else "right"
        yield from self.wait(0.2)
        self.note_stance()
        yield from self.switch(f"{side}_gripper", RAISED_S)
        for _ in range(3):
            yield from self._pick(side)
            if self.see("toy_position")[2] > HEIGHT_M / 2 + 0.03:
                yield from self._drop(side)
                return

    def _pick(self, side: Side) -> Iterator[None]:
        turn = quaternion_from_rpy(GRASP_RPY)
        toy = self.from_world(self.see("toy_position"))
        yield from self.grip(side, 0.7, 0.0)
        yield from self.go({side: np.array([toy[0] - 0.09, toy[1], 0.11])}, {side: turn}, 0.2)
        yield from self.go({side: np.array([toy[0] - 0.08, toy[1], GRASP_M + 0.01])}, {side: turn}, 0.15)
        toy = self.from_world(self.see("toy_position"))
        yield from self.go({side: np.array([toy[0] - 0.004, toy[1], GRASP_M])}, {side: turn}, 0.1, fine=True)
        yield from self.grip(side, 0.0, 0.8)
        up = np.array([toy[0] - 0.02, toy[1], 0.17 + self.rng.uniform(0.0, 0.03)])
        yield from self.go({side: up}, {side: turn}, 0.15, settle_s=0.3)

    def _drop(self, side: Side) -> Iterator[None]:
        turn = quaternion_from_rpy(GRASP_RPY)
        basket = self.from_world(self.see("basket_position"))
        over = np.array([basket[0], basket[1], self.hand(side)[2]])
        yield from self.go({side: over}, {side: turn}, 0.15, settle_s=0.5, near_m=0.02)
        slip = (self.hand(side) - self.from_world(self.see("toy_position"))) * (1.0, 1.0, 0.0)
        low = np.array([over[0], over[1], WALL_M + HEIGHT_M / 2 + 0.035]) + slip
        yield from self.go({side: low}, {side: turn}, 0.1, settle_s=0.8, near_m=0.015)
        yield from self.grip(side, 0.9, 0.6)
        yield from self.go({side: over + np.array([0.0, 0.0, 0.03])}, {side: turn}, 0.15, settle_s=0.3, near_m=0.03)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`LocoManScript` [m]."""
    return ToyBasket(world, noise_std)
