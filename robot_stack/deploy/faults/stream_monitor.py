"""Looks at the stream of commands that reached the motors: was every one of them within the limits?"""

from __future__ import annotations

import numpy as np

from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.loop_config import JointLimits

SLACK = 1e-6
"""Rounding that is let pass."""


class StreamMonitor:
    """Knows the limits by itself and nothing of the loop that is meant to keep them.

    Finite numbers; positions within their range; from one command to the next no larger step of position than the
    largest speed allows, whenever joints follow positions (a step that only lets go, towards where the joint is
    measured, pulls less than before and is no step in this sense); speeds, efforts and gains within theirs; and where
    joints begin to follow positions after having been limp, a start where they were measured.

    Args:
        limits: of the joints.
        period_s: between commands [s].
    """

    def __init__(self, limits: JointLimits, period_s: float) -> None:
        self._low, self._high = np.array(limits.low), np.array(limits.high)
        self._step = np.array(limits.velocity) * period_s
        self._bounds = {
            "velocity": np.array(limits.velocity),
            "effort": np.array(limits.effort),
            "stiffness": np.maximum(np.array(limits.max_stiffness), np.array(limits.stiffness)),
            "damping": np.maximum(np.array(limits.max_damping), np.array(limits.limp_damping)),
        }
        self._last: JointCommand | None = None
        self._near: np.ndarray | None = None
        self.commands = 0
        """How many were seen."""
        self.largest_step = 0.0
        """The largest step of a position, as a share of what its speed limit allows; 1 is the limit."""
        self.violations: list[str] = []
        """What was wrong, in words, with the time."""

    def measured(self, position: np.ndarray) -> None:
        """Where the joints really are, shape ``(joints,)`` [rad or m]."""
        self._near = position

    def see(self, time_s: float, command: JointCommand) -> None:
        """A command reached the motors.

        Args:
            time_s: when [s].
            command: as it was sent.
        """
        self.commands += 1
        parts = {name: getattr(command, name) for name in ("position", "velocity", "effort", "stiffness", "damping")}
        wrong = [name for name, values in parts.items() if not np.isfinite(values).all()]
        if wrong:
            self.violations.append(f"{time_s:.3f} s: {', '.join(wrong)} not finite")
            return
        for name, bound in self._bounds.items():
            self._bound(time_s, name, np.abs(parts[name]), bound)
        stiff = command.stiffness > 0.0
        if stiff.any():
            outside = np.maximum(command.position - self._high, self._low - command.position)
            self._bound(time_s, "position beyond its range", outside[stiff], np.zeros(int(stiff.sum())))
            self._check_step(time_s, command, stiff)
        self._last = command

    def _check_step(self, time_s: float, command: JointCommand, stiff: np.ndarray) -> None:
        last = self._last
        if last is None:
            return
        went_on = stiff & (last.stiffness > 0.0)
        if self._near is not None:
            pull, before = np.abs(command.position - self._near), np.abs(last.position - self._near)
            went_on &= pull > before
        if went_on.any():
            share = np.abs(command.position - last.position)[went_on] / self._step[went_on]
            self.largest_step = max(self.largest_step, float(share.max()))
            self._bound(time_s, "step of position (share of the limit)", share, np.ones(len(share)))
        begun = stiff & (last.stiffness == 0.0)
        if begun.any() and self._near is not None:
            # A joint that begins to follow does so from where it is, up to the braking of a fall.
            inside = np.clip(self._near, self._low, self._high)
            away = np.abs(command.position - inside)[begun]
            self._bound(time_s, "distance from the measured position at a begin", away, 2 * self._step[begun] + 0.05)

    def _bound(self, time_s: float, what: str, values: np.ndarray, bound: np.ndarray) -> None:
        excess = values - bound * (1.0 + SLACK) - SLACK
        if len(excess) and excess.max() > 0.0:
            worst = int(excess.argmax())
            self.violations.append(f"{time_s:.3f} s: {what} {values[worst]:.5g}, limit {bound[worst]:.5g}")
