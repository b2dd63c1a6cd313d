"""LocoMan's loop and a simulated body at the two ends of its real lines, in threads of one process."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from robot_stack.core.clock import ScaledClock
from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.emulated_body import EmulatedBody, Seen
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.deploy.robots.locoman import DEPLOYMENT
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.locoman.emulator import EmulatedLocoMan
from robot_stack.hardware.loop_reports import Observed
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.state_machine import Event, State
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_spec, robot_task


class Led:
    """A robot that is led by a script; robot time is ``speed`` times real time."""

    def __init__(self, folder: Path, mode: str, base: str, speed: float) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        parameters = {"go1_port": port, "servo_port": str(folder / "servos")}
        self.clock = ScaledClock(speed)
        self.plant = MujocoPlant(robot_spec("locoman"), robot_task("locoman/stand"))
        emulator = DEPLOYMENT.make_emulator
        assert emulator is not None
        made = emulator(self.plant, None, parameters)
        assert isinstance(made, EmulatedLocoMan)
        self.emulated = made
        self.seen: list[Seen] = []
        self._body = EmulatedBody(self.plant, made, self.clock, 0.02, self.seen.append, waits=False)
        self._body.reset(0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._simulate, daemon=True)
        self._thread.start()
        self.parts = assemble(
            RobotNodeConfig(
                robot="locoman",
                task="locoman/stand",
                mode=mode,
                simulated=True,
                base=base,  # type: ignore[arg-type]
                robot_parameters=json.dumps(parameters),
                clock_speed=speed,
            ),
            self.clock,
        )
        self.stamp_ns: int | None = None
        self.loop = RobotLoop(self.parts, self._hear)
        self.action: Callable[[], np.ndarray] | None = None
        self.deadman = True
        self._due = self.clock.now()
        self._offered = 0.0

    def engage(self) -> None:
        self.parts.bus.open()
        self.loop.engage(self.clock.now())
        self._due = self.clock.now()

    def go(self, most_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let robot time pass, at most so much; whether what was waited for came."""
        end, loop = self.clock.now() + most_s, self.loop
        while self.clock.now() < end:
            now = self.clock.now()
            if self.seen:
                loop.inputs.hear_tracked(self.seen[-1].tracked)
            if self.deadman:
                loop.inputs.hear_deadman(True, int(now * 1e9))
            self._offer(now)
            loop.tick(now)
            if until():
                return True
            self._due = max(self._due + loop.period_s, self.clock.now())
            self.clock.sleep_until(self._due)
        return until()

    def ask(self, event: Event, state: State, most_s: float = 8.0) -> None:
        """Ask for something, and wait until the robot is there."""
        self.loop.inputs.ask(event)
        if not self.go(most_s, lambda: self.loop.state is state):
            raise AssertionError(f"{event} did not lead to {state}: {self.loop.status(self.clock.now())}")

    def close(self) -> None:
        self.loop.disengage(self.clock.now())
        self.parts.bus.close()
        self._stop.set()
        self._thread.join()
        self.emulated.close()

    def _hear(self, report: object) -> None:
        if isinstance(report, Observed):
            self.stamp_ns = report.stamp_ns

    def _offer(self, now: float) -> None:
        """Every tenth of a second a chunk of half a second."""
        if self.action is None or self.stamp_ns is None or now - self._offered < 0.1:
            return
        self._offered = now
        embodiment, actions = self.parts.embodiment, np.tile(self.action(), (25, 1))
        offsets = 0.02 * np.arange(1, 26)
        names = tuple(embodiment.action_names)
        self.loop.inputs.hear_chunk(StampedChunk(self.stamp_ns, names, actions, offsets, embodiment.fingerprint()))

    def _simulate(self) -> None:
        while not self._stop.is_set():
            self.clock.sleep_until(self._body.due_s)
            self._body.step()


@contextlib.contextmanager
def led(folder: Path, mode: str, base: str, speed: float) -> Iterator[Led]:
    """A robot that is led; at the end its lines are closed."""
    robot = Led(folder, mode, base, speed)
    try:
        yield robot
    finally:
        robot.close()
