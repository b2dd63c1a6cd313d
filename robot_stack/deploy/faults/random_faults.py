"""Random sequences of faults, requests and switches, after none of which a command out of limits may reach the motors.

The body is kinematic, so that thousands of sequences take minutes: joints follow positions with the speed that their
limits allow, and speeds and efforts directly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.clock import SimulatedClock
from robot_stack.core.joint_bus import BusState, Obeys
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.seeding import generator
from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.faults.faulty_bus import FaultyBus
from robot_stack.deploy.faults.stream_monitor import StreamMonitor
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.loop_config import JointLimits
from robot_stack.hardware.loop_reports import Changed, Observed, Report
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.robot_parts import RobotParts
from robot_stack.hardware.state_machine import REQUESTS, Event, State

TICKS = 60
"""Of one sequence, after the robot was armed."""


class KinematicBus:
    """A body without dynamics behind the contract of a joint bus.

    Args:
        joint_names: of all joints.
        servo_hz: of commands [Hz].
        limits: of the joints.
        clock: whose time passes.
    """

    obeys: Obeys = "full"

    def __init__(
        self, joint_names: tuple[str, ...], servo_hz: float, limits: JointLimits, clock: SimulatedClock
    ) -> None:
        self.joint_names, self.servo_hz = joint_names, servo_hz
        self._clock = clock
        self._low, self._high = np.array(limits.low), np.array(limits.high)
        self._step = np.array(limits.velocity) / servo_hz
        self.position = np.clip(np.zeros(len(joint_names)), self._low, self._high)
        self.slipped = np.zeros_like(self.position)
        """By how much encoders have slipped; a motor's own loop follows its encoder [rad or m]."""
        self._velocity = np.zeros_like(self.position)
        self._count = 0

    @property
    def shown(self) -> np.ndarray:
        """What the encoders show, shape ``(joints,)`` [rad or m]."""
        return self.position + self.slipped

    def open(self) -> None:
        """Nothing to connect."""

    def engage(self) -> None:
        """Nothing to wake."""

    def read(self) -> BusState:
        """The state now."""
        self._count += 1
        return BusState(
            self._clock.now(),
            self._count,
            self.shown,
            self._velocity.copy(),
            np.zeros_like(self.position),
        )

    def write(self, command: JointCommand) -> None:
        """Joints with stiffness follow their position as fast as they may, the others their speed."""
        wanted = np.where(command.stiffness > 0.0, command.position - self.shown, command.velocity / self.servo_hz)
        step = np.clip(wanted, -self._step, self._step)
        before = self.position
        self.position = np.clip(before + step, self._low, self._high)
        self._velocity = (self.position - before) * self.servo_hz

    def release(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to disconnect."""


@dataclass(frozen=True)
class SequenceResult:
    """What came of one sequence."""

    violations: tuple[str, ...]
    """Commands out of limits, and arming that nobody asked for."""

    commands: int
    """How many reached the motors."""

    events: tuple[str, ...]
    """What happened, to be read when something is wrong."""

    states: tuple[State, ...]
    """States that were gone through."""


class RandomFaults:
    """Runs sequences on one robot.

    Args:
        robot: name in the catalogue.
        task: full name of its task.
        mode: an action mode of joints.
    """

    def __init__(self, robot: str, task: str, mode: str) -> None:
        self._clock = SimulatedClock(1000.0)
        made = assemble(
            RobotNodeConfig(robot=robot, task=task, mode=mode, bus="direct", start="here", direct_servo_hz=100.0),
            self._clock,
        )
        self._made = made
        tracked = None if made.tracked is None else made.tracked()
        self._tracked = dict(tracked or {})

    def run(self, seed: int) -> SequenceResult:
        """One sequence; equal seeds give equal sequences."""
        return _Sequence(self._made, self._clock, self._tracked, seed).run()


class _Sequence:
    def __init__(self, made: RobotParts, clock: SimulatedClock, tracked: dict[str, np.ndarray], seed: int) -> None:
        self._rng, self._clock = generator(seed, 0xFA), clock
        body = KinematicBus(made.bus.joint_names, made.bus.servo_hz, made.limits, clock)
        monitor = StreamMonitor(made.limits, 1.0 / body.servo_hz)

        def tap(time_s: float, command: JointCommand) -> None:
            known = self._loop.watch.good  # while a robot says nothing sound, nobody can know better
            monitor.measured(body.shown if known is None else known.joint_position)
            monitor.see(time_s, command)

        self._body, self._monitor = body, monitor
        self._bus = FaultyBus(body, clock, tap)
        self._tracked_now: dict[str, np.ndarray] | None = tracked
        self._tracked = tracked
        parts = replace(made, bus=self._bus, tracked=lambda: self._tracked_now)
        self._loop = RobotLoop(parts, self._report)
        embodiment = made.embodiment
        self._names, self._fingerprint = embodiment.action_names, embodiment.fingerprint()
        low, high = embodiment.action_limits
        self._span = np.clip(low, -3.0, 3.0), np.clip(high, -3.0, 3.0)
        self._stamps: list[int] = [0]
        self._kept: list[StampedChunk] = []
        self._asked_to_arm = False
        self._wrong: list[str] = []
        self._events: list[str] = []
        self._states: list[State] = []
        self._deadman = True
        self._frozen: BusState | None = None

    def run(self) -> SequenceResult:
        self._loop.engage(self._clock.now())
        for event, ticks in ((Event.READY, 3), (None, 104), (Event.ARM, 4)):
            for tick in range(ticks):
                if tick == 1 and event is not None:
                    self._ask(event)
                self._tick(quiet=True)
        for _ in range(TICKS):
            if self._rng.random() < 0.25:
                self._something()
            self._tick()
        return SequenceResult(
            (*self._wrong, *self._monitor.violations),
            self._monitor.commands,
            tuple(self._events),
            tuple(dict.fromkeys(self._states)),
        )

    def _tick(self, *, quiet: bool = False) -> None:
        rng, late = self._rng, 0.0
        if not quiet and rng.random() < 0.03:
            late = float(rng.exponential(0.1))
        self._clock.sleep_until(self._clock.now() + self._loop.period_s + late)
        now = self._clock.now()
        if quiet or rng.random() < 0.7:
            self._loop.inputs.hear_deadman(self._deadman, round(now * 1e9))
        if quiet or rng.random() < 0.6:
            self._loop.inputs.hear_chunk(self._chunk(spoil=not quiet))
        before = self._loop.state
        self._loop.tick(now, late)
        if self._loop.state is State.ARMED and before is not State.ARMED and not self._asked_to_arm:
            self._wrong.append(f"{now:.3f} s: armed without being asked to")
        self._asked_to_arm = False

    def _ask(self, event: Event) -> None:
        self._asked_to_arm |= event is Event.ARM
        self._loop.inputs.ask(event)
        self._events.append(event.value)

    def _report(self, report: Report) -> None:
        if isinstance(report, Observed):
            self._stamps.append(report.stamp_ns)
        elif isinstance(report, Changed):
            self._states.append(report.state)

    def _chunk(self, *, spoil: bool) -> StampedChunk:
        rng, size = self._rng, len(self._names)
        steps = int(rng.integers(1, 20))
        actions = rng.uniform(*self._span, (steps, size))
        offsets = 0.02 * np.arange(steps)
        chunk = StampedChunk(self._stamps[-1], self._names, actions, offsets, self._fingerprint)
        if spoil:
            chunk = self._spoilt(chunk)
        self._kept.append(chunk)
        return chunk

    def _spoilt(self, chunk: StampedChunk) -> StampedChunk:
        rng = self._rng
        how = int(rng.integers(0, 16))
        if how == 0:
            chunk.actions[rng.integers(len(chunk.actions)), rng.integers(len(self._names))] = rng.choice(
                [np.nan, np.inf, -np.inf, 1e308, 5e-324, -1e6]
            )
        elif how == 1:
            chunk = replace(chunk, actions=chunk.actions * 10.0 ** rng.uniform(0, 12))
        elif how == 2:
            chunk = replace(chunk, actions=chunk.actions[:, : rng.integers(0, len(self._names))])
        elif how == 3:
            chunk = replace(chunk, names=chunk.names[::-1])
        elif how == 4:
            chunk = replace(chunk, stamp_ns=int(rng.choice(self._stamps)))
        elif how == 5:
            chunk = replace(chunk, stamp_ns=chunk.stamp_ns + int(rng.integers(-(10**12), 10**12)))
        elif how == 6:
            chunk = replace(chunk, offsets_s=chunk.offsets_s * rng.choice([-1.0, np.nan, 100.0, 0.0, 0.1]))
        elif how == 8:
            chunk = replace(chunk, driver="second")
        elif how == 7 and self._kept:
            chunk = self._kept[int(rng.integers(len(self._kept)))]
        return chunk

    def _something(self) -> None:
        """A request, a switch, or harm to the states."""
        rng = self._rng
        kind = int(rng.integers(0, 10))
        if kind < 4:
            self._ask(REQUESTS[int(rng.integers(len(REQUESTS)))])
        elif kind == 4:
            self._deadman = bool(rng.random() < 0.6)
        elif kind == 5:
            self._loop.inputs.hear_estop(bool(rng.random() < 0.3))
        elif kind == 6:
            self._bus.deaf, self._bus.mute = bool(rng.random() < 0.2), bool(rng.random() < 0.2)
        elif kind == 7:
            self._tracked_now = None if rng.random() < 0.3 else self._tracked
        else:
            self._harm(int(rng.integers(0, 8)))
        if kind >= 4:
            self._events.append(f"kind {kind}")

    def _harm(self, kind: int) -> None:
        rng, frozen = self._rng, self._body.read()
        joint, size = int(rng.integers(len(frozen.joint_position))), float(rng.normal(0.0, 2.0))

        def undefined(state: BusState) -> BusState:
            position = state.joint_position.copy()
            position[joint] = np.nan
            return replace(state, joint_position=position)

        harms = (
            None,
            None,
            lambda _: None,
            lambda state: replace(frozen, time_s=state.time_s),
            lambda state: replace(state, time_s=state.time_s + size),
            lambda state: replace(state, faults=("a motor's error",)),
            None,
            undefined,
        )
        if kind == 6:
            self._body.slipped[joint] += size
        self._bus.harm = harms[kind]
