"""Scripted operator of ``aloha/hand-over``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import yaw_of
from robot_stack.sim.operators.aloha_hand import READY_RAD, lengthwise, pitched
from robot_stack.sim.operators.hand_script import HandScript, Pose

PITCH = 0.95
"""How far the hands point down [rad]: the wrist cameras then stand above the hands, not between them."""

ASIDE_M = 0.064
"""Each hand grasps so far from the bar's middle [m]."""

MEETING = (0.0, 0.0, 0.98)
"""Where the bar is handed over [m]."""


class HandOver(HandScript):
    """The left hand lifts the bar to the middle, the right one takes its other end, the left one lets go."""

    def script(self) -> Iterator[None]:
        """Pick, bring, take, let go; picks again when the bar slipped."""
        self._pitch = PITCH + self.rng.uniform(-0.08, 0.08)
        yield from self.bend(READY_RAD)
        for _ in range(3):
            yield from self._pick()
            if self.see("bar_position")[2] > 0.82:
                break
            yield from self.grip({"left_gripper": 1.0}, 0.3)
        yield from self._bring()
        yield from self._take()
        yield from self._let_go()

    def _bar(self) -> tuple[np.ndarray, np.ndarray, float]:
        """The bar's middle, its direction from left to right, and its heading."""
        p_bar, R_bar = self.see_pose("bar")
        heading = lengthwise(yaw_of(R_bar))
        along = R_bar[:, 0] * (1.0 if R_bar[0, 0] > 0 else -1.0)
        return p_bar, along, heading

    def _pick(self) -> Iterator[None]:
        p_bar, along, heading = self._bar()
        grasp = pitched(heading, self._pitch)
        p_grasp = p_bar - ASIDE_M * along + np.array([0.0, 0.0, 0.008])
        self.set_openings({"left_gripper": 1.0, "right_gripper": 1.0})
        above = np.array([0.0, 0.0, self.rng.uniform(0.06, 0.10)])
        yield from self.go({"left_hand": (p_grasp + above, grasp)}, 0.4)
        yield from self.go({"left_hand": (p_grasp, grasp)}, 0.2, fine=True)
        yield from self.grip({"left_gripper": 0.0}, 0.5)
        up = np.array([0.0, 0.0, 0.12])
        yield from self.go({"left_hand": (p_grasp + up, grasp)}, 0.3, settle_s=0.1)

    def _bring(self) -> Iterator[None]:
        """The bar to the meeting place, along the x axis, while the right hand comes near."""
        p_meet = np.array(MEETING) + self.rng.uniform(-0.03, 0.03, 3)
        left = self._hand_for("left_hand", p_meet)
        back = pitched(np.pi, self._pitch)
        wait = p_meet + np.array([ASIDE_M, 0.0, 0.0]) - 0.12 * back[:, 0]
        yield from self.go({"left_hand": left, "right_hand": (wait, back)}, 0.4)
        yield from self.wait(0.1)

    def _hand_for(self, hand: str, p_bar: np.ndarray) -> Pose:
        """Where the hand must be so that the bar, as it lies in it, is level at ``p_bar`` along the x axis."""
        p_now, _, heading = self._bar()
        turn = np.array([[np.cos(heading), np.sin(heading), 0], [-np.sin(heading), np.cos(heading), 0], [0, 0, 1.0]])
        return p_bar + turn @ (self.see(f"{hand}_position") - p_now), turn @ self.aim(hand)[1]

    def _take(self) -> Iterator[None]:
        p_bar, along, heading = self._bar()
        grasp = pitched(heading + np.pi, self._pitch)
        p_grasp = p_bar + ASIDE_M * along + np.array([0.0, 0.0, 0.004])
        yield from self.go({"right_hand": (p_grasp - 0.07 * grasp[:, 0], grasp)}, 0.3)
        yield from self.go({"right_hand": (p_grasp, grasp)}, 0.2, fine=True)
        yield from self.grip({"right_gripper": 0.0}, 0.6)

    def _let_go(self) -> Iterator[None]:
        yield from self.grip({"left_gripper": 1.0}, 0.4)
        p_left, R_left = self.aim("left_hand")
        p_right, R_right = self.aim("right_hand")
        yield from self.go({"left_hand": (p_left - 0.12 * R_left[:, 0], R_left)}, 0.3, settle_s=0.1)
        yield from self.go({"right_hand": (p_right + np.array([0.06, 0.0, 0.03]), R_right)}, 0.3)


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`HandScript` [m]."""
    return HandOver(world, noise_std)
