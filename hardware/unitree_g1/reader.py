"""From the bytes of the G1's states to what the robot loop sees, with everything that is wrong said in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.hardware.unitree_g1.checks import Watch
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.joints import JOINT_NAMES
from robot_stack.hardware.unitree_g1.layout import BATTERY, STATE, MalformedMessageError, checksum
from robot_stack.hardware.unitree_g1.remote import read_buttons

COUNT = len(JOINT_NAMES)
RESTARTED_TICKS = 5_000
"""States that lag behind by more are not late ones: the robot has begun to count anew."""

DROPS = ("malformed", "wrong_checksum", "repeated", "late", "unusable")
"""Why states are dropped, as counted."""


class StateReader:
    """Reads states one after the other; needs no connection.

    States are dropped, and counted, if they are malformed, have a wrong checksum, or are not newer than the last: the
    last one then grows stale, as if nothing had come. What is wrong *in* a state is among its faults. A state whose
    numbers cannot be true (not finite, no orientation) is not used: the last one stays, with the new faults, and grows
    stale. A single one thus stops a robot that still knows how it stands; many leave it not knowing.

    Args:
        config: which robot, and its limits.
    """

    def __init__(self, config: G1Config) -> None:
        self.config = config
        self.dropped: dict[str, int] = dict.fromkeys(DROPS, 0)
        """How many states were dropped, by reason."""
        self.restart()

    @property
    def machine(self) -> int | None:
        """``mode_machine`` of the newest state; ``None`` before the first."""
        return self._machine

    def restart(self) -> None:
        """Forget what was, latched faults, too: the robot is engaged anew."""
        self._machine: int | None = None
        self._tick: int | None = None
        self._sequence = 0
        self._battery: float | None = None
        self._state: BusState | None = None
        self._watch = Watch(self.config.protection)

    def battery(self, data: bytes) -> None:
        """Read a ``BmsState``; one that is malformed is left aside."""
        try:
            self._battery = float(BATTERY.read(data)["soc"])
        except MalformedMessageError:
            self.dropped["malformed"] += 1

    def take(self, data: bytes, now_s: float) -> BusState | None:
        """Read a ``LowState``.

        Args:
            data: as it came over the wire.
            now_s: when.

        Returns:
            What it says, or the last state with the faults of an unusable one; ``None`` if it is dropped.
        """
        try:
            record = STATE.read(data)
        except MalformedMessageError:
            self.dropped["malformed"] += 1
            return None
        if checksum(record) != record["crc"]:
            self.dropped["wrong_checksum"] += 1
            return None
        ticks = self._count(int(record["tick"]))
        if ticks <= 0:
            return None
        self._note_machine(int(record["mode_machine"]))
        state = self._read(record, now_s, ticks)
        self._state = state or self._state
        return state

    def lost(self, state: BusState, now_s: float) -> BusState:
        """The state again, with a fault if it is too old."""
        age_s = now_s - state.time_s
        if age_s <= self.config.protection.lost_state_s:
            return state
        return self.blame(state, f"no state for {age_s:.1f} s: connection lost")

    @staticmethod
    def blame(state: BusState, fault: str) -> BusState:
        """The state again, with one more fault."""
        return replace(state, faults=(*state.faults, fault))

    def _count(self, tick: int) -> int:
        """Ticks since the last state; 0 for a state that is dropped."""
        if self._tick is None:
            self._tick = tick
            self._sequence += 1
            return 1
        ahead = (tick - self._tick) & 0xFFFFFFFF
        if ahead == 0:
            self.dropped["repeated"] += 1
            return 0
        if ahead >= 1 << 31:
            behind = (1 << 32) - ahead
            if behind < RESTARTED_TICKS:
                self.dropped["late"] += 1
                return 0
            self._watch.latch("restart", f"the robot's count of states went back by {behind}: it has restarted")
            ahead = 1
        self._tick = tick
        self._sequence += ahead
        return ahead

    def _note_machine(self, machine: int) -> None:
        if self._machine is not None and machine != self._machine:
            self._watch.latch("machine", f"mode_machine changed from {self._machine} to {machine} while running")
        # The newest is what commands must carry to be obeyed, those that damp included.
        self._machine = machine

    def _read(self, record: Any, now_s: float, ticks: int) -> BusState | None:
        motors, imu, last = record["motor_state"][:COUNT], record["imu_state"], self._state
        position, velocity, effort = (motors[name].astype(np.float64) for name in ("q", "dq", "tau_est"))
        turn, gyro, push = (imu[name].astype(np.float64) for name in ("quaternion", "gyroscope", "accelerometer"))
        elapsed_s = 0.0 if last is None else max(now_s - last.time_s, 0.002 * ticks)
        watch = self._watch
        faults = watch.begin()
        usable = watch.numbers(faults, np.stack((position, velocity, effort)))
        if usable:
            watch.joints(faults, position, velocity, None if last is None else last.joint_position, elapsed_s)
        watch.motors(faults, motors["temperature"], motors["motorstate"])
        before = None if last is None else last.q_world_base
        usable &= watch.orientation(faults, turn, gyro, push, imu["rpy"], before, elapsed_s)
        warnings = self._judge_battery(faults)
        told = tuple(dict.fromkeys(faults))
        if not usable:
            self.dropped["unusable"] += 1
            return None if last is None else replace(last, faults=told)
        return BusState(
            time_s=now_s,
            sequence=self._sequence,
            joint_position=position,
            joint_velocity=velocity,
            joint_effort=effort,
            q_world_base=turn / np.sqrt(turn @ turn),
            w_base=gyro,
            a_base=push,
            faults=told,
            warnings=warnings,
            buttons=read_buttons(record["wireless_remote"].tobytes()),
            readings=self._readings(motors["temperature"]),
        )

    def _judge_battery(self, faults: list[str]) -> tuple[str, ...]:
        """Adds to ``faults``; returns warnings."""
        if self._battery is None:
            return ("the battery is not heard of",)
        if self._battery < self.config.protection.battery_percent:
            faults.append(f"the battery is at {self._battery:.0f} %")
        return ()

    def _readings(self, temperature: np.ndarray) -> dict[str, float]:
        readings = {
            "hottest_casing_celsius": float(temperature[:, 0].max()),
            "hottest_winding_celsius": float(temperature[:, 1].max()),
        }
        if self._battery is not None:
            readings["battery_percent"] = self._battery
        readings.update((f"states_{reason}", float(count)) for reason, count in self.dropped.items() if count)
        return readings
