"""Which motor moves which joint."""

from __future__ import annotations

import numpy as np

from robot_stack.hardware.locoman import joint_map
from robot_stack.sim.robots.locoman import LEGS, LOCOMAN


def test_joints_are_those_of_the_simulated_robot() -> None:
    assert LOCOMAN.driven_names == joint_map.JOINT_NAMES


def test_motors_are_in_the_makers_order() -> None:
    """``quadruped.h`` of unitree_legged_sdk: FR_0 = 0, FR_1, FR_2, FL_0 = 3, …, RR_0 = 6, …, RL_0 = 9, …"""
    names = [joint_map.JOINT_NAMES[i] for i in joint_map.MOTOR_JOINTS]
    assert names == [f"{leg}_{part}_joint" for leg in LEGS for part in ("hip", "thigh", "calf")]
    assert joint_map.MOTOR_JOINTS.tolist() == [0, 1, 2, 6, 7, 8, 12, 13, 14, 15, 16, 17]  # LocoMan's own table


def test_every_joint_has_one_actuator() -> None:
    assert sorted([*joint_map.MOTOR_JOINTS, *joint_map.ARM_JOINTS]) == list(range(22))
    assert joint_map.ARM_JOINTS.tolist() == [3, 4, 5, 9, 10, 11, 18, 19, 20, 21]  # LocoMan's table, and the jaws
    np.testing.assert_array_equal(joint_map.SERVO_MATRIX.sum(axis=1), [1, 1, 1, 2] * 2)


def test_there_and_back() -> None:
    angles = np.random.default_rng(0).normal(size=22)
    angles[19], angles[21] = angles[18], angles[20]  # the gears keep the jaws equal
    legs, servos = joint_map.legs_of(angles), joint_map.servos_of(angles)
    np.testing.assert_allclose(joint_map.joints_of(legs, servos), angles)
    assert servos[3] == 2 * angles[18] and servos[7] == 2 * angles[20]  # the angle between the jaws
    assert servos[0] == angles[joint_map.JOINT_NAMES.index("1_FR_joint_1")]
    assert servos[4] == angles[joint_map.JOINT_NAMES.index("2_FL_joint_1")]
