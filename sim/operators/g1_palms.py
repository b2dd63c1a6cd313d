"""What the G1's operators with a box share: taking it between both palms, and letting it go."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_stack.sim.control.whole_body.rotations import yaw_of
from robot_stack.sim.operators.g1_script import PEAK, SIDES, TURN_SPEED, G1Script, Pose, Poses, Side
from robot_stack.sim.robot_tasks.workbench import yaw_quaternion

SQUEEZE_M = 0.06
"""How far into the box each palm is asked to, so that it presses [m]."""

TOE_IN_RAD = 0.3
"""How far the hands turn their fingers towards each other when they press [rad].

Wrists give way: asked for parallel palms, they would hold the box between the heels of the hands, and it would swing.
"""

BACK_M, UP_M = 0.0, 0.01
"""Of the hands' sites from the box's middle, towards the robot and upwards [m]."""


class PalmsScript(G1Script):
    """Holds the box between its palms."""

    def palms(self, centre: np.ndarray, heading: float, gap: float, back: float = 0.0) -> dict[Side, Pose]:
        """Both hands beside a box.

        Args:
            centre: of the box in the stance frame, shape ``(3,)`` [m].
            heading: that it faces there [rad].
            gap: between each palm and the box; negative presses [m].
            back: further back towards the robot [m].
        """
        cos, sin = np.cos(heading), np.sin(heading)
        along, across = np.array([cos, sin, 0.0]), np.array([-sin, cos, 0.0])
        toe = TOE_IN_RAD * float(np.clip(-gap / SQUEEZE_M, 0.0, 1.0))
        middle = centre - (BACK_M + back) * along + (0.0, 0.0, UP_M)
        reach = self.see("box_half_size")[1] + gap
        return {
            side: (middle + sign * reach * across, yaw_quaternion(heading - sign * toe))
            for side, sign in zip(SIDES, (1.0, -1.0), strict=True)
        }

    def see_box(self) -> tuple[np.ndarray, float]:
        """The box's middle in the stance frame [m], and its heading there [rad]."""
        centre, axes = self.see_pose("box")
        return centre, yaw_of(axes)

    def take(self) -> Iterator[None]:
        """From wherever the hands are, above all that stands there: over both sides of the box, down, and press."""
        wide, rise = self.rng.uniform(0.045, 0.065), self.see("box_half_size")[2] + self.rng.uniform(0.05, 0.07)
        centre, heading = self.see_box()
        above = centre + np.array([0.0, 0.0, rise])
        yield from self.go(self.palms(above, heading, wide), 0.4, near_m=0.02)
        yield from self.go(self.palms(centre, heading, wide), 0.3, fine=True)
        centre, heading = self.see_box()
        yield from self.go(self.palms(centre, heading, -SQUEEZE_M), 0.2, fine=True, settle_s=0.0)
        yield from self.wait(0.2)

    def leave(self, centre: np.ndarray, heading: float) -> Iterator[None]:
        """Open the hands about a box that stands there, and draw them back."""
        yield from self.go(self.palms(centre, heading, 0.05), 0.2, fine=True, near_m=0.02)
        yield from self.go(self.palms(centre, heading, 0.06, 0.12), 0.3)

    def carry(
        self, start: np.ndarray, heading: float, end: np.ndarray, end_heading: float, speed: float
    ) -> Iterator[None]:
        """The box between the palms on an arc around the robot, from one place and heading to another.

        Args:
            start: where its middle is in the stance frame, shape ``(3,)`` [m].
            heading: that it faces there [rad].
            end: where to.
            end_heading: that it shall face there [rad].
            speed: largest [m/s].
        """
        first, last = _polar(start), _polar(end)
        around = 0.5 * (first[0] + last[0]) * abs(last[1] - first[1])
        distance = float(np.hypot(around, np.linalg.norm((last - first)[[0, 2]])))
        seconds = PEAK * max(distance / speed, abs(end_heading - heading) / TURN_SPEED)

        def way(share: float) -> Poses:
            radius, bearing, height = first + share * (last - first)
            centre = np.array([radius * np.cos(bearing), radius * np.sin(bearing), height])
            return self.palms(centre, heading + share * (end_heading - heading), -SQUEEZE_M)

        yield from self.follow(way, seconds, fine=True, settle_s=0.0)
        yield from self.wait(0.15)


def _polar(point: np.ndarray) -> np.ndarray:
    """Distance from the vertical axis [m], bearing [rad] and height [m]."""
    return np.array([np.hypot(point[0], point[1]), np.arctan2(point[1], point[0]), point[2]])
