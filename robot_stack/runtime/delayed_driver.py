"""A policy that needs time to think, in simulation: the very rules of a deployed policy, in the one control loop.

Every decision is taken at once but arrives later by a given delay; meanwhile the robot carries out what it has. So
ways of chunking are compared on equal seeds by the ordinary evaluation, and a delay is a number, not this machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import PlanningDriver
from robot_stack.core.seeding import generator
from robot_stack.runtime.async_driver import Ask, AsyncDriver, Counts
from robot_stack.runtime.chunking import Chunking
from robot_stack.runtime.timed_plan import TimedPlan

Delay = Callable[[np.random.Generator], float]
"""Draws how long a decision takes [s]."""

_STREAM = 0x64656C
"""Separates delays from other uses of an episode's seed."""


@dataclass(frozen=True)
class ConstantDelay:
    """Every decision takes equally long."""

    seconds: float
    """So long [s]."""

    def __call__(self, source: np.random.Generator) -> float:
        """The delay."""
        return self.seconds


@dataclass(frozen=True)
class JitteredDelay:
    """Decisions take between ``least_s`` and ``most_s``, uniformly."""

    least_s: float
    """Shortest [s]."""

    most_s: float
    """Longest [s]."""

    def __call__(self, source: np.random.Generator) -> float:
        """Draw one."""
        return float(source.uniform(self.least_s, self.most_s))


@dataclass(eq=False)
class _Slot:
    """One episode."""

    asynchronous: AsyncDriver
    source: np.random.Generator
    arriving: tuple[float, Ask, ActionChunk, bool] | None = None
    last: np.ndarray | None = None
    first: bool = True


class DelayedDriver:
    """A :class:`robot_stack.core.driver.BatchDriver` that gives one action at a time.

    The first plan of an episode is there when it begins, as on a robot that is armed once its policy is ready. A robot
    without a plan repeats its last action, which means standing still in action modes that name positions.

    Args:
        driver: decides.
        chunking: how one chunk follows another.
        delay: of each decision.
        robot: who is driven.
    """

    def __init__(self, driver: PlanningDriver, chunking: Chunking, delay: Delay, robot: Embodiment) -> None:
        self.driver, self.chunking, self.delay, self.robot = driver, chunking, delay, robot
        self._slots: dict[int, _Slot] = {}
        self.counts = Counts()
        """Of all finished episodes and those under way."""

    @property
    def history(self) -> int:
        """How many of the last observations it needs."""
        return self.driver.history

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """A new episode begins in ``slot``."""
        self.driver.reset(slot, instruction, seed)
        asynchronous = AsyncDriver(
            self.chunking,
            action_size=self.robot.action_size,
            history=self.history,
            period_s=1.0 / self.robot.control_hz,
        )
        asynchronous.counts = self.counts
        self._slots[slot] = _Slot(asynchronous, generator(seed, _STREAM))

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """One action for each; see :class:`robot_stack.core.driver.BatchDriver`.

        Raises:
            ConfigError: if a slot was never reset.
        """
        unknown = [slot for slot in slots if slot not in self._slots]
        if unknown:
            raise ConfigError("a slot was never reset", got=unknown, remedy="begin each episode with a reset")
        for slot, history in zip(slots, histories, strict=True):
            episode, newest = self._slots[slot], history[-1]
            episode.asynchronous.observe(newest, newest.time_s)
            self._receive(episode, newest.time_s)
        self._ask(slots)
        return [self._step(self._slots[slot], h[-1].time_s) for slot, h in zip(slots, histories, strict=True)]

    def plan_of(self, slot: int) -> TimedPlan | None:
        """What an episode carries out now; ``None`` before its first plan."""
        return self._slots[slot].asynchronous.plan

    def _receive(self, episode: _Slot, now_s: float) -> None:
        if episode.arriving is None or episode.arriving[0] > now_s + 1e-9:
            return
        _, ask, chunk, continued = episode.arriving
        episode.arriving = None
        episode.asynchronous.answer(ask, chunk, now_s, continued=continued)

    def _ask(self, slots: Sequence[int]) -> None:
        """All that are due, together."""
        asking: dict[int, Ask] = {}
        for slot in slots:
            newest = self._slots[slot].asynchronous.seen.newest
            ask = self._slots[slot].asynchronous.ask(newest.time_s) if newest is not None else None
            if ask is not None:
                asking[slot] = ask
        if not asking:
            return
        chunks = self.driver.plan(
            list(asking), [ask.history for ask in asking.values()], [ask.running for ask in asking.values()]
        )
        for (slot, ask), chunk in zip(asking.items(), chunks, strict=True):
            episode = self._slots[slot]
            delay_s = 0.0 if episode.first else self.delay(episode.source)
            episode.first = False
            continued = self.driver.continues and ask.running.binding
            episode.arriving = (ask.observation_s + delay_s, ask, chunk, continued)
            self._receive(episode, ask.observation_s)

    def _step(self, episode: _Slot, now_s: float) -> ActionChunk:
        plan = episode.asynchronous.plan
        action = plan.action(now_s) if plan is not None else None
        if action is None:
            action = episode.last
        if action is None:
            raise ConfigError("a policy had no action for the first moment of an episode")
        episode.last = action
        return ActionChunk(action[None], now_s, 1.0 / self.robot.control_hz)
