"""Scripted operator of ``locoman/press``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.operators.locoman_script import LocoManScript, Side
from robot_stack.sim.operators.locoman_toy_basket import RAISED_S

STAND_OFF_M = 0.42
"""The trunk stops so far from the button's face [m]."""

ASIDE_M = 0.09
"""The button is then so far to the side of the trunk's middle [m]."""

GAINS = np.array([1.2, 1.2, 1.5])
"""Velocity for each unit of error: forward, left, turning [1/s]."""

FASTEST = np.array([0.4, 0.2, 0.6])
"""Largest velocities [m/s, m/s, rad/s]."""

THERE = np.array([0.025, 0.025, 0.05])
"""Errors at which it stops walking [m, m, rad]."""

BEFORE_M, PUSH_M = 0.08, 0.02
"""The foot is sent so far before the button's face, then so far behind it [m]."""

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


class Press(LocoManScript):
    """Walks up to the button, stands, and presses it with one front foot, as LocoMan itself presses buttons."""

    def script(self) -> Iterator[None]:
        """Walk, stand, press; once more if the button was missed."""
        side: Side = "left" if self.rng.random() < 0.5 else "right"
        for _ in range(2):
            yield from self._walk(1.0 if side == "left" else -1.0)
            yield from self._press(side)
            yield from self.switch("stance", 4.5)

    def _walk(self, sign: float) -> Iterator[None]:
        yield from self.switch("locomotion", 0.6)
        for _ in range(500):
            error = self._error_of_place(sign)
            if (np.abs(error) < THERE).all():
                break
            far = np.hypot(error[0], error[1]) > 0.4
            wanted = GAINS * error
            if far:  # look where it goes first
                ahead = np.arctan2(error[1], error[0])
                wanted = np.array([0.4 * np.cos(ahead), 0.5 * error[1], GAINS[2] * ahead])
            self.velocity = np.clip(wanted, -FASTEST, FASTEST)
            yield
        self.velocity = np.zeros(3)
        yield from self.wait(0.4)
        yield from self.switch("stance", 1.2)
        self.note_stance()

    def _error_of_place(self, sign: float) -> np.ndarray:
        """Where to stand, seen from the trunk: forward, left [m], turn [rad]."""
        face, normal = self.see("button_position"), self.see("button_normal")
        left = np.array([normal[1], -normal[0]])  # of a robot that looks against the normal
        goal = face[:2] + STAND_OFF_M * normal[:2] - sign * ASIDE_M * left
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        away = goal - self.see("base_position")[:2]
        turn = np.arctan2(-normal[1], -normal[0]) - self.yaw
        return np.array(
            [cos * away[0] + sin * away[1], cos * away[1] - sin * away[0], np.arctan2(np.sin(turn), np.cos(turn))]
        )

    def _press(self, side: Side) -> Iterator[None]:
        yield from self.switch(f"{side}_foot", RAISED_S)
        inwards = -(self._R_world_stance.T @ self.see("button_normal"))
        face = self.from_world(self.see("button_position"))
        before, behind = face - BEFORE_M * inwards, face + PUSH_M * inwards
        for place, seconds in ((before, 1.2), (behind, 1.0), (before, 0.8)):
            self.aim(side, place, UPRIGHT)  # the mode leads the foot there smoothly
            yield from self.wait(seconds / self.pace)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`LocoManScript` [m]."""
    return Press(world, noise_std)
