"""LocoMan's body as its modes see it: whole-body control, feet, hands, the stance frame, and joint commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_control import JointCommand, RobotState
from robot_stack.sim.control.whole_body.contacts import Contact
from robot_stack.sim.control.whole_body.dynamics import Dynamics
from robot_stack.sim.control.whole_body.rotations import quaternion_from_vector, quaternion_of
from robot_stack.sim.control.whole_body.whole_body import WholeBodyCommand, WholeBodyConfig, WholeBodyController
from robot_stack.sim.robots.locoman import FEET, FOOT_RADIUS_M, MANIPULATION_GAINS
from robot_stack.sim.robots.model import RobotModel

MAX_FOOT_FORCE_N = 250.0
"""Largest normal force asked of a foot: about twice the robot's weight."""

FRICTION = 0.6
"""Coefficient of friction that forces are planned with; LocoMan's figure."""

ARM_JOINTS = 3
"""Joints of a manipulator."""


@dataclass(frozen=True, eq=False)
class StanceFrame:
    """On the floor midway between the four feet, x forward, z up; see :mod:`robot_stack.sim.control.locoman.mode`."""

    origin: np.ndarray
    """In the world, shape ``(3,)`` [m]."""

    yaw: float
    """Heading in the world [rad]."""

    rotation: np.ndarray
    """From the stance frame's axes to the world's, shape ``(3, 3)``."""

    @staticmethod
    def under(feet: np.ndarray) -> StanceFrame:
        """The frame of four feet's centres in the world, in the order FR, FL, RR, RL, shape ``(4, 3)`` [m]."""
        forward = feet[0] + feet[1] - feet[2] - feet[3]
        yaw = float(np.arctan2(forward[1], forward[0]))
        c, s = np.cos(yaw), np.sin(yaw)
        origin = feet.mean(axis=0) - (0.0, 0.0, FOOT_RADIUS_M)
        return StanceFrame(origin, yaw, np.array(((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0))))

    def to_world(self, position: np.ndarray) -> np.ndarray:
        """A point of the stance frame in the world, shape ``(3,)`` [m]."""
        return self.origin + self.rotation @ position

    def from_world(self, position: np.ndarray) -> np.ndarray:
        """A point of the world in the stance frame, shape ``(3,)`` [m]."""
        return self.rotation.T @ (position - self.origin)

    @property
    def quaternion(self) -> np.ndarray:
        """Rotation of the stance frame in the world, wxyz, shape ``(4,)``."""
        return quaternion_from_vector(np.array((0.0, 0.0, self.yaw)))


class LocoManBody:
    """What all modes of one robot share.

    Args:
        robot: LocoMan alone, compiled with no scene.
        config: of whole-body control.

    Raises:
        ConfigError: if the robot has no four feet and two hands of LocoMan's names.
    """

    def __init__(self, robot: RobotModel, config: WholeBodyConfig | None = None) -> None:
        spec = robot.spec
        if spec.feet != FEET or len(spec.end_effectors) != 2 or len(spec.grippers) != 2:
            raise ConfigError("this is not LocoMan", got=spec.name, expected=f"feet {FEET}, two hands with grippers")
        self.robot = robot
        self.control = WholeBodyController(robot, config=config)
        """Tasks, contacts and joints to commands."""
        self.feet = tuple(self.dynamics.site(name) for name in FEET)
        """Frames at the feet's centres, FR, FL, RR, RL."""
        self.hands = tuple(self.dynamics.site(hand.site) for hand in spec.end_effectors)
        """Frames of the hands, right, left."""
        self.shoulders = tuple(self.dynamics.body(name) for name in ("1_FR_thigh", "2_FL_thigh"))
        """Frames at the front thigh joints, right, left."""
        self.limbs = tuple(tuple(spec.joint_names.index(joint) for joint in hand.joints) for hand in spec.end_effectors)
        """Places of the joints of the front limbs, leg then manipulator, right, left."""
        kp, kd = MANIPULATION_GAINS
        arms = [limb[ARM_JOINTS:] for limb in self.limbs]
        self._stiffness = np.array([joint.stiffness for joint in spec.driven])
        self._damping = np.array([joint.damping for joint in spec.driven])
        legs = np.setdiff1d(np.arange(len(spec.joints)), np.concatenate(arms))
        self._stiffness[legs], self._damping[legs] = kp, kd
        self._closed = np.concatenate([gripper.closed for gripper in spec.grippers])
        self._open = np.concatenate([gripper.open for gripper in spec.grippers])
        self._jaws = np.repeat(np.arange(2), [len(gripper.joints) for gripper in spec.grippers])

    @property
    def dynamics(self) -> Dynamics:
        """At the state of the last :meth:`update`."""
        return self.control.dynamics

    def update(self, state: RobotState) -> None:
        """Take over a measured state."""
        self.control.update(state)

    @property
    def base_orientation(self) -> np.ndarray:
        """Rotation of the trunk in the world, wxyz, shape ``(4,)``."""
        return quaternion_of(self.dynamics.rotation(self.dynamics.base))

    def stance(self) -> StanceFrame:
        """The stance frame under the feet as they are now."""
        return StanceFrame.under(np.stack([self.dynamics.position(foot) for foot in self.feet]))

    def foot_contact(self, foot: int, share: float = 1.0) -> Contact:
        """A foot on the floor that may bear up to ``share`` of the largest force."""
        return Contact(self.feet[foot], FOOT_RADIUS_M, FRICTION, max_force=share * MAX_FOOT_FORCE_N)

    def foot_contacts(self, feet: Sequence[int] = range(4)) -> list[Contact]:
        """Feet that stand on the floor, by their places in FR, FL, RR, RL."""
        return [self.foot_contact(foot) for foot in feet]

    def command(self, whole: WholeBodyCommand, grippers: np.ndarray) -> JointCommand:
        """What all driven joints are told.

        Args:
            whole: for the 18 joints.
            grippers: openings, right and left, 0 closed, 1 open, shape ``(2,)``.
        """
        openings = np.minimum(np.maximum(np.nan_to_num(grippers), 0.0), 1.0)[self._jaws]
        jaws = self._closed + openings * (self._open - self._closed)
        still = np.zeros(len(jaws))
        return JointCommand(
            np.concatenate((whole.position, jaws)),
            np.concatenate((whole.velocity, still)),
            np.concatenate((whole.torque, still)),
            self._stiffness.copy(),
            self._damping.copy(),
        )
