"""The contract of what turns a robot's measurements into what controllers and policies see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import RobotState

Tracked = Mapping[str, np.ndarray]
"""What a tracking system, an estimator or a perception node says, by the names of state fields."""


class Senses(Protocol):
    """Knows the robot's kinematics; holds no clock and no connection."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The embodiment's state fields, in order."""
        ...

    @property
    def tracked_fields(self) -> tuple[Field, ...]:
        """Those among them that the robot cannot measure by itself and that have to be tracked."""
        ...

    def reset(self, bus: BusState, tracked: Tracked) -> None:
        """Forget what was; the robot stands as ``bus`` says."""
        ...

    def state(self, bus: BusState, tracked: Tracked) -> RobotState:
        """What controllers see; called once a servo tick, in order of time.

        Raises:
            KeyError: if a tracked field that controllers need is not there.
        """
        ...

    def vector(self, state: RobotState, tracked: Tracked) -> np.ndarray:
        """The state vector of an observation, shape ``(state_size,)``.

        Raises:
            KeyError: if a tracked field is not there.
        """
        ...
