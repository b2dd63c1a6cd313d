"""What hangs at a robot's hands or pushes against them, from its joint torques alone.

The torque that the dynamics cannot explain, ``M a + h - tau`` in the rows of one arm, is laid to a force at the hand,
found by damped least squares and smoothed. Accelerations come from the measured velocities, smoothed alike, so that
both sides match. Dry friction of the joints looks like force too (0.2 N·m at 0.3 m are 0.7 N). It is the static end
of the momentum observer (De Luca and Mattone 2005), whose Coriolis terms hardly count at an arm's working speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_stack.sim.control.whole_body.dynamics import BASE, Dynamics, Frame


@dataclass(frozen=True)
class LoadConfig:
    """How loads are estimated."""

    time_constant_s: float = 0.15
    """Of the smoothing [s]."""

    damping: float = 0.05
    """Of the least squares, a lever arm [m]: directions in which the arm is stretched straight give no force."""

    ignored: float = 1.5
    """Taken off the length of every force [N]: what the joints' dry friction may feign."""

    most: float = 40.0
    """Forces are shortened to this [N]."""


class HandLoads:
    """Estimates the forces at the hands, tick by tick.

    Args:
        dynamics: of the robot; must be updated before each :meth:`update`.
        hands: a site in each hand.
        arms: the joints of each arm, by their place in the dynamics' joints.
        config: how.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        hands: tuple[Frame, ...],
        arms: tuple[np.ndarray, ...],
        config: LoadConfig | None = None,
    ) -> None:
        self._dynamics, self._hands = dynamics, hands
        self._rows = tuple(BASE + arm for arm in arms)
        self.config = LoadConfig() if config is None else config
        self._damping = self.config.damping**2 * np.eye(3)
        self.reset()

    def reset(self) -> None:
        """Nothing is held."""
        self.force = np.zeros((len(self._hands), 3))
        """On each hand, in world axes, shape ``(hands, 3)`` [N]."""
        self._smooth_velocity: np.ndarray | None = None
        self._smooth_torque = [np.zeros(len(rows)) for rows in self._rows]

    def update(self, torque: np.ndarray, period_s: float) -> None:
        """Take one tick into account.

        Args:
            torque: that the motors give now, shape ``(joints,)`` [N·m].
            period_s: since the last tick [s].
        """
        dynamics, config = self._dynamics, self.config
        velocity = dynamics.velocity
        share = period_s / (config.time_constant_s + period_s)
        before = velocity if self._smooth_velocity is None else self._smooth_velocity
        lag = velocity - before
        self._smooth_velocity = before + share * lag
        explained = dynamics.inertia @ (lag / (config.time_constant_s + period_s))  # what a smoothed derivative gives
        for number, (hand, rows) in enumerate(zip(self._hands, self._rows, strict=True)):
            unexplained = dynamics.bias[rows] - torque[rows - BASE]
            self._smooth_torque[number] += share * (unexplained - self._smooth_torque[number])
            lever = dynamics.jacobian(hand)[:3, rows]
            square = lever @ lever.T + self._damping
            force = np.linalg.solve(square, lever @ (self._smooth_torque[number] + explained[rows]))
            size = math.sqrt(float(force @ force))
            self.force[number] = force * (min(max(size - config.ignored, 0.0), config.most) / max(size, 1e-9))

    def generalised(self, force: np.ndarray) -> np.ndarray:
        """Generalised forces of forces at the hands.

        Args:
            force: in world axes, shape ``(hands, 3)`` [N].

        Returns:
            Shape ``(size,)``.
        """
        rows = [self._dynamics.jacobian(hand)[:3] for hand in self._hands]
        return sum((row.T @ f for row, f in zip(rows, force, strict=True)), start=np.zeros(self._dynamics.size))
