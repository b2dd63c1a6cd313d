"""A simulated body in the very process of the robot node, in the place of electronics: no wire, no emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.joint_bus import BusError, BusState, Obeys
from robot_stack.core.joint_control import JointCommand
from robot_stack.core.joint_plant import JointPlant


class PlantBus:
    """Implements :class:`robot_stack.core.joint_bus.JointBus`; like a motor, the body goes on under the last command.

    After a reset the body hangs still at its start until :meth:`let_go`, so that an episode begins from that very start
    however long the operator takes.

    Args:
        plant: the body.
        clock: whose time passes for it.
        seed: of its first start.
        most_periods: when it was left alone for longer than so many periods, the rest of the time is lost to it.
    """

    def __init__(self, plant: JointPlant, clock: Clock, seed: int = 0, most_periods: int = 50) -> None:
        self._plant, self._clock, self._most = plant, clock, most_periods
        self._seed: int | None = seed
        self._hanging = True
        self._command: JointCommand | None = None
        self._begin_s = 0.0
        self._periods = 0
        self._state: BusState | None = None
        self.score: tuple[float, bool, bool] = (0.0, False, False)
        """Reward, success, failure after the last period."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """As the plant's."""
        return self._plant.joint_names

    @property
    def servo_hz(self) -> float:
        """One command for each of the plant's periods [Hz]."""
        return 1.0 / self._plant.period_s

    @property
    def obeys(self) -> Obeys:
        """Whole joint commands."""
        return "full"

    def open(self) -> None:
        """Nothing to connect."""

    def engage(self) -> None:
        """Time begins to pass for the body."""
        self._begin_s, self._periods = self._clock.now(), 0
        self._command = None
        self._state = self._read()

    def reset(self, seed: int) -> None:
        """Put the body to the start that belongs to ``seed`` at the next read; may be called by any thread."""
        self._seed = seed

    def let_go(self) -> None:
        """The body moves from now on."""
        self._hanging = False

    def read(self) -> BusState | None:
        """The state after the last whole period."""
        due = int((self._clock.now() - self._begin_s) / self._plant.period_s + 1e-6)
        behind = due - self._periods
        if behind <= 0 and self._seed is None:
            return self._state
        if behind > self._most:
            self._begin_s += (behind - self._most) * self._plant.period_s
            behind = self._most
        if self._seed is not None:
            seed, self._seed = self._seed, None
            self._plant.reset(seed)
            self._hanging, self._command = True, None
        for _ in range(behind):
            if not self._hanging:
                self._plant.advance(self._command)
            self._periods += 1
        self._state = self._read()
        self.score = self._plant.score()
        return self._state

    def write(self, command: JointCommand) -> None:
        """In force until the next one.

        Raises:
            BusError: if a number is not finite, at which real motors would do what they like.
        """
        parts = (command.position, command.velocity, command.effort, command.stiffness, command.damping)
        if not all(np.isfinite(part).all() for part in parts):
            raise BusError("a joint command is not finite", where="the simulated robot", got=command)
        self._command = command

    def tracked(self) -> Mapping[str, np.ndarray]:
        """What a tracking system would see of the body now."""
        return self._plant.tracked()

    def release(self) -> None:
        """The body goes limp."""
        self._command = None

    def close(self) -> None:
        """Nothing to disconnect."""

    def _read(self) -> BusState:
        """Numbered and stamped by this bus, since time passes for a hanging body too."""
        time_s = self._begin_s + self._periods * self._plant.period_s
        return replace(self._plant.read(), time_s=time_s, sequence=self._periods)
