"""What may reach the joints, for the safety filter."""

from __future__ import annotations

import math

from robot_stack.core.joint_control import Controller
from robot_stack.core.safety_limits import SafetyLimits
from robot_stack.sim.robots.model import RobotModel


def joint_limits(robot: RobotModel, controller: Controller) -> SafetyLimits:
    """What the safety filter lets through to the joints, for the part of the joint command the controller guards.

    Args:
        robot: gives position limits, and the spec's speeds, accelerations, efforts and gains.
        controller: says which part it guards.
    """
    driven = robot.spec.driven
    velocity = tuple(joint.velocity for joint in driven)
    if controller.guards == "effort":
        effort = tuple(joint.effort for joint in driven)
        return SafetyLimits(low=tuple(-e for e in effort), high=effort)
    accelerates = any(joint.acceleration > 0 for joint in driven)
    acceleration = tuple(joint.acceleration or math.inf for joint in driven) if accelerates else ()
    if controller.guards == "velocity":
        return SafetyLimits(low=tuple(-v for v in velocity), high=velocity, max_rate=acceleration)
    return SafetyLimits(
        low=tuple(robot.low.tolist()),
        high=tuple(robot.high.tolist()),
        max_rate=velocity,
        max_acceleration=acceleration,
    )
