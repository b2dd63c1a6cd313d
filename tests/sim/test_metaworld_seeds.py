"""Equal seeds give equal episodes: in one process, in another, and whatever ran before."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from robot_stack.sim.metaworld import MetaWorldConfig, MetaWorldRobot, make_metaworld
from robot_stack.sim.metaworld_sim import MetaWorldSim
from robot_stack.sim.metaworld_tasks import TASKS

DIGESTS = """
import hashlib, json, sys
import numpy as np
from robot_stack.sim.metaworld_sim import MetaWorldSim
np.random.seed(int(sys.argv[1]))
out = {}
for task in reversed(json.loads(sys.argv[2])):
    sim = MetaWorldSim(task)
    digest = hashlib.sha256(sim.reset(42).tobytes())
    rng = np.random.default_rng(9)
    for _ in range(3):
        digest.update(sim.step(rng.uniform(-1, 1, 4)).tobytes())
    out[task] = digest.hexdigest()
print(json.dumps(out))
"""


def digest_here(sim: MetaWorldSim) -> str:
    digest = hashlib.sha256(sim.reset(42).tobytes())
    rng = np.random.default_rng(9)
    for _ in range(3):
        digest.update(sim.step(rng.uniform(-1, 1, 4)).tobytes())
    return digest.hexdigest()


def test_all_tasks_repeat_themselves_here_and_in_another_process() -> None:
    here = {}
    state_before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    for task in TASKS:
        sim, rng = MetaWorldSim(task), np.random.default_rng(0)
        here[task] = digest_here(sim)
        starts = [sim.reset(seed).copy() for seed in (1, 2)]
        assert not np.array_equal(*starts), task
        for _ in range(25):
            sim.step(rng.uniform(-1, 1, 4))
        assert digest_here(sim) == here[task], f"{task} remembers what ran before"
    assert np.array_equal(state_before, np.random.get_state()[1])  # type: ignore[index]
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS, "77", json.dumps(list(TASKS))], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == here


@pytest.mark.parametrize("task", ["pick-place", "hammer", "soccer"])
def test_whole_episodes_repeat_after_other_episodes(task: str) -> None:
    robot = MetaWorldRobot(MetaWorldConfig(task=task))

    def rollout(seed: int, steps: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        states = [robot.reset(seed).state]
        for _ in range(steps):
            robot.command(rng.uniform(-1, 1, 4))
            states.append(robot.observe().state)
        return np.array(states)

    first = rollout(8, 120)
    rollout(9, 60)
    np.testing.assert_array_equal(rollout(8, 120), first)


def test_without_a_seed_starts_differ() -> None:
    world = make_metaworld(MetaWorldConfig(task="reach"))
    assert not np.array_equal(world.robot.reset().state, world.robot.reset().state)


def test_a_recorded_episode_replays_exactly_from_float32_actions() -> None:
    robot = MetaWorldRobot(MetaWorldConfig(task="push"))
    rng = np.random.default_rng(3)
    robot.reset(1)
    recorded = []
    for _ in range(60):
        recorded.append(robot.command(rng.normal(size=4)).sent.astype(np.float32))
    last = robot.observe().state
    robot.reset(1)
    for action in recorded:
        robot.command(action)
    np.testing.assert_array_equal(robot.observe().state, last)
