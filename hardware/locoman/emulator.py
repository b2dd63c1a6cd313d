"""LocoMan's electronics around a simulated body: a Go1 on a UDP port, eight servos on a pseudo-terminal."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.dynamixel.control_table import VELOCITY_UNIT
from robot_stack.hardware.dynamixel.emulated_servo import EmulatedServo
from robot_stack.hardware.dynamixel.emulator import EmulatedLine
from robot_stack.hardware.locoman import joint_map
from robot_stack.hardware.locoman.config import LocoManConfig
from robot_stack.hardware.locoman.servo_thread import STIFFNESS_PER_P, TICK, TORQUE_PER_AMPERE
from robot_stack.hardware.unitree_go1.emulator import EmulatedGo1
from robot_stack.hardware.unitree_go1.packets import NO_POSITION, NO_VELOCITY, LegState

ARM_DAMPING = 0.2
"""kd of a servo with its torque on, and of both jaws together [N·m·s/rad]; see ``sim/robots/locoman.py``."""


class EmulatedLocoMan:
    """Implements ``robot_stack.deploy.emulator.Emulator``.

    Args:
        config: the one that the robot's side has; its calibration counts here too. Its UDP port is taken on loopback,
            and its serial port becomes a link to the pseudo-terminal.
        seed: of the faults' draws.
    """

    def __init__(self, config: LocoManConfig, seed: int = 0) -> None:
        self.config = config
        self._sign = np.array(config.servos.direction, dtype=np.float64)
        self._zero = np.array(config.servos.zero_ticks, dtype=np.float64)
        self.go1 = EmulatedGo1(config.legs.address.robot_port, seed)
        """The legs' end of their line, with its faults."""
        self._lock = threading.Lock()
        self.line = EmulatedLine((EmulatedServo(number) for number in joint_map.SERVOS), self._lock)
        """The servos' end of theirs."""
        self._leg_torque = np.zeros(len(joint_map.MOTOR_JOINTS))
        self._servo_torque = np.zeros(len(joint_map.SERVOS))
        self._link = Path(config.servos.port)
        _link_to(self._link, self.line.path)
        self.line.start()

    def reset(self, state: BusState) -> None:
        """The body was put at a start: as after power on."""
        self.go1.forget()
        self._leg_torque[:] = self._servo_torque[:] = 0.0
        with self._lock:
            for servo in self.line.servos.values():
                servo.restart()
        self._place(state)

    def command(self, state: BusState) -> JointCommand | None:
        """What the motors and servos do now."""
        legs = self.go1.hear()
        names = len(joint_map.JOINT_NAMES)
        position, velocity, effort, stiffness, damping = (np.zeros(names) for _ in range(5))
        if legs is not None and legs.mode:
            at = joint_map.MOTOR_JOINTS
            holds, moves = legs.position < 0.5 * NO_POSITION, legs.velocity < 0.5 * NO_VELOCITY
            position[at], stiffness[at] = np.where(holds, legs.position, 0.0), np.where(holds, legs.stiffness, 0.0)
            velocity[at], damping[at] = np.where(moves, legs.velocity, 0.0), np.where(moves, legs.damping, 0.0)
            effort[at] = legs.torque
        arms = joint_map.ARM_JOINTS
        now = joint_map.servos_of(state.joint_position)
        angle, kp, kd = self._servo_command(now)
        self._servo_torque = kp * (angle - now) - kd * joint_map.servos_of(state.joint_velocity)
        none = np.zeros(len(joint_map.MOTOR_JOINTS))
        position[arms] = joint_map.joints_of(none, angle)[arms]
        stiffness[arms], damping[arms] = (joint_map.joints_of(none, gain)[arms] for gain in (kp, kd))
        asked = JointCommand(position, velocity, effort, stiffness, damping)
        self._leg_torque = _torque(asked, state)
        return asked

    def publish(self, state: BusState) -> None:
        """What motors, servos and the inertial sensor say."""
        self._place(state)
        config = self.config.legs
        take = joint_map.legs_of
        foot = state.foot_force if len(state.foot_force) else np.zeros(4)
        assert state.q_world_base is not None and state.w_base is not None and state.a_base is not None
        self.go1.tell(
            LegState(
                tick=round(1000.0 * state.time_s),
                position=take(state.joint_position),
                velocity=take(state.joint_velocity),
                torque=self._leg_torque + self.go1.faults.foreign_torque,
                quaternion=state.q_world_base,
                gyroscope=state.w_base,
                accelerometer=state.a_base,
                foot=foot / config.foot_newton_per_count + config.foot_zero,
            )
        )

    def close(self) -> None:
        """Free lines and threads."""
        self.go1.close()
        self.line.close()
        if self._link.is_symlink():
            self._link.unlink(missing_ok=True)

    def _servo_command(self, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Goal, kp and kd of the servos; a goal that would take more than the current allows comes nearer."""
        with self._lock:
            goals = [servo.goal for servo in self.line.servos.values()]
        on = np.array([goal.torque for goal in goals], dtype=np.float64)
        kp = on * np.array([goal.gain for goal in goals]) * STIFFNESS_PER_P
        told = self._sign * (np.array([goal.position for goal in goals]) - self._zero) * TICK
        most = np.array([goal.current for goal in goals]) * 0.001 * TORQUE_PER_AMPERE / np.maximum(kp, 1e-9)
        return angle + np.clip(told - angle, -most, most), kp, on * ARM_DAMPING

    def _place(self, state: BusState) -> None:
        angle = joint_map.servos_of(state.joint_position)
        ticks = np.rint(self._zero + self._sign * angle / TICK).astype(int).tolist()
        speed = np.rint(self._sign * joint_map.servos_of(state.joint_velocity) / VELOCITY_UNIT).astype(int).tolist()
        current = np.rint(1000.0 * self._sign * self._servo_torque / TORQUE_PER_AMPERE).astype(int).tolist()
        with self._lock:
            for servo, *measured in zip(self.line.servos.values(), ticks, speed, current, strict=True):
                servo.place(*measured)


def _torque(command: JointCommand, state: BusState) -> np.ndarray:
    """What the motors give, which is what they say they give."""
    pull = command.stiffness * (command.position - state.joint_position)
    pull += command.damping * (command.velocity - state.joint_velocity) + command.effort
    return joint_map.legs_of(pull)


def _link_to(link: Path, path: str) -> None:
    """Put a link into the place of a serial port; a link that is left from an emulator that was killed is replaced."""
    made = link.with_name(f".{link.name}.{os.getpid()}")
    made.symlink_to(path)
    made.replace(link)
