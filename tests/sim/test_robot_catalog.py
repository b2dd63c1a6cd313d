"""Robots, tasks and action modes by name."""

from __future__ import annotations

import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.core.observation import check_observation
from robot_stack.sim import catalog
from robot_stack.sim.robot_catalog import (
    ALIASES,
    ROBOTS,
    TASKS,
    RobotWorldConfig,
    controller_maker,
    make_operator,
    make_robot_world,
    modes_of,
    robot_spec,
    robot_task,
    tasks_of,
)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_what_its_name_says(name: str) -> None:
    task = robot_task(name)
    assert task.name == name
    assert len(task.instruction) > 5 and task.horizon > 0 and task.milestones
    assert name in tasks_of(name.partition("/")[0]) and name in catalog.names()
    assert catalog.instruction(name) == task.instruction
    assert len(robot_spec(name.partition("/")[0]).driven_names) > 6


def test_every_robot_has_tasks_and_its_aliases_lead_to_it() -> None:
    for name in ROBOTS:
        assert len(tasks_of(name)) >= 2
    for alias, name in ALIASES.items():
        assert robot_spec(alias) == robot_spec(name)
    with pytest.raises(UnknownNameError, match="'locoman'"):
        robot_spec("locomn")


def test_a_robots_own_modes_are_its_own() -> None:
    assert "base_velocity" in modes_of("locoman") and "base_velocity" not in modes_of("panda")
    assert controller_maker("") is None
    assert controller_maker("base_velocity", "locoman") is not None
    with pytest.raises(UnknownNameError, match="hand_pose"):
        controller_maker("base_velocity", "panda")


def test_locoman_walks_by_base_velocity() -> None:
    world = make_robot_world(RobotWorldConfig("locoman/stand", mode="base_velocity", dump_folder=""))
    assert [field.name for field in world.robot.embodiment.action][:2] == ["base_velocity", "base_yaw_rate"]
    first = world.robot.reset(0)
    where = world.robot.embodiment.state_slices["base_position"]
    for _ in range(75):
        world.robot.command([0.4, 0.0, 0.0, 0.0, 0.0])  # type: ignore[arg-type]
    seen = world.robot.observe()
    check_observation(seen, world.robot.embodiment)
    moved = seen.state[where] - first.state[where]
    assert (moved[:2] ** 2).sum() ** 0.5 > 0.25


def test_a_task_without_an_operator_says_which_have_one() -> None:
    world = make_robot_world(RobotWorldConfig("locoman/stand", mode="joint_position", dump_folder=""))
    with pytest.raises(ConfigError, match="panda/drawer"):
        make_operator(world)
