"""Scripted operator of ``g1/shelf``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.operators.g1_palms import PalmsScript
from robot_stack.sim.robot_tasks.g1_shelf import SHELF_HALF_M

EDGE_ROOM_M = 0.05
"""Between the box and the shelf's edge on the way up [m]."""


class Shelf(PalmsScript):
    """Takes the box between its palms, lifts it above the shelf, moves it over, sets it down and lets go."""

    def script(self) -> Iterator[None]:
        """Take, draw back from under the shelf, lift, over, down, leave; again from the start if it slipped."""
        for _ in range(2):
            yield from self.take()
            start, heading = self.see_box()
            half, shelf = self.see("box_half_size"), self.from_world(self.see("shelf_position"))
            clear = shelf[2] + half[2] + self.rng.uniform(0.035, 0.05)
            edge = shelf[0] - SHELF_HALF_M[0]
            free = np.array([min(start[0], edge - (half[0] + 0.15 * half[1]) - EDGE_ROOM_M), start[1], clear])
            away = np.array([free[0], free[1], start[2] + 0.03])
            yield from self.carry(start, heading, away, heading, 0.2)
            yield from self.carry(away, heading, free, heading, 0.3)
            if self.see_box()[0][2] < start[2] + 0.03:
                continue
            inside = edge + self.rng.uniform(0.05, 0.065)
            over = np.array([inside, 0.5 * (start[1] + shelf[1]), clear])
            yield from self.carry(free, heading, over, 0.0, 0.25)
            down = np.array([over[0], over[1], shelf[2] + half[2] - 0.005])
            yield from self.carry(over, 0.0, down, 0.0, 0.15)
            yield from self.leave(*self.see_box())
            return


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`G1Script` [m]."""
    return Shelf(world, noise_std)
