"""Policies without a network, for the tests of deployment; importable in child processes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import RobotStackError
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan

ROBOT = Embodiment(
    name="test/line",
    state=(Field("tick", 1, "1"), Field("place", 2, "m", ("x", "y"))),
    action=(Field("target", 2, "m", ("x", "y"), (-1e6, -1e6), (1e6, 1e6)),),
    cameras=(),
    control_hz=20.0,
)
SEEING = Embodiment(ROBOT.name, ROBOT.state, ROBOT.action, (CameraSpec("front", 6, 8),), ROBOT.control_hz)


class Counting:
    """Plans to go on counting: action ``k`` is ``(state[0] + k, 0)``. Continues running plans by itself."""

    continues = True

    def __init__(self, steps: int = 16, history: int = 2) -> None:
        self.steps, self.history = steps, history
        self.begun: list[tuple[str, int]] = []
        self.histories: list[Sequence[Observation]] = []
        self.running: list[RunningPlan] = []
        self.failure: RobotStackError | None = None
        self.gate: threading.Semaphore | None = None

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.begun.append((instruction, seed))

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        return [ActionChunk(chunk.actions[:4], chunk.start_s, chunk.period_s) for chunk in self._chunks(histories)]

    def plan(
        self, slots: Sequence[int], histories: Sequence[Sequence[Observation]], running: Sequence[RunningPlan]
    ) -> list[ActionChunk]:
        self.running += running
        return self._chunks(histories)

    def _chunks(self, histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        if self.gate is not None:
            assert self.gate.acquire(timeout=30)
        if self.failure is not None:
            raise self.failure
        self.histories += histories
        out = []
        for history in histories:
            actions = np.zeros((self.steps, 2))
            actions[:, 0] = history[-1].state[0] + np.arange(self.steps)
            out.append(ActionChunk(actions, history[-1].time_s, 1.0 / ROBOT.control_hz))
        return out


class Place:
    """Where :class:`Counting` runs."""

    def __init__(self, driver: Counting, cameras: tuple[str, ...] = ()) -> None:
        self.driver, self.cameras = driver, cameras
        self.revived, self.closed, self.alive = 0, False, True

    def revive(self) -> None:
        self.revived += 1

    def close(self) -> None:
        self.closed = True
