"""A hand (or a front foot) that goes after targets: smoothly, within reach, off the floor, with bounded force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.sim.control.locoman.body import LocoManBody, StanceFrame
from robot_stack.sim.control.locoman.mode import HandTarget
from robot_stack.sim.control.locoman.reference import SmoothRotation, SmoothVector
from robot_stack.sim.control.whole_body.dynamics import Frame
from robot_stack.sim.control.whole_body.rotations import conjugate, product, quaternion_of
from robot_stack.sim.control.whole_body.tasks import OrientationTask, PositionTask
from robot_stack.sim.robots.locoman import FOOT_RADIUS_M


@dataclass(frozen=True)
class HandLimits:
    """How fast a hand goes after its target, and where it may be sent."""

    speed: float = 0.4
    """[m/s]; LocoMan's figure."""

    turn_speed: float = 1.5
    """[rad/s]."""

    reach: float = 0.52
    """Largest distance of a hand from its shoulder (the front thigh joint), just short of the straight limb [m]."""

    foot_reach: float = 0.36
    """Likewise of the foot in the modes that use it [m]."""

    clearance: float = 0.01
    """The foot's and the gripper's lowest points stay so far above the floor [m]; LocoMan's figure."""

    gripper_radius: float = 0.028
    """Of a ball around the hand's frame that holds the jaws [m]."""

    max_error: float = 0.03
    """A hand that cannot follow pushes no harder than at this distance from its reference [m]."""

    jaw_speed: float = 4.0
    """Of the grippers' openings [1/s]."""


class HandReference:
    """Reference and tasks of one front limb's hand or foot.

    Args:
        body: whose.
        limb: 0 for the right front limb, 1 for the left.
        tool: the frame that is served: the hand's, or the foot's.
        limits: of the targets.
    """

    def __init__(self, body: LocoManBody, limb: int, tool: Frame, limits: HandLimits) -> None:
        self._body, self._limb, self._tool, self.limits = body, limb, tool, limits
        self._reach = limits.reach if tool == body.hands[limb] else limits.foot_reach
        self.place = PositionTask(tool, kp=200.0, kd=28.0, max_step=limits.max_error)
        """Where the tool shall be."""
        self.turn = OrientationTask(tool, kp=200.0, kd=28.0)
        """How it shall be turned."""

    def begin(self, stance: StanceFrame) -> None:
        """Begin where the tool is; the body's dynamics are at the present state."""
        dynamics = self._body.dynamics
        self._stance = stance
        self._position = SmoothVector(stance.from_world(dynamics.position(self._tool)), self.limits.speed)
        turn = product(conjugate(stance.quaternion), quaternion_of(dynamics.rotation(self._tool)))
        self._rotation = SmoothRotation(turn, self.limits.turn_speed)

    def follow(self, target: HandTarget, period_s: float) -> None:
        """Go after a target for one tick."""
        stance = self._stance
        self._position.follow(self._within_reach(target.position), period_s)
        self.place.position = stance.to_world(self._position.value)
        self.place.velocity = stance.rotation @ self._position.rate
        self.place.acceleration = stance.rotation @ self._position.acceleration
        self._rotation.follow(target.orientation, period_s)
        self.turn.orientation = product(stance.quaternion, self._rotation.value)
        self.turn.velocity = stance.rotation @ self._rotation.rate
        self.turn.acceleration = stance.rotation @ self._rotation.acceleration

    def _within_reach(self, position: np.ndarray) -> np.ndarray:
        """The nearest point that the tool may be sent to, stance frame."""
        dynamics, stance = self._body.dynamics, self._stance
        shoulder = stance.from_world(dynamics.position(self._body.shoulders[self._limb]))
        place = np.array(position, dtype=np.float64)
        place[2] = max(place[2], self._position.value[2] + self.limits.clearance - self._clearance())
        arm = place - shoulder
        length = float(np.linalg.norm(arm))
        return shoulder + arm * min(1.0, self._reach / max(length, 1e-9))

    def _clearance(self) -> float:
        """Height of the lowest point of the limb above the floor [m]."""
        dynamics, floor = self._body.dynamics, self._stance.origin[2]
        foot = dynamics.position(self._body.feet[self._limb])[2] - FOOT_RADIUS_M
        hand = dynamics.position(self._body.hands[self._limb])[2] - self.limits.gripper_radius
        return float(min(foot, hand) - floor)
