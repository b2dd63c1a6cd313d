"""Partial goals of the Meta-World tasks, from the simulator's contacts and positions, never from the reward.

touched: the arm or gripper touches something that can move: the object, a handle, a button (not the table or a wall).
grasped: both fingers touch the same movable thing.
moved: the object is more than 1 cm from where it was before it was first touched.
lifted: the object is more than 1 cm above where it was before it was first touched.
success: Meta-World's own ``info["success"]``.

"The object" is the first one of the observation. Positions count from the first touch, since some objects settle or are
put in place during the first steps. In a few starts of handle-press the handle springs up against the hand: touched
holds there from the first step.
"""

from __future__ import annotations

import numpy as np

from robot_stack.sim.metaworld_sim import MetaWorldSim
from robot_stack.sim.metaworld_tasks import Group

MILESTONES: dict[Group, tuple[str, ...]] = {
    "reach": ("success",),
    "move": ("touched", "moved", "success"),
    "lift": ("touched", "grasped", "lifted", "success"),
}
"""Per group of tasks the milestones, in the order in which they are usually met."""

MOVED_M = 0.01
"""Farther than this counts as moved or lifted [m]."""

_FIXED, _ARM, _MOVABLE = 0, 1, 2


class MilestoneMeter:
    """Reads which milestones hold now.

    Args:
        group: which milestones.
        sim: whose contacts and positions are read.
    """

    def __init__(self, group: Group, sim: MetaWorldSim) -> None:
        self._group, self._sim = group, sim
        self._kind, self._finger, self._thing = _classify(sim)
        arm, movable = self._kind == _ARM, self._kind == _MOVABLE
        self._matters = np.outer(arm, movable) | np.outer(movable, arm)
        self._reference = np.zeros(3)
        self._ever_touched = False

    def start(self) -> None:
        """An episode begins."""
        self._reference = self._sim.state[4:7].copy()
        self._ever_touched = False

    def read(self, success: bool) -> tuple[bool, ...]:
        """The milestones in the group's order, after a step."""
        if self._group == "reach":
            return (success,)
        touched, grasped = self._contacts()
        place = self._sim.state[4:7]
        self._ever_touched = self._ever_touched or touched
        if not self._ever_touched:
            self._reference = place.copy()
        away = place - self._reference
        if self._group == "move":
            return (touched, bool(away.dot(away) > MOVED_M**2), success)
        return (touched, grasped, bool(away[2] > MOVED_M), success)

    def _contacts(self) -> tuple[bool, bool]:
        contact = self._sim.data.contact
        first, second = contact.geom1, contact.geom2
        matter = self._matters[first, second]
        if not matter.any():
            return False, False
        left: set[int] = set()
        right: set[int] = set()
        for i in np.flatnonzero(matter):
            arm, other = (first[i], second[i]) if self._kind[first[i]] == _ARM else (second[i], first[i])
            if self._finger[arm] < 0:
                left.add(int(self._thing[other]))
            elif self._finger[arm] > 0:
                right.add(int(self._thing[other]))
        return True, not left.isdisjoint(right)


def _classify(sim: MetaWorldSim) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per geom: fixed, arm or movable; -1 for the left and 1 for the right finger; which rigid thing it belongs to."""
    m = sim.model
    arm, mocap = m.body("base").id, m.body("mocap").id
    fingers = {
        m.body(f"{side}{part}").id: sign for side, sign in (("left", -1), ("right", 1)) for part in ("claw", "pad")
    }
    kind_of_body = np.zeros(m.nbody, dtype=np.int64)
    for body in range(1, m.nbody):  # parents come before their children
        parent = m.body_parentid[body]
        if body == arm or kind_of_body[parent] == _ARM:
            kind_of_body[body] = _ARM
        elif m.body_weldid[body] != 0 and body != mocap:
            kind_of_body[body] = _MOVABLE
    bodies = m.geom_bodyid
    finger = np.array([fingers.get(int(b), 0) for b in bodies])
    return kind_of_body[bodies], finger, m.body_weldid[bodies]
