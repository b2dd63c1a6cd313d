"""Scripted operator of ``panda/drawer``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.operators.hand_script import HandScript
from robot_stack.sim.operators.panda_hand import pointing_down

HALF_OPEN = 0.28
"""Opening with which a finger fits behind the handle."""

ABOVE_M = 0.003
"""The handle is taken so far below the fingers' middle [m]."""


class OpenDrawer(HandScript):
    """Takes the handle from above, one finger behind it, and pulls it straight out."""

    def script(self) -> Iterator[None]:
        """Approach, grasp, pull, let go; again if the handle slipped away."""
        for _ in range(3):
            yield from self._grasp()
            yield from self._pull(0.15)
            if self.see("drawer_opening")[0] > 0.125:
                break
            yield from self._let_go()
        yield from self._let_go()

    def _let_go(self) -> Iterator[None]:
        yield from self.grip({"gripper": HALF_OPEN}, 0.4)
        p_hand, R_hand = self.aim("hand")
        yield from self.go({"hand": (p_hand + np.array([0.0, 0.0, 0.08]), R_hand)}, 0.3)

    def _grasp(self) -> Iterator[None]:
        p_handle, R_handle = self.see_pose("handle")
        into = R_handle[:, 0]
        grasp = pointing_down(np.arctan2(into[1], into[0]) + np.pi / 2)
        p_grasp = p_handle + np.array([0.0, 0.0, ABOVE_M])
        above = np.array([0.0, 0.0, self.rng.uniform(0.06, 0.10)])
        self.set_openings({"gripper": HALF_OPEN})
        yield from self.go({"hand": (p_grasp + above, grasp)}, 0.5)
        yield from self.go({"hand": (p_grasp, grasp)}, 0.25, fine=True)
        yield from self.grip({"gripper": 0.0}, 0.5)

    def _pull(self, opening: float) -> Iterator[None]:
        _, R_handle = self.see_pose("handle")
        p_hand, R_hand = self.aim("hand")
        way = opening - self.see("drawer_opening")[0]
        yield from self.go({"hand": (p_hand - way * R_handle[:, 0], R_hand)}, 0.2, settle_s=0.8)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`HandScript` [m]."""
    return OpenDrawer(world, noise_std)
