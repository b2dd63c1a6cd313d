"""Scripted operator of ``panda/peg``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import yaw_of
from robot_stack.sim.operators.hand_script import HandScript
from robot_stack.sim.operators.panda_hand import pointing_down, within_quarter

GRASP_M = 0.028
"""The peg is grasped so far above its middle [m]: the fingers stay above the block."""

HALF_LENGTH_M = 0.05
"""Of the peg [m]."""

HOLE_M = 0.06
"""Depth of the hole [m]."""

LOWERING = 0.05
"""Mean speed of lowering [m/s]."""


class InsertPeg(HandScript):
    """Grasps the peg near its top, turns and centres it over the hole as seen, and lowers it."""

    def script(self) -> Iterator[None]:
        """Pick, align, insert, let go; lift and align again when the peg stands on the rim."""
        yield from self._pick()
        for _ in range(4):
            yield from self._align(0.012)
            yield from self._align(0.006, fine=True)
            yield from self._centre()
            yield from self._lower()
            if self._depth() > 0.03:
                break
        yield from self.grip({"gripper": 1.0}, 0.5)
        p_hand, R_hand = self.aim("hand")
        yield from self.go({"hand": (p_hand + np.array([0.0, 0.0, 0.12]), R_hand)}, 0.35)

    def _pick(self) -> Iterator[None]:
        p_peg, R_peg = self.see_pose("peg")
        grasp = pointing_down(within_quarter(yaw_of(R_peg)))
        p_grasp = p_peg + np.array([0.0, 0.0, GRASP_M])
        above = np.array([0.0, 0.0, self.rng.uniform(0.07, 0.11)])
        self.set_openings({"gripper": 1.0})
        yield from self.go({"hand": (p_grasp + above, grasp)}, 0.5)
        yield from self.go({"hand": (p_grasp, grasp)}, 0.25, fine=True)
        yield from self.grip({"gripper": 0.0}, 0.5)
        up = np.array([0.0, 0.0, self.rng.uniform(0.10, 0.14)])
        yield from self.go({"hand": (p_grasp + up, grasp)}, 0.35, settle_s=0.1)

    def _align(self, gap: float, *, fine: bool = False) -> Iterator[None]:
        """Bring the peg's foot over the hole, ``gap`` above its mouth [m], turned like it."""
        p_peg, R_peg = self.see_pose("peg")
        p_hole, R_hole = self.see_pose("hole")
        yaw = yaw_of(self.aim("hand")[1]) + within_quarter(yaw_of(R_hole) - yaw_of(R_peg))
        centre = p_hole + np.array([0.0, 0.0, HALF_LENGTH_M + gap])
        p_hand = centre + self.see("hand_position") - p_peg
        if not fine:
            high = np.array([p_hand[0], p_hand[1], max(p_hand[2], self.aim("hand")[0][2])])
            yield from self.go({"hand": (high, pointing_down(yaw))}, 0.4)
        yield from self.go({"hand": (p_hand, pointing_down(yaw))}, 0.2, fine=True)

    def _centre(self) -> Iterator[None]:
        """Move by what is seen until the peg is centred to a third of a millimetre."""
        for _ in range(60):
            aside = (self.see("hole_position") - self.see("peg_position"))[:2]
            if np.linalg.norm(aside) < 0.0003:
                return
            p_hand, R_hand = self.aim("hand")
            self.set_aim("hand", (p_hand + np.array([*(0.1 * aside), 0.0]), R_hand))
            yield

    def _lower(self) -> Iterator[None]:
        """Lower the peg, still centring it; give up where it does not follow."""
        start, _ = self.aim("hand")
        foot = self.see("peg_position")[2] - HALF_LENGTH_M
        floor = self.see("hole_position")[2] - HOLE_M
        count = max(1, round((foot - floor - 0.002) / (LOWERING * self.pace) * 50.0))
        for step in range(1, count + 1):
            t = step / count
            p_hand, R_hand = self.aim("hand")
            aside = (self.see("hole_position") - self.see("peg_position"))[:2]
            p_hand = p_hand + np.array([*(0.1 * aside), 0.0])
            p_hand[2] = start[2] - t**2 * (2.0 - t) * (foot - floor - 0.002)
            self.set_aim("hand", (p_hand, R_hand))
            if self.see("hand_position")[2] - p_hand[2] > 0.012:
                return
            yield
        yield from self.wait(0.2)

    def _depth(self) -> float:
        """How deep the peg's foot is in the hole [m]."""
        return float(self.see("hole_position")[2] - (self.see("peg_position")[2] - HALF_LENGTH_M))


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`HandScript` [m]."""
    return InsertPeg(world, noise_std)
