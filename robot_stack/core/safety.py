"""The last thing before any actuator, the same in simulation and on hardware.

A :class:`SafetyFilter` lets a command through only as far as the limits allow, says for every tick what it changed and
why, and latches a stop where going on would be wrong. It holds no clock: all times are passed in, on one monotonic
clock, so that simulated and real time are treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.safety_limits import SafetyLimits

REASONS = (
    "latched_stop",
    "deadman",
    "non_finite",
    "wrong_size",
    "stale_command",
    "old_sequence",
    "stale_observation",
    "bad_observation",
    "tilt",
    "workspace",
    "effort",
    "position",
    "step",
    "rate",
    "acceleration",
)
"""Every reason an :class:`~robot_stack.core.action.Intervention` of the filter can give."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of the robot at a tick; leave out what is not measured."""

    time_s: float
    """When it was received [s]."""

    position: np.ndarray | None = None
    """In the action's own units, shape ``(size,)``."""

    rate: np.ndarray | None = None
    """Its derivative, shape ``(size,)`` [unit/s]."""

    points_world: np.ndarray | None = None
    """Tracked points in the world frame, shape ``(points, 3)`` [m]."""

    tilt_rad: float | None = None
    """Angle between the body's up axis and the world's [rad]."""


@dataclass(frozen=True, eq=False)
class Command:
    """What a driver asks for at a tick."""

    action: np.ndarray
    """Shape ``(size,)``."""

    time_s: float
    """When it was received [s]."""

    sequence: int = 0
    """Grows by at least one from command to command; a smaller one is old."""


@dataclass(frozen=True, eq=False)
class Filtered:
    """What may reach the actuators."""

    action: np.ndarray
    """Shape ``(size,)``; finite and within the limits, always."""

    interventions: tuple[Intervention, ...]
    """What was changed, and why; empty when nothing was."""


class SafetyFilter:
    """Keeps commands finite, fresh and within position, step, rate, acceleration and effort limits.

    Where limits contradict each other (a robot that starts outside its position limits, say), the action moves
    towards the position limits as fast as the step and rate limits allow, and never away from them. Acceleration is
    the first to give way. The filter brakes in time: it never lets through a rate from which the acceleration limit
    could not stop before the position limit.

    Args:
        limits: what may be let through.
        period_s: time between ticks [s].
        start: the action in force now (a measured posture), shape ``(size,)``.

    Raises:
        ConfigError: if a limit does not match ``start`` or the period is not positive.
        NonFiniteError: if ``start`` is not finite.
    """

    def __init__(self, limits: SafetyLimits, period_s: float, start: np.ndarray) -> None:
        start = np.array(start, dtype=np.float64)
        if not period_s > 0:
            raise ConfigError("a safety filter needs a positive period", got=period_s)
        limits.check_size(start.size)
        self.limits = limits
        self.period_s = period_s
        self._low = _vector(limits.low, start.size, -np.inf)
        self._high = _vector(limits.high, start.size, np.inf)
        if (self._low > self._high).any():
            raise ConfigError("a lower limit is above its upper limit", got=(limits.low, limits.high))
        rate = _vector(limits.max_rate, start.size, np.inf) * period_s
        self._step_name = np.where(_vector(limits.max_step, start.size, np.inf) <= rate, "step", "rate")
        self._step = np.minimum(rate, _vector(limits.max_step, start.size, np.inf))
        self._acceleration = _vector(limits.max_acceleration, start.size, np.inf) * period_s**2
        self._limits_acceleration = bool(limits.max_acceleration)
        self.reset(start)

    @property
    def latched(self) -> str | None:
        """Why the filter is stopped, or ``None``; only :meth:`reset` clears it."""
        return self._latched

    @property
    def action(self) -> np.ndarray:
        """The action in force, shape ``(size,)``."""
        return self._previous.copy()

    def reset(self, start: np.ndarray) -> None:
        """Begin again from a measured posture, and clear a latched stop.

        Args:
            start: the action in force now, shape ``(size,)``, finite.
        """
        start = np.array(start, dtype=np.float64)
        if start.shape != self._low.shape:
            raise ShapeError(
                "the start of a safety filter has the wrong shape", got=start.shape, expected=self._low.shape
            )
        if not np.isfinite(start).all():
            raise NonFiniteError("the start of a safety filter is not finite", got=start.tolist())
        self._previous = start
        self._delta = np.zeros_like(start)
        self._sequence: int | None = None
        self._latched: str | None = None

    def stop(self, reason: str) -> None:
        """Latch a stop; the first reason is kept."""
        self._latched = self._latched or reason

    def tick(
        self, command: Command | None, *, now_s: float, measured: Measured | None = None, deadman: bool = True
    ) -> Filtered:
        """One control period: what may reach the actuators now.

        Args:
            command: the newest command, or ``None`` when there is none.
            now_s: the time of this tick [s].
            measured: the newest measurement.
            deadman: somebody holds the deadman switch.
        """
        why: list[Intervention] = []
        self._check_measured(measured, now_s, why)
        target = self._target(command, now_s, deadman, why)
        action = self._limit(target, measured, why)
        self._delta = action - self._previous
        self._previous = action
        return Filtered(action.copy(), tuple(why))

    def _check_measured(self, measured: Measured | None, now_s: float, why: list[Intervention]) -> None:
        timeout_s = self.limits.observation_timeout_s
        age_s = None if measured is None else now_s - measured.time_s
        if timeout_s is not None and (age_s is None or not -timeout_s <= age_s <= timeout_s):
            shown = "none was ever received" if age_s is None else f"{age_s:.3f} s old, limit {timeout_s:g} s"
            why.append(Intervention("stale_observation", shown))
            self.stop("stale_observation")
        if measured is None:
            return
        for array in (measured.position, measured.rate, measured.points_world):
            if array is not None and not np.isfinite(array).all():
                why.append(Intervention("bad_observation", "a measurement is not finite"))
                self.stop("bad_observation")
                break
        tilt, max_tilt = measured.tilt_rad, self.limits.max_tilt_rad
        if max_tilt is not None and tilt is not None and not tilt <= max_tilt:
            why.append(Intervention("tilt", f"{tilt:.2f} rad, limit {max_tilt:.2f} rad"))
            self.stop("tilt")
        if measured.points_world is not None:
            outside = self._outside_workspace(measured.points_world)
            if outside:
                why.append(Intervention("workspace", outside))
                self.stop("workspace")

    def _outside_workspace(self, points_world: np.ndarray) -> str:
        for name, corner, sign in (("low", self.limits.workspace_low, 1), ("high", self.limits.workspace_high, -1)):
            if corner:
                beyond = sign * (np.array(corner) - points_world)
                if (beyond > 0).any():
                    point, axis = np.unravel_index(int(np.argmax(beyond)), beyond.shape)
                    return f"point {point} is {beyond[point, axis]:.3f} m beyond the {name} {'xyz'[axis]} side"
        return ""

    def _target(
        self, command: Command | None, now_s: float, deadman: bool, why: list[Intervention]
    ) -> np.ndarray | None:
        """The action asked for, or ``None`` to come to rest."""
        if self._latched is not None:
            why.append(Intervention("latched_stop", self._latched))
            return None
        if self.limits.needs_deadman and not deadman:
            why.append(Intervention("deadman", "nobody holds the deadman switch"))
            return None
        if command is None:
            why.append(Intervention("stale_command", "no command was received"))
            return None
        action = np.asarray(command.action, dtype=np.float64)
        if action.shape != self._low.shape:
            why.append(Intervention("wrong_size", f"{action.shape} instead of {self._low.shape}"))
            return None
        if not np.isfinite(action).all():
            bad = np.flatnonzero(~np.isfinite(action)).tolist()
            why.append(Intervention("non_finite", f"numbers {bad}"))
            return None
        age_s = now_s - command.time_s
        timeout_s = self.limits.command_timeout_s
        if timeout_s is not None and not -timeout_s <= age_s <= timeout_s:
            why.append(Intervention("stale_command", f"{age_s:.3f} s old, limit {timeout_s:g} s"))
            return None
        if self._sequence is not None and command.sequence < self._sequence:
            why.append(Intervention("old_sequence", f"{command.sequence} after {self._sequence}"))
            return None
        self._sequence = command.sequence
        return action

    def _limit(self, target: np.ndarray | None, measured: Measured | None, why: list[Intervention]) -> np.ndarray:
        asked = target is not None
        action = self._previous if target is None else target
        if self.limits.max_effort and measured is not None and measured.position is not None:
            low, high = self._effort_interval(measured.position, measured.rate)
            action = self._clip(action, low, high, "effort", why, asked)
        action = self._clip(action, self._low, self._high, "position", why, asked)
        if self._limits_acceleration:
            action = self._clip(action, *self._acceleration_interval(), "acceleration", why, asked)
            action = np.clip(action, self._low, self._high)
        low, high = self._previous - self._step, self._previous + self._step
        return self._clip(action, low, high, "step", why, asked)

    def _effort_interval(self, position: np.ndarray, rate: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Actions for which the position loop asks for no more than the largest effort."""
        size = self._low.size
        if position.shape != self._low.shape or not np.isfinite(position).all():
            return self._previous, self._previous
        stiffness = np.maximum(_vector(self.limits.stiffness, size, np.inf), 1e-12)
        drag = _vector(self.limits.damping, size, 0.0) * (np.zeros(size) if rate is None else np.nan_to_num(rate))
        effort = _vector(self.limits.max_effort, size, np.inf)
        return position + (drag - effort) / stiffness, position + (drag + effort) / stiffness

    def _acceleration_interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Next actions that keep the acceleration limit and can still brake before the position limits."""
        low = self._previous + self._delta - self._acceleration
        high = self._previous + self._delta + self._acceleration
        high = np.minimum(high, self._previous + _braking_step(self._high - self._previous, self._acceleration))
        low = np.maximum(low, self._previous - _braking_step(self._previous - self._low, self._acceleration))
        return np.minimum(low, high), np.maximum(low, high)

    def _clip(
        self,
        action: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        reason: str,
        why: list[Intervention],
        asked: bool,
    ) -> np.ndarray:
        clipped = np.minimum(np.maximum(action, low), high)
        if asked and (clipped != action).any():
            changed = np.flatnonzero(clipped != action)
            worst = int(changed[np.argmax(np.abs(clipped - action)[changed])])
            name = str(self._step_name[worst]) if reason == "step" else reason
            why.append(Intervention(name, f"number {worst}: {action[worst]:.6g} to {clipped[worst]:.6g}"))
        return clipped


def _braking_step(distance: np.ndarray, acceleration: np.ndarray) -> np.ndarray:
    """Largest step now after which constant deceleration still stops within ``distance`` (both per tick units).

    Steps ``d, d - a, d - 2a, …`` down to zero cover at most ``d (d / a + 1) / 2``; solved for ``d``.
    """
    distance = np.maximum(distance, 0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        step = (np.sqrt(acceleration**2 + 8.0 * acceleration * distance) - acceleration) / 2.0
    return np.where(np.isfinite(step), np.minimum(step, distance), distance)


def _vector(values: tuple[float, ...], size: int, default: float) -> np.ndarray:
    return np.array(values, dtype=np.float64) if values else np.full(size, default)
