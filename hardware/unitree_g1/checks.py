"""What is wrong with a G1 by what it measures: the conditions of Unitree's SDK, and what cannot be true."""

from __future__ import annotations

import math

import numpy as np

from robot_stack.hardware.unitree_g1.config import Protection
from robot_stack.hardware.unitree_g1.joints import JOINT_NAMES, JOINTS

_LOW = np.array([joint.low for joint in JOINTS])
_HIGH = np.array([joint.high for joint in JOINTS])
_UNIT = 0.02
"""How far from 1 the length of an orientation may be."""


class Watch:
    """Looks at one state after the other. What must have been a lie, or a restart, stays a fault until a new watch.

    A step in what an encoder says, as after a loose cable, makes a position loop jump: it does not help that the
    next state agrees with the last.

    Args:
        limits: when the robot must stop.
    """

    def __init__(self, limits: Protection) -> None:
        self.limits = limits
        self._latched: dict[str, str] = {}

    def latch(self, name: str, words: str) -> None:
        """Remember a fault for good; the first words for a name stay."""
        self._latched.setdefault(name, words)

    def begin(self) -> list[str]:
        """Faults that are there before a state is looked at."""
        return list(self._latched.values())

    def numbers(self, faults: list[str], measured: np.ndarray) -> bool:
        """Whether everything that was measured of the joints, shape ``(kinds, 29)``, is finite; adds to ``faults``."""
        finite = np.isfinite(measured).all(axis=0)
        if finite.all():
            return True
        names = ", ".join(JOINT_NAMES[i] for i in np.flatnonzero(~finite)[:3])
        faults.append(f"{names}: measurements are not numbers")
        return False

    def joints(
        self,
        faults: list[str],
        position: np.ndarray,
        velocity: np.ndarray,
        before: np.ndarray | None,
        elapsed_s: float,
    ) -> None:
        """Speeds, ranges and steps of the joints; adds to ``faults``."""
        limits = self.limits
        if (fast := np.abs(velocity)).max() > limits.joint_speed:
            faults += [f"{name} turns at {v:.1f} rad/s" for name, v in _worst(fast, fast > limits.joint_speed)]
        beyond = np.maximum(_LOW - position, position - _HIGH)
        if beyond.max() > limits.beyond_range_rad:
            faults += [
                f"{name} reads {b:.2f} rad out of its range: its encoder lies or is not calibrated"
                for name, b in _worst(beyond, beyond > limits.beyond_range_rad)
            ]
        if before is not None:
            step = np.abs(position - before)
            allowed = limits.joint_jump_rad + limits.fastest_joint * elapsed_s
            if step.max() > allowed:
                name, jump = _worst(step, step > allowed)[0]
                self.latch(f"jump of {name}", f"{name} jumped by {jump:.2f} rad between two states")
                faults.append(self._latched[f"jump of {name}"])

    def motors(self, faults: list[str], temperature: np.ndarray, errors: np.ndarray) -> None:
        """Temperatures, shape ``(29, 2)`` casing and winding [°C], and the motors' own errors; adds to ``faults``."""
        limits = self.limits
        for column, part, most in ((0, "casing", limits.casing_celsius), (1, "winding", limits.winding_celsius)):
            hot = temperature[:, column]
            if hot.max() > most:
                faults += [f"{name}: {part} at {value:.0f} °C" for name, value in _worst(hot, hot > most)]
        if errors.any():
            faults += [f"{JOINT_NAMES[i]}: motor error 0x{int(errors[i]):x}" for i in np.flatnonzero(errors)[:3]]

    def orientation(
        self,
        faults: list[str],
        turn: np.ndarray,
        gyro: np.ndarray,
        push: np.ndarray,
        angles: np.ndarray,
        before: np.ndarray | None,
        elapsed_s: float,
    ) -> bool:
        """Whether what the inertial sensor says is usable; adds to ``faults``.

        Args:
            faults: what is wrong.
            turn: quaternion wxyz.
            gyro: angular velocity [rad/s].
            push: acceleration [m/s²].
            angles: roll, pitch, yaw [rad]; all zero where a simulator leaves them out.
            before: the orientation of the last state; ``None`` without one.
            elapsed_s: since then.
        """
        limits = self.limits
        w, x, y, z = turn.tolist()
        length = math.sqrt(w * w + x * x + y * y + z * z)
        if not (math.isfinite(length) and all(map(math.isfinite, gyro.tolist() + push.tolist()))):
            faults.append("the inertial sensor's measurements are not numbers")
            return False
        if abs(length - 1.0) > _UNIT:
            faults.append(f"the orientation is a quaternion of length {length:.3f}")
            return False
        apart = _angle_to_rpy((w, x, y, z), angles.tolist())
        if not apart <= limits.angles_rad:
            faults.append(f"quaternion and angles of the inertial sensor are {apart:.2f} rad apart")
            return False
        if before is not None:
            step = _angle(abs(float(before @ turn)) / length)
            if step > limits.turn_jump_rad + limits.fastest_turn * elapsed_s:
                self.latch("turn", f"the orientation jumped by {step:.2f} rad between two states")
                faults.append(self._latched["turn"])
        tilt = math.acos(max(-1.0, min(1.0, 1.0 - 2.0 * (x * x + y * y))))
        if tilt > limits.tilt_rad:
            faults.append(f"tilted by {tilt:.2f} rad")
        if (fastest := max(map(abs, gyro.tolist()))) > limits.gyro_speed:
            faults.append(f"the pelvis turns at {fastest:.1f} rad/s")
        return True


def _worst(values: np.ndarray, which: np.ndarray) -> list[tuple[str, float]]:
    """The three largest among ``which`` with their joints."""
    order = [i for i in np.argsort(-values) if which[i]][:3]
    return [(JOINT_NAMES[i], float(values[i])) for i in order]


def _angle(half_cosine: float) -> float:
    return 2.0 * math.acos(min(1.0, half_cosine))


def _angle_to_rpy(turn: tuple[float, float, float, float], rpy: list[float]) -> float:
    """Between a unit quaternion and angles about x, then y, then z of the world; NaN if they are not numbers [rad]."""
    if not any(rpy):
        return 0.0
    if not all(map(math.isfinite, rpy)):
        return math.nan
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(a / 2), math.sin(a / 2)) for a in rpy)
    w, x, y, z = turn
    dot = w * (cr * cp * cy + sr * sp * sy) + x * (sr * cp * cy - cr * sp * sy)
    dot += y * (cr * sp * cy + sr * cp * sy) + z * (cr * cp * sy - sr * sp * cy)
    return _angle(abs(dot))
