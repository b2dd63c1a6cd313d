"""LocoMan's loop and a simulated body at the two ends of its real lines, in simulated time."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

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


class LockStep:
    """A clock whose time passes when somebody sleeps; the body is moved along with it."""

    def __init__(self) -> None:
        self._now = 100.0
        self.body: EmulatedBody | None = None

    def now(self) -> float:
        return self._now

    def sleep_until(self, time_s: float) -> None:
        body = self.body
        while body is not None and body.due_s <= time_s + 1e-9:
            self._now = max(self._now, body.due_s)
            body.step()
        self._now = max(self._now, time_s)


class Led:
    """A robot that is led by a script: real packets and bytes, and nothing depends on how busy the machine is."""

    def __init__(self, folder: Path, mode: str, base: str, task: str = "locoman/stand") -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        parameters = {"go1_port": port, "servo_port": str(folder / "servos")}
        self.clock = LockStep()
        self.plant = MujocoPlant(robot_spec("locoman"), robot_task(task))
        emulator = DEPLOYMENT.make_emulator
        assert emulator is not None
        made = emulator(self.plant, None, parameters)
        assert isinstance(made, EmulatedLocoMan)
        self.emulated = made
        self.seen: list[Seen] = []
        self.body = EmulatedBody(self.plant, made, self.clock, 0.02, self.seen.append, waits=False)
        self.body.reset(0)
        self.clock.body = self.body
        settings = RobotNodeConfig(
            robot="locoman",
            task=task,
            mode=mode,
            simulated=True,
            base=base,  # type: ignore[arg-type]
            robot_parameters=json.dumps(parameters),
        )
        self.parts = assemble(settings, self.clock)
        self.stamp_ns: int | None = None
        self.vector = np.zeros(0)
        self.every = 0.1
        self.loop = RobotLoop(self.parts, self._hear)
        self.action: Callable[[], np.ndarray] | None = None
        self.deadman = True
        self._offered = 0.0

    def engage(self) -> None:
        self.parts.bus.open()
        self.loop.engage(self.clock.now())

    def go(self, most_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let robot time pass, at most so much; whether what was waited for came."""
        end, loop = self.clock.now() + most_s, self.loop
        while self.clock.now() < end - 1e-9:
            now = self.clock.now()
            if self.seen:
                loop.inputs.hear_tracked(self.seen[-1].tracked)
            if self.deadman:
                loop.inputs.hear_deadman(True, int(now * 1e9))
            self._offer(now)
            loop.tick(now)
            if until():
                return True
            self.clock.sleep_until(now + loop.period_s)
        return until()

    def ask(self, event: Event, state: State, most_s: float = 8.0) -> None:
        """Ask for something, and wait until the robot is there."""
        self.loop.inputs.ask(event)
        if not self.go(most_s, lambda: self.loop.state is state):
            raise AssertionError(f"{event} did not lead to {state}: {self.loop.status(self.clock.now())}")

    def close(self) -> None:
        self.loop.disengage(self.clock.now())
        self.parts.bus.close()
        self.emulated.close()

    def _hear(self, report: object) -> None:
        if isinstance(report, Observed):
            self.stamp_ns, self.vector = report.stamp_ns, report.vector

    def _offer(self, now: float) -> None:
        """Every so often a chunk of half a second."""
        if self.action is None or self.stamp_ns is None or now - self._offered < self.every - 1e-9:
            return
        self._offered = now
        embodiment, actions = self.parts.embodiment, np.tile(self.action(), (25, 1))
        offsets = 0.02 * np.arange(1, 26)
        names = tuple(embodiment.action_names)
        self.loop.inputs.hear_chunk(StampedChunk(self.stamp_ns, names, actions, offsets, embodiment.fingerprint()))


@contextlib.contextmanager
def led(folder: Path, mode: str, base: str, task: str = "locoman/stand") -> Iterator[Led]:
    """A robot that is led; at the end its lines are closed."""
    robot = Led(folder, mode, base, task)
    try:
        yield robot
    finally:
        robot.close()
