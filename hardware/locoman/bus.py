"""LocoMan as one joint bus: the Go1's legs at every servo tick, the manipulators' servos from their own thread."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_stack.core.clock import Clock, MonotonicClock
from robot_stack.core.joint_bus import BusError, BusState, Obeys
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.dynamixel.serial_port import SerialPort, slow_adapter
from robot_stack.hardware.dynamixel.servo_line import ServoLine
from robot_stack.hardware.locoman import joint_map
from robot_stack.hardware.locoman.config import LocoManConfig
from robot_stack.hardware.locoman.leg_report import LegReport
from robot_stack.hardware.locoman.power import PowerGuard
from robot_stack.hardware.locoman.servo_thread import STIFFNESS_PER_P, TIMEOUT_S, ServoGoals, ServoThread
from robot_stack.hardware.unitree_g1.remote import read_buttons
from robot_stack.hardware.unitree_go1.link import LegLink, UdpLegs
from robot_stack.hardware.unitree_go1.packets import (
    MOTORS,
    NO_POSITION,
    NO_VELOCITY,
    LegCommand,
    LegState,
    limp,
)
from robot_stack.hardware.unitree_go1.vendor import VendorLegs

LEG_TORQUE = np.tile((23.7, 23.7, 35.55), 4)
"""The most that a motor is told [N·m]; URDF."""

LEG_STIFFNESS, LEG_DAMPING = 250.0, 10.0
"""The highest gains that a motor is told [N·m/rad], [N·m·s/rad]; LocoMan's reset uses 200."""

FALLING_DAMPING = 4.0
"""kd with which legs give in slowly where nothing else is left [N·m·s/rad]."""

HEARD_WITHIN_S, LIMP_S = 2.0, 0.4
"""How long the first state may take, and how long the legs are told to be limp before they are believed [s]."""

LISTENING_S = 0.05
"""A robot that is not engaged is asked so often [s]."""

FOREIGN_TORQUE = 2.5
"""A motor that is told to be limp and shows more is driven by somebody else [N·m]."""


@dataclass(frozen=True)
class Lines:
    """How the two lines are opened; others are put in their place in tests."""

    legs: Callable[[LocoManConfig], LegLink]
    """To the Go1."""

    servos: Callable[[LocoManConfig, float], ServoLine]
    """To the servos; the second number is how long an answer may take [s]."""


def _open_legs(config: LocoManConfig) -> LegLink:
    legs = config.legs
    return UdpLegs(legs.address) if legs.library == "ours" else VendorLegs(legs.address)


def _open_servos(config: LocoManConfig, timeout_s: float) -> ServoLine:
    return ServoLine(SerialPort(config.servos.port, config.servos.speed), timeout_s)


REAL_LINES = Lines(_open_legs, _open_servos)
"""The ones of the configuration."""


class LocoManBus:
    """Implements :class:`robot_stack.core.joint_bus.JointBus`.

    A servo's position loop cannot be told a torque or a speed: they go into its goal, so that with its fixed gains it
    gives the torque that the command means. Where the command has no stiffness a servo holds with little current.

    A lost manipulator, a servo's error, an overheated motor or too much power are faults: the loop above stops the
    robot, and the fault stays until the robot is engaged anew. With too much power the legs damp at once, whatever they
    are told.

    Args:
        config: addresses, calibration, limits.
        clock: the process's.
        lines: how the lines are opened.
        patience: factor on how long an answer may take; for clocks that run slower than real time, and busy machines.
        threaded: whether the servos have a thread of their own; without, :meth:`read` speaks with them when it is time,
            for simulated time.
    """

    obeys: Obeys = "full"

    def __init__(
        self,
        config: LocoManConfig,
        clock: Clock | None = None,
        lines: Lines = REAL_LINES,
        patience: float = 1.0,
        threaded: bool = True,
    ) -> None:
        self.config = config
        self._clock = clock or MonotonicClock()
        self._lines, self._patience, self._threaded = lines, patience, threaded
        self._legs: LegLink | None = None
        self._line: ServoLine | None = None
        self._servos: ServoThread | None = None
        self._state: BusState | None = None
        self._leg_state: LegState | None = None
        self._leg_time_s = 0.0
        self._power = PowerGuard(config.legs.power_level, 1.0 / config.servo_hz)
        self._report = LegReport(config.legs)
        self._slow = ""
        self._engaged = False
        self._fresh = True
        self._asked_s = -math.inf
        self._held = np.zeros(len(joint_map.SERVOS))
        gains = np.array(config.servos.p_gain) * STIFFNESS_PER_P
        self._stiffness = joint_map.joints_of(np.ones(MOTORS), gains)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Every driven joint."""
        return joint_map.JOINT_NAMES

    @property
    def servo_hz(self) -> float:
        """How often commands are to be written [Hz]."""
        return self.config.servo_hz

    def open(self) -> None:
        """Connect; sends nothing."""
        if self._legs is None:
            legs = self._lines.legs(self.config)
            legs.open()
            self._legs = legs
        if self._line is None:
            self._line = self._lines.servos(self.config, TIMEOUT_S * self._patience)
            self._slow = slow_adapter(self.config.servos.port)

    def engage(self) -> None:
        """Legs limp, manipulators holding where they stand.

        Raises:
            BusError: if something does not answer or has an error, or if somebody else drives the legs.
        """
        self.open()
        line = self._line
        assert line is not None
        self._power.forget()
        self._fresh = False
        self._stop_servos()
        self._limp_legs()
        servos = ServoThread(line, self.config.servos, self._clock, threaded=self._threaded)
        servos.start()
        self._held, self._state, self._servos = servos.state.angle.copy(), None, servos
        self._engaged = True

    def read(self) -> BusState | None:
        """The newest state.

        A robot that was not engaged yet is listened to: its servos are asked, and its legs are told to be limp now and
        then, since a Go1 answers only who sends; not if it shows that somebody else drives it.
        """
        if self._fresh:
            self._listen()
        servos = self._servos
        legs = self._hear()
        if servos is None or self._leg_state is None:
            return self._state
        servos.catch_up()
        if legs is None and self._state is not None:
            return self._state
        self._state = self._merge(self._leg_state, servos)
        return self._state

    def write(self, command: JointCommand) -> None:
        """Send one command."""
        legs, servos = self._legs, self._servos
        if legs is None or servos is None or not self._engaged:
            raise BusError("LocoMan is not engaged", remedy="engage it first")
        told = _leg_command(command)
        if self._power.tripped:
            told = _damp()
        legs.send(told)
        stiff = joint_map.stiffest_of(command.stiffness) > 0.0
        self._held = np.where(stiff, self._servo_goal(command), self._held)
        servos.tell(ServoGoals(self._held, stiff))

    def release(self) -> None:
        """Legs give in slowly, manipulators hold with little current."""
        legs, servos = self._legs, self._servos
        if servos is not None and self._engaged:
            servos.tell(ServoGoals(self._held, np.zeros(len(joint_map.SERVOS), dtype=bool)))
        if legs is not None and self._engaged:
            with contextlib.suppress(BusError):
                for _ in range(20):  # packets get lost
                    legs.send(_damp())
                    self._clock.sleep_until(self._clock.now() + 0.005)
        self._stop_servos()
        self._state = self._leg_state = None

    def close(self) -> None:
        """Disconnect."""
        self._stop_servos()
        if self._legs is not None:
            self._legs.close()
        if self._line is not None:
            self._line.close()
        self._legs = self._line = self._state = self._leg_state = None
        self._fresh = True

    def _listen(self) -> None:
        """See :meth:`read`."""
        if self._legs is None or self._line is None:
            return
        if self._servos is None:
            servos = ServoThread(self._line, self.config.servos, self._clock, threaded=self._threaded)
            servos.listen()
            self._servos = servos
        if self._clock.now() - self._asked_s >= LISTENING_S:
            self._refuse_foreign()
            self._legs.send(limp())
            self._asked_s = self._clock.now()

    def _limp_legs(self) -> None:
        """Tell the legs to be limp until it is certain that they hear us and nobody else."""
        legs, period_s = self._legs, 1.0 / self.config.servo_hz
        assert legs is not None
        self._leg_state = None
        begin_s = self._clock.now()
        heard_s = begin_s
        while self._leg_state is None or self._clock.now() - heard_s < LIMP_S:
            before = self._leg_state
            legs.send(limp())
            self._hear()
            if before is None:
                heard_s = self._clock.now()
                if self._leg_state is None and heard_s - begin_s > HEARD_WITHIN_S:
                    raise BusError(
                        "the Go1 does not answer",
                        where=self.config.legs.address.robot,
                        got=f"no state within {HEARD_WITHIN_S} s; {self._counts()}",
                        remedy="ping it; put it into low-level mode (L2+A, L2+A, L2+B, L1+L2+start); if it still is "
                        "silent, try the other checksum ('masked')",
                    )
            self._clock.sleep_until(self._clock.now() + period_s)
        self._refuse_foreign()
        wrong = self._report.faults(self._leg_state)
        if wrong:
            raise BusError("the Go1 must not be driven", got="; ".join(wrong))

    def _refuse_foreign(self) -> None:
        """Raise where the legs, told to be limp, show that somebody else drives them."""
        if self._leg_state is None:
            return
        strongest = float(np.abs(self._leg_state.torque).max())
        if strongest > FOREIGN_TORQUE:
            raise BusError(
                "somebody else drives the Go1's legs",
                got=f"a motor that was told to be limp shows {strongest:.1f} N·m",
                remedy="end its walking program: low-level mode by L2+A, L2+A, L2+B, L1+L2+start on its remote control",
            )

    def _hear(self) -> LegState | None:
        """The newest state of the legs, if there is a new one."""
        if self._legs is None:
            return None
        state = self._legs.receive()
        if state is not None:
            self._leg_state, self._leg_time_s = state, self._clock.now()
            self._power.look(state.torque, state.velocity)
        return state

    def _merge(self, legs: LegState, servos: ServoThread) -> BusState:
        arms, config = servos.state, self.config.legs
        faults = self._report.faults(legs) + arms.faults
        silent_s = self._clock.now() - arms.time_s
        if silent_s > 0.2 * self._patience and not arms.faults:
            faults += (f"nothing was heard from the servos for {silent_s:.2f} s",)
        if self._power.tripped:
            faults += (self._power.tripped,)
        warnings = self._report.warnings(legs)
        return BusState(
            time_s=self._leg_time_s,
            sequence=legs.tick,
            joint_position=joint_map.joints_of(legs.position, arms.angle),
            joint_velocity=joint_map.joints_of(legs.velocity, arms.velocity),
            joint_effort=joint_map.joints_of(legs.torque, arms.torque),
            q_world_base=legs.quaternion,
            w_base=legs.gyroscope,
            a_base=legs.accelerometer,
            foot_force=np.maximum(legs.foot - config.foot_zero, 0.0) * config.foot_newton_per_count,
            faults=faults,
            warnings=warnings + ((self._slow,) if self._slow else ()),
            buttons=read_buttons(legs.remote),
            readings=self._report.readings(legs)
            | {"leg_power_watt": self._power.power_w, "servo_reads_lost": float(servos.lost_reads)}
            | {f"leg_states_{name}": float(count) for name, count in self._counts().items()},
        )

    def _servo_goal(self, command: JointCommand) -> np.ndarray:
        """Angles at which servos with their own gains give the torque that the command means."""
        extra = command.effort + command.damping * command.velocity
        return joint_map.servos_of(command.position + extra / self._stiffness)

    def _counts(self) -> dict[str, int]:
        return {} if self._legs is None else self._legs.counters()

    def _stop_servos(self) -> None:
        self._engaged = False
        if self._servos is not None:
            self._servos.stop()
        self._servos = None


def _leg_command(command: JointCommand) -> LegCommand:
    """What the motors are told, within what they may be told."""
    take = joint_map.legs_of
    stiffness = np.clip(take(command.stiffness), 0.0, LEG_STIFFNESS)
    damping = np.clip(take(command.damping), 0.0, LEG_DAMPING)
    torque = np.clip(take(command.effort), -LEG_TORQUE, LEG_TORQUE)
    position = np.where(stiffness > 0.0, take(command.position), NO_POSITION)
    velocity = np.where(damping > 0.0, take(command.velocity), NO_VELOCITY)
    if not np.isfinite(position + velocity + torque + stiffness + damping).all():
        raise BusError("a command that is not finite is not sent")
    return LegCommand(position, velocity, torque, stiffness, damping)


def _damp() -> LegCommand:
    zero = np.zeros(MOTORS)
    return LegCommand(np.full(MOTORS, NO_POSITION), zero, zero, zero, np.full(MOTORS, FALLING_DAMPING))
