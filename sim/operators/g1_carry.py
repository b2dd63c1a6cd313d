"""Scripted operator of ``g1/carry``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.operators.g1_palms import PalmsScript


class Carry(PalmsScript):
    """Takes the box between its palms and carries it around itself, the waist turning along, onto the mat."""

    def script(self) -> Iterator[None]:
        """Take, lift, around, down, leave; again from the start if it slipped."""
        for _ in range(2):
            yield from self.take()
            start, heading = self.see_box()
            half, mat = self.see("box_half_size"), self.from_world(self.see("mat_position"))
            high = max(mat[2] + half[2], start[2]) + self.rng.uniform(0.06, 0.08)
            lifted = np.array([start[0], start[1], high])
            yield from self.carry(start, heading, lifted, heading, 0.25)
            if self.see_box()[0][2] < start[2] + 0.03:
                continue
            bearing = float(np.arctan2(mat[1], mat[0]))
            over = np.array([mat[0], mat[1], high])
            yield from self.carry(lifted, heading, over, bearing, 0.3)
            yield from self.carry(over, bearing, np.array([mat[0], mat[1], mat[2] + half[2] - 0.005]), bearing, 0.15)
            yield from self.leave(*self.see_box())
            return


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`G1Script` [m]."""
    return Carry(world, noise_std)
