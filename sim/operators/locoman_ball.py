"""Scripted operator of ``locoman/ball``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import quaternion_from_rpy
from robot_stack.sim.operators.locoman_script import LocoManScript, Side

SITTING_S = 6.5
"""From standing until both hands serve targets [s]."""

INWARD_RAD = 0.5
"""How far the hands are turned towards each other; the manipulators' second joints turn 0.6 rad at most [rad]."""

OPENING = 0.15
"""Of the grippers: their four fingertips then touch the ball above and below its middle."""

TIP_M = 0.012
"""The fingertips reach so far beyond the hand's frame [m]."""

BESIDE_M = 0.05
"""The hands wait so far from the ball's sides [m]."""

SQUEEZE_M = 0.012
"""The hands are sent so far into the ball [m]; some 5 N, of which the wrists' servos bear half their stall torque."""

SIDES: tuple[tuple[Side, float], ...] = (("right", -1.0), ("left", 1.0))


class Ball(LocoManScript):
    """Sits up, takes the ball between the tips of both hands, and lifts it."""

    def script(self) -> Iterator[None]:
        """Sit, reach beside the ball, press, lift, hold."""
        yield from self.wait(0.2)
        self.note_stance()
        self.grippers[:] = OPENING
        yield from self.switch("bimanual", SITTING_S)
        for _ in range(2):
            ball = self.from_world(self.see("ball_position"))
            yield from self._around(ball, BESIDE_M, speed=0.3, settle_s=0.4, near_m=0.015)
            ball = self.from_world(self.see("ball_position"))
            yield from self._around(ball, 0.012, speed=0.12, fine=True, settle_s=0.5, near_m=0.004)
            yield from self._around(ball, -SQUEEZE_M, speed=0.06, fine=True, settle_s=0.0)
            yield from self.wait(0.2)
            up = ball + np.array([0.0, 0.0, 0.075 + self.rng.uniform(0.0, 0.02)])
            yield from self._around(up, -SQUEEZE_M, speed=0.12, fine=True, settle_s=0.0)
            yield from self.wait(0.6)
            if self.see("ball_position")[2] > self.see("stand_position")[2] + 0.1:
                return

    def _around(
        self, ball: np.ndarray, gap: float, speed: float, *, fine: bool = False, settle_s: float, near_m: float = 0.006
    ) -> Iterator[None]:
        """Both hands to the sides of a ball, fingertips ``gap`` from its surface [m]."""
        out = float(self.see("ball_radius")[0]) + gap + TIP_M * np.sin(INWARD_RAD)
        places, turns = {}, {}
        for side, sign in SIDES:
            places[side] = ball + np.array([-TIP_M * np.cos(INWARD_RAD), sign * out, 0.0])
            turns[side] = quaternion_from_rpy(np.array([0.0, 0.0, -sign * INWARD_RAD]))
        yield from self.go(places, turns, speed, fine=fine, settle_s=settle_s, near_m=near_m, correct=settle_s > 0.0)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`LocoManScript` [m]."""
    return Ball(world, noise_std)
