"""What every mode of LocoMan promises, and the target that all modes share.

Every mode begins and ends standing on four feet with the manipulators folded, so that the machine between modes needs
to know nothing about any of them: it calls :meth:`Mode.enter`, feeds targets to :meth:`Mode.update`, asks for the end
with :meth:`Mode.leave`, goes on calling ``update`` until :attr:`Mode.left`, and enters the next.

The stance frame, in which all targets are given: origin on the floor midway between the four feet when the mode was
entered, x forward (from the middle of the hind feet to the middle of the front feet), y left, z up. The target follows
the 20 numbers of Human2LocoMan (Niu et al., RSS 2025): body, right hand, left hand, right and left gripper; right
always before left. Its unified frame is the trunk's frame on entering; ours is that frame lowered to the floor, so
positions differ by the trunk's height on entering (about 0.28 m), and rotations are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from robot_stack.core.joint_control import JointCommand, RobotState

MODES = (
    "stance",
    "right_foot",
    "left_foot",
    "right_gripper",
    "left_gripper",
    "locomotion",
    "loco_manipulation",
    "bimanual",
)
"""Names of the modes; a mode's place is its number in LocoMan's own software."""


def _zeros() -> np.ndarray:
    return np.zeros(3)


def _upright() -> np.ndarray:
    return np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True, eq=False)
class HandTarget:
    """Where one hand shall be; in the foot modes the front foot of that side, and only its position counts."""

    position: np.ndarray = field(default_factory=_zeros)
    """Of the hand's frame in the stance frame, shape ``(3,)`` [m]."""

    orientation: np.ndarray = field(default_factory=_upright)
    """Of the hand's frame in the stance frame, unit quaternion wxyz, shape ``(4,)``; x points out of the jaws."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a mode is asked to do; each mode takes the parts it can serve and leaves the rest alone."""

    body_position: np.ndarray = field(default_factory=_zeros)
    """Offset of the trunk from where the mode holds it by itself, in the stance frame, shape ``(3,)`` [m]."""

    body_rpy: np.ndarray = field(default_factory=_zeros)
    """Likewise its rotation: roll, pitch, yaw about fixed axes x, y, z in that order, shape ``(3,)`` [rad]."""

    right_hand: HandTarget | None = None
    """``None``: where the mode holds it by itself."""

    left_hand: HandTarget | None = None
    """Likewise."""

    grippers: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Opening of the right and the left gripper, 0 closed, 1 open, shape ``(2,)``."""

    base_velocity: np.ndarray = field(default_factory=_zeros)
    """Of the trunk: forward and left in its heading [m/s], and yaw [rad/s], shape ``(3,)``; for modes that walk."""


class Mode(Protocol):
    """One way of moving. It lives for one robot, and may be entered any number of times."""

    @property
    def name(self) -> str:
        """One of :data:`MODES`."""
        ...

    @property
    def ready(self) -> bool:
        """The mode is where it serves targets; before, it is on its way there and only holds on to them."""
        ...

    @property
    def left(self) -> bool:
        """After :meth:`leave`: the robot stands on four feet, arms folded, and another mode may be entered."""
        ...

    def enter(self, state: RobotState) -> None:
        """Begin from a robot that stands on four feet, within a few centimetres of its home posture."""
        ...

    def rest(self) -> Target:
        """The target that means "stay as you are", in the stance frame of this entry; valid after :meth:`enter`."""
        ...

    def leave(self) -> None:
        """Begin to go back to standing; asking again changes nothing."""
        ...

    def update(self, state: RobotState, target: Target) -> JointCommand:
        """One servo tick: what the joints are told; finite, always."""
        ...
