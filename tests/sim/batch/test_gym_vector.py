"""A batch as a Gymnasium vector environment is what Gymnasium's own vector of single environments is."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.core.world import World
from robot_stack.sim.batch.config import BatchConfig
from robot_stack.sim.batch.gym_vector import VectorRobotEnv
from robot_stack.sim.batch.world import BatchWorld
from robot_stack.sim.gym_env import WorldEnv
from robot_stack.sim.mujoco_robot import MujocoRobot, MujocoRobotConfig
from robot_stack.sim.randomization import Randomization
from robot_stack.sim.robot_world import SimulatedTask
from tests.sim.toy_arm import ToyReach, toy_spec

SHAKEN = Randomization(mass_scale=(0.8, 1.2), latency_steps=(0, 2), state_noise=(("joint_position", 0.01),))
HORIZON, N = 9, 3


def vector(folder: Path, n: int = N, camera: str = "", **changes: Any) -> VectorRobotEnv:
    config = BatchConfig(**{"threads": 1, "dump_folder": "", "horizon": HORIZON, **changes})
    return VectorRobotEnv(BatchWorld(toy_spec(folder), ToyReach(), n, None, config, SHAKEN), render_camera=camera)


def single(folder: Path, horizon: int = HORIZON) -> WorldEnv:
    robot = MujocoRobot(toy_spec(folder), ToyReach(), None, MujocoRobotConfig(dump_folder=""), SHAKEN)
    return WorldEnv(World(robot, SimulatedTask(robot, horizon)))


def reaching(env: VectorRobotEnv, steps: int) -> np.ndarray:
    """Actions that sometimes reach the goal and sometimes leave limits, float32 (steps, N, action_size)."""
    rng = np.random.default_rng(3)
    towards = np.array([1.5, 1.4, 0.5]) + 0.1 * rng.normal(size=(steps, env.num_envs, 3))
    return towards.astype(np.float32)


def assert_equal(ours: Any, theirs: Any, where: str = "info") -> None:
    words = {"interventions", "_interventions"}
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs) - words, where
        for key in ours:
            assert_equal(ours[key], theirs[key], f"{where}.{key}")
    elif getattr(theirs, "dtype", np.dtype(float)).kind == "O":
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine is None) == (other is None), where
            if mine is not None:
                np.testing.assert_array_equal(mine, other)
    else:
        assert ours.dtype == theirs.dtype, where
        np.testing.assert_array_equal(ours, theirs, where)


@pytest.mark.parametrize("autoreset", ["next_step", "same_step"])
def test_it_answers_as_a_vector_of_single_environments(tmp_path: Path, autoreset: Any) -> None:
    ours = vector(tmp_path, autoreset=autoreset)
    mode = ours.metadata["autoreset_mode"]
    theirs = SyncVectorEnv([partial(single, tmp_path)] * N, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.single_action_space == theirs.single_action_space
    mine, other = ours.reset(seed=40), theirs.reset(seed=40)
    np.testing.assert_array_equal(mine[0], other[0])
    assert_equal(mine[1], other[1])
    ends = 0
    for action in reaching(ours, 45):
        mine, other = ours.step(action), theirs.step(action)
        for ours_is, theirs_is in zip(mine[:4], other[:4], strict=True):
            assert ours_is.dtype == theirs_is.dtype
            np.testing.assert_array_equal(ours_is, theirs_is)
        assert_equal(mine[4], other[4])
        ends += int((mine[2] | mine[3]).sum())
    assert ends >= 4 * N
    masked = {"reset_mask": np.array([False, True, False])}
    mine, other = ours.reset(seed=[1, 2, 3], options=dict(masked)), theirs.reset(seed=[1, 2, 3], options=dict(masked))
    np.testing.assert_array_equal(mine[0][1], other[0][1])
    assert_equal(mine[1], other[1])
    ours.close()


def test_some_episodes_succeed_and_some_run_out(tmp_path: Path) -> None:
    env = vector(tmp_path, 8, horizon=60)
    env.reset(seed=0)
    ends = np.zeros(2, dtype=int)
    for action in reaching(env, 130):
        _, _, terminated, truncated, info = env.step(action)
        ends += [terminated.sum(), truncated.sum()]
        if terminated.any():
            assert info["is_success"][terminated].all()
    assert ends.min() > 0


def test_what_comes_out_is_the_callers(tmp_path: Path) -> None:
    env, twin = vector(tmp_path), vector(tmp_path)
    for e in (env, twin):
        e.reset(seed=1)
    for action in reaching(env, 12):
        seen = env.step(action)[0]
        np.testing.assert_array_equal(seen, twin.step(action)[0])
        assert env.observation_space.contains(seen)
        seen[:] = np.nan


def test_seeds_start_the_same_episodes_again(tmp_path: Path) -> None:
    env = vector(tmp_path)
    first, info = env.reset(seed=5)
    assert info["seed"].tolist() == [5, 6, 7]
    later, after = env.reset()
    assert not np.array_equal(first, later)
    np.testing.assert_array_equal(env.reset(seed=5)[0], first)
    again, info = env.reset()
    np.testing.assert_array_equal(again, later)
    assert info["seed"].tolist() == after["seed"].tolist()
    mixed = env.reset(seed=[5, None, 7])[0]
    np.testing.assert_array_equal(mixed[[0, 2]], first[[0, 2]])
    fresh = vector(tmp_path)
    assert len(set(fresh.reset()[1]["seed"].tolist())) == N
    with pytest.raises(ShapeError, match="one seed"):
        env.reset(seed=[1, 2])
    with pytest.raises(ConfigError, match="mask"):
        env.reset(options={"reset_mask": np.zeros(N, dtype=bool)})


@pytest.mark.parametrize("autoreset", ["next_step", "same_step"])
def test_gymnasiums_wrappers_work_on_it(tmp_path: Path, autoreset: Any) -> None:
    env = vector(tmp_path, autoreset=autoreset)
    counted = wrappers.RecordEpisodeStatistics(env)
    listed = wrappers.DictInfoToList(wrappers.RescaleAction(counted, -1.0, 1.0))
    counted.reset(seed=0)
    total, lengths = np.zeros(N), []
    for action in reaching(env, 4 * HORIZON):
        _, reward, terminated, truncated, info = counted.step(action)
        total += reward
        for row in np.flatnonzero(terminated | truncated):
            assert info["episode"]["r"][row] == pytest.approx(total[row])
            lengths.append(int(info["episode"]["l"][row]))
            total[row] = 0.0
    assert lengths and set(lengths) == {HORIZON}
    listed.reset(seed=0)
    _, _, _, _, infos = listed.step(np.zeros((N, 3), np.float32))
    assert [set(info) >= {"is_success", "invalid"} for info in infos] == [True] * N
    if autoreset == "next_step":
        scaled = wrappers.NormalizeObservation(wrappers.NormalizeReward(env))
        scaled.reset(seed=0)
        assert np.isfinite(scaled.step(reaching(env, 1)[0])[0]).all()


def test_without_resets_gymnasium_is_told_so(tmp_path: Path) -> None:
    assert vector(tmp_path, autoreset="off").metadata["autoreset_mode"] == AutoresetMode.DISABLED
    assert vector(tmp_path).metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP


@pytest.mark.parametrize("autoreset", ["next_step", "same_step"])
def test_a_blow_up_truncates_one_episode_alike_in_both(tmp_path: Path, autoreset: Any) -> None:
    ours = vector(tmp_path, autoreset=autoreset, horizon=100)
    mode = ours.metadata["autoreset_mode"]
    theirs = SyncVectorEnv([partial(single, tmp_path, 100)] * N, autoreset_mode=mode)
    ours.reset(seed=2)
    theirs.reset(seed=2)
    for tick, action in enumerate(reaching(ours, 6)):
        if tick == 2:
            ours.world.robot.batch.qvel[1, 0] = np.nan
            theirs.envs[1].unwrapped.world.robot.data.qvel[0] = np.nan  # type: ignore[attr-defined]
        mine, other = ours.step(action), theirs.step(action)
        for ours_is, theirs_is in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_array_equal(ours_is, theirs_is)
        if tick == 2:
            told = mine[4]["final_info"] if autoreset == "same_step" else mine[4]
            assert told["invalid"].tolist() == [False, True, False] and mine[3].tolist() == [False, True, False]
            assert "finite" in mine[4]["blow_up"][1]


def test_images_of_all_and_in_a_grid(tmp_path: Path) -> None:
    env = vector(tmp_path, camera="front")
    assert (env.render_mode, env.metadata["render_modes"]) == ("rgb_array", ["rgb_array"])
    env.reset(seed=0)
    frames = env.render()
    assert frames is not None and len(frames) == N
    assert all(frame.shape == (128, 128, 3) and frame.std() > 5 for frame in frames)
    assert not np.array_equal(frames[0], frames[1])
    alone = single(tmp_path)
    alone.reset(seed=1)
    robot: Any = alone.world.robot
    np.testing.assert_array_equal(frames[1], robot.render("front", 128, 128))
    assert env.render_tiled(3).shape == (256, 256, 3)
    np.testing.assert_array_equal(env.render_tiled()[128:, :128], frames[2])
    env.close()
    alone.close()
    with pytest.raises(ConfigError, match="render_camera"):
        vector(tmp_path).render_tiled()
    assert vector(tmp_path).render() is None


def test_a_simulated_robot_passes_gymnasiums_checker(tmp_path: Path) -> None:
    env = WorldEnv(single(tmp_path).world, render_camera="front")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for harmless in (".*infinity.*", ".*symmetric and normalized.*", ".*spec.*", ".*low-level.*"):
            warnings.filterwarnings("ignore", harmless)
        check_env(env, skip_render_check=False)
    assert isinstance(env, gymnasium.Env)
    env.close()
