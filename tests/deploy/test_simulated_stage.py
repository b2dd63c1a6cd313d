"""Policy, chunks, the robot's loop and its body, in simulated time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import EmbodimentMismatchError
from robot_stack.core.observation import Observation
from robot_stack.deploy.evaluator_config import EvaluatorConfig
from robot_stack.deploy.evaluator_core import Evaluation
from robot_stack.deploy.simulated_stage import SimulatedStage
from robot_stack.evaluation.results import EvaluationResult
from robot_stack.runtime.chunking import LatencyTrimmed, Synchronous
from robot_stack.runtime.delayed_driver import ConstantDelay

TASK = "panda/drawer"


class Swing:
    """Swings the first joint about where the arm was; plans sixteen steps."""

    history = 1

    def __init__(self, size: int) -> None:
        self.size, self.begun, self.rest = size, 0, np.zeros(0)

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        self.begun, self.rest = self.begun + 1, np.zeros(0)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        seen = histories[0][-1]
        self.rest = seen.state[: self.size].copy() if not len(self.rest) else self.rest
        actions = np.repeat(self.rest[None], 16, axis=0)
        actions[:, 0] += 0.1 * np.sin(2.0 * (seen.time_s + 0.02 * np.arange(16)))
        return [ActionChunk(actions, seen.time_s, 0.02)]


def played(folder: Path, chunking, delay_s: float) -> tuple[EvaluationResult, SimulatedStage]:
    stage = SimulatedStage(TASK, Swing(8), chunking, ConstantDelay(delay_s))
    config = EvaluatorConfig(out=str(folder), task=TASK, episodes=2, horizon_s=1.5)
    return Evaluation(config, stage).run(), stage


def test_episodes_are_played_through_the_robots_own_loop(tmp_path: Path) -> None:
    result, stage = played(tmp_path / "a", LatencyTrimmed(6), 0.05)
    assert [e.ending for e in result.episodes] == ["horizon", "horizon"], [e.error for e in result.episodes]
    assert all(e.steps == pytest.approx(75, abs=2) for e in result.episodes)
    counts, status = stage.asynchronous.counts, stage.loop.status(stage.now_s())
    assert counts.planned == counts.asked - counts.dropped > 20
    assert (counts.late, counts.dry, counts.failed) == (0, 0, 0)
    assert status.chunks_accepted >= counts.planned - 2
    assert status.actions_trimmed > counts.planned, "50 ms are two to three steps of each chunk"
    again, _ = played(tmp_path / "b", LatencyTrimmed(6), 0.05)
    assert [replace(e, wall_s=0.0) for e in again.episodes] == [replace(e, wall_s=0.0) for e in result.episodes]


def test_a_synchronous_policy_waits_and_is_not_stopped(tmp_path: Path) -> None:
    result, stage = played(tmp_path, Synchronous(8), 0.06)
    assert [e.ending for e in result.episodes] == ["horizon", "horizon"], [e.error for e in result.episodes]
    assert stage.asynchronous.counts.dry > 10


def test_a_policy_of_another_robot_does_not_play() -> None:
    stage = SimulatedStage(TASK, Swing(8), Synchronous(8), ConstantDelay(0.0))
    with pytest.raises(EmbodimentMismatchError, match="10 Hz"):
        SimulatedStage(
            TASK, Swing(8), Synchronous(8), ConstantDelay(0.0), trained=replace(stage.robot, control_hz=10.0)
        )
