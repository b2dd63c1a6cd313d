"""A recorded episode played again: every action at its recorded time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, DatasetError, EmbodimentMismatchError
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.deploy.replay_config import ReplayConfig
from robot_stack.deploy.replay_core import Replay
from robot_stack.deploy.ros_node import reliable, stamp_ns
from robot_stack.hardware.chunk_buffer import ChunkBuffer, StampedChunk, to_ns
from tests.deploy.policies import ROBOT
from tests.deploy.ros_bench import Bench, StandIn

TIMES_S = np.cumsum([0.0, 0.05, 0.05, 0.12, 0.05, 0.03] + [0.05] * 30)
"""With a gap and a hurry, as a busy machine records."""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    with DatasetWriter(tmp_path / "data", ROBOT) as writer:
        writer.begin("count")
        for number, time_s in enumerate(TIMES_S):
            action = np.array([number, 0.5])
            frame = {"observation.state": np.zeros(3), "action": action, "action.requested": action + 100}
            writer.add({**frame, "observation.time": time_s})
        writer.commit(success=True)
    return tmp_path / "data"


@pytest.mark.parametrize("speed", [1.0, 0.5])
def test_every_action_is_applied_at_its_recorded_time(dataset: Path, speed: float) -> None:
    replay = Replay(ReplayConfig(dataset=str(dataset), speed=speed), ROBOT)
    buffer = ChunkBuffer(ROBOT.action_names, "", 0.05)
    done: dict[int, float] = {}
    for tick in range(120):
        now_s = 50.0 + 0.05 * tick
        due = buffer.due(now_s)
        if due is not None and now_s - due.due_s < 0.05:
            done.setdefault(int(due.action[0]), now_s - 50.05)
        buffer.note_observation(to_ns(now_s))
        if tick and (told := replay.due(now_s)) is not None:
            plan, offsets = told
            chunk = StampedChunk(to_ns(now_s), ROBOT.action_names, plan.actions, offsets)
            assert buffer.offer(chunk, now_s + 0.001) is None
    for number, at_s in done.items():
        assert abs(at_s - TIMES_S[number] / speed) <= 0.06, "the control tick at, or after, its time"
    assert len(done) >= len(TIMES_S) - 2
    assert replay.over


def test_it_begins_anew_and_can_play_what_was_asked_for(dataset: Path) -> None:
    replay = Replay(ReplayConfig(dataset=str(dataset), column="action.requested"), ROBOT)
    for start_s in (3.0, 1000.0):
        replay.begin()
        told = replay.due(start_s)
        assert told is not None
        assert told[0].actions[0, 0] == 100.0
        assert told[1][0] == 0.0
        assert replay.due(start_s + 0.05) is None, "not at every observation"


def test_what_cannot_be_played_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbodimentMismatchError, match="10 Hz"):
        Replay(ReplayConfig(dataset=str(dataset)), replace(ROBOT, control_hz=10.0))
    with pytest.raises(DatasetError, match="no such episode"):
        Replay(ReplayConfig(dataset=str(dataset), episode=3), ROBOT)
    with pytest.raises(DatasetError):
        Replay(ReplayConfig(dataset=str(tmp_path / "nothing")), ROBOT)
    with pytest.raises(ConfigError, match="slower"):
        ReplayConfig(speed=1.5)


def test_over_ros(bench: Bench, dataset: Path) -> None:
    from trajectory_msgs.msg import JointTrajectory

    from robot_stack.deploy.replay_process import ReplayNode

    bench.listen(JointTrajectory, "action_chunk", reliable(50))
    node = ReplayNode(bench.make_node("replay", {"dataset": str(dataset), "chunk_s": 0.4}))
    robot, chunks = StandIn(bench, ROBOT), bench.heard["action_chunk"]
    bench.until(lambda: node.replay is not None, "the episode")
    robot.say("ARMED")
    bench.until(lambda: node._armed, "the arming")
    first = []

    def tick() -> Any:
        first.append(robot.observe())
        return len(chunks) >= 4

    bench.until(tick, "four chunks", poll_s=0.02)
    began = stamp_ns(chunks[0].header)
    assert began in first
    for chunk in chunks[:4]:
        for point in chunk.points[1:]:
            due_ns = stamp_ns(chunk.header) + point.time_from_start.sec * 10**9 + point.time_from_start.nanosec
            assert (due_ns - began) * 1e-9 == pytest.approx(TIMES_S[int(point.positions[0])], abs=1e-6)
