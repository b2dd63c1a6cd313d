"""Scripted operator of ``aloha/lift-tray``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.sim.control.whole_body.rotations import yaw_of
from robot_stack.sim.operators.aloha_hand import READY_RAD, pitched
from robot_stack.sim.operators.hand_script import HandScript, Pose

PITCH = 1.15
"""How far the hands point down [rad]."""

HANDLE_M, HANDLE_RISE_M = 0.175, 0.024
"""From the tray's middle to each handle, along it and upwards [m]."""


class LiftTray(HandScript):
    """Both hands take their handles together and lift together."""

    def script(self) -> Iterator[None]:
        """Approach, grasp, lift, hold."""
        self._pitch = PITCH + self.rng.uniform(-0.08, 0.08)
        openings = {"left_gripper": 1.0, "right_gripper": 1.0}
        self.set_openings(openings)
        yield from self.bend(READY_RAD)
        grasps = self._grasps()
        above = np.array([0.0, 0.0, self.rng.uniform(0.06, 0.09)])
        yield from self.go({hand: (p + above, R) for hand, (p, R) in grasps.items()}, 0.4)
        grasps = self._grasps()
        yield from self.go(grasps, 0.2, fine=True)
        yield from self.grip(dict.fromkeys(openings, 0.0), 0.6)
        up = np.array([0.0, 0.0, self.rng.uniform(0.14, 0.20)])
        yield from self.go({hand: (p + up, R) for hand, (p, R) in grasps.items()}, 0.2, fine=True, settle_s=1.5)

    def _grasps(self) -> dict[str, Pose]:
        p_tray, R_tray = self.see_pose("tray")
        heading = yaw_of(R_tray)
        rise = np.array([0.0, 0.0, HANDLE_RISE_M])
        return {
            "left_hand": (p_tray - HANDLE_M * R_tray[:, 0] + rise, pitched(heading, self._pitch)),
            "right_hand": (p_tray + HANDLE_M * R_tray[:, 0] + rise, pitched(heading + np.pi, self._pitch)),
        }


def make(world: World, noise_std: float = 0.0) -> Driver:
    """The operator; ``noise_std`` as for :class:`HandScript` [m]."""
    return LiftTray(world, noise_std)
