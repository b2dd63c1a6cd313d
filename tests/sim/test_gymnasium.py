"""Gymnasium environments as worlds, and worlds as Gymnasium environments."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from robot_stack.core.driver import Driver
from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.core.observation import check_observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Task
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.dmc import DmcConfig, make_dmc
from robot_stack.sim.gym_env import WorldEnv
from robot_stack.sim.gym_robot import GymnasiumConfig, GymnasiumRobot, make_gymnasium
from robot_stack.sim.gym_spaces import assemble, leaves_of
from robot_stack.sim.metaworld import MetaWorldConfig, make_metaworld
from tests.worlds import PointConfig, make_point_world


class Everything(gymnasium.Env):
    """Every kind of space; the step says what it was given."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - Gymnasium's way
    render_mode = None
    observation_space = spaces.Dict(
        {
            "eye": spaces.Box(0, 255, (6, 8, 3), np.uint8),
            "arm": spaces.Dict({"joint.angle": spaces.Box(-1, 1, (2, 2)), "mode": spaces.Discrete(3, start=5)}),
            "buttons": spaces.MultiBinary(3),
        }
    )
    action_space = spaces.Tuple(
        (spaces.Box(-2, 2, (2,)), spaces.MultiDiscrete([2, 3]), spaces.Discrete(2), spaces.MultiBinary(2))
    )

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def render(self) -> np.ndarray:
        return np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.seen = self.observation_space.sample()
        return self.seen, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.given = action
        return self.seen, 1.5, False, False, {"is_success": bool(action[2])}


gymnasium.register("Everything-v0", entry_point=lambda **options: Everything(**options), max_episode_steps=7)


def everything() -> Any:
    return make_gymnasium(GymnasiumConfig("Everything-v0", control_hz=10))


def test_every_kind_of_space_becomes_fields_and_comes_back() -> None:
    world = everything()
    body = world.robot.embodiment
    assert [(f.name, f.size) for f in body.state] == [("arm_joint_angle", 4), ("arm_mode", 3), ("buttons", 3)]
    assert [c.name for c in body.cameras] == ["eye"]
    assert [(f.name, f.size) for f in body.action] == [("0", 2), ("1", 5), ("2", 2), ("3", 2)]
    first = world.task.reset(world.robot, 3)
    check_observation(first, body)
    seen = world.robot.env.unwrapped.seen
    np.testing.assert_allclose(first.state[:4], seen["arm"]["joint.angle"].ravel())
    assert int(np.argmax(first.state[4:7])) == seen["arm"]["mode"] - 5
    asked = np.array([3.0, -0.5, 0.2, 0.7, 0.1, 0.2, 0.9, 0.4, 0.3, 0.6, 0.2])
    receipt = world.robot.command(asked)
    given = world.robot.env.unwrapped.given
    np.testing.assert_allclose(given[0], [2.0, -0.5])
    assert given[1].tolist() == [1, 2]
    assert int(given[2]) == 0
    assert given[3].tolist() == [1, 0]
    np.testing.assert_allclose(receipt.sent, [2, -0.5, 0, 1, 0, 0, 1, 1, 0, 1, 0])
    assert len(receipt.interventions) == 1
    score = world.task.score(world.robot.observe(), receipt)
    assert (score.reward, score.success, score.terminated) == (1.5, False, False)
    assert world.task.score(world.robot.observe(), world.robot.command(np.roll(asked, 1))).reward == 1.5


@pytest.mark.parametrize("space", [Everything.observation_space, Everything.action_space])
def test_samples_survive_the_round_trip(space: spaces.Space) -> None:
    space.seed(0)
    leaves = leaves_of(space)
    for _ in range(20):
        value = space.sample()
        back = assemble(space, {leaf.path: leaf.decode(leaf.encode(leaf.get(value))) for leaf in leaves})
        assert space.contains(back)
        for leaf in leaves:
            np.testing.assert_array_equal(leaf.get(back), leaf.get(value))


def test_spaces_without_a_size_are_refused() -> None:
    with pytest.raises(ConfigError, match="words"):
        leaves_of(spaces.Dict({"words": spaces.Text(5)}))


def test_running_into_the_horizon_is_not_a_termination() -> None:
    world = everything()
    assert world.task.horizon == 7
    result = run_episode(world.robot, Constant(np.array([0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0.0])), world.task, seed=0)
    assert (result.ending, result.steps, result.success) == ("horizon", 7, False)
    with pytest.raises(ConfigError, match="reset first"):
        world.robot.command(np.zeros(11))


class Constant:
    history = 1

    def __init__(self, action: np.ndarray) -> None:
        self.action = action

    def reset(self, instruction: str, seed: int) -> None:
        pass

    def act(self, history: Any) -> Any:
        from robot_stack.core.action import ActionChunk

        return ActionChunk(self.action[None])


def balance(state: np.ndarray) -> np.ndarray:
    lean = state[2] + 0.3 * state[3] + 0.03 * state[0] + 0.1 * state[1]
    return np.array([0.0, 1.0]) if lean > 0 else np.array([1.0, 0.0])


class Balancer(Constant):
    def act(self, history: Any) -> Any:
        self.action = balance(history[-1].state)
        return super().act(history)


def test_cartpole_is_won_and_lost_like_in_gymnasium() -> None:
    world = make_gymnasium(GymnasiumConfig("CartPole-v1"))
    assert isinstance(world.robot, Robot)
    assert isinstance(world.task, Task)
    assert world.robot.embodiment.control_hz == 50
    driver: Driver = Balancer(np.zeros(2))
    won = run_episode(world.robot, driver, world.task, seed=1, stop_on_success=False)
    assert (won.steps, won.success, won.total_reward, won.ending) == (500, True, 500.0, "horizon")
    lost = run_episode(world.robot, Constant(np.array([0.0, 1.0])), world.task, seed=1)
    assert lost.ending == "terminated"
    raw = gymnasium.make("CartPole-v1")
    state, _ = raw.reset(seed=1)
    np.testing.assert_array_equal(world.robot.reset(1).state, state.astype(np.float64))
    steps = 0
    while True:
        steps += 1
        if raw.step(1)[2]:
            break
    assert lost.steps == steps


def test_a_continuous_environment_equals_gymnasiums() -> None:
    world = make_gymnasium(GymnasiumConfig("Pendulum-v1"))
    raw, rng = gymnasium.make("Pendulum-v1"), np.random.default_rng(0)
    np.testing.assert_array_equal(world.robot.reset(4).state, raw.reset(seed=4)[0].astype(np.float64))
    for _ in range(50):
        action = rng.uniform(-2, 2, 1)
        receipt = world.robot.command(action)
        seen, reward, *_ = raw.step(action.astype(np.float32))
        np.testing.assert_array_equal(world.robot.observe().state, seen.astype(np.float64))
        assert world.task.score(world.robot.observe(), receipt).reward == float(reward)
    assert world.robot.command(np.array([5.0])).sent == pytest.approx([2.0])


def test_the_horizon_can_be_chosen() -> None:
    world = make_gymnasium(GymnasiumConfig("Pendulum-v1", horizon=250))
    result = run_episode(world.robot, Constant(np.zeros(1)), world.task, seed=0)
    assert (result.steps, result.ending) == (250, "horizon")


def test_rendered_images_are_a_camera() -> None:
    world = make_gymnasium(GymnasiumConfig("Everything-v0", control_hz=10, camera=True))
    seen = world.task.reset(world.robot, 0)
    check_observation(seen, world.robot.embodiment)
    assert seen.images["render"].shape == (5, 4, 3)
    assert seen.images["render"][4, 3].tolist() == [57, 58, 59]
    world.close()


def test_a_mujoco_environment_renders_without_a_display() -> None:
    config = GymnasiumConfig("InvertedPendulum-v5", camera=True, options=(("width", 64), ("height", 48)))
    world = make_gymnasium(config)
    first = world.task.reset(world.robot, 0)
    check_observation(first, world.robot.embodiment)
    assert first.images["render"].std() > 5
    world.close()


def test_unknown_environments_list_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="CartPole-v1"):
        make_gymnasium(GymnasiumConfig("CartPol-v1"))


@pytest.mark.parametrize(
    "maker",
    [
        partial(make_point_world, PointConfig()),
        partial(make_point_world, PointConfig(camera=16)),
        partial(make_metaworld, MetaWorldConfig(task="reach")),
        partial(make_metaworld, MetaWorldConfig(task="push", cameras=("corner",), image_height=32, image_width=32)),
        partial(make_dmc, DmcConfig(task="reacher-easy")),
        partial(make_gymnasium, GymnasiumConfig("Pendulum-v1")),
    ],
    ids=["point", "point-camera", "metaworld", "metaworld-camera", "dmc", "gymnasium"],
)
def test_worlds_pass_gymnasiums_own_checker(maker: Callable[[], Any]) -> None:
    env = WorldEnv(maker())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for harmless in (".*infinity.*", ".*Box observation space.*", ".*symmetric and normalized.*"):
            warnings.filterwarnings("ignore", harmless)
        warnings.filterwarnings("ignore", ".*not having.*|.*spec.*|.*render.*|.*low-level.*")
        check_env(env, skip_render_check=True)
    env.close()


def test_a_world_steps_alike_as_an_environment() -> None:
    maker = partial(make_metaworld, MetaWorldConfig(task="push", horizon=20))
    env, world = WorldEnv(maker(), render_camera="corner"), maker()
    seen, info = env.reset(seed=9)
    np.testing.assert_array_equal(seen, world.task.reset(world.robot, 9).state)
    assert info == {"seed": 9}
    rng = np.random.default_rng(0)
    for k in range(20):
        action = rng.uniform(-1.5, 1.5, 4).astype(np.float32)
        seen, reward, terminated, truncated, info = env.step(action)
        receipt = world.robot.command(action.astype(np.float64))
        score = world.task.score(world.robot.observe(), receipt)
        np.testing.assert_array_equal(seen, world.robot.observe().state)
        assert (reward, terminated, truncated) == (score.reward, False, k == 19)
        assert len(info["interventions"]) == len(receipt.interventions)
    image = env.render()
    assert image is not None
    assert image.shape == (96, 96, 3)
    assert env.reset()[1] != env.reset()[1]
    assert isinstance(make_gymnasium().robot, GymnasiumRobot)
