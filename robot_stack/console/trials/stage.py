"""Where a trial happens: one robot, real or simulated, that any of the policies can drive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from robot_stack.evaluation.trials.plan import InitialCondition

StageState = Literal["idle", "moving", "done"]
"""``done``: the episode ended by itself or was stopped."""


@dataclass(frozen=True)
class StageStatus:
    """How a stage stands."""

    state: StageState = "idle"
    """Whether the robot moves."""

    elapsed_s: float = 0.0
    """Since the robot began to move, on the robot's clock; stands still when it stops [s]."""

    steps: int = 0
    """Control steps taken."""

    error: str = ""
    """Why the episode broke off; empty when it did not."""


class Stage(Protocol):
    """One robot with every policy loaded, so that no start takes longer than another. Methods return at once."""

    def show(self, condition: InitialCondition) -> None:
        """Go to a trial's start: a simulated scene is set up, a real robot goes to its pose."""
        ...

    def start(self, arm: int, film: Path | None) -> None:
        """Let a policy drive.

        Args:
            arm: number of the policy in the plan.
            film: where a film of the trial goes; ``None``: nowhere.
        """
        ...

    def stop(self, reason: str) -> None:
        """Bring the robot to rest; may be called from any thread, at any time."""
        ...

    def status(self) -> StageStatus:
        """How it stands."""
        ...

    def frame(self) -> bytes:
        """What the camera sees, as JPEG of a fixed number of bytes."""
        ...

    def target(self) -> bytes:
        """The scene as :meth:`show` set it up, for a condition without a picture of its own; empty when unknown."""
        ...

    def close(self) -> None:
        """Release the robot; idempotent."""
        ...
