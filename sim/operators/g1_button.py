"""Scripted operator of ``g1/button``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import matrix_of, quaternion_from_rpy
from robot_stack.sim.operators.g1_script import G1Script, Pose, Side
from robot_stack.sim.robot_tasks.g1_button import TRAVEL_M
from robot_stack.sim.robot_tasks.g1_hall import TIP_M

PUSH_M = 0.025
"""How far beyond the end of the button's way the fingers are asked to [m]: arms give way a little."""


class Button(G1Script):
    """Points the nearer hand's fingers into the panel and pushes; presses again, further, if it was not enough."""

    def script(self) -> Iterator[None]:
        """Approach along the button's axis, press, let go."""
        place, axes = self.see_pose("button")
        side: Side = "left" if place[1] > 0 else "right"
        lead = self.rng.uniform(0.07, 0.10)
        yield from self.go({side: self._touch(side, place, axes, -lead)}, 0.35)
        for attempt in range(3):
            beyond = TRAVEL_M + PUSH_M * (1 + attempt)
            yield from self.go({side: self._touch(side, place, axes, beyond)}, 0.2, fine=True, settle_s=0.4)
            if self.see("button_pressed")[0] > 0.95 * TRAVEL_M:
                yield from self.wait(0.2)
                break
        yield from self.go({side: self._touch(side, place, axes, -lead)}, 0.3)

    def _touch(self, side: Side, place: np.ndarray, axes: np.ndarray, depth: float) -> Pose:
        """The hand with its fingers' ends ``depth`` beyond the button's face [m], pointing into it."""
        into = -axes[:, 0]
        turn = quaternion_from_rpy(np.array([0.0, np.arcsin(-into[2]), np.arctan2(into[1], into[0])]))
        tip = np.array(TIP_M) * (1.0, 1.0 if side == "left" else -1.0, 1.0)
        return place + depth * into - matrix_of(turn) @ tip, turn


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`G1Script` [m]."""
    return Button(world, noise_std)
