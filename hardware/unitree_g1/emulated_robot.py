"""A G1 whose body is simulated: bytes in, bytes out, as its own electronics would; no connection and no clock.

What it does between commands is not documented for the real robot. Here it keeps the last one, unless it is told to
have a time-out. Wrong checksums, a wrong ``mode_machine`` and commands beside its own motion control are ignored
without a word, as the real robot ignores them, and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.unitree_g1.emulated_faults import check_fault, spoil
from robot_stack.hardware.unitree_g1.joints import ARM_SDK_WEIGHT, JOINT_NAMES, WAIST
from robot_stack.hardware.unitree_g1.layout import (
    BATTERY,
    BMS_STATE,
    COMMAND,
    IMU,
    IMU_STATE,
    LOW_STATE,
    STATE,
    MalformedMessageError,
    checksum,
)
from robot_stack.hardware.unitree_g1.motion import CHECK, RELEASE, SELECT
from robot_stack.hardware.unitree_g1.remote import Remote, write_remote
from robot_stack.hardware.unitree_g1.stance import STANCE_DAMPING, STANCE_STIFFNESS

COUNT = len(JOINT_NAMES)
LEGS = slice(0, 12)
IGNORED = ("malformed", "wrong_checksum", "wrong_machine", "not_released", "deaf")
"""Why commands are ignored, as counted."""

STILL_RAD_S = 0.02
"""Legs that are told to move slower than this are held still [rad/s]."""

AWAY = 5_000
"""Ticks that go unseen while somebody puts the body elsewhere: 10 s."""

TIMED_OUT_DAMPING = 8.0
"""kd once a time-out has passed [N·m·s/rad]."""

UNSUPPORTED_MODE, BAD_REQUEST = 7004, 7001
"""Codes of the motion switcher, from Unitree's documentation."""

HoistMode = Literal["auto", "on", "off"]
"""Whether the robot hangs: as told, or from its reset until its legs have been held for a while."""


@dataclass(frozen=True)
class EmulatorConfig:
    """What the emulated robot is like."""

    machine: int = 5
    """Its ``mode_machine``."""

    motion: str = "ai"
    """Name of the robot's own motion control as it starts; empty for none."""

    hoist: HoistMode = "auto"
    """Whether the robot hangs; without a hoist it falls as soon as its own motion control lets go."""

    let_down_s: float = 0.5
    """With ``auto``, after how long with legs that are told to be stiff and still it is let down [s]."""

    timeout_s: float = 0.0
    """Without a command for so long, joints are damped [s]; 0: the last command stays in force."""

    battery_percent: float = 80.0
    """Charge of its battery."""


class EmulatedG1:
    """Electronics of a G1 around a simulated body.

    Args:
        state: of the body as it starts.
        config: what the robot is like.
        period_s: between calls of :meth:`command` [s].
        hang: hangs the body up or lets it down; left out, it cannot be hung up.
    """

    def __init__(
        self,
        state: BusState,
        config: EmulatorConfig = EmulatorConfig(),
        period_s: float = 0.002,
        hang: Callable[[bool], None] | None = None,
    ) -> None:
        self.config, self._period_s = config, period_s
        self.faults: dict[str, float] = {}
        """What is wrong now, see :data:`~robot_stack.hardware.unitree_g1.emulated_faults.FAULTS`."""
        self.ignored: dict[str, int] = dict.fromkeys(IGNORED, 0)
        """How many commands were ignored, by reason."""
        self.obeyed = 0
        """How many commands were obeyed."""
        self.remote = Remote()
        """What somebody holds on the remote control."""
        self._hang = hang or _cannot_hang
        self._hoist: HoistMode = config.hoist
        self.motion = config.motion
        """Name of the motion control that is active; empty after a release."""
        self._tick = -AWAY
        self.reset(state)

    def reset(self, state: BusState) -> None:
        """The body was put where ``state`` says, the robot staying switched on as it is.

        Its count of states goes on as if that had taken a while, so that nobody takes it for a jump.
        """
        self._tick += AWAY
        self._stance = state.joint_position.copy()
        self._now = state
        self._command: Any = None
        self._arms: Any = None
        self._since_command_s = 0.0
        self._stiff_s = 0.0
        self._legs: np.ndarray | None = None
        self._sent, self._held_back = b"", b""
        self._hang(self._hoist != "off")

    def hoist(self, mode: HoistMode) -> None:
        """Hang the robot up where it is, let it down, or leave it to its legs."""
        self._hoist = mode
        self._stiff_s = 0.0
        if mode != "auto":
            self._hang(mode == "on")

    def inject(self, faults: Mapping[str, float]) -> None:
        """From now on, these faults and no others.

        Raises:
            UnknownNameError: naming the nearest faults.
            ConfigError: if a fault's number is out of range.
        """
        for name, value in faults.items():
            check_fault(name, value)
        self.faults = dict(faults)

    def receive(self, data: bytes, arms_only: bool = False) -> None:
        """A command arrives.

        Args:
            data: a ``LowCmd``.
            arms_only: over ``arm_sdk`` instead of ``lowcmd``.
        """
        reason = self._refused(data, arms_only)
        if reason:
            self.ignored[reason] += 1
            return
        if arms_only:
            self._arms = _parse(self._record["motor_cmd"]), float(self._record["motor_cmd"]["q"][ARM_SDK_WEIGHT])
        else:
            self._command = _parse(self._record["motor_cmd"])
            self._since_command_s = 0.0
        self.obeyed += 1

    def request(self, api: int, parameter: str) -> tuple[int, str]:
        """A request to the motion switcher; code (0 is well) and data of its answer."""
        if api == CHECK:
            return 0, json.dumps({"form": "0", "name": self.motion})
        if api == RELEASE:
            self.motion, self._command, self._arms = "", None, None
            return 0, ""
        if api == SELECT:
            try:
                name = json.loads(parameter)["name"]
            except (ValueError, TypeError, KeyError):
                return BAD_REQUEST, ""
            if name != self.config.motion or not name:
                return UNSUPPORTED_MODE, ""
            self.motion, self._stance = name, self._now.joint_position.copy()
            return 0, ""
        return BAD_REQUEST, ""

    def command(self, state: BusState) -> JointCommand | None:
        """What the motors do for the next period; ``None``: all joints are limp.

        Args:
            state: of the body now.
        """
        self._now = state
        self._since_command_s += self._period_s
        self._let_down()
        zero = np.zeros(COUNT)
        if self.motion:
            standing = JointCommand(self._stance, zero, zero, STANCE_STIFFNESS, STANCE_DAMPING)
            return standing if self._arms is None else _blend(standing, *self._arms)
        if self.config.timeout_s and self._command is not None and self._since_command_s > self.config.timeout_s:
            return JointCommand(zero, zero, zero, zero, np.full(COUNT, TIMED_OUT_DAMPING))
        return self._command

    def states(self, state: BusState) -> list[bytes]:
        """The states that are sent in a period, as bytes of the wire.

        Args:
            state: of the body at its end.
        """
        self._now = state
        self._tick = (self._tick + 1) & 0xFFFFFFFF
        if self.faults.pop("restart", None) is not None:
            self._tick = 1
        return self._transmit()

    def battery(self) -> bytes:
        """A ``BmsState``."""
        record = np.zeros((), BMS_STATE)
        record["soc"] = round(self.faults.get("battery", self.config.battery_percent))
        return BATTERY.write(record)

    def torso_imu(self) -> bytes:
        """An ``IMUState`` of the sensor in the torso: the pelvis' turned by the waist, its lever arm left out."""
        state = self._now
        yaw, roll, pitch = state.joint_position[WAIST]
        turn = _product(_product(_about(2, yaw), _about(0, roll)), _about(1, pitch))
        record = np.zeros((), IMU_STATE)
        pelvis = _orientation(state)
        record["quaternion"] = _product(pelvis, turn)
        record["rpy"] = _angles(record["quaternion"])
        back = turn * (1.0, -1.0, -1.0, -1.0)
        for name, vector in (("gyroscope", state.w_base), ("accelerometer", state.a_base)):
            if vector is not None:
                record[name] = _rotate(back, vector)
        return IMU.write(record)

    def _refused(self, data: bytes, arms_only: bool) -> str:
        if "deaf" in self.faults or "dead" in self.faults:
            return "deaf"
        try:
            self._record = COMMAND.read(data)
        except MalformedMessageError:
            return "malformed"
        if checksum(self._record) != self._record["crc"]:
            return "wrong_checksum"
        if self._record["mode_machine"] != self.config.machine:
            return "wrong_machine"
        return "not_released" if bool(self.motion) != arms_only else ""

    def _let_down(self) -> None:
        if self._hoist != "auto" or self._command is None:
            return
        legs, before = self._command.position[LEGS], self._legs
        self._legs = legs
        still = before is not None and float(np.abs(legs - before).max()) < STILL_RAD_S * self._period_s
        stiff = bool((self._command.stiffness[LEGS] > 0.0).all())
        self._stiff_s = self._stiff_s + self._period_s if stiff and still else 0.0
        if self._stiff_s > self.config.let_down_s:
            self._hang(False)

    def _transmit(self) -> list[bytes]:
        faults = self.faults
        if "dead" in faults:
            return []
        if "freeze" in faults and self._sent:
            return [self._sent]
        if self._spend("drop"):
            return []
        self._sent = self._state()
        if "reorder" in faults:
            if not self._held_back:
                self._held_back = self._sent
                return []
            pair, self._held_back = [self._sent, self._held_back], b""
            self._spend("reorder")
            return pair
        return [self._sent] * (2 if self._spend("duplicate") else 1)

    def _spend(self, name: str) -> bool:
        """Whether a fault that happens so many times happens now."""
        left = self.faults.get(name, 0.0)
        if left > 1.0:
            self.faults[name] = left - 1.0
        elif left > 0.0:
            del self.faults[name]
        return left != 0.0

    def _state(self) -> bytes:
        state, record = self._now, np.zeros((), LOW_STATE)
        record["tick"], record["mode_machine"] = self._tick, self.config.machine
        motors, imu = record["motor_state"], record["imu_state"]
        motors["mode"][:COUNT] = 1
        motors["q"][:COUNT], motors["dq"][:COUNT] = state.joint_position, state.joint_velocity
        motors["tau_est"][:COUNT] = state.joint_effort
        motors["temperature"][:COUNT] = 35, 45
        imu["quaternion"] = _orientation(state)
        imu["rpy"] = _angles(imu["quaternion"])
        imu["gyroscope"] = 0.0 if state.w_base is None else state.w_base
        imu["accelerometer"] = 0.0 if state.a_base is None else state.a_base
        record["wireless_remote"] = np.frombuffer(write_remote(self.remote), dtype=np.uint8)
        spoil(record, self.faults)
        record["crc"] = checksum(record) ^ (4 if "wrong_checksum" in self.faults else 0)
        return STATE.write(record)


def _cannot_hang(up: bool) -> None:
    """There is no hoist."""


def _blend(standing: JointCommand, ours: JointCommand, weight: float) -> JointCommand:
    """Arms and waist between the robot's own motion control and ours, by the weight that came with the command."""
    share = np.zeros(COUNT)
    share[WAIST.start :] = min(max(weight, 0.0), 1.0) if math.isfinite(weight) else 0.0
    return JointCommand(
        *(
            (1.0 - share) * getattr(standing, part) + share * getattr(ours, part)
            for part in ("position", "velocity", "effort", "stiffness", "damping")
        )
    )


def _parse(motors: np.ndarray) -> JointCommand:
    """A command as the motors take it: what is not enabled, or not a number, is limp."""
    parts = np.stack([motors[name][:COUNT].astype(np.float64) for name in ("q", "dq", "tau", "kp", "kd")])
    parts[:, (motors["mode"][:COUNT] != 1) | ~np.isfinite(parts).all(axis=0)] = 0.0
    return JointCommand(*parts)


def _orientation(state: BusState) -> np.ndarray:
    return np.array((1.0, 0.0, 0.0, 0.0)) if state.q_world_base is None else state.q_world_base


def _about(axis: int, angle: float) -> np.ndarray:
    turn = np.zeros(4)
    turn[0], turn[1 + axis] = math.cos(angle / 2), math.sin(angle / 2)
    return turn


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    vector = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.array((a[0] * b[0] - a[1:] @ b[1:], *vector))


def _rotate(turn: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return vector + 2.0 * np.cross(turn[1:], np.cross(turn[1:], vector) + turn[0] * vector)


def _angles(turn: np.ndarray) -> tuple[float, float, float]:
    """Roll, pitch, yaw of a quaternion wxyz."""
    w, x, y, z = turn.tolist()
    roll = math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x))))
    return roll, pitch, math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
