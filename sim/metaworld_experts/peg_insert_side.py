"""peg-insert-side: lift the peg, hold its tip before the hole, push it in along the hole's axis."""

from __future__ import annotations

import numpy as np

from robot_stack.sim.metaworld_experts.pick_carry import PickCarry

TIP = np.array([-0.13, 0.0, -0.01])
"""From the place where the peg is grasped to its tip [m]."""


class PegInsertSide(PickCarry):
    """The tip is lined up 20 cm before the bottom of the hole, to a centimetre, and pushed in from there."""

    def __init__(self) -> None:
        super().__init__((0.0, 0.0, 0.02))

    def route(self, start: np.ndarray, goal: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """See :meth:`PickCarry.route`."""
        lift = np.array([start[0], start[1], goal[2] - TIP[2]])
        before = goal - TIP + np.array([0.20, 0.0, 0.0])
        inside = goal - TIP - np.array([0.03, 0.0, 0.0])
        return [(lift, 0.02), (before, 0.01), (inside, 0.0)]
