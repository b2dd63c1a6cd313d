"""Scripted operator of ``panda/drawer``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.operators.hand_script import HandScript
from robot_stack.sim.operators.panda_hand import pointing_along


class OpenDrawer(HandScript):
    """Takes the handle between the fingers, from above and below, and pulls it straight out."""

    def script(self) -> Iterator[None]:
        """Approach, grasp, pull, let go; again if the handle slipped away."""
        for _ in range(3):
            yield from self._grasp()
            yield from self._pull(0.15)
            if self.see("drawer_opening")[0] > 0.125:
                break
            yield from self.grip({"gripper": 1.0}, 0.4)
        yield from self.grip({"gripper": 1.0}, 0.4)
        p_hand, R_hand = self.aim("hand")
        yield from self.go({"hand": (p_hand - 0.08 * R_hand[:, 2], R_hand)}, 0.3)

    def _grasp(self) -> Iterator[None]:
        p_handle, R_handle = self.see_pose("handle")
        into = R_handle[:, 0]
        grasp = pointing_along(into)
        self.set_openings({"gripper": 1.0})
        before = p_handle - self.rng.uniform(0.10, 0.14) * into
        yield from self.go({"hand": (before, grasp)}, 0.5)
        yield from self.go({"hand": (p_handle + 0.002 * into, grasp)}, 0.25, fine=True)
        yield from self.grip({"gripper": 0.0}, 0.5)

    def _pull(self, opening: float) -> Iterator[None]:
        _, R_handle = self.see_pose("handle")
        p_hand, R_hand = self.aim("hand")
        way = opening - self.see("drawer_opening")[0]
        yield from self.go({"hand": (p_hand - way * R_handle[:, 0], R_hand)}, 0.2, settle_s=0.8)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`HandScript` [m]."""
    return OpenDrawer(world, noise_std)
