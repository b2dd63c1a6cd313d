"""The last thing before a robot's joints: safety filters for what a controller guards and for holding still."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import Guarded, JointCommand
from robot_stack.core.safety import Command, Measured, SafetyFilter
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.hardware.approach import Approach
from robot_stack.hardware.loop_config import JointLimits


class JointGuard:
    """Lets joint commands through as far as the limits allow, and makes the commands that hold, move or damp.

    All positions go through one :class:`~robot_stack.core.safety.SafetyFilter`, so that they lead from state to state
    without a step. A controller that guards velocities or efforts has a second filter for these. Gains, and whichever
    of velocities and efforts the controller does not guard, are clipped.

    Args:
        limits: of the joints.
        guards: which part of its commands the controller guards.
        period_s: between servo ticks [s].
        start: measured positions, shape ``(joints,)`` [rad or m].
        state_timeout_s: a state older than this stops the robot [s].
        max_tilt_rad: tilted more than this the robot stops [rad].
    """

    def __init__(
        self,
        limits: JointLimits,
        guards: Guarded,
        period_s: float,
        start: np.ndarray,
        *,
        state_timeout_s: float,
        max_tilt_rad: float | None = None,
    ) -> None:
        self._limits, self._guards = limits, guards
        self._low, self._high = np.array(limits.low), np.array(limits.high)
        self._velocity, self._effort = np.array(limits.velocity), np.array(limits.effort)
        self._stiffness, self._damping = np.array(limits.stiffness), np.array(limits.damping)
        self._limp = np.array(limits.limp_damping)
        self._most_stiffness, self._most_damping = np.array(limits.max_stiffness), np.array(limits.max_damping)
        self._zeros = np.zeros(len(limits.low))
        watch = SafetyLimits(observation_timeout_s=state_timeout_s, max_tilt_rad=max_tilt_rad)
        self._positions = SafetyFilter(
            replace(
                watch,
                low=limits.low,
                high=limits.high,
                max_rate=limits.velocity,
                max_acceleration=_finite_or_none(limits.acceleration),
            ),
            period_s,
            start,
        )
        self._approach = Approach(self._velocity, np.array(limits.acceleration), period_s)
        self._driven = self._positions
        if guards == "velocity":
            bounds = replace(watch, low=tuple(-v for v in limits.velocity), high=limits.velocity)
            bounds = replace(bounds, max_rate=_finite_or_none(limits.acceleration))
            self._driven = SafetyFilter(bounds, period_s, self._zeros)
        elif guards == "effort":
            bounds = replace(watch, low=tuple(-e for e in limits.effort), high=limits.effort)
            self._driven = SafetyFilter(bounds, period_s, self._zeros)
        self._count = 0
        self._position = self._positions.action

    @property
    def latched(self) -> str:
        """Why a filter is stopped, or an empty string."""
        return self._positions.latched or self._driven.latched or ""

    @property
    def position(self) -> np.ndarray:
        """Where the joints are told to be, shape ``(joints,)`` [rad or m]."""
        return self._position.copy()

    def stop(self, reason: str) -> None:
        """Latch a stop."""
        self._positions.stop(reason)
        self._driven.stop(reason)

    def rearm(self, measured: Measured, now_s: float, *, limp: bool) -> tuple[Intervention, ...]:
        """Clear a latched stop, unless something is wrong still; what is wrong is returned.

        Args:
            measured: the newest measurement.
            now_s: the time of this call [s].
            limp: the joints follow no position now: begin at the measured one; otherwise go on from the command.
        """
        held = self._position.copy()
        why = self._positions.rearm(measured, now_s)
        if self._driven is not self._positions and not why:
            why = self._driven.rearm(measured, now_s)
            self._driven.reset(self._zeros)
        if not why:
            self.restart(held if not limp or measured.position is None else measured.position)
        return why

    def restart(self, position: np.ndarray) -> None:
        """The joints are told to be at ``position`` from now on, at rest; keeps a latched stop."""
        latched = self._positions.latched
        self._positions.reset(np.clip(position, self._low, self._high))
        self._approach.restart()
        self._position = self._positions.action
        if latched:
            self._positions.stop(latched)

    def obey(self, command: JointCommand, measured: Measured, now_s: float) -> tuple[JointCommand, list[Intervention]]:
        """A controller's command within the limits; what was changed, and why.

        Raises:
            ConfigError: if a number besides those the controller guards is not finite.
        """
        self._count += 1
        why: list[Intervention] = []
        asked = getattr(command, self._guards)
        if self._guards == "position":
            asked = self._approached(asked, why)
        out = self._driven.tick(Command(asked, now_s, self._count), now_s=now_s, measured=measured)
        why += out.interventions
        parts = {
            "position": command.position,
            "velocity": self._clip("velocity", command.velocity, -self._velocity, self._velocity, why),
            "effort": self._clip("effort", command.effort, -self._effort, self._effort, why),
            "stiffness": self._clip("stiffness", command.stiffness, self._zeros, self._most_stiffness, why),
            "damping": self._clip("damping", command.damping, self._zeros, self._most_damping, why),
        }
        parts[self._guards] = out.action
        if self._guards != "position":
            parts["position"] = self._led(command, measured, now_s, why)
        self._position = parts["position"]
        return JointCommand(**parts), why

    def hold(self, measured: Measured | None, now_s: float) -> JointCommand:
        """Brake to rest and stay there."""
        self._approach.restart()
        return self.still(self._positions.tick(None, now_s=now_s, measured=measured).action)

    def move(self, target: np.ndarray, measured: Measured, now_s: float) -> JointCommand:
        """Towards a position, within the limits."""
        self._count += 1
        asked = self._approached(target, [])
        out = self._positions.tick(Command(asked, now_s, self._count), now_s=now_s, measured=measured)
        return self.still(out.action)

    def limp(self, position: np.ndarray) -> JointCommand:
        """Damping alone; ``position`` is where the joints are, and has no force."""
        return JointCommand(position, self._zeros, self._zeros, self._zeros, self._limp)

    def _led(self, command: JointCommand, measured: Measured, now_s: float, why: list[Intervention]) -> np.ndarray:
        """The positions beside guarded velocities or efforts; of joints without stiffness they have no force."""
        notes: list[Intervention] = []
        asked = Command(self._approached(command.position, notes), now_s, self._count)
        out = self._positions.tick(asked, now_s=now_s, measured=measured)
        if command.stiffness.any():
            why += (*notes, *out.interventions)
        return out.action

    def _approached(self, target: np.ndarray, why: list[Intervention]) -> np.ndarray:
        """A target as it can be reached without overshooting."""
        if target.shape != self._zeros.shape:
            return target  # for the filter to refuse
        shaped = self._approach.toward(target, self._position)
        change = np.abs(shaped - target)
        worst = int(change.argmax())
        if change[worst] > 1e-9:
            why.append(Intervention("approach", f"number {worst}: {target[worst]:.6g} to {shaped[worst]:.6g}"))
        return shaped

    def still(self, position: np.ndarray) -> JointCommand:
        """Hold ``position`` (within the limits), whatever the filter says."""
        self._position = position
        return JointCommand(position, self._zeros, self._zeros, self._stiffness, self._damping)

    def _clip(
        self, name: str, values: np.ndarray, low: np.ndarray, high: np.ndarray, why: list[Intervention]
    ) -> np.ndarray:
        if name == self._guards:
            return values
        if values.shape != low.shape or not math.isfinite(float(values.sum())):
            raise ConfigError(f"a controller's {name} is not finite or of the wrong size", got=values.tolist())
        clipped = np.minimum(np.maximum(values, low), high)
        if clipped.tobytes() != values.tobytes():
            change = np.abs(clipped - values)
            worst = int(change.argmax())
            if change[worst] > 0.0:
                detail = f"{name} of joint {worst}: {values[worst]:.6g} to {clipped[worst]:.6g}"
                why.append(Intervention("joint_limit", detail))
        return clipped


def _finite_or_none(values: tuple[float, ...]) -> tuple[float, ...]:
    return values if any(math.isfinite(v) for v in values) else ()
