"""The G1's joints in the order of its messages, and which of them each build of the robot has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_LEG = (
    ("hip_pitch", -2.5307, 2.8798),
    ("hip_roll", -0.5236, 2.9671),
    ("hip_yaw", -2.7576, 2.7576),
    ("knee", -0.087267, 2.8798),
    ("ankle_pitch", -0.87267, 0.5236),
    ("ankle_roll", -0.2618, 0.2618),
)
_WAIST = (("waist_yaw", -2.618, 2.618), ("waist_roll", -0.52, 0.52), ("waist_pitch", -0.52, 0.52))
_ARM = (
    ("shoulder_pitch", -3.0892, 2.6704),
    ("shoulder_roll", -1.5882, 2.2515),
    ("shoulder_yaw", -2.618, 2.618),
    ("elbow", -1.0472, 2.0944),
    ("wrist_roll", -1.97222, 1.97222),
    ("wrist_pitch", -1.61443, 1.61443),
    ("wrist_yaw", -1.61443, 1.61443),
)


@dataclass(frozen=True)
class G1Joint:
    """One joint of the messages."""

    name: str
    """As in the robot's descriptions."""

    low: float
    """Where it ends [rad], by Unitree's documentation of the joints."""

    high: float
    """Likewise [rad]."""


def _side(side: str, rows: tuple[tuple[str, float, float], ...]) -> tuple[G1Joint, ...]:
    """A limb's joints; roll and yaw of the right side are mirrored."""
    made = []
    for name, low, high in rows:
        mirrored = side == "right" and name.endswith(("roll", "yaw"))
        made.append(G1Joint(f"{side}_{name}_joint", *((-high, -low) if mirrored else (low, high))))
    return tuple(made)


JOINTS = (
    *_side("left", _LEG),
    *_side("right", _LEG),
    *(G1Joint(f"{name}_joint", low, high) for name, low, high in _WAIST),
    *_side("left", _ARM),
    *_side("right", _ARM),
)
"""All 29, in the order of the SDK: left leg, right leg, waist, left arm, right arm."""

JOINT_NAMES = tuple(joint.name for joint in JOINTS)
"""Their names."""

_PARALLEL = {
    "left_ankle_pitch_joint": "left_ankle_b_motor",
    "left_ankle_roll_joint": "left_ankle_a_motor",
    "right_ankle_pitch_joint": "right_ankle_b_motor",
    "right_ankle_roll_joint": "right_ankle_a_motor",
    "waist_roll_joint": "waist_a_motor",
    "waist_pitch_joint": "waist_b_motor",
}

PARALLEL_NAMES = tuple(_PARALLEL.get(name, name) for name in JOINT_NAMES)
"""What the slots mean in AB mode: names differ, so that nothing made for pitch and roll is taken for these."""

WAIST = slice(12, 15)
"""Yaw, roll, pitch."""

ARMS = slice(15, 29)
"""Left, then right."""

ARM_SDK_WEIGHT = 29
"""Slot whose ``q`` says on ``arm_sdk`` how much of arms and waist is ours, 0 to 1."""

NOT_IN_23 = (13, 14, 20, 21, 27, 28)
"""Slots without a motor on the robot with 23 joints: waist roll and pitch, wrist pitch and yaw."""


@dataclass(frozen=True)
class Machine:
    """A build of the robot, as its ``mode_machine`` tells."""

    title: str
    """Name of Unitree's description of it."""

    missing: tuple[int, ...] = ()
    """Slots that have no motor, or one that is locked."""


MACHINES: Mapping[int, Machine] = {
    1: Machine("g1_23dof", NOT_IN_23),
    2: Machine("g1_29dof"),
    3: Machine("g1_29dof_lock_waist", (13, 14)),
    4: Machine("g1_23dof_rev_1_0", NOT_IN_23),
    5: Machine("g1_29dof_rev_1_0"),
    6: Machine("g1_29dof_lock_waist_rev_1_0", (13, 14)),
    9: Machine("g1_dual_arm", tuple(range(15))),
    10: Machine("g1_23dof_mode_10", NOT_IN_23),
    11: Machine("g1_29dof_mode_11"),
    12: Machine("g1_29dof_mode_12", (13, 14)),
    13: Machine("g1_29dof_mode_13"),
    14: Machine("g1_29dof_mode_14", (13, 14)),
    15: Machine("g1_29dof_mode_15"),
    16: Machine("g1_29dof_mode_16", (13, 14)),
    18: Machine("g1_29dof_mode_18"),
}
"""By ``mode_machine``, from the table in unitree_ros' g1_description. Our model is of 5; simulators often report 0."""


def machine_title(mode: int) -> str:
    """What to call a build."""
    return f"{mode} ({MACHINES[mode].title})" if mode in MACHINES else f"{mode} (unknown)"
