"""Scripted operator of ``panda/pick-place``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import yaw_of
from robot_stack.sim.operators.hand_script import HandScript
from robot_stack.sim.operators.panda_hand import pointing_down, within_quarter


class PickPlace(HandScript):
    """Grasps the cube by two sides, carries it over the disc and lets go; tries again when the cube slipped."""

    def script(self) -> Iterator[None]:
        """Pick, place, retreat."""
        for _ in range(3):
            yield from self._pick()
            p_cube, _ = self.see_pose("cube")
            if p_cube[2] > self.see("disc_position")[2] + 0.06:
                yield from self._place()
                return
            yield from self.grip({"gripper": 1.0}, 0.2)

    def _pick(self) -> Iterator[None]:
        p_cube, R_cube = self.see_pose("cube")
        grasp = pointing_down(within_quarter(yaw_of(R_cube)))
        above = np.array([0.0, 0.0, self.rng.uniform(0.07, 0.12)])
        self.set_openings({"gripper": 1.0})
        yield from self.go({"hand": (p_cube + above, grasp)}, 0.5)
        yield from self.go({"hand": (self.see("cube_position").copy(), grasp)}, 0.25, fine=True)
        yield from self.grip({"gripper": 0.0}, 0.5)
        up = np.array([0.0, 0.0, self.rng.uniform(0.12, 0.18)])
        yield from self.go({"hand": (self.aim("hand")[0] + up, grasp)}, 0.35, settle_s=0.1)

    def _place(self) -> Iterator[None]:
        p_hand, grasp = self.aim("hand")
        over = self.see("disc_position") + np.array([0.0, 0.0, 0.10])
        yield from self.go({"hand": (np.array([over[0], over[1], p_hand[2]]), grasp)}, 0.45)
        slip = self.see("hand_position") - self.see("cube_position")
        down = self.see("disc_position") + slip + np.array([0.0, 0.0, self.see("cube_half_edge")[0] + 0.0015])
        yield from self.go({"hand": (down, grasp)}, 0.25, fine=True)
        yield from self.grip({"gripper": 1.0}, 0.4)
        yield from self.go({"hand": (down + np.array([0.0, 0.0, 0.12]), grasp)}, 0.35)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`HandScript` [m]."""
    return PickPlace(world, noise_std)
