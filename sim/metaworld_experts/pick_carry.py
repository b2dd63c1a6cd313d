"""Pick an object up and carry it along waypoints: what our scripts have in common.

The waypoints are for the object, not for the hand: an object that sits crooked between the fingers still goes where it
should. When the object is lost on the way, the script starts over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

HAND, OPENING, OBJECT, GOAL = slice(0, 3), 3, slice(4, 7), slice(36, 39)
"""Where Meta-World's 39 numbers hold them."""

OPEN, CLOSED = -1.0, 1.0
"""Gripper efforts."""

Phase = Literal["above", "down", "close", "carry"]


class PickCarry:
    """A script for one episode.

    Args:
        grasp: where the hand grasps, seen from the object's position, shape ``(3,)`` [m].
        clearance: how far above the grasp the hand comes from [m].
        closing: steps to close the gripper before lifting.
        gain: displacement asked for per metre of error [cm/m].
    """

    def __init__(
        self, grasp: Sequence[float], *, clearance: float = 0.12, closing: int = 12, gain: float = 1000.0 / 60
    ) -> None:
        self._grasp = np.asarray(grasp, dtype=np.float64)
        self._rise = np.array([0.0, 0.0, clearance])
        self._closing, self._gain = closing, gain
        self._phase: Phase = "above"
        self._waited = 0
        self._leg = 0

    def route(self, start: np.ndarray, goal: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Waypoints for the object and how near it must come to each.

        Args:
            start: the object's position when it was grasped, shape ``(3,)`` [m].
            goal: the goal's position, shape ``(3,)`` [m].
        """
        raise NotImplementedError

    def get_action(self, obs: np.ndarray) -> np.ndarray:
        """The action for Meta-World's 39 numbers, shape ``(4,)``, not yet clipped."""
        hand, thing = obs[HAND], obs[OBJECT]
        grip = thing + self._grasp
        error = grip - hand
        if self._phase == "above":
            above = error + self._rise
            if np.hypot(*error[:2]) < 0.012:
                self._phase = "down"
            return self._move(above, OPEN)
        if self._phase == "down":
            if abs(error[2]) < 0.012 and np.hypot(*error[:2]) < 0.02:
                self._phase, self._waited = "close", 0
            elif np.hypot(*error[:2]) > 0.04:
                self._phase = "above"
            return self._move(error, OPEN)
        if self._phase == "close":
            self._waited += 1
            if self._waited >= self._closing:
                self._phase, self._leg, self._start = "carry", 0, thing.copy()
            return self._move(error, CLOSED)
        if np.linalg.norm(error) > 0.08:
            self._phase = "above"
            return self._move(error + self._rise, OPEN)
        return self._move(self._next_leg(thing, obs[GOAL]), CLOSED)

    def _next_leg(self, thing: np.ndarray, goal: np.ndarray) -> np.ndarray:
        route = self.route(self._start, goal)
        while self._leg < len(route) - 1 and np.linalg.norm(route[self._leg][0] - thing) < route[self._leg][1]:
            self._leg += 1
        return route[self._leg][0] - thing

    def _move(self, error: np.ndarray, effort: float) -> np.ndarray:
        return np.append(self._gain * error, effort)
