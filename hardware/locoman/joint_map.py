"""Which motor and which servo moves which joint: the one place that knows.

Joints are in the order of LocoMan's own software: right before left, a front leg's manipulator right after its leg,
then the jaws of the two grippers. Motors are in the Go1's order: front right, front left, rear right, rear left; of
each hip, thigh, calf. Servos 1 to 4 are the right manipulator's, 5 to 8 the left's; the last of each turns both jaws
through a pair of gears, so that its angle is the sum of theirs.
"""

from __future__ import annotations

import numpy as np

_LEG = ("hip_joint", "thigh_joint", "calf_joint")
_ARM = ("joint_1", "joint_2", "joint_3")

JOINT_NAMES = (
    *(f"1_FR_{part}" for part in (*_LEG, *_ARM)),
    *(f"2_FL_{part}" for part in (*_LEG, *_ARM)),
    *(f"{leg}_{part}" for leg in ("3_RR", "4_RL") for part in _LEG),
    *(f"{leg}_jaw_{jaw}" for leg in ("1_FR", "2_FL") for jaw in (1, 2)),
)
"""Every driven joint, in the order of ``RobotSpec.driven``."""

MOTOR_JOINTS = np.array(
    [JOINT_NAMES.index(f"{leg}_{part}") for leg in ("1_FR", "2_FL", "3_RR", "4_RL") for part in _LEG]
)
"""The joint of each of the Go1's motors."""

ARMS = ("right", "left")
"""The manipulators, in the order of their servos."""

SERVOS = tuple(range(1, 9))
"""Ids, manipulator by manipulator."""

ARM_SERVOS = {"right": SERVOS[:4], "left": SERVOS[4:]}
"""Ids of each manipulator."""

_SERVO_JOINTS = tuple(
    tuple(JOINT_NAMES.index(name) for name in names)
    for leg in ("1_FR", "2_FL")
    for names in (*((f"{leg}_{part}",) for part in _ARM), (f"{leg}_jaw_1", f"{leg}_jaw_2"))
)
SERVO_MATRIX = np.zeros((len(SERVOS), len(JOINT_NAMES)))
"""Angle of each servo from the joints' angles: their sum, where it turns two."""
for _servo, _joints in enumerate(_SERVO_JOINTS):
    SERVO_MATRIX[_servo, _joints] = 1.0

ARM_JOINTS = np.flatnonzero(SERVO_MATRIX.any(axis=0))
"""Joints that servos move."""

_SHARE = np.array([1.0 / len(joints) for joints in _SERVO_JOINTS])
_JOINT_MATRIX = SERVO_MATRIX.T * _SHARE


def legs_of(joints: np.ndarray) -> np.ndarray:
    """What a quantity of all joints is for the motors, shape ``(12,)``."""
    return joints[MOTOR_JOINTS]


def servos_of(angles: np.ndarray) -> np.ndarray:
    """Angles or speeds of the servos from those of all joints, shape ``(8,)``."""
    return SERVO_MATRIX @ angles


def stiffest_of(gains: np.ndarray) -> np.ndarray:
    """The largest gain among each servo's joints, shape ``(8,)``."""
    return (SERVO_MATRIX * gains).max(axis=1)


def joints_of(motors: np.ndarray, servos: np.ndarray) -> np.ndarray:
    """Angles, speeds or torques of all joints; two jaws share their servo's equally.

    Args:
        motors: of the Go1's motors, shape ``(12,)``.
        servos: of the servos, shape ``(8,)``.
    """
    joints = _JOINT_MATRIX @ servos
    joints[MOTOR_JOINTS] = motors
    return joints
