"""What a task of a simulated robot is: its scene, its starts, what can be seen of it, and how it stands.

A task holds no simulator data and no state of an episode: everything is a function of the truth, over arrays with any
leading shape, so that one simulation and a batch of thousands run the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from robot_stack.core.fields import Field
from robot_stack.core.joint_control import Controller
from robot_stack.sim.robots.model import RobotModel
from robot_stack.sim.robots.spec import RobotSpec
from robot_stack.sim.truth import Truth

UPRIGHT = (1.0, 0.0, 0.0, 0.0)
"""No rotation, wxyz."""


@dataclass(frozen=True, eq=False)
class Scores:
    """How the task stands, for every simulation looked at."""

    success: np.ndarray
    """The goal is reached now, bool of shape ``(...)``."""

    milestones: np.ndarray
    """Which milestones hold now, bool of shape ``(..., milestones)``."""

    reward: np.ndarray
    """Shape ``(...)``, finite, at most 1 a step; grows with progress."""

    failed: np.ndarray
    """The episode cannot go on (a fall, an object out of reach), bool of shape ``(...)``."""


@dataclass(frozen=True, eq=False)
class ModelChange:
    """One number or row of the model that differs in an episode."""

    field: str
    """As in ``MjModel``, for example ``"geom_rgba"``, ``"geom_size"``, ``"body_mass"``."""

    row: int
    """Which row."""

    value: np.ndarray | float
    """What is written there."""


@dataclass(eq=False)
class Start:
    """Where an episode starts; a task writes into it. The robot is at home already."""

    robot: RobotModel
    """The scene."""

    qpos: np.ndarray
    """Shape ``(nq,)``."""

    changes: list[ModelChange] = field(default_factory=list)
    """What differs in the model, colours and sizes, say; undone before the next episode."""

    def place(self, body: str, p_world: np.ndarray, q_world: Sequence[float] | np.ndarray = UPRIGHT) -> None:
        """Put a body with a free joint somewhere.

        Args:
            body: its name.
            p_world: position of its frame, shape ``(3,)`` [m].
            q_world: its orientation, wxyz, shape ``(4,)``.
        """
        model = self.robot.model
        start = int(model.jnt_qposadr[int(model.body_jntadr[self.robot.body(body)])])
        self.qpos[start : start + 3], self.qpos[start + 3 : start + 7] = p_world, q_world

    def joint(self, name: str, position: float) -> None:
        """Put a hinge or slide joint somewhere [rad or m]."""
        self.qpos[int(self.robot.model.joint(name).qposadr[0])] = position

    def change(self, field_name: str, row: int, value: np.ndarray | float) -> None:
        """Change one row of a model field for this episode; see :class:`ModelChange`."""
        self.changes.append(ModelChange(field_name, row, value))

    def recolour(self, geom: str, rgba: tuple[float, float, float, float]) -> None:
        """Give a geom another colour."""
        self.change("geom_rgba", self.robot.geom(geom), np.array(rgba))


class RobotTask(Protocol):
    """One task of one robot."""

    @property
    def name(self) -> str:
        """``robot/task``, for example ``"panda/pick-place"``."""
        ...

    @property
    def instruction(self) -> str:
        """What to do, in words."""
        ...

    @property
    def horizon(self) -> int:
        """Longest episode [control steps]."""
        ...

    @property
    def milestones(self) -> tuple[str, ...]:
        """Ordered partial goals."""
        ...

    @property
    def view(self) -> str:
        """The camera that shows most of it; one that :meth:`furnish` adds or the robot carries."""
        ...

    def controller(self, robot: RobotModel) -> Controller:
        """The action mode the task is usually done in."""
        ...

    def furnish(self, made: Any, spec: RobotSpec) -> None:
        """Add floor, lights, objects and cameras to the robot's ``MjSpec``; see :mod:`robot_stack.sim.scene`."""
        ...

    def state_fields(self) -> tuple[Field, ...]:
        """What can be seen of the task besides the robot: objects and goals in the world frame."""
        ...

    def state(self, truth: Truth) -> np.ndarray:
        """Those fields in a row, shape ``(..., sum of sizes)``."""
        ...

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Draw an episode's start: write object positions, joints and model changes into ``start``."""
        ...

    def score(self, truth: Truth) -> Scores:
        """How it stands."""
        ...
