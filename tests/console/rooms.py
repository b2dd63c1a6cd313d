"""Rooms for tests: a study served with stages that need no robot, or with small simulated ones."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robot_stack.console.trials.padding import padded_jpeg
from robot_stack.console.trials.stage import StageStatus
from robot_stack.console.trials.world_stage import WorldStage
from robot_stack.core.driver import Driver
from robot_stack.core.world import World
from robot_stack.evaluation.trials.plan import InitialCondition
from tests.worlds import PointConfig, PointExpert, make_point_world

PICTURE = padded_jpeg(np.full((60, 80, 3), 90, np.uint8))


class FakeStage:
    """Does at once what it is told; remembers who drove."""

    def __init__(self) -> None:
        self.now = StageStatus()
        self.started: list[int] = []
        self.stopped: list[str] = []
        self.shown: list[str] = []

    def show(self, condition: InitialCondition) -> None:
        self.shown.append(condition.id)
        self.now = StageStatus()

    def start(self, arm: int, film: Path | None) -> None:
        self.started.append(arm)
        self.now = StageStatus("moving", 1.25, 10)
        if film is not None:
            film.write_bytes(b"film of " + film.name.encode())

    def stop(self, reason: str) -> None:
        self.stopped.append(reason)
        if self.now.state == "moving":
            self.now = StageStatus("done", self.now.elapsed_s, self.now.steps)

    def status(self) -> StageStatus:
        return self.now

    def frame(self) -> bytes:
        return PICTURE

    def target(self) -> bytes:
        return PICTURE

    def close(self) -> None:
        self.stop("closed")


def make_drivers(world: World) -> Sequence[Driver]:
    """A good policy and a lazy one."""
    return [PointExpert(0.0), LazyExpert()]


class LazyExpert(PointExpert):
    """Pushes a tenth as hard."""

    def act(self, history):
        chunk = super().act(history)
        return type(chunk)(0.1 * chunk.actions, chunk.start_s, chunk.period_s)


def point_stage(horizon: int = 40) -> WorldStage:
    world = functools.partial(make_point_world, PointConfig(camera=96, horizon=horizon))
    return WorldStage(world, make_drivers)
