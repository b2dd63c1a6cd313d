"""A robot of three joints that follow at once, with faults to put in, and a loop around it in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from robot_stack.core.action import Intervention
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import Field
from robot_stack.core.joint_bus import BusState, Obeys
from robot_stack.core.joint_control import Accepted, Guarded, JointCommand, RobotState
from robot_stack.hardware.chunk_buffer import ChunkConfig, StampedChunk, to_ns
from robot_stack.hardware.loop_config import JointLimits, LoopConfig
from robot_stack.hardware.loop_reports import Acted, Changed, Observed
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.robot_parts import RobotParts
from robot_stack.hardware.state_machine import Event, State

JOINTS = ("a", "b", "c")
SERVO_HZ, CONTROL_HZ = 500.0, 50.0
TICK, PERIOD = 1.0 / SERVO_HZ, 1.0 / CONTROL_HZ
ONES = (1.0, 1.0, 1.0)
LIMITS = JointLimits(
    low=(-2.0,) * 3,
    high=(2.0,) * 3,
    velocity=(2.0,) * 3,
    acceleration=(20.0,) * 3,
    effort=(10.0,) * 3,
    stiffness=(100.0,) * 3,
    damping=(5.0,) * 3,
    limp_damping=(3.0,) * 3,
    max_stiffness=(200.0,) * 3,
    max_damping=(20.0,) * 3,
)
STEP = 2.0 * TICK + 1e-9
"""No joint with stiffness is told to move further in one servo tick."""

Spoil = Callable[[BusState], BusState | None]


@dataclass
class ToyBus:
    """Joints are where they were told to be one tick later; without stiffness they stay."""

    obeys: Obeys = "full"
    spoil: Spoil | None = None
    read_error: Exception | None = None
    write_error: Exception | None = None
    now_s: float = 0.0
    position: np.ndarray = field(default_factory=lambda: np.array([0.3, -0.2, 0.1]))
    q_world_base: np.ndarray | None = None
    written: list[JointCommand] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    sequence: int = 0
    joint_names = JOINTS
    servo_hz = SERVO_HZ

    def open(self) -> None:
        self.calls.append("open")

    def engage(self) -> None:
        self.calls.append("engage")

    def read(self) -> BusState | None:
        if self.read_error is not None:
            raise self.read_error
        zeros = np.zeros(3)
        state = BusState(self.now_s, self.sequence, self.position.copy(), zeros, zeros, q_world_base=self.q_world_base)
        return state if self.spoil is None else self.spoil(state)

    def write(self, command: JointCommand) -> None:
        if self.write_error is not None:
            raise self.write_error
        self.written.append(command)
        if command.stiffness.any():
            self.position = command.position.copy()

    def release(self) -> None:
        self.calls.append("release")

    def close(self) -> None:
        self.calls.append("close")


class ToyController:
    """Joint positions, or efforts."""

    def __init__(self, guards: Guarded = "position", servo_hz: float = 0.0) -> None:
        self.guards: Guarded = guards
        self.servo_hz = servo_hz
        self.fields = (Field("joint_position", 3, "rad", JOINTS, (-2.0,) * 3, (2.0,) * 3),)
        self.calls: list[str] = []
        self.times: list[float] = []
        self.error: Exception | None = None
        self.spoil: Callable[[JointCommand], JointCommand] | None = None
        self._action = np.zeros(3)

    def reset(self, state: RobotState) -> np.ndarray:
        self.calls.append("reset")
        self._action = state.joint_position.copy() if self.guards == "position" else np.zeros(3)
        return self._action

    def begin(self, action: np.ndarray, state: RobotState) -> Accepted:
        if self.error is not None:
            raise self.error
        self.calls.append("begin")
        self.times.append(state.time_s)
        self._action = np.clip(action, -2.0, 2.0)
        changed = not np.array_equal(self._action, action)
        return Accepted(self._action, (Intervention("limit", "clipped"),) if changed else ())

    def update(self, state: RobotState) -> JointCommand:
        zeros, kp, kd = np.zeros(3), np.full(3, 100.0), np.full(3, 5.0)
        if self.guards == "effort":
            command = JointCommand(state.joint_position, zeros, self._action, zeros, zeros)
        else:
            command = JointCommand(self._action, zeros, zeros, kp, kd)
        return command if self.spoil is None else self.spoil(command)


class ToySenses:
    """The joints, and a tracked object where there is one."""

    def __init__(self, tracked: bool = False) -> None:
        self.tracked_fields = (Field("object", 2, "m", ("x", "y")),) if tracked else ()
        self.fields = (Field("joint_position", 3, "rad", JOINTS), *self.tracked_fields)

    def reset(self, bus: BusState, tracked: Mapping[str, np.ndarray]) -> None:
        return

    def state(self, bus: BusState, tracked: Mapping[str, np.ndarray]) -> RobotState:
        zero = np.zeros(3)
        turn = np.array([1.0, 0, 0, 0]) if bus.q_world_base is None else bus.q_world_base
        return RobotState(bus.time_s, bus.joint_position, bus.joint_velocity, zero, turn, zero, zero, np.zeros(0))

    def vector(self, state: RobotState, tracked: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([state.joint_position, *(tracked[f.name] for f in self.tracked_fields)])


class Rig:
    """A loop around the toy, led tick by tick; what must hold at every tick is checked at every tick."""

    def __init__(
        self,
        *,
        bus: ToyBus | None = None,
        controller: ToyController | None = None,
        tracked: bool = False,
        rest_action: Callable[[np.ndarray], np.ndarray] | None = None,
        chunks: ChunkConfig | None = None,
        **config: Any,
    ) -> None:
        self.bus = bus or ToyBus()
        self.controller = controller or ToyController()
        senses = ToySenses(tracked)
        embodiment = Embodiment("toy", senses.fields, self.controller.fields, (), CONTROL_HZ)
        usual = {"control_hz": CONTROL_HZ, "start_pose": (0.0, 0.5, -0.5), "ready_speed": 1.0, "ready_min_s": 0.1}
        settings = LoopConfig(**(usual | config))
        self.parts = RobotParts(
            self.bus,
            self.controller,
            senses,
            embodiment,
            LIMITS,
            settings,
            chunks or ChunkConfig(),
            rest_action,
        )
        self.loop = RobotLoop(self.parts)
        self.fingerprint = embodiment.fingerprint()
        self.begin_s, self.ticks, self.deadman, self.clock_s = 100.0, 0, False, 100.0
        self.late_s = 0.0
        self.bus.now_s = 100.0
        self.bus.open()
        self.loop.engage(100.0)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.bus.now_s = self.clock_s
            self.bus.sequence += 1
            if self.deadman:
                self.loop.inputs.hear_deadman(True, self.ticks + 1)
            before = len(self.bus.written)
            self.loop.tick(self.clock_s, self.late_s)
            if len(self.bus.written) > before:
                check_stream(self.bus.written[before - 1 : before + 1] if before else self.bus.written[-1:])
            self.ticks += 1
            self.clock_s = self.begin_s + self.ticks * TICK

    def run(self, seconds: float) -> None:
        self.tick(round(seconds * SERVO_HZ))

    def ask(self, event: Event) -> tuple[bool, str]:
        request = self.loop.inputs.ask(event)
        self.tick()
        return request.accepted, request.sentence

    def must(self, event: Event) -> None:
        accepted, sentence = self.ask(event)
        assert accepted, sentence

    def hold(self) -> Rig:
        """Ready, and there."""
        self.tick(5)
        self.must(Event.READY)
        for _ in range(3000):
            if self.loop.state is State.HOLD:
                break
            self.tick()
        self.tick(5)
        assert self.loop.state is State.HOLD
        return self

    def armed(self) -> Rig:
        self.hold()
        self.deadman = True
        self.tick()
        self.must(Event.ARM)
        self.run(PERIOD)
        return self

    def observed(self) -> Observed:
        return next(r for r in reversed(self.loop.reports) if isinstance(r, Observed))

    def acted(self) -> list[Acted]:
        return [r for r in self.loop.reports if isinstance(r, Acted)]

    def changes(self) -> list[tuple[State, State]]:
        return [(r.before, r.state) for r in self.loop.reports if isinstance(r, Changed)]

    def chunk(self, value: Any, steps: int = 8, **change: Any) -> StampedChunk:
        """From the newest observation; ``value`` is every action, or one row an action."""
        rows = np.array(value, dtype=np.float64)
        rows = np.tile(rows, (steps, 1)) if rows.ndim == 1 else rows
        made = StampedChunk(
            self.observed().stamp_ns,
            JOINTS,
            rows,
            np.arange(len(rows)) * PERIOD,
            self.fingerprint,
        )
        return replace(made, **change)

    def drive(self, seconds: float, value: Any) -> None:
        """A driver that answers at every control tick."""
        for _ in range(round(seconds * CONTROL_HZ)):
            self.loop.inputs.hear_chunk(self.chunk(value))
            self.run(PERIOD)


def check_stream(pair: list[JointCommand]) -> None:
    """What reached the motors is finite, within limits, and without a step where joints have stiffness."""
    now = pair[-1]
    for part in (now.position, now.velocity, now.effort, now.stiffness, now.damping):
        assert part.shape == (3,) and np.isfinite(part).all()
    assert (np.abs(now.effort) <= 10.0).all() and (np.abs(now.velocity) <= 2.0).all()
    assert (now.stiffness >= 0).all() and (now.stiffness <= 200.0).all()
    assert (now.damping >= 0).all() and (now.damping <= 20.0).all()
    if now.stiffness.any():
        assert (np.abs(now.position) <= 2.0 + 1e-9).all()
    if len(pair) == 2:
        both = (pair[0].stiffness > 0) & (now.stiffness > 0)
        assert (np.abs(now.position - pair[0].position)[both] <= STEP).all()


__all__ = ["LIMITS", "PERIOD", "TICK", "Rig", "ToyBus", "ToyController", "to_ns"]
