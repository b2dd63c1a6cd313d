"""The eight servos in a thread of their own, since a round of questions takes longer than a period of the legs."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.dynamixel import control_table as table
from robot_stack.hardware.dynamixel.servo_line import Present, ServoLine
from robot_stack.hardware.locoman.config import ServosConfig
from robot_stack.hardware.locoman.joint_map import ARM_SERVOS, SERVOS

TORQUE_PER_AMPERE = 1.15
"""Of an XC330-T288 [N·m/A]: 0.92 N·m at 0.80 A stalled, maker's figures; it measures the current it draws, not that of
its motor, so that this is rough."""

STIFFNESS_PER_P = 0.00535
"""kp for each count of P [N·m/rad]; see ``SERVO_STIFFNESS`` of ``sim/robots/locoman.py``."""

TICK = 2.0 * np.pi / table.TICKS_PER_TURN
"""[rad]."""

TIMEOUT_S = 0.01
"""For the answers of four servos [s]."""


@dataclass(frozen=True, eq=False)
class ServoGoals:
    """What the servos are told, each of shape ``(8,)``."""

    angle: np.ndarray
    """Of joints' axes [rad]; of grippers the angle between the jaws."""

    stiff: np.ndarray
    """Whether each shall use its full current, or the slack one."""


@dataclass(frozen=True, eq=False)
class ServoState:
    """What the servos measure, each of shape ``(8,)``."""

    time_s: float
    """When the last one answered [s]."""

    angle: np.ndarray
    """[rad]."""

    velocity: np.ndarray
    """[rad/s]."""

    torque: np.ndarray
    """Roughly [N·m]."""

    faults: tuple[str, ...] = ()
    """What is wrong, in words."""


class ServoThread:
    """Tells and asks the servos at their own rate.

    A servo keeps its last goal by itself: when this thread or the whole process dies, the manipulators hold.

    Args:
        line: an open one; only this object uses it.
        config: calibration and limits.
        clock: the process's.
        threaded: without, rounds are made by :meth:`catch_up` alone: for simulated time.
    """

    def __init__(self, line: ServoLine, config: ServosConfig, clock: Clock, *, threaded: bool = True) -> None:
        self._line, self._config, self._clock, self._threaded = line, config, clock, threaded
        self._due_s = 0.0
        self._sign = np.array(config.direction, dtype=np.float64)
        self._zero = np.array(config.zero_ticks, dtype=np.float64)
        self._goals: ServoGoals | None = None
        self._sent = np.zeros(len(SERVOS))
        self._current: dict[int, int] = {}
        self._unanswered = dict.fromkeys(ARM_SERVOS, 0)
        self._faults: dict[str, str] = {}
        self._latest: ServoState | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.rounds = 0
        """Rounds of telling and asking, since :meth:`start`."""

    @property
    def state(self) -> ServoState:
        """The newest one.

        Raises:
            BusError: before :meth:`start`.
        """
        if self._latest is None:
            raise BusError("the servos were not asked yet")
        return self._latest

    @property
    def lost_reads(self) -> int:
        """Questions without an answer."""
        return self._line.unanswered

    def start(self) -> None:
        """Set the servos up, let each hold where it stands, and begin.

        Raises:
            BusError: if one is missing, of another model, refuses, or has an error that a reboot does not clear.
        """
        self.stop()
        line, config = self._line, self._config
        line.require(SERVOS, table.XC330_T288)
        self._faults, self._goals = {}, None
        for index, servo in enumerate(SERVOS):
            if line.read(servo, table.HARDWARE_ERROR):
                self._reboot(servo)
            line.write(servo, table.TORQUE_ENABLE, 0)
            line.write(servo, table.RETURN_DELAY, 0)
            line.write(servo, table.OPERATING_MODE, table.CURRENT_BASED_POSITION)
            line.write(servo, table.CURRENT_LIMIT, config.current_ma)
            line.write(servo, table.POSITION_P, config.p_gain[index])
            line.write(servo, table.POSITION_I, 0)
            line.write(servo, table.POSITION_D, config.d_gain[index])
            line.write(servo, table.GOAL_CURRENT, config.slack_current_ma)
        self._latest = self._state_of(self._ask_all())
        self._sent = self._latest.angle.copy()
        self._goals = ServoGoals(self._sent.copy(), np.zeros(len(SERVOS), dtype=bool))
        self._current = dict.fromkeys(SERVOS, config.slack_current_ma)
        for servo in SERVOS:  # the servo itself takes where it stands as its goal when its torque goes on
            line.write(servo, table.TORQUE_ENABLE, 1)
        self._begin()

    def listen(self) -> None:
        """Only ask, from now on; nothing is set.

        Raises:
            BusError: if a servo is missing or of another model.
        """
        self.stop()
        self._line.require(SERVOS, table.XC330_T288)
        self._faults, self._goals = {}, None
        self._latest = self._state_of(self._ask_all())
        self._begin()

    def _begin(self) -> None:
        self._unanswered, self.rounds = dict.fromkeys(ARM_SERVOS, 0), 0
        self._stop.clear()
        self._due_s = self._clock.now()
        if self._threaded:
            self._thread = threading.Thread(target=self._run, name="locoman servos", daemon=True)
            self._thread.start()

    def tell(self, goals: ServoGoals) -> None:
        """New goals; the thread takes them at its next round."""
        self._goals = goals

    def stop(self) -> None:
        """End the thread; the servos hold. Idempotent, never raises."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None

    def catch_up(self) -> None:
        """Without a thread: make the round that is due; nothing else."""
        if not self._threaded and not self._stop.is_set() and self._clock.now() >= self._due_s - 1e-9:
            self._turn()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._turn()
            self._clock.sleep_until(self._due_s)

    def _turn(self) -> None:
        """A round, and when the next is due; the last one where the line is broken."""
        period_s = 1.0 / self._config.rate_hz
        try:
            self._round(period_s)
        except BusError as error:
            self._blame("line", error.message + (f": {error.got}" if error.got is not None else ""))
            self._stop.set()
        self.rounds += 1
        self._due_s = max(self._due_s + period_s, self._clock.now())

    def _round(self, period_s: float) -> None:
        goals = self._goals
        if goals is not None:
            self._tell_all(goals, self._config.speed_limit * period_s)
        present: dict[int, Present] = {}
        for arm, servos in ARM_SERVOS.items():
            if arm in self._faults:
                continue  # waiting for one that is lost would slow the other down
            found = self._line.read_present(servos, fast=self._config.fast)
            present |= found
            self._note(arm, servos, found)
        self._latest = self._state_of(present)

    def _tell_all(self, goals: ServoGoals, most: float) -> None:
        self._sent = self._sent + np.clip(goals.angle - self._sent, -most, most)
        ticks = np.rint(self._zero + self._sign * self._sent / TICK).astype(int).tolist()
        full, slack = self._config.current_ma, self._config.slack_current_ma
        current = {servo: full if stiff else slack for servo, stiff in zip(SERVOS, goals.stiff, strict=True)}
        if current != self._current:
            self._line.write_all(table.GOAL_CURRENT, current)
            self._current = current
        self._line.write_all(table.GOAL_POSITION, dict(zip(SERVOS, ticks, strict=True)))

    def _note(self, arm: str, servos: tuple[int, ...], found: dict[int, Present]) -> None:
        """Count silence, and look into alerts; what is found stays until :meth:`start`."""
        missing = [servo for servo in servos if servo not in found]
        self._unanswered[arm] = self._unanswered[arm] + 1 if missing else 0
        if self._unanswered[arm] >= self._config.lost_after:
            self._blame(arm, f"the {arm} manipulator's servos {missing} do not answer any more")
        for servo, present in found.items():
            if present.alert and f"servo {servo}" not in self._faults:
                self._blame(f"servo {servo}", f"servo {servo} ({arm} manipulator): {self._error_of(servo)}")

    def _error_of(self, servo: int) -> str:
        try:
            return ", ".join(self._line.errors_of(servo)) or "an error that is gone again"
        except BusError:
            return "an error it does not name"

    def _blame(self, key: str, sentence: str) -> None:
        self._faults.setdefault(key, sentence)
        if self._latest is not None:
            self._latest = ServoState(**{**vars(self._latest), "faults": tuple(self._faults.values())})

    def _ask_all(self) -> dict[int, Present]:
        present: dict[int, Present] = {}
        for _ in range(3):
            for servos in ARM_SERVOS.values():
                present |= self._line.read_present(servos)
            if len(present) == len(SERVOS):
                return present
        raise BusError("servos do not answer", got=f"no answer from {sorted(set(SERVOS) - set(present))}")

    def _state_of(self, present: dict[int, Present]) -> ServoState:
        """The state with what those told that answered."""
        last = self._latest
        none = np.zeros(len(SERVOS))
        angle, velocity, torque = (none, none, none) if last is None else (last.angle, last.velocity, last.torque)
        angle, velocity, torque = angle.copy(), velocity.copy(), torque.copy()
        for index, servo in enumerate(SERVOS):
            if servo in present:
                found, sign = present[servo], self._sign[index]
                angle[index] = sign * (found.position - self._zero[index]) * TICK
                velocity[index] = sign * found.velocity * table.VELOCITY_UNIT
                torque[index] = sign * found.current * table.CURRENT_UNIT_A * TORQUE_PER_AMPERE
        now_s = self._clock.now() if present or last is None else last.time_s
        return ServoState(now_s, angle, velocity, torque, tuple(self._faults.values()))

    def _reboot(self, servo: int) -> None:
        self._line.reboot(servo)
        end_s = self._clock.now() + 1.0
        while not self._line.ping(servo) and self._clock.now() < end_s:
            pass
        errors = self._line.errors_of(servo)
        if errors:
            raise BusError(f"servo {servo} has an error that a reboot does not clear", got=", ".join(errors))
