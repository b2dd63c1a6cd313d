"""The line to a Go1 through Unitree's own Python binding: ``robot_interface`` of unitree_legged_sdk 3.8."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.unitree_go1.link import RESTART_TICKS, Go1Address
from robot_stack.hardware.unitree_go1.packets import LOW_LEVEL, MOTORS, TORQUE_UNIT, LegCommand, LegState

LARGEST_TORQUE = (2**15 - 1) * TORQUE_UNIT
"""Beyond it Unitree's library wraps around to the other sign [N·m]."""

LARGEST_STIFFNESS, LARGEST_DAMPING = (2**16 - 1) / 32.0, (2**16 - 1) / 16.0
"""Likewise, of gains [N·m/rad], [N·m·s/rad]."""


def find_binding() -> Any:
    """Unitree's module.

    Raises:
        BusError: if this Python has none.
    """
    try:
        return importlib.import_module("robot_interface")
    except ImportError as error:
        raise BusError(
            "Unitree's Python binding robot_interface is not installed",
            got=error,
            remedy="build unitree_legged_sdk 3.8 with -DPYTHON_BUILD=TRUE for this Python and put it on PYTHONPATH, or "
            "leave the parameter go1_library at 'ours'",
        ) from None


class VendorLegs:
    """Implements :class:`robot_stack.hardware.unitree_go1.link.LegLink` with Unitree's library.

    What is sent and what comes back passes the same checks as with our own packets.

    Args:
        address: where packets go; the library chooses the checksum, and our own address, by itself.
        binding: the module; looked for when left out.
    """

    def __init__(self, address: Go1Address, binding: Any = None) -> None:
        self.address = address
        self._sdk = binding
        self._udp: Any = None
        self._command: Any = None
        self._state: Any = None
        self._newest = -1
        self._late = 0

    def open(self) -> None:
        """Connect; sends nothing.

        Raises:
            BusError: if there is no such library.
        """
        if self._udp is not None:
            return
        sdk = self._sdk if self._sdk is not None else find_binding()
        address = self.address
        self._udp = sdk.UDP(LOW_LEVEL, address.local_port, address.robot, address.robot_port)
        self._command, self._state, self._newest = sdk.LowCmd(), sdk.LowState(), -1
        self._udp.InitCmdData(self._command)

    def send(self, command: LegCommand) -> None:
        """Send one command.

        Raises:
            BusError: if the line is not open.
        """
        udp = self._open_udp()
        torque = np.clip(command.torque, -LARGEST_TORQUE, LARGEST_TORQUE)
        stiffness = np.clip(command.stiffness, 0.0, LARGEST_STIFFNESS)
        damping = np.clip(command.damping, 0.0, LARGEST_DAMPING)
        motors = self._command.motorCmd
        for i in range(MOTORS):
            motor = motors[i]
            motor.mode, motor.q, motor.dq = command.mode, float(command.position[i]), float(command.velocity[i])
            motor.tau, motor.Kp, motor.Kd = float(torque[i]), float(stiffness[i]), float(damping[i])
        udp.SetSend(self._command)
        udp.Send()

    def receive(self) -> LegState | None:
        """The newest state that came since the last call; ``None`` if none did.

        Raises:
            BusError: if the line is not open.
        """
        udp = self._open_udp()
        udp.Recv()
        udp.GetRecv(self._state)
        state = self._state
        tick = int(state.tick)
        if tick == self._newest or (self._newest < 0 and tick == 0):
            return None
        if self._newest - RESTART_TICKS < tick < self._newest:
            self._late += 1
            return None
        self._newest = tick
        motors = list(state.motorState)[:MOTORS]
        return LegState(
            tick=tick,
            position=np.array([motor.q for motor in motors], dtype=np.float64),
            velocity=np.array([motor.dq for motor in motors], dtype=np.float64),
            torque=np.array([motor.tauEst for motor in motors], dtype=np.float64),
            mode=np.array([motor.mode for motor in motors]),
            temperature=np.array([motor.temperature for motor in motors]),
            quaternion=np.array(state.imu.quaternion, dtype=np.float64),
            gyroscope=np.array(state.imu.gyroscope, dtype=np.float64),
            accelerometer=np.array(state.imu.accelerometer, dtype=np.float64),
            foot=np.array(state.footForce, dtype=np.float64),
            battery_percent=int(state.bms.SOC),
            battery_current=int(state.bms.current),
            cells=np.array(state.bms.cell_vol, dtype=np.float64) / 1000.0,
            remote=bytes(int(byte) & 0xFF for byte in state.wirelessRemote),
        )

    def counters(self) -> dict[str, int]:
        """Since the beginning: states that were ``late``; damaged ones the binding keeps to itself."""
        return {"bad": 0, "late": self._late}

    def close(self) -> None:
        """Disconnect; idempotent, never raises."""
        self._udp = self._command = self._state = None

    def _open_udp(self) -> Any:
        if self._udp is None:
            raise BusError("the line to the Go1 is not open")
        return self._udp
