"""Configurations of arms: what ships fits the robots, and what does not fit is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.hardware.arms.config import CONFIGS, load_arm_config
from robot_stack.hardware.arms.emulator import ArmFaults, parse_faults
from robot_stack.hardware.arms.joint_map import ArmJointMap
from robot_stack.sim.robot_catalog import robot_spec


@pytest.mark.parametrize("name", ["panda", "aloha"])
def test_shipped_configurations_move_exactly_the_robots_joints(name: str) -> None:
    spec, config = robot_spec(name), load_arm_config(name)
    config.require_joints(spec.driven_names)
    for gripper, known in zip(config.grippers, spec.grippers, strict=True):
        assert gripper.joints == tuple(joint.name for joint in known.joints)
        assert gripper.joints_closed == known.closed
        assert gripper.joints_open == known.open


def test_every_shipped_file_loads() -> None:
    assert {path.stem for path in CONFIGS.glob("*.json")} >= {"panda", "aloha", "ur5e"}
    for path in CONFIGS.glob("*.json"):
        assert load_arm_config(path) == load_arm_config(path.stem)


@pytest.mark.parametrize("name", ["panda", "aloha"])
def test_positions_come_back_through_the_map(name: str) -> None:
    spec = robot_spec(name)
    joints = ArmJointMap(load_arm_config(name), spec.driven_names)
    rng = np.random.Generator(np.random.PCG64(1))
    openings = rng.uniform(size=len(spec.grippers))
    ours = np.concatenate(
        [rng.normal(size=len(spec.joints))]
        + [np.array(g.closed) + o * (np.array(g.open) - g.closed) for g, o in zip(spec.grippers, openings, strict=True)]
    )
    ros = np.concatenate(
        [ours[places] for places in joints.of_controller]
        + [[joints.gripper_number(i, ours)] for i in range(len(openings))]
    )
    shuffled = rng.permutation(len(ros))
    names = [joints.ros_names[i] for i in shuffled]
    np.testing.assert_allclose(joints.to_ours(ros[shuffled][joints.order(names)]), ours, atol=1e-12)


def test_rates_scale_with_the_grippers_way() -> None:
    joints = ArmJointMap(load_arm_config("aloha"), robot_spec("aloha").driven_names)
    rates = np.zeros(14)
    rates[12] = 0.036  # the left gripper's whole way in a second
    ours = joints.to_ours(rates, rate=True)
    np.testing.assert_allclose(ours[12:14], 0.035)
    assert not ours[:12].any()


def test_a_missing_joint_is_named() -> None:
    config = load_arm_config("panda")
    joints = ArmJointMap(config, robot_spec("panda").driven_names)
    with pytest.raises(UnknownNameError, match="panda_joint3"):
        joints.order([name for name in joints.ros_names if name != "panda_joint3"])
    with pytest.raises(ConfigError, match="too few"):
        replace(config, grippers=()).require_joints(robot_spec("panda").driven_names)
    with pytest.raises(UnknownNameError, match="joint1"):
        config.require_joints(robot_spec("aloha").driven_names)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command_hz": 0.0}, "positive rates"),
        ({"controllers": []}, ""),
        ({"speed": 3}, "speed"),
        ({"command_hz": "fast"}, "command_hz"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, change: dict, words: str) -> None:
    plain = json.loads((CONFIGS / "panda.json").read_text()) | change
    file = tmp_path / "arm.json"
    file.write_text(json.dumps(plain))
    if not words:
        with pytest.raises(ConfigError, match="too few"):
            load_arm_config(file).require_joints(robot_spec("panda").driven_names)
        return
    with pytest.raises((ConfigError, UnknownNameError), match=words):
        load_arm_config(file)


def test_a_file_that_is_not_there_and_a_joint_moved_twice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_arm_config(tmp_path / "none.json")
    with pytest.raises(UnknownNameError, match="panda"):
        load_arm_config("pandu")
    config = load_arm_config("panda")
    with pytest.raises(ConfigError, match="twice"):
        replace(config, controllers=config.controllers * 2)


def test_faults_are_read_from_words() -> None:
    words = ("frozen_states", "", "missing_joint=panda_joint4", "jump_rad=0.5")
    assert parse_faults(words) == ArmFaults(frozen_states=True, missing_joint="panda_joint4", jump_rad=0.5)
    for wrong, says in (("frozen", "did you mean"), ("jump_rad=far", "number"), ("nan_joint", "needs a joint")):
        with pytest.raises((ConfigError, UnknownNameError), match=says):
            parse_faults([wrong])
