"""Recorded actions are played one by one."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.errors import ShapeError
from robot_stack.runtime.loop import run_episode
from robot_stack.runtime.replay import ReplayDriver
from tests.worlds import make_point_world


def test_actions_come_in_order_and_the_last_one_stays() -> None:
    actions = np.array([[0.1, 0.0], [0.2, 0.0], [0.3, 0.0]])
    driver = ReplayDriver(actions)
    for _ in range(2):
        driver.reset("", 0)
        played = [driver.act([]).actions[0, 0] for _ in range(5)]
        assert played == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3])


def test_a_replayed_episode_is_the_first_one() -> None:
    world = make_point_world()
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (20, 2))
    ends = []
    for _ in range(2):
        run_episode(world.robot, ReplayDriver(actions), world.task, seed=4, horizon=20, stop_on_success=False)
        ends.append(world.robot.observe().state)
    assert np.array_equal(*ends)


@pytest.mark.parametrize("actions", [np.zeros((0, 2)), np.zeros(3)])
def test_nothing_to_replay_is_refused(actions: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="nothing to replay"):
        ReplayDriver(actions)
