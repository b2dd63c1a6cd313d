"""A simulated body in real or scaled time, behind the emulator of its electronics: no ROS, no threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_plant import JointPlant
from robot_stack.deploy.emulator import Emulator

MOST_LATE_S = 0.1
"""Time that a loop which came late makes up for at most; the rest is lost to the body [s]."""


@dataclass(frozen=True)
class Seen:
    """What everybody may know of the body after a control period."""

    stamp_s: float
    """When, on the robot's clock [s]."""

    tracked: Mapping[str, np.ndarray]
    """What a tracking system would see, by the names of state fields."""

    score: tuple[float, bool, bool]
    """Reward, success, failure."""


class EmulatedBody:
    """Moves a body period by period and lets its electronics speak.

    After a reset the body stands still at its start, and its electronics answer all the same, until :meth:`let_go`: an
    episode then begins from that very start, however long a person takes to arm the robot.

    Args:
        plant: the body.
        emulator: its electronics.
        clock: the robot's.
        control_s: between two calls of ``see`` [s]; a multiple of the plant's period.
        see: told what can be seen.
        waits: whether the body stands still until it is let go; without, it moves at once.
    """

    def __init__(
        self,
        plant: JointPlant,
        emulator: Emulator,
        clock: Clock,
        control_s: float,
        see: Callable[[Seen], None],
        waits: bool = True,
    ) -> None:
        self.plant = plant
        self._emulator, self._clock, self._see, self._waits = emulator, clock, see, waits
        self._every = max(1, round(control_s / plant.period_s))
        self._still = waits
        self._begin_s = clock.now()
        self._period = 0
        self.lost_s = 0.0
        """Time that was lost to the body because the machine was late [s]."""

    def reset(self, seed: int) -> None:
        """Put the body to the start that belongs to ``seed``."""
        self.plant.reset(seed)
        self._still = self._waits
        self._begin_s += max(0.0, self._clock.now() - self.due_s)  # putting it there took time; none of it is lost
        self._emulator.reset(self._read())
        self._tell()

    def let_go(self) -> None:
        """The body moves from now on."""
        self._still = False

    @property
    def due_s(self) -> float:
        """When the next period is over, on the robot's clock [s]."""
        return self._begin_s + (self._period + 1) * self.plant.period_s

    def step(self) -> None:
        """One period, at its time; the caller waits for :attr:`due_s`."""
        late = self._clock.now() - self.due_s
        if late > MOST_LATE_S:
            self._begin_s += late
            self.lost_s += late
        command = self._emulator.command(self._read())
        if not self._still:
            self.plant.advance(command)
        self._period += 1
        self._emulator.publish(self._read())
        if self._period % self._every == 0:
            self._tell()

    def _tell(self) -> None:
        self._see(Seen(self._time(), self.plant.tracked(), self.plant.score()))

    def _time(self) -> float:
        return self._begin_s + self._period * self.plant.period_s

    def _read(self) -> BusState:
        """Stamped and numbered here, because time passes for a body that stands still as well."""
        return replace(self.plant.read(), time_s=self._time(), sequence=self._period)
