"""Keeps a command within position, effort, acceleration, rate and step limits: the arithmetic of the safety filter."""

from __future__ import annotations

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.core.safety_limits import SafetyLimits

LARGEST = 1e100
"""Numbers beyond this count as not finite; below it none of the arithmetic here can overflow."""

_BRAKE_LARGEST = 1e150
_BRAKE_SMALLEST = 1e-150


class MotionLimiter:
    """Moves one command vector towards what is asked for, never beyond the limits.

    Each limit is an interval for the next command. The command asked for is clipped to one after the other, the one
    that must hold at any price last: position limits, effort, acceleration with braking, step and rate.

    - Step, rate and position limits hold always. Outside the position limits (after such a start) the command only
      moves back, and only when a command asks for motion.
    - A rate is let through only if the acceleration limit can brake it before the position limit: with ``a`` the
      largest change of the step and ``D`` the way that is left, steps ``d, d - a, d - 2a, …`` must sum to at most
      ``D``. This is exact in discrete time, so position, rate, step and acceleration limits never contradict each
      other.
    - Effort: ``stiffness · (command - position) - damping · rate`` stays within ``±max_effort`` as far as the limits
      above allow. Where they do not (the robot was pushed away faster than the command may follow), the command never
      moves so as to raise the effort, and comes back as fast as they allow. Only here acceleration gives way, and only
      to slow down: a robot that meets an obstacle stops its command at once.

    Inside, an interval is kept in signed form, shape ``(2, size)``: row 0 its lower end times -1, row 1 its upper end.
    Both sides are then treated by the same few calls. All arrays are allocated once, except the one that is returned.

    Args:
        limits: what may be let through.
        period_s: time between calls [s].
        size: length of the command.
    """

    def __init__(self, limits: SafetyLimits, period_s: float, size: int) -> None:
        limits.check_size(size)
        if not 0 < period_s < np.inf:
            raise ConfigError("a safety filter needs a positive period", got=period_s)
        if size < 1:
            raise ConfigError("a safety filter needs an action of at least one number", got=size)
        low, high = _vector(limits.low, size, -np.inf), _vector(limits.high, size, np.inf)
        rate, step = _vector(limits.max_rate, size, np.inf) * period_s, _vector(limits.max_step, size, np.inf)
        self._bounds = np.stack([-low, high])
        self._step = np.minimum(rate, step)
        self._step_names = np.where(step <= rate, "step", "rate").tolist()
        self._acceleration = _vector(limits.max_acceleration, size, np.inf) * period_s**2
        brake = np.clip(self._acceleration, _BRAKE_SMALLEST, _BRAKE_LARGEST)
        self._half_brake, self._two_over_brake = brake / 2, 2 / brake
        stiffness = np.maximum(_vector(limits.stiffness, size, 1.0), 1e-12)
        self._reach = _vector(limits.max_effort, size, np.inf) / stiffness
        self._drag = _vector(limits.damping, size, 0.0) / stiffness
        self.limits_effort = bool(limits.max_effort)
        """Whether the effort is limited, so that a measured position is needed."""
        self._limits_acceleration = bool(limits.max_acceleration)
        self._previous, self._delta = np.zeros((2, size)), np.zeros((2, size))
        self._outer, self._inner, self._effort = (np.zeros((2, size)) for _ in range(3))
        self._room, self._count, self._work = (np.zeros((2, size)) for _ in range(3))
        self._centre, self._negative = np.zeros(size), np.zeros(size)
        self._stages = tuple(np.zeros(size) for _ in range(5))

    @property
    def command(self) -> np.ndarray:
        """The command in force, shape ``(size,)``; a copy."""
        return self._previous[1].copy()

    def restart(self, start: np.ndarray) -> None:
        """Begin again at rest.

        Args:
            start: the command in force now, shape ``(size,)``.

        Raises:
            ShapeError: if it has another shape.
            NonFiniteError: if it is not finite.
        """
        start = np.asarray(start, dtype=np.float64)
        shape = self._step.shape
        if start.shape != shape:
            raise ShapeError("the start of a safety filter has the wrong shape", got=start.shape, expected=shape)
        if not np.abs(start).max(initial=0.0) <= LARGEST:
            raise NonFiniteError("the start of a safety filter is not finite", got=start.tolist())
        _signed(start, self._previous)
        self._delta[:] = 0.0

    def move(
        self,
        target: np.ndarray | None,
        position: np.ndarray | None,
        rate: np.ndarray | None,
        why: list[Intervention],
    ) -> np.ndarray:
        """The next command.

        Args:
            target: what is asked for, shape ``(size,)``, no number beyond :data:`LARGEST`; ``None`` to come to rest.
            position: measured, in the command's units, shape ``(size,)``; ``None`` leaves effort unchecked.
            rate: measured, shape ``(size,)`` [unit/s]; ``None`` counts as zero.
            why: what is changed of a target is appended here with its reason.

        Returns:
            The command to send, shape ``(size,)``.
        """
        asked, inside, eased, braked, sent = self._stages
        previous = self._previous[1]
        np.maximum(self._bounds, self._previous, out=self._outer)
        if target is None:
            asked[:] = previous
            inside[:] = previous
        else:
            asked[:] = target
            self._clip(asked, self._bounds, inside)
        if self.limits_effort and position is not None:
            self._effort_interval(position, rate)
            self._clip(inside, self._effort, eased)
            self._clip(eased, self._outer, eased)
        else:
            eased = inside
        if self._limits_acceleration:
            self._acceleration_interval(has_effort=eased is not inside)
            self._clip(eased, self._inner, braked)
        else:
            braked = eased
        np.add(self._previous, self._step, out=self._inner)
        self._clip(braked, self._inner, sent)
        self._clip(sent, self._outer, sent)
        if target is not None and sent.tobytes() != asked.tobytes():
            self._explain((asked, inside, eased, braked, sent), why)
        np.subtract(sent, previous, out=self._delta[1])
        np.negative(self._delta[1], out=self._delta[0])
        _signed(sent, self._previous)
        return sent.copy()

    def _clip(self, values: np.ndarray, interval: np.ndarray, out: np.ndarray) -> None:
        """Clip to a signed interval; where one is empty by rounding, its upper end wins."""
        np.maximum(values, np.negative(interval[0], out=self._negative), out=out)
        np.minimum(out, interval[1], out=out)

    def _effort_interval(self, position: np.ndarray, rate: np.ndarray | None) -> None:
        """Commands for which the position loop asks for no more than the largest effort."""
        centre = self._centre
        if rate is None:
            centre[:] = position
        else:
            np.multiply(self._drag, rate, out=centre)
            centre += position
        np.subtract(self._reach, centre, out=self._effort[0])
        np.add(self._reach, centre, out=self._effort[1])

    def _acceleration_interval(self, *, has_effort: bool) -> None:
        """Next commands that keep the acceleration limit and leave room to brake before the position limits."""
        inner, work = self._inner, self._work
        np.add(self._delta, self._acceleration, out=inner)
        if has_effort:  # effort on one side may cut the rate down to zero at once, which widens the other side
            np.subtract(self._previous, self._effort, out=work)
            np.minimum(work, 0.0, out=work)
            np.maximum(inner, work[::-1], out=inner)
        np.minimum(inner, self._braking_steps(), out=inner)
        inner += self._previous

    def _braking_steps(self) -> np.ndarray:
        """Largest steps down and up from which constant deceleration still stops before the limits, ``(2, size)``.

        ``n`` whole decelerations fit where ``a n (n + 1) / 2 <= D < a (n + 1) (n + 2) / 2``, and then the steps
        ``d, d - a, …, d - n a`` sum to ``D`` for ``d = D / (n + 1) + a n / 2``.
        """
        room, count, work = self._room, self._count, self._work
        np.subtract(self._outer, self._previous, out=room)
        np.minimum(room, _BRAKE_LARGEST, out=room)
        np.multiply(room, self._two_over_brake, out=count)
        count += 0.25
        np.sqrt(count, out=count)
        count -= 0.5
        np.floor(count, out=count)
        np.multiply(count, self._half_brake, out=work)
        count += 1.0
        room /= count
        room += work
        return room

    def _explain(self, stages: tuple[np.ndarray, ...], why: list[Intervention]) -> None:
        """Append one intervention for each limit that changed the command, with the number it changed most."""
        reasons = ("position", "effort", "acceleration", "")
        for reason, before, after in zip(reasons, stages[:-1], stages[1:], strict=True):
            if after is before:
                continue
            change = np.subtract(after, before, out=self._centre)
            np.abs(change, out=change)
            worst = int(change.argmax())
            if change[worst] > 0.0:
                detail = f"number {worst}: {before[worst]:.6g} to {after[worst]:.6g}"
                why.append(Intervention(reason or self._step_names[worst], detail))


def _signed(values: np.ndarray, out: np.ndarray) -> None:
    """Write ``values`` in the signed form of :class:`MotionLimiter`."""
    np.negative(values, out=out[0])
    out[1] = values


def _vector(values: tuple[float, ...], size: int, default: float) -> np.ndarray:
    return np.array(values, dtype=np.float64) if values else np.full(size, default)
