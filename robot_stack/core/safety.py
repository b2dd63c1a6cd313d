"""The last thing before any actuator, the same in simulation and on hardware.

A :class:`SafetyFilter` lets a command through only as far as the limits allow, says for every tick what it changed and
why, and latches a stop where going on would be wrong. It holds no clock: all times are passed in, on one monotonic
clock, so that simulated and real time are treated alike. ``docs/safety_filter.md`` lists limits, reasons and order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.safety_freshness import Freshness
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.core.safety_motion import LARGEST, MotionLimiter

REASONS = (
    "latched_stop",
    "deadman",
    "non_finite",
    "wrong_size",
    "stale_command",
    "old_sequence",
    "stale_observation",
    "old_observation",
    "bad_observation",
    "not_measured",
    "tilt",
    "workspace",
    "effort",
    "position",
    "step",
    "rate",
    "acceleration",
)
"""Every reason an :class:`~robot_stack.core.action.Intervention` of the filter can give."""

_NO_DEADMAN = Intervention("deadman", "nobody holds the deadman switch")
_NO_COMMAND = Intervention("stale_command", "no command was received")
_NO_POSITION = Intervention("not_measured", "the effort limit needs a measured position")


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

    sequence: int | None = None
    """The robot's own count of its states, which tells a frozen, repeated or overtaken one; ``None``: not counted."""


@dataclass(frozen=True, eq=False)
class Command:
    """What a driver asks for at a tick."""

    action: np.ndarray
    """Shape ``(size,)``."""

    time_s: float
    """When it was received [s]."""

    sequence: int | None = None
    """Grows by at least one from command to command: a smaller one is old, and one that stays grows stale; ``None``:
    not counted, ordered by receive time."""


@dataclass(frozen=True, eq=False)
class Filtered:
    """What may reach the actuators."""

    action: np.ndarray
    """Shape ``(size,)``; finite and within the limits, always."""

    interventions: tuple[Intervention, ...]
    """What was changed, and why; empty when nothing was."""


class SafetyFilter:
    """Keeps commands finite, fresh and within position, step, rate, acceleration and effort limits.

    How limits rank where they meet is described at :class:`~robot_stack.core.safety_motion.MotionLimiter`. A bad,
    missing or stale observation, a tilt or a tracked point out of bounds latches a stop; a bad, missing or stale
    command and a released deadman bring the command to rest (braking within the acceleration limit) until they are
    good again. A limit on something that is not measured stops the robot too.

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
        self._motion = MotionLimiter(limits, period_s, start.size)
        self.limits = limits
        self.period_s = period_s
        self._shape = (start.size,)
        self._magnitude = np.empty(start.size)
        self._commands = Freshness(limits.command_timeout_s, period_s)
        self._observations = Freshness(limits.observation_timeout_s, period_s)
        self._workspace_low = np.array(limits.workspace_low or (-np.inf,) * 3)
        self._workspace_high = np.array(limits.workspace_high or (np.inf,) * 3)
        self._has_workspace = bool(limits.workspace_low or limits.workspace_high)
        self._position, self._rate = np.zeros(start.size), np.zeros(start.size)
        self.reset(start)

    @property
    def latched(self) -> str | None:
        """Why the filter is stopped, or ``None``; only :meth:`rearm` and :meth:`reset` clear it."""
        return None if self._latched is None else self._latched.detail

    @property
    def action(self) -> np.ndarray:
        """The action in force, shape ``(size,)``."""
        return self._motion.command

    def reset(self, start: np.ndarray) -> None:
        """Begin again, knowing nothing of what was before: for a new episode of a robot that was reset itself.

        On hardware a latched stop is cleared by :meth:`rearm`, which looks first.

        Args:
            start: the action in force now, shape ``(size,)``, finite.
        """
        self._motion.restart(start)
        self._commands.forget()
        self._observations.forget()
        self._has_position = False
        self._latched: Intervention | None = None

    def rearm(self, measured: Measured, now_s: float) -> tuple[Intervention, ...]:
        """Clear a latched stop, unless something is wrong still.

        The filter begins again at the measured position (at the action in force where none is measured). Commands that
        were received before are not obeyed, whatever their number; the source of the commands may number from the
        start. A cause the filter cannot see (an emergency stop button) is the caller's: call :meth:`stop` on every
        tick while it lasts.

        Args:
            measured: the newest measurement.
            now_s: the time of this call [s].

        Returns:
            What is wrong still, with its reasons; empty when the stop was cleared.
        """
        why: list[Intervention] = []
        if self._observations.overtaken(measured.time_s, measured.sequence):
            self._observations.forget()  # the robot counts from the start again
        self._take(measured, now_s, why)
        if self._motion.limits_effort and measured.position is None:
            why.append(_NO_POSITION)
        if why:
            return tuple(why)
        self._motion.restart(self._motion.command if measured.position is None else measured.position)
        self._commands.forget(not_before_s=now_s)
        self._latched = None
        return ()

    def stop(self, reason: str) -> None:
        """Latch a stop; the first reason is kept."""
        self._latched = self._latched or Intervention("latched_stop", reason)

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
        known = self._has_position
        action = self._motion.move(target, self._position if known else None, self._rate if known else None, why)
        return Filtered(action, tuple(why))

    def _check_measured(self, measured: Measured | None, now_s: float, why: list[Intervention]) -> None:
        """Latch a stop where the observation or the robot's posture forbids to go on."""
        wrong: list[Intervention] = []
        if measured is None:
            if self.limits.observation_timeout_s is not None:
                wrong.append(Intervention("stale_observation", "none was ever received"))
            elif self.limits.max_tilt_rad is not None or self._has_workspace:
                wrong.append(Intervention("not_measured", "tilt and workspace limits need a measurement"))
        else:
            overtaken = self._observations.overtaken(measured.time_s, measured.sequence)
            if overtaken:  # by itself no reason to stop: the newest one may be fresh still
                why.append(Intervention("old_observation", overtaken))
                late = self._observations.late(now_s)
                if late:
                    wrong.append(Intervention("stale_observation", late))
            else:
                self._take(measured, now_s, wrong)
        if wrong:
            why += wrong
            self.stop(wrong[0].reason)

    def _take(self, measured: Measured, now_s: float, wrong: list[Intervention]) -> None:
        """Take over a measurement that is fresh and sound, and look at the posture it shows."""
        stale = self._observations.stale(measured.time_s, measured.sequence, now_s)
        if stale:
            wrong.append(Intervention("stale_observation", stale))
        bad = self._bad(measured)
        if bad:
            wrong.append(Intervention("bad_observation", bad))
            return
        if not stale:
            self._observations.note(measured.time_s, measured.sequence)
            if measured.position is not None:
                self._position[:] = measured.position
                self._rate[:] = 0.0 if measured.rate is None else measured.rate
                self._has_position = True
        self._check_posture(measured, wrong)

    def _bad(self, measured: Measured) -> str:
        """What makes a measurement unusable, or an empty string."""
        for name, array in (("position", measured.position), ("rate", measured.rate)):
            if array is not None:
                values = _numbers(array)
                if values is None or values.shape != self._shape:
                    return f"the {name} is not an array of {self._shape[0]} numbers"
                if not _all_finite(values, self._magnitude):
                    return f"the {name} is not finite"
        if measured.points_world is not None:
            points = _numbers(measured.points_world)
            if points is None or points.ndim != 2 or points.shape[1] != 3 or not len(points):
                return "the tracked points are not an array of shape (points, 3)"
            if not _all_finite(points):
                return "a tracked point is not finite"
        return ""

    def _check_posture(self, measured: Measured, why: list[Intervention]) -> None:
        tilt, max_tilt = measured.tilt_rad, self.limits.max_tilt_rad
        if max_tilt is not None:
            if tilt is None:
                why.append(Intervention("not_measured", "the tilt limit needs a measured tilt"))
            elif not abs(tilt) <= max_tilt:
                why.append(Intervention("tilt", f"{tilt:.2f} rad, limit {max_tilt:.2f} rad"))
        if self._has_workspace:
            if measured.points_world is None:
                why.append(Intervention("not_measured", "the workspace limit needs tracked points"))
                return
            points = np.asarray(measured.points_world, dtype=np.float64)
            beyond = np.maximum(self._workspace_low - points, points - self._workspace_high)
            point, axis = divmod(int(beyond.argmax()), 3)
            if beyond[point, axis] > 0.0:
                side = "low" if points[point, axis] < self._workspace_low[axis] else "high"
                detail = f"point {point} is {beyond[point, axis]:.3f} m beyond the {side} {'xyz'[axis]} side"
                why.append(Intervention("workspace", detail))

    def _target(
        self, command: Command | None, now_s: float, deadman: bool, why: list[Intervention]
    ) -> np.ndarray | None:
        """The action asked for, or ``None`` to come to rest."""
        if self._latched is not None:
            refusal = self._latched
        elif self.limits.needs_deadman and not deadman:
            refusal = _NO_DEADMAN
        elif command is None:
            refusal = _NO_COMMAND
        elif self._motion.limits_effort and not self._has_position:
            refusal = _NO_POSITION
        else:
            action = _numbers(command.action)
            refusal = self._refusal(command, action, now_s)
            if refusal is None:
                self._commands.note(command.time_s, command.sequence)
                return action
        why.append(refusal)
        return None

    def _refusal(self, command: Command, action: np.ndarray | None, now_s: float) -> Intervention | None:
        """Why a command is not obeyed, or ``None``."""
        if action is None or action.shape != self._shape:
            shown = "no array of numbers" if action is None else str(action.shape)
            return Intervention("wrong_size", f"{shown} instead of {self._shape}")
        if not _all_finite(action, self._magnitude):
            bad = np.flatnonzero(~(self._magnitude <= LARGEST)).tolist()
            return Intervention("non_finite", f"numbers {bad}")
        overtaken = self._commands.overtaken(command.time_s, command.sequence)
        if overtaken:
            return Intervention("old_sequence", overtaken)
        stale = self._commands.stale(command.time_s, command.sequence, now_s)
        return Intervention("stale_command", stale) if stale else None


def _numbers(values: object) -> np.ndarray | None:
    """``values`` as float64, or ``None`` where they are no real numbers; never raises."""
    if isinstance(values, np.ndarray) and values.dtype == np.float64:
        return values
    try:
        array = np.asarray(values)
    except (ValueError, TypeError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "fiu" else None


def _all_finite(values: np.ndarray, out: np.ndarray | None = None) -> bool:
    """Whether no number is NaN or beyond :data:`LARGEST`; ``out`` receives the magnitudes."""
    magnitude = np.abs(values, out=out)
    return magnitude.item(magnitude.argmax()) <= LARGEST  # argmax finds NaN first, and is quicker than max
