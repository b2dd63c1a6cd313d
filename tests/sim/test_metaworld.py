"""Meta-World behind the Robot and Task contracts."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest

from robot_stack.core.driver import Driver
from robot_stack.core.errors import ConfigError, NonFiniteError, ShapeError, UnknownNameError
from robot_stack.core.observation import check_observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Task
from robot_stack.runtime.loop import run_episode
from robot_stack.sim.experts import ExpertConfig, MetaWorldExpert, make_expert
from robot_stack.sim.metaworld import CAMERAS, MetaWorldConfig, MetaWorldRobot, make_metaworld
from robot_stack.sim.metaworld_milestones import MILESTONES
from robot_stack.sim.metaworld_tasks import TASKS, task_info


@pytest.fixture(scope="module")
def reach() -> MetaWorldRobot:
    return MetaWorldRobot(MetaWorldConfig(task="reach-v3"))


def test_contracts_and_embodiment() -> None:
    world = make_metaworld(MetaWorldConfig(task="pick-place-v3"))
    assert isinstance(world.robot, Robot)
    assert isinstance(world.task, Task)
    body = world.robot.embodiment
    assert body.state_size == 39
    assert body.action_size == 4
    assert len(set(body.state_names)) == 39
    sim = world.robot.sim  # type: ignore[attr-defined]
    assert body.control_hz == pytest.approx(1 / (sim.model.opt.timestep * 5))
    assert sim.env.frame_skip == 5
    assert world.task.name == "metaworld/pick-place"
    assert world.task.horizon == 500
    other = make_metaworld(MetaWorldConfig(task="door-open"))
    assert other.robot.embodiment.fingerprint() == body.fingerprint()
    observation = world.task.reset(world.robot, 0)
    check_observation(observation, body)
    with pytest.raises(ConfigError, match="made with"):
        world.task.reset(other.robot, 0)


def test_state_fields_say_what_they_hold() -> None:
    world = make_metaworld(MetaWorldConfig(task="pick-place"))
    robot, sim = world.robot, world.robot.sim  # type: ignore[attr-defined]
    before = world.task.reset(robot, 4).state
    robot.command(np.array([0.5, -0.5, -1.0, -1.0]))
    now = robot.observe().state
    at = robot.embodiment.state_slices
    np.testing.assert_array_equal(now[at["hand_position"]], sim.data.body("hand").xpos)
    np.testing.assert_array_equal(now[at["object_1_position"]], sim.data.body("obj").xpos)
    np.testing.assert_array_equal(now[at["goal_position"]], sim.start[3:])
    assert np.linalg.norm(now[at["object_1_quaternion"]]) == pytest.approx(1.0)
    assert not now[at["object_2_position"]].any()
    names = ("hand_position", "gripper_opening", "object_1_position", "object_1_quaternion", "object_2_position")
    for name in names:
        np.testing.assert_array_equal(now[at[f"previous_{name}"]], before[at[name]])


def test_one_unit_of_action_is_one_centimetre(reach: MetaWorldRobot) -> None:
    reach.reset(0)
    before = reach.sim.data.mocap_pos[0].copy()
    reach.command(np.array([1.0, 0.5, -0.25, 0.0]))
    np.testing.assert_allclose(reach.sim.data.mocap_pos[0] - before, [0.01, 0.005, -0.0025], atol=1e-12)


def test_commands_out_of_range_are_clipped_and_reported(reach: MetaWorldRobot) -> None:
    reach.reset(0)
    receipt = reach.command(np.array([0.3, 2.5, -1.0, -7.0]))
    np.testing.assert_allclose(receipt.sent, [0.3, 1.0, -1.0, -1.0], rtol=1e-7)
    assert [i.reason for i in receipt.interventions] == ["limit", "limit"]
    assert "dy 2.5" in receipt.interventions[0].detail
    assert reach.command(np.array([1.0, -1.0, 0.1, 0.0])).interventions == ()
    with pytest.raises(ShapeError):
        reach.command(np.zeros(3))
    with pytest.raises(NonFiniteError):
        reach.command(np.array([0.0, np.nan, 0.0, 0.0]))


def test_the_horizon_is_ours_and_nothing_breaks_beyond_metaworlds(reach: MetaWorldRobot) -> None:
    first = reach.reset(0)
    for _ in range(520):
        reach.command(np.zeros(4))
    seen = reach.observe()
    assert (first.sequence, seen.sequence) == (0, 520)
    assert seen.time_s == pytest.approx(6.5)


def test_unknown_names_list_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="pick-place"):
        make_metaworld(MetaWorldConfig(task="pickplace"))
    with pytest.raises(UnknownNameError, match="corner"):
        make_metaworld(MetaWorldConfig(task="reach", cameras=("cornr",)))


def test_the_maker_can_be_sent_to_another_process() -> None:
    maker = partial(make_metaworld, MetaWorldConfig(task="reach", horizon=50))
    world = pickle.loads(pickle.dumps(maker))()
    assert world.task.horizon == 50
    world.close()


def test_the_table_is_complete() -> None:
    from metaworld.env_dict import ENV_CLS_MAP

    assert {f"{name}-v3" for name in TASKS} == set(ENV_CLS_MAP)
    assert len({info.instruction for info in TASKS.values()}) == 50
    assert task_info("drawer-open-v3").group in MILESTONES


@pytest.mark.parametrize("task", ["pick-place", "push", "reach", "window-close", "box-close"])
def test_milestones_are_met_in_order_by_the_expert_and_not_by_doing_nothing(task: str) -> None:
    world = make_metaworld(MetaWorldConfig(task=task))
    result = run_episode(world.robot, make_expert(world), world.task, seed=2)
    assert result.success
    steps = [result.milestones[name] for name in world.task.milestones if name not in ("lifted", "grasped")]
    assert steps == sorted(s for s in steps if s is not None)
    world.task.reset(world.robot, 2)
    for _ in range(30):
        receipt = world.robot.command(np.zeros(4))
        assert not any(world.task.score(world.robot.observe(), receipt).milestones)


def test_experts_are_drivers_and_their_noise_comes_from_the_seed() -> None:
    world = make_metaworld(MetaWorldConfig(task="push"))
    noisy = ExpertConfig(noise_std=0.2, uniform_share=0.1, noisy_episodes=0.5)
    expert = make_expert(world, noisy)
    assert isinstance(expert, Driver)
    observation = world.task.reset(world.robot, 0)

    def first_actions(seed: int, config: ExpertConfig) -> np.ndarray:
        driver = MetaWorldExpert("push", config)
        driver.reset(world.task.instruction, seed)
        return np.concatenate([driver.act([observation]).actions for _ in range(5)])

    clean = first_actions(0, ExpertConfig())
    runs = [first_actions(seed, noisy) for seed in range(40)]
    disturbed = sum(not np.array_equal(run, clean) for run in runs)
    assert 10 <= disturbed <= 30
    for seed in (0, 17):
        np.testing.assert_array_equal(first_actions(seed, noisy), runs[seed])
    assert all((np.abs(run) <= 1).all() for run in runs)
    with pytest.raises(ConfigError, match="out of range"):
        ExpertConfig(uniform_share=1.5)


def test_uniform_noise_replaces_the_asked_share() -> None:
    world = make_metaworld(MetaWorldConfig(task="reach"))
    observation = world.task.reset(world.robot, 0)
    clean, noisy = MetaWorldExpert("reach"), MetaWorldExpert("reach", ExpertConfig(uniform_share=0.25))
    clean.reset("", 5)
    noisy.reset("", 5)
    wanted = clean.act([observation]).actions
    changed = [not np.array_equal(noisy.act([observation]).actions, wanted) for _ in range(400)]
    assert 0.15 < np.mean(changed) < 0.35


@pytest.mark.parametrize("task", ["door-open", "button-press", "drawer-open"])
def test_experts_solve_their_tasks(task: str) -> None:
    world = make_metaworld(MetaWorldConfig(task=task))
    expert = make_expert(world, ExpertConfig(noise_std=0.1))
    assert all(run_episode(world.robot, expert, world.task, seed=seed).success for seed in (1, 2))


def test_images_of_every_camera_are_upright_and_change() -> None:
    world = make_metaworld(MetaWorldConfig(task="pick-place", cameras=tuple(CAMERAS), image_height=48, image_width=64))
    first = world.task.reset(world.robot, 3)
    check_observation(first, world.robot.embodiment)
    for _ in range(15):
        world.robot.command(np.array([1.0, 1.0, 0.0, 1.0]))
    seen = world.robot.observe()
    for name in CAMERAS:
        assert seen.images[name].std() > 5, name
        assert (seen.images[name] != first.images[name]).mean() > 0.01, name
    for name in ("corner", "corner2"):  # the dark stand of the arm is in the lower half
        grey = first.images[name].astype(int).mean(axis=2)
        dark = np.flatnonzero((grey < 70).any(axis=1) & ((first.images[name].max(axis=2) < 75).sum(axis=1) > 3))
        assert dark.mean() > 24, name
    np.testing.assert_array_equal(first.images["corner"], world.task.reset(world.robot, 3).images["corner"])
    assert world.robot.render("topview", 100, 120).shape == (100, 120, 3)  # type: ignore[attr-defined]
    world.close()
    world.close()
