"""Gymnasium vector environments behind the same contract as our batches."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.contract import VectorWorld
from robot_stack.sim.batch.gym_batch import GymnasiumBatch
from robot_stack.sim.batch.gym_vector import VectorRobotEnv
from robot_stack.sim.batch.world import BatchWorld
from tests.sim.toy_arm import ToyReach, toy_spec


def carts(mode: AutoresetMode, n: int = 3) -> Any:
    return SyncVectorEnv([partial(gymnasium.make, "CartPole-v1", max_episode_steps=30)] * n, autoreset_mode=mode)


class Mixed(gymnasium.Env):
    """Containers of every kind, echoed back."""

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 10}  # noqa: RUF012 - Gymnasium's way
    observation_space = spaces.Dict({"x": spaces.Box(-9, 9, (2, 1)), "which": spaces.Discrete(3)})
    action_space = spaces.Tuple((spaces.Discrete(4, start=1), spaces.Box(-1, 1, (2,))))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return {"x": np.zeros((2, 1), np.float32), "which": np.int64(0)}, {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        seen = {"x": action[1].reshape(2, 1), "which": np.int64(int(action[0]) % 3)}
        return seen, float(action[0]), False, False, {"success": bool(action[0] == 4)}


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_carts_fall_as_in_gymnasium(mode: AutoresetMode) -> None:
    batch, raw = GymnasiumBatch(carts(mode)), carts(mode)
    assert isinstance(batch, VectorWorld) and batch.embodiment.control_hz == 50
    np.testing.assert_array_equal(batch.reset([1, 2, 3]), raw.reset(seed=[1, 2, 3])[0].astype(np.float64))
    rng, before, ends = np.random.default_rng(0), np.zeros(3, dtype=bool), 0
    for _ in range(80):
        push = rng.integers(0, 2, 3)
        step = batch.step(np.eye(2)[push])
        seen, reward, terminated, truncated, info = raw.step(push)
        np.testing.assert_array_equal(step.state, seen.astype(np.float64))
        np.testing.assert_array_equal(step.reward, reward)
        np.testing.assert_array_equal(step.ended, terminated | truncated)
        if mode == AutoresetMode.SAME_STEP:
            np.testing.assert_array_equal(step.began, step.ended)
            for row in np.flatnonzero(step.ended):
                np.testing.assert_array_equal(step.final_state[row], info["final_obs"][row].astype(np.float64))
        else:
            np.testing.assert_array_equal(step.began, before)
        before = step.ended
        ends += int(step.ended.sum())
    assert ends > 6
    batch.close()
    batch.close()


def test_containers_are_taken_apart_and_put_together() -> None:
    batch = GymnasiumBatch(SyncVectorEnv([Mixed] * 2))
    assert [(f.name, f.size) for f in batch.embodiment.state] == [("which", 3), ("x", 2)]
    assert batch.reset().tolist() == [[1, 0, 0, 0, 0]] * 2
    step = batch.step(np.array([[0, 0, 1, 0, 0.5, -0.25], [0.1, 0, 0, 0.9, 7.0, 0.0]]))
    assert step.state.tolist() == [[1, 0, 0, 0.5, -0.25], [0, 1, 0, 1.0, 0.0]]
    assert (step.reward.tolist(), step.success.tolist()) == ([3.0, 4.0], [False, True])
    assert step.limited.tolist() == [False, True]


def test_our_own_batch_comes_back_unchanged(tmp_path: Path) -> None:
    def make() -> BatchWorld:
        config = BatchConfig(threads=1, dump_folder="", horizon=6, autoreset="same_step")
        return BatchWorld(toy_spec(tmp_path), ToyReach(), 2, None, config)

    ours, round_trip = make(), GymnasiumBatch(VectorRobotEnv(make()))
    assert isinstance(ours, VectorWorld)
    np.testing.assert_array_equal(ours.reset([1, 2]), round_trip.reset([1, 2]))
    hold = ours.hold_action
    for _ in range(14):
        a, b = ours.step(hold), round_trip.step(hold)
        for field in ("state", "reward", "success", "terminated", "truncated", "began", "final_state"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    mask = np.array([True, False])
    np.testing.assert_array_equal(ours.reset([5, None], mask), round_trip.reset([5, None], mask))


def test_what_does_not_fit_is_told() -> None:
    batch = GymnasiumBatch(carts(AutoresetMode.NEXT_STEP))
    batch.reset([1, 2, 3])
    with pytest.raises(ShapeError):
        batch.step(np.zeros((3, 1)))
    with pytest.raises(NonFiniteError):
        batch.step(np.full((3, 2), np.nan))
    nameless = carts(AutoresetMode.NEXT_STEP)
    nameless.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
    with pytest.raises(ConfigError, match="control_hz"):
        GymnasiumBatch(nameless)
    nameless.metadata = {"render_fps": 5}
    with pytest.raises(ConfigError, match="autoreset_mode"):
        GymnasiumBatch(nameless)
