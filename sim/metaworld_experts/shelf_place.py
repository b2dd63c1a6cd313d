"""shelf-place: lift the block in front of the shelf, line it up, push it in at the height of the board."""

from __future__ import annotations

import numpy as np

from robot_stack.sim.metaworld_experts.pick_carry import PickCarry


class ShelfPlace(PickCarry):
    """The block goes up, then sideways before the shelf, then in."""

    def __init__(self) -> None:
        super().__init__((-0.005, 0.0, 0.02))

    def route(self, start: np.ndarray, goal: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """See :meth:`PickCarry.route`."""
        height = goal[2] + 0.06
        front = min(start[1], goal[1] - 0.25)
        return [
            (np.array([start[0], front, height]), 0.03),
            (np.array([goal[0], front, height]), 0.02),
            (np.array([goal[0], goal[1], height]), 0.03),
            (np.array([goal[0], goal[1], goal[2] + 0.01]), 0.01),
        ]
