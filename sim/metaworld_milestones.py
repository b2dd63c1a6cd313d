"""Partial goals of the Meta-World tasks, from the simulator's positions.

near_object: the middle of the gripper is within 5 cm of the object (its position in the observation).
moved: the object is 2 cm or more from where it was at the start.
lifted: the object is 3 cm or more above where it was at the start.
success: Meta-World's own ``info["success"]``.
"""

from __future__ import annotations

import numpy as np

from robot_stack.sim.metaworld_sim import MetaWorldSim

NEAR_M = 0.05
MOVED_M = 0.02
LIFTED_M = 0.03


class MilestoneMeter:
    """Reads which milestones hold now.

    Args:
        group: a key of :data:`robot_stack.sim.metaworld_tasks.MILESTONES`.
        sim: whose positions are read.
    """

    def __init__(self, group: str, sim: MetaWorldSim) -> None:
        self._group, self._sim = group, sim
        self._first = np.zeros(3)

    def start(self) -> None:
        """An episode begins: remember where the object is."""
        self._first = self._sim.state[4:7].copy()

    def read(self, success: bool) -> tuple[bool, ...]:
        """The milestones in the group's order."""
        if self._group == "reach":
            return (success,)
        place = self._sim.state[4:7]
        near = _distance(self._sim.gripper_centre(), place) < NEAR_M
        if self._group == "touch":
            return (near, success)
        moved = _distance(place, self._first) > MOVED_M
        if self._group == "move":
            return (near, moved, success)
        return (near, moved, bool(place[2] - self._first[2] > LIFTED_M), success)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    d = a - b
    return float(np.sqrt(d @ d))
