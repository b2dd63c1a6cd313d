"""Where a walking robot's controller learns its own position and velocity from: truth, or a filter on hardware."""

from __future__ import annotations

from typing import Protocol

from robot_stack.sim.control.controller import RobotState


class StateEstimate(Protocol):
    """Completes what is measured to what a controller needs.

    Joints, the trunk's orientation and angular velocity, and foot forces are measured everywhere; the trunk's position
    and linear velocity are known to a simulator only, and must be estimated on a robot.
    """

    def reset(self, state: RobotState) -> None:
        """An episode begins; the robot stands on all feet."""
        ...

    def update(self, state: RobotState) -> RobotState:
        """The state to control by, once a servo tick."""
        ...


class TrueState:
    """The simulator's truth as it is."""

    def reset(self, state: RobotState) -> None:
        """Nothing to remember."""

    def update(self, state: RobotState) -> RobotState:
        """The state itself."""
        return state
