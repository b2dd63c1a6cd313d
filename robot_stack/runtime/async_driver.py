"""Decides when a policy is asked and when its actions apply, while the robot goes on.

Pure: no thread, no clock of its own, no connection. Whoever uses it feeds in observations and answers and tells what a
local clock shows; the robot's own time is reckoned from the stamps of its observations, so that the clocks of two
machines need not agree. One question is under way at a time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from robot_stack.core.action import ActionChunk
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan
from robot_stack.runtime.chunking import Chunking, Moment
from robot_stack.runtime.observation_history import ObservationHistory
from robot_stack.runtime.timed_plan import TimedPlan, spliced


@dataclass(frozen=True, eq=False)
class Ask:
    """A question for a policy."""

    number: int
    """Counts questions of one driver; never used twice."""

    history: tuple[Observation, ...]
    """The last observations, oldest first."""

    running: RunningPlan
    """What is carried out meanwhile."""

    asked_s: float
    """When, on the local clock [s]."""

    @property
    def observation_s(self) -> float:
        """Stamp of the newest observation [s]."""
        return self.history[-1].time_s


@dataclass
class Counts:
    """What happened so far."""

    asked: int = 0
    """Questions."""

    planned: int = 0
    """Answers that became plans."""

    late: int = 0
    """Answers of which no action was still to come."""

    dropped: int = 0
    """Answers to questions that nobody waited for any more."""

    failed: int = 0
    """Questions without an answer."""

    dry: int = 0
    """Times that a control step found the last plan over before the next one came."""


class DelayEstimate:
    """How long decisions take, by experience: the longest of the last few, as the paper on real-time chunking does.

    Args:
        remembered: so many count.
        initial_s: before there is any experience [s].
    """

    def __init__(self, remembered: int = 10, initial_s: float = 0.0) -> None:
        self._delays = deque([initial_s], maxlen=remembered)
        self._fresh = True

    def add(self, delay_s: float) -> None:
        """One decision took so long, from observation to plan [s]."""
        if self._fresh:
            self._delays.clear()
            self._fresh = False
        self._delays.append(max(0.0, delay_s))

    @property
    def seconds(self) -> float:
        """The estimate [s]."""
        return max(self._delays)

    def steps(self, period_s: float) -> int:
        """The estimate in control steps, rounded up."""
        return math.ceil(self.seconds / period_s - 1e-6)


class AsyncDriver:
    """See the module.

    Args:
        chunking: how one chunk follows another.
        action_size: numbers in an action.
        history: observations that the policy needs.
        period_s: of control [s].
        lead_s: from sending a plan to its first action in force [s].
        delay: what is known of the policy's speed; begins without any experience when left out.
    """

    def __init__(
        self,
        chunking: Chunking,
        *,
        action_size: int,
        history: int,
        period_s: float,
        lead_s: float = 0.0,
        delay: DelayEstimate | None = None,
    ) -> None:
        self.chunking, self.action_size, self.period_s, self.lead_s = chunking, action_size, period_s, lead_s
        self.seen = ObservationHistory(history, period_s)
        self.delay = delay or DelayEstimate()
        self.counts = Counts()
        self.plan: TimedPlan | None = None
        """What the robot carries out, if it took every plan; ``None`` before the first and after a reset."""
        self.waiting: Ask | None = None
        """The question under way."""
        self._received_s = 0.0
        self._number = 0
        self._dry = False

    def reset(self) -> None:
        """A new episode begins: nothing is known, nothing is carried out, answers under way are for nobody."""
        self.seen.clear()
        self.plan, self.waiting, self._dry = None, None, False

    def observe(self, observation: Observation, now_s: float) -> bool:
        """An observation arrived at ``now_s`` on the local clock.

        Returns:
            Whether it is the newest; others are left out.
        """
        restarts = self.seen.restarts
        if not self.seen.add(observation):
            return False
        if self.seen.restarts > restarts:
            self.plan, self.waiting = None, None  # the robot was away: it holds, and knows none of our plans
        self._received_s = now_s
        return True

    def robot_time(self, now_s: float) -> float:
        """The robot's clock when the local one shows ``now_s``, as if its last stamp had taken no time to come [s]."""
        newest = self.seen.newest
        return now_s if newest is None else newest.time_s + max(0.0, now_s - self._received_s)

    def ask(self, now_s: float) -> Ask | None:
        """The question to ask now; ``None`` when one is under way, or none is due."""
        if self.waiting is not None or self.seen.newest is None:
            return None
        moment = self._moment(now_s)
        if not self.chunking.due(moment):
            return None
        self._number += 1
        self.counts.asked += 1
        self.waiting = Ask(self._number, self.seen.read(), self.chunking.running(moment), now_s)
        return self.waiting

    def answer(self, ask: Ask, chunk: ActionChunk, now_s: float, *, continued: bool = False) -> TimedPlan | None:
        """An answer came at ``now_s`` on the local clock.

        Args:
            ask: the question.
            chunk: decided on it; its first action belongs to the newest observation.
            now_s: now [s].
            continued: the policy was held to the running plan.

        Returns:
            What is to be sent to the robot; ``None`` if nothing of it is still to come, or nobody waits for it.
        """
        if self.waiting is not ask:
            self.counts.dropped += 1
            return None
        self.waiting = None
        moment = self._moment(now_s)
        self.delay.add(moment.robot_s + self.lead_s - ask.observation_s)
        self._note_dry(moment)
        plan = self.chunking.schedule(chunk, ask.observation_s, moment, continued)
        if plan.index(moment.robot_s + self.lead_s) >= len(plan):
            self.counts.late += 1
            return None
        self.counts.planned += 1
        self.plan = spliced(self.plan, plan, moment.robot_s)
        return plan

    def fail(self, ask: Ask) -> None:
        """No answer will come."""
        if self.waiting is ask:
            self.waiting = None
            self.counts.failed += 1

    def _moment(self, now_s: float) -> Moment:
        newest = self.seen.newest
        assert newest is not None, "a moment without an observation"
        steps = self.delay.steps(self.period_s)
        return Moment(newest.time_s, self.robot_time(now_s), self.period_s, steps, self.action_size, self.plan)

    def _note_dry(self, moment: Moment) -> None:
        if self.plan is not None and self.plan.index(moment.newest_s) >= len(self.plan):
            self.counts.dry += 1
