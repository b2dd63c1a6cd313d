"""The G1's arms and waist alone, while its own motion control stands and walks."""

from __future__ import annotations

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.joint_bus import BusError
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.unitree_g1.bus import G1Bus
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.joints import JOINT_NAMES, WAIST
from robot_stack.hardware.unitree_g1.link import Link
from robot_stack.hardware.unitree_g1.motion import active_motion

HOLD_STIFFNESS, HOLD_DAMPING = 60.0, 1.5
"""Gains while the weight is ramped, as Unitree's example for ``arm_sdk`` [N·m/rad, N·m·s/rad]."""

LEGS = slice(0, WAIST.start)


class ArmSdkBus(G1Bus):
    """A :class:`~robot_stack.hardware.unitree_g1.bus.G1Bus` on the topic ``arm_sdk``.

    Every command carries a weight, of which the robot takes so much from us and the rest from its own motion control.
    It goes up on engaging and down on releasing, in a stated time, while arms and waist hold where they are. Commands
    to the legs are not sent. The robot's motion control must be active, and stays so.

    Args:
        link: carries messages, commands on ``arm_sdk``.
        clock: the process's own.
        config: the robot and its limits.
        ramp_s: how long the weight takes from 0 to 1 and back [s].
    """

    def __init__(self, link: Link, clock: Clock, config: G1Config | None = None, ramp_s: float = 2.0) -> None:
        super().__init__(link, clock, config)
        self.ramp_s = ramp_s
        """How long the weight takes from 0 to 1 and back [s]."""
        self.weight = 0.0
        """How much of arms and waist is ours now."""
        self._rising = 1.0 / max(1, round(ramp_s * self.servo_hz))

    def release(self) -> None:
        """Give arms and waist back, little by little."""
        if self._engaged and self._state is not None:
            self._rising = -abs(self._rising)
            self._stream(self._hold(self._state.joint_position), self.ramp_s)
            self._weigh(0.0)
            self._stream(self._hold(self._state.joint_position), 5.0 / self.servo_hz)
        self._engaged = False

    def _take_over(self) -> None:
        if self.config.release_motion and not active_motion(self._link, self.config.wait_s):
            raise BusError(
                "the robot's own motion control is not active, without which arm_sdk is not obeyed",
                remedy="start it on the remote control, or drive all joints (arms_only off)",
            )

    def _settle(self) -> None:
        assert self._state is not None  # the robot was waited for
        self._weigh(0.0)
        self._rising = abs(self._rising)
        self._stream(self._hold(self._state.joint_position), self.ramp_s, may_fail=True)
        self._weigh(1.0)

    def _shaped(self, command: JointCommand, tick: int) -> JointCommand:
        self._weigh(self.weight + self._rising)
        return command

    def _send(self, command: JointCommand) -> None:
        super()._send(_without_legs(command))

    def _weigh(self, weight: float) -> None:
        self.weight = min(max(weight, 0.0), 1.0)
        self._writer.weigh(self.weight)

    @staticmethod
    def _hold(position: np.ndarray) -> JointCommand:
        zero = np.zeros(len(JOINT_NAMES))
        return JointCommand(position, zero, zero, np.full_like(zero, HOLD_STIFFNESS), np.full_like(zero, HOLD_DAMPING))


def _without_legs(command: JointCommand) -> JointCommand:
    parts = []
    for name in ("position", "velocity", "effort", "stiffness", "damping"):
        part = getattr(command, name).copy()
        part[LEGS] = 0.0
        parts.append(part)
    return JointCommand(*parts)
