"""An arm behind the emulated controllers, over real topics."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_stack.core.joint_bus import BusError
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.arms.config import ArmConfig, load_arm_config


def with_topics(name: str, kind: Any) -> ArmConfig:
    """The arm's configuration with one kind of topic for everything."""
    config = load_arm_config(name)
    return replace(
        config,
        controllers=tuple(replace(c, kind=kind) for c in config.controllers),
        grippers=tuple(replace(g, kind=kind) for g in config.grippers),
    )


def command(position: np.ndarray) -> JointCommand:
    zeros = np.zeros_like(position)
    return JointCommand(position, zeros, zeros, zeros, zeros)


@pytest.mark.parametrize(("name", "kind"), [("panda", "forward_position"), ("aloha", "joint_trajectory")])
def test_the_arm_goes_where_it_is_told(emulated: Any, name: str, kind: str) -> None:
    arm = emulated(with_topics(name, kind))
    arm.bus.open()
    arm.bus.engage()
    start = arm.bus.read()
    assert start is not None
    assert not start.faults
    np.testing.assert_allclose(start.joint_position, arm.plant.read().joint_position, atol=0.02)
    goal = start.joint_position.copy()
    goal[0] += 0.3
    gripper = arm.bus.config.grippers[-1]
    half_open = 0.5 * (gripper.closed + gripper.open)
    goal[-2:] = arm.emulator.map.gripper_joints(len(arm.bus.config.grippers) - 1, half_open)

    def there() -> bool:
        arm.bus.write(command(goal))
        state = arm.bus.read()
        return state is not None and bool(
            abs(state.joint_position[0] - goal[0]) < 0.02 and np.abs(state.joint_position[-2:] - goal[-2:]).max() < 2e-3
        )

    arm.until(there, "the arm")


def test_a_sender_that_stops_leaves_the_arm_at_rest(emulated: Any) -> None:
    arm = emulated(with_topics("panda", "joint_trajectory"))
    arm.bus.open()
    arm.bus.engage()
    goal = arm.bus.read().joint_position.copy()
    for _ in range(30):
        goal[3] += 0.01
        arm.bus.write(command(goal))
    arm.until(lambda: arm.bus._stopped_by_timer, "the node's timer")
    sequence = arm.plant.read().sequence
    arm.until(lambda: arm.plant.read().sequence > sequence + 100, "the plant")
    assert np.abs(arm.plant.read().joint_velocity[:7]).max() < 0.02


def test_what_is_wrong_with_joint_states_is_said(emulated: Any) -> None:
    arm = emulated(with_topics("panda", "forward_position"))
    arm.bus.open()
    faults = arm.emulator.faults
    faults.missing_joint = "panda_joint4"
    arm.until(lambda: any("panda_joint4" in f for f in arm.bus.read().faults), "a fault")
    faults.missing_joint = ""
    arm.until(lambda: not arm.bus.read().faults, "good states")
    faults.reorder = True
    for _ in range(20):
        before = arm.bus.read().sequence
        arm.until(lambda before=before: arm.bus.read().sequence != before, "another state")
        np.testing.assert_allclose(arm.bus.read().joint_position, arm.plant.read().joint_position, atol=0.02)
    faults.reorder, faults.frozen_states = False, True
    before = arm.plant.read().sequence
    arm.until(lambda: arm.plant.read().sequence > before + 10, "the plant")
    frozen = arm.bus.read().sequence
    arm.until(lambda: arm.plant.read().sequence > before + 60, "the plant")
    assert arm.bus.read().sequence == frozen
    faults.frozen_states, faults.nan_joint = False, "panda_joint2"
    arm.until(lambda: np.isnan(arm.bus.read().joint_position[1]), "a NaN that the safety filter will see")


def test_no_robot_and_no_controller_are_refused(emulated: Any) -> None:
    config = with_topics("panda", "forward_position")
    arm = emulated(config)
    arm.bus._wait_s = 0.5
    arm.emulator.faults.silent_states = True
    with pytest.raises(BusError, match="no joint states"):
        arm.bus.open()
    arm.emulator.faults.silent_states = False
    arm.bus._wait_s = 30.0
    arm.bus.config = replace(config, controllers=(replace(config.controllers[0], name="/none"),))
    arm.bus.open()
    arm.bus._wait_s = 0.5
    with pytest.raises(BusError, match="/none"):
        arm.bus.engage()


def with_actions() -> ArmConfig:
    """The Panda through actions alone."""
    config = load_arm_config("panda")
    return replace(
        config,
        controllers=tuple(replace(c, kind="follow_joint_trajectory") for c in config.controllers),
        horizon_s=0.1,
    )


def test_actions_move_arm_and_gripper(emulated: Any) -> None:
    arm = emulated(with_actions())
    arm.bus.open()
    arm.bus.engage()
    goal = arm.bus.read().joint_position.copy()
    goal[0] += 0.2
    goal[-2:] = 0.01

    def there() -> bool:
        arm.bus.write(command(goal))
        state = arm.bus.read()
        return bool(
            abs(state.joint_position[0] - goal[0]) < 0.02 and np.abs(state.joint_position[-2:] - 0.01).max() < 2e-3
        )

    arm.until(there, "the arm")
    assert not arm.bus.read().faults


def test_goals_that_are_refused_again_and_again_are_a_fault(emulated: Any) -> None:
    arm = emulated(with_actions())
    arm.bus.open()
    arm.bus.engage()
    start = arm.bus.read().joint_position.copy()
    arm.emulator.faults.reject_goals = True

    def refused() -> bool:
        arm.bus.write(command(start))
        return any("refused" in fault for fault in arm.bus.read().faults)

    arm.until(refused, "a fault")
    arm.emulator.faults.reject_goals = False
    arm.until(lambda: (arm.bus.write(command(start)), not arm.bus.read().faults)[1], "the fault to go")


def test_commands_that_stop_cancel_the_goal_that_runs(emulated: Any) -> None:
    arm = emulated(replace(with_actions(), horizon_s=2.0))
    arm.bus.open()
    arm.bus.engage()
    start = arm.bus.read().joint_position.copy()
    goal = start.copy()
    goal[0] += 0.6
    arm.until(lambda: arm.plant.read().sequence > 300, "the first goal to be old enough for another")
    arm.bus.write(command(goal))
    arm.until(lambda: arm.bus._stopped_by_timer, "the node's timer")
    sequence = arm.plant.read().sequence
    arm.until(lambda: arm.plant.read().sequence > sequence + 400, "the plant")
    assert abs(arm.plant.read().joint_position[0] - start[0]) < 0.3
    assert np.abs(arm.plant.read().joint_velocity[:7]).max() < 0.02
