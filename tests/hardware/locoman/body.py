"""A simple body behind LocoMan's emulated electronics, stepped by a thread, and a bus that speaks with them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.locoman.bus import LocoManBus
from robot_stack.hardware.locoman.config import LegsConfig, LocoManConfig, ServosConfig
from robot_stack.hardware.locoman.emulator import EmulatedLocoMan
from robot_stack.hardware.locoman.joint_map import JOINT_NAMES
from robot_stack.hardware.unitree_go1.link import Go1Address
from robot_stack.hardware.unitree_go1.packets import LegCommand

JOINTS = len(JOINT_NAMES)
STAND = np.array(
    [0.0, 0.9, -1.8, -3.1, -0.05, 0.0, 0.0, 0.9, -1.8, -3.1, 0.05, 0.0, *([0.0, 0.9, -1.8] * 2), *([0.1] * 4)]
)
"""A posture [rad]."""

GAINS = np.full(JOINTS, 20.0), np.full(JOINTS, 1.0)
"""kp, kd of commands here."""

PATIENCE_S = 20.0
"""For what comes through threads on a busy machine [s]."""


def config(folder: Path, **servos: object) -> LocoManConfig:
    """Addresses on this machine"""
    return LocoManConfig(
        LegsConfig(Go1Address("127.0.0.1", 8007, "127.0.0.1", 0)),
        ServosConfig(port=str(folder / "servos"), **servos),  # type: ignore[arg-type]
    )


class SimpleBody:
    """Joints without mass: they give in to their command within a tenth of a second; limp ones stand still."""

    def __init__(self, emulated: EmulatedLocoMan) -> None:
        self.emulated = emulated
        self.position = STAND.copy()
        self.last: JointCommand | None = None
        self._stop = threading.Event()
        self._ticks = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def state(self) -> BusState:
        return BusState(
            0.002 * self._ticks,
            self._ticks,
            self.position.copy(),
            np.zeros(JOINTS),
            np.zeros(JOINTS),
            q_world_base=np.array((1.0, 0.0, 0.0, 0.0)),
            w_base=np.zeros(3),
            a_base=np.array((0.0, 0.0, 9.81)),
            foot_force=np.full(4, 30.0),
        )

    @property
    def told(self) -> LegCommand:
        """What the legs heard last."""
        last = self.emulated.go1.heard.last
        assert last is not None
        return last

    def start(self) -> None:
        self.emulated.reset(self.state())
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.emulated.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            command = self.emulated.command(self.state())
            if command is not None:
                self.last = command
                self.position += 0.05 * np.where(command.stiffness > 0.0, command.position - self.position, 0.0)
            self._ticks += 1
            self.emulated.publish(self.state())
            time.sleep(0.002)


@contextlib.contextmanager
def linked(settings: LocoManConfig) -> Iterator[tuple[LocoManBus, SimpleBody]]:
    """A bus and a body, at the two ends of the real lines."""
    with contextlib.ExitStack() as stack:
        body = SimpleBody(EmulatedLocoMan(_with_port(settings, _free_port())))
        body.start()
        stack.callback(body.stop)
        bus = LocoManBus(body.emulated.config, patience=5.0)
        stack.callback(bus.close)
        yield bus, body


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _with_port(settings: LocoManConfig, port: int) -> LocoManConfig:
    address = replace(settings.legs.address, robot_port=port)
    return replace(settings, legs=replace(settings.legs, address=address))


def until(bus: LocoManBus, wanted, command: JointCommand | None = None) -> BusState:
    """Write and read until a state is as wanted."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if command is not None:
            bus.write(command)
        state = bus.read()
        if state is not None and wanted(state):
            return state
        time.sleep(0.002)
    raise AssertionError(f"never came: {bus.read()}")


def hold(position: np.ndarray) -> JointCommand:
    """Go there and stay."""
    zero = np.zeros(JOINTS)
    return JointCommand(position, zero, zero, *GAINS)
