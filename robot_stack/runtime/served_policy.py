"""What a policy server serves: a driver, the robot it was made for, and the check of what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_stack.core.driver import BatchDriver
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import NonFiniteError, ShapeError
from robot_stack.core.observation import Observation, check_observation
from robot_stack.core.running_plan import PlanningDriver, RunningPlan
from robot_stack.policies.deployment import require_deployable


@dataclass(frozen=True, eq=False)
class ServedPolicy:
    """A driver of many episodes and whom it may drive."""

    name: str
    """What clients are told it is called."""

    driver: BatchDriver
    """Decides; called from one thread only."""

    embodiment: Embodiment
    """The robot it was made for."""

    cameras: tuple[str, ...] = ()
    """The cameras it looks through."""

    another_model: bool = False
    """Accept a robot with another model hash; all else must still agree."""

    @property
    def planning(self) -> str:
        """What it answers, one of :data:`robot_stack.runtime.wire.PLANNING`."""
        if not isinstance(self.driver, PlanningDriver):
            return "chunks"
        return "continued plans" if self.driver.continues else "plans"

    def check_robot(self, robot: Embodiment) -> None:
        """Refuse a robot that the policy was not made for.

        Raises:
            EmbodimentMismatchError: with every difference, as a sentence.
        """
        require_deployable(self.embodiment, robot, cameras=self.cameras, another_model=self.another_model)

    def check_history(self, history: Sequence[Observation]) -> None:
        """Refuse observations before they join a batch, so that they spoil nobody else's.

        Raises:
            ShapeError: if they are too many or too few, or an array does not match the robot.
            NonFiniteError: if a state is not finite.
        """
        if len(history) != self.driver.history:
            raise ShapeError(
                "a history has the wrong length", got=f"{len(history)} observations", expected=self.driver.history
            )
        seen = self.embodiment.with_cameras(tuple(self.embodiment.camera(name) for name in self.cameras))
        for observation in history:
            check_observation(observation, seen)

    def check_running(self, plan: RunningPlan) -> None:
        """Refuse what cannot be a plan of this robot.

        Raises:
            ShapeError: if an action has another size.
            NonFiniteError: if a number is not finite.
        """
        if len(plan) and plan.actions.shape[1] != self.embodiment.action_size:
            raise ShapeError(
                "a running plan is of another robot", got=plan.actions.shape, expected=self.embodiment.action_size
            )
        if not (np.isfinite(plan.actions).all() and np.isfinite(plan.weights).all()):
            raise NonFiniteError("a running plan is not finite", got="NaN or infinity", expected="numbers")
