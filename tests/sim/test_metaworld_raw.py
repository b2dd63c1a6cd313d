"""Our trajectories are Meta-World's own, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.sim.experts import make_script
from robot_stack.sim.metaworld_lean import quaternion_xyzw
from robot_stack.sim.metaworld_sim import MetaWorldSim
from robot_stack.sim.metaworld_tasks import TASKS

RawMaker = Callable[[str], Any]


def start_raw(env: Any, start: np.ndarray) -> np.ndarray:
    """What ``set_task`` does with a task's rand vec, and a reset."""
    env._freeze_rand_vec, env._last_rand_vec = True, start.copy()
    return env.reset()[0]


def same_step(sim: MetaWorldSim, env: Any, action: np.ndarray) -> None:
    state = sim.step(action)
    reward, info = sim.evaluate(action)
    raw_state, raw_reward, _, _, raw_info = env.step(action)
    np.testing.assert_array_equal(state, raw_state)
    assert reward == float(raw_reward)
    assert info.keys() == raw_info.keys()
    assert all(info[k] == raw_info[k] for k in info)


@pytest.mark.parametrize("task", TASKS)
def test_reset_and_first_steps_equal_a_fresh_raw_environment(task: str, raw_metaworld: RawMaker) -> None:
    sim, rng = MetaWorldSim(task), np.random.default_rng(1)
    sim.reset(5)
    for _ in range(10):
        sim.step(rng.uniform(-1, 1, 4))
    state = sim.reset(7)
    env = raw_metaworld(task)
    np.testing.assert_array_equal(state, start_raw(env, sim.start))
    for _ in range(15):
        same_step(sim, env, rng.uniform(-1, 1, 4))


@pytest.mark.parametrize("task", ["pick-place", "stick-pull", "basketball", "hammer", "door-open", "sweep-into"])
def test_whole_expert_episodes_equal(task: str, raw_metaworld: RawMaker) -> None:
    sim, env, script, rng = MetaWorldSim(task), raw_metaworld(task), make_script(task), np.random.default_rng(2)
    state = sim.reset(11)
    np.testing.assert_array_equal(state, start_raw(env, sim.start))
    for _ in range(150):
        wanted = np.asarray(script.get_action(sim.state), np.float64) + 0.1 * rng.normal(size=4)
        same_step(sim, env, np.clip(wanted, -1, 1))


@pytest.mark.parametrize("task", ["push", "bin-picking", "window-open"])
def test_the_start_is_the_first_draw_of_the_seeded_raw_environment(task: str, raw_metaworld: RawMaker) -> None:
    sim, env = MetaWorldSim(task), raw_metaworld(task)
    sim.reset(123)
    env.seed(123)
    env.seeded_rand_vec, env._freeze_rand_vec = True, False
    env.reset_model()
    np.testing.assert_array_equal(sim.start, env._last_rand_vec)


def test_a_given_start_is_kept() -> None:
    sim = MetaWorldSim("reach")
    sim.reset(3)
    start = sim.start
    first = sim.reset_at(start).copy()
    sim.reset(4)
    np.testing.assert_array_equal(sim.reset_at(start), first)
    np.testing.assert_array_equal(first[-3:], start[-3:])


def test_a_start_that_cannot_be_is_refused() -> None:
    sim = MetaWorldSim("reach")
    with pytest.raises(ShapeError, match="wrong length"):
        sim.reset_at(np.zeros(3))
    sim = MetaWorldSim("pick-place")
    with pytest.raises(ConfigError, match="does not allow"):
        sim.reset_at(np.array([0.0, 0.8, 0.02, 0.0, 0.8, 0.1]))  # the puck on the goal
    sim.reset(1)


def test_quaternions_are_those_of_scipy_to_the_last_bit() -> None:
    for rotation in Rotation.random(500, rng=np.random.default_rng(0)):
        matrix = rotation.as_matrix()
        np.testing.assert_array_equal(quaternion_xyzw(matrix), Rotation.from_matrix(matrix).as_quat())
