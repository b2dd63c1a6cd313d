"""A robot's loop in simulated time with a driver and an operator at hand, for faults exact to a tick."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.clock import SimulatedClock
from robot_stack.core.errors import RobotStackError
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.senses import Tracked
from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.faults.faulty_bus import FaultyBus
from robot_stack.deploy.faults.stream_monitor import StreamMonitor
from robot_stack.deploy.plant_bus import PlantBus
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.loop_reports import Acted, Changed, Observed, Report
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.state_machine import Event, State


@dataclass(frozen=True)
class BenchRobot:
    """A robot as it is put on the bench."""

    robot: str
    """Its name in the catalogue."""

    task: str
    """Full name of its task."""

    mode: str = ""
    """Action mode; empty for the task's usual one."""

    moved: int = 0
    """The number of the action that swings."""

    swing: float = 0.1
    """How far it swings [unit of the action]."""

    servo_hz: float = 0.0
    """Of the simulated body [Hz]; 0: the action mode's own."""


BENCH_ROBOTS = {
    "panda": BenchRobot("panda", "panda/drawer", "joint_position", moved=0, swing=0.15, servo_hz=100.0),
    "g1": BenchRobot("g1", "g1/button", moved=2, swing=0.02),
    "locoman": BenchRobot("locoman", "locoman/walk", moved=0, swing=0.1),
}
"""An arm by joint positions, a humanoid and a quadruped by whole-body control."""

Spoil = Callable[[StampedChunk], StampedChunk | None]
"""Changes a chunk on its way to the robot; ``None``: it never comes."""


class BenchDriver:
    """A policy in one: swings one number of the action, plans ahead, and answers after a latency.

    Args:
        hold: the action that rests, shape ``(action_size,)``.
        robot: what swings.
        names: of the action's numbers.
        fingerprint: of the embodiment.
        control_s: control period [s].
        name: who it is.
    """

    def __init__(
        self,
        hold: np.ndarray,
        robot: BenchRobot,
        names: tuple[str, ...],
        fingerprint: str,
        control_s: float,
        name: str = "policy",
    ) -> None:
        self.name = name
        """Who it is."""
        self._hold, self._robot, self._control_s = hold, robot, control_s
        self._names, self._fingerprint = names, fingerprint
        self._waiting: deque[tuple[float, StampedChunk]] = deque()
        self.latency_s = 2.0 * control_s
        """From observation to chunk [s]."""
        self.steps = 16
        """Actions in a chunk."""
        self.every = 4
        """A chunk for every so many observations."""
        self.running = True
        """It answers at all."""
        self.spoil: Spoil | None = None
        """What happens to its chunks."""
        self.last_action_s = -np.inf
        """When the last action that it sent is meant for [s]."""
        self._count = 0

    def see(self, observed: Observed) -> None:
        """An observation came."""
        self._count += 1
        if not self.running or self._count % self.every:
            return
        offsets = self._control_s * np.arange(self.steps)
        times = observed.stamp_ns * 1e-9 + offsets
        actions = np.repeat(self._hold[None], self.steps, axis=0)
        actions[:, self._robot.moved] += self._robot.swing * np.sin(2.0 * np.pi * 0.5 * times)
        chunk = StampedChunk(observed.stamp_ns, self._names, actions, offsets, self._fingerprint, self.name)
        self._waiting.append((observed.stamp_ns * 1e-9 + self.latency_s, chunk))

    def due(self, now_s: float) -> list[StampedChunk]:
        """What arrives at the robot by now."""
        out: list[StampedChunk] = []
        while self._waiting and self._waiting[0][0] <= now_s + 1e-9:
            chunk = self._waiting.popleft()[1]
            spoilt = chunk if self.spoil is None else self.spoil(chunk)
            if spoilt is not None:
                out.append(spoilt)
                if spoilt is chunk:
                    self.last_action_s = chunk.stamp_ns * 1e-9 + float(chunk.offsets_s[-1])
        return out


class Bench:
    """One robot under test.

    Args:
        robot: which, and how.
        seed: of its start.
    """

    def __init__(self, robot: BenchRobot, seed: int = 0) -> None:
        self.clock = SimulatedClock(100.0)
        settings = RobotNodeConfig(
            robot=robot.robot,
            task=robot.task,
            mode=robot.mode,
            bus="direct",
            start="here",
            seed=seed,
            direct_servo_hz=robot.servo_hz,
        )
        made = assemble(settings, self.clock)
        assert isinstance(made.bus, PlantBus)
        self.plant_bus = made.bus
        self.bus = FaultyBus(made.bus, self.clock, self._tap)
        self.monitor = StreamMonitor(made.limits, 1.0 / made.bus.servo_hz)
        self._true_tracked = made.tracked
        self.spoil_tracked: Callable[[Tracked], Tracked | None] | None = None
        """What happens to what is tracked."""
        self.parts = replace(made, bus=self.bus, tracked=self._tracked)
        self.loop = RobotLoop(self.parts, self._report)
        self.period_s = self.loop.period_s
        self.deadman_held = True
        """Somebody holds the switch; messages come every 50 ms."""
        self.deadman_silent = False
        """No messages of the switch."""
        self.late_s = 0.0
        """How late the next tick begins [s]; time passes by as much."""
        self.changes: list[Changed] = []
        """Changes of state so far."""
        self.acted: list[Acted] = []
        """What was done while armed."""
        self.answer = ""
        """To the last request."""
        self._ticks = 0
        self._engage(settings)

    def _engage(self, settings: RobotNodeConfig) -> None:
        self.bus.open()
        self.loop.engage(self.clock.now())
        self.plant_bus.let_go()
        state = self.plant_bus.read()
        assert state is not None
        again = assemble(settings, self.clock)  # a controller of its own, to ask for its resting action
        hold = again.controller.reset(again.senses.state(state, self.plant_bus.tracked()))
        embodiment = self.parts.embodiment
        robot = next((r for r in BENCH_ROBOTS.values() if r.robot == settings.robot and r.task == settings.task), None)
        assert robot is not None
        period_s = 1.0 / embodiment.control_hz
        self.driver, self.second = (
            BenchDriver(hold, robot, embodiment.action_names, embodiment.fingerprint(), period_s, name)
            for name in ("policy", "second policy")
        )
        self.second.running = False

    def tick(self) -> None:
        """One servo tick."""
        late, self.late_s = self.late_s, 0.0
        self.clock.sleep_until(self.clock.now() + self.period_s + late)
        now = self.clock.now()
        self._ticks += 1
        if not self.deadman_silent and self._ticks % max(1, round(0.05 / self.period_s)) == 0:
            self.loop.inputs.hear_deadman(self.deadman_held, round(now * 1e9))
        for chunk in (*self.second.due(now), *self.driver.due(now)):
            self.loop.inputs.hear_chunk(chunk)
        self.loop.tick(now, late)

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> float:
        """Let time pass, at most so long; returns how long it was [s of simulated time]."""
        begin = self.clock.now()
        while self.clock.now() - begin < seconds - 1e-9 and not (until is not None and until()):
            self.tick()
        return self.clock.now() - begin

    def ask(self, event: Event) -> tuple[bool, str]:
        """An operator's request, answered at the next tick."""
        request = self.loop.inputs.ask(event)
        self.tick()
        self.answer = request.sentence
        return request.accepted, request.sentence

    def arm(self, moving_s: float = 1.0) -> None:
        """To the start pose, armed, and moving for a while.

        Raises:
            RobotStackError: if it does not get there.
        """
        for event, state in ((Event.READY, State.HOLD), (Event.ARM, State.ARMED)):
            self.run(0.1)
            accepted, sentence = self.ask(event)
            self.run(10.0, until=lambda state=state: self.loop.state is state)
            if not accepted or self.loop.state is not state:
                raise RobotStackError("the robot on the bench cannot be armed", got=sentence, where=self.loop.latched)
        self.run(moving_s)

    def position(self) -> np.ndarray:
        """Where the joints are told to be, shape ``(joints,)``."""
        written = self.loop.written
        assert written is not None
        return written.position

    def true_state(self) -> BusState:
        """How the body really is."""
        state = self.plant_bus.read()
        assert state is not None
        return state

    def diagnosis(self) -> str:
        """Everything the status says of what is wrong, in one text."""
        status = self.loop.status(self.clock.now())
        reasons = {i.reason for a in self.acted[-200:] for i in a.interventions}
        parts = (
            *status.faults,
            *status.faults.values(),
            status.latched,
            status.missing,
            *(f"{rival} sends as well" for rival in status.rivals),
            *status.chunks_refused,
            *reasons,
            *(c.sentence for c in self.changes[-3:]),
            *status.warnings,
        )
        return "; ".join(part for part in parts if part)

    def _tap(self, time_s: float, command: JointCommand) -> None:
        self.monitor.measured(self.true_state().joint_position)
        self.monitor.see(time_s, command)

    def _report(self, report: Report) -> None:
        if isinstance(report, Observed):
            self.driver.see(report)
            self.second.see(report)
        elif isinstance(report, Changed):
            self.changes.append(report)
        else:
            self.acted.append(report)

    def _tracked(self) -> Tracked | None:
        tracked = None if self._true_tracked is None else self._true_tracked()
        if tracked is None or self.spoil_tracked is None:
            return tracked
        return self.spoil_tracked(tracked)
