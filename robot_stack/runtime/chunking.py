"""How one chunk of actions follows another while the policy needs time to think.

- :class:`Synchronous`: the robot waits for each decision, as simulated evaluation does without saying so.
- :class:`LatencyTrimmed`: the next chunk is asked for while the last is carried out, and joins in at its own times;
  what has gone by is never executed. Over a few steps the new takes over from the old.
- :class:`RealTimeChunking`: besides, the policy is told what is being carried out, and its sampler is pulled to go on
  from there (Black, Galliker, Levine, "Real-Time Execution of Action Chunking Flow Policies", arXiv 2506.07339). A
  policy that cannot be pulled falls back to trimming.

Temporal ensembling (:mod:`robot_stack.policies.ensemble`) smooths differently: it averages all plans of a moment, needs
a decision at every step, and takes for granted that decisions take no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_stack.core.action import ActionChunk
from robot_stack.core.errors import ConfigError
from robot_stack.core.running_plan import RunningPlan, nothing_running
from robot_stack.runtime.timed_plan import TimedPlan

Fade = Callable[[np.ndarray], np.ndarray]
"""From what is left of the overlap, in (0, 1), to weights."""


def exponential_fade(left: np.ndarray) -> np.ndarray:
    """``c (e^c - 1) / (e - 1)``, the paper's equation 5."""
    return left * np.expm1(left) / math.expm1(1.0)


def linear_fade(left: np.ndarray) -> np.ndarray:
    """``c`` itself."""
    return left


@dataclass(frozen=True, eq=False)
class Moment:
    """What a strategy decides on."""

    newest_s: float
    """Stamp of the newest observation, on the robot's clock [s]."""

    robot_s: float
    """What the robot's clock shows now [s], as far as can be told from stamps."""

    period_s: float
    """Of control [s]."""

    delay_steps: int
    """Control steps that pass between an observation and the plan decided on it, by experience."""

    action_size: int
    """Numbers in an action."""

    plan: TimedPlan | None = None
    """What is being carried out."""


class Chunking(Protocol):
    """A way of letting one chunk follow another; holds no state."""

    def due(self, moment: Moment) -> bool:
        """Whether the policy is to be asked now, if it is idle."""
        ...

    def running(self, moment: Moment) -> RunningPlan:
        """What the policy is told of the plan that is carried out meanwhile."""
        ...

    def schedule(self, chunk: ActionChunk, observation_s: float, moment: Moment, continued: bool) -> TimedPlan:
        """When the actions of an answer apply.

        Args:
            chunk: what the policy decided; its first action belongs to the observation.
            observation_s: stamp of the observation [s].
            moment: now.
            continued: the policy was held to the running plan.
        """
        ...


@dataclass(frozen=True)
class Synchronous:
    """Executes a part of each chunk, then waits for the next."""

    execute_steps: int
    """Steps executed of each chunk."""

    lead_s: float = 0.0
    """The first action is set so much later than now, for its way to the robot [s]."""

    def __post_init__(self) -> None:
        _check(self.execute_steps, 0, self.lead_s)

    def due(self, moment: Moment) -> bool:
        """When the plan is used up."""
        plan = moment.plan
        return plan is None or plan.index(moment.newest_s) >= len(plan)

    def running(self, moment: Moment) -> RunningPlan:
        """The robot stands still meanwhile."""
        return nothing_running(moment.action_size)

    def schedule(self, chunk: ActionChunk, observation_s: float, moment: Moment, continued: bool) -> TimedPlan:
        """From now on, as if no time had passed."""
        late = steps_until(observation_s, moment.robot_s + self.lead_s, moment.period_s)
        start_s = observation_s + late * moment.period_s
        return TimedPlan(observation_s, start_s, moment.period_s, chunk.actions[: self.execute_steps])


@dataclass(frozen=True)
class LatencyTrimmed:
    """Asks ahead of time; what comes late of a chunk is left out."""

    execute_steps: int
    """So many steps after the observation of a chunk the next is asked for; earlier if the plan would run dry."""

    blend_steps: int = 4
    """So many steps lie between the old plan and the new; 0 changes over at once."""

    lead_s: float = 0.0
    """Steps that begin sooner than this are too late for a plan that is sent now [s]."""

    def __post_init__(self) -> None:
        _check(self.execute_steps, self.blend_steps, self.lead_s)

    def due(self, moment: Moment) -> bool:
        """When enough was executed, or little is left."""
        plan = moment.plan
        if plan is None:
            return True
        executed = round((moment.newest_s - plan.observation_s) / moment.period_s)
        left = len(plan) - plan.index(moment.newest_s)
        return executed >= 1 and (executed >= self.execute_steps or left <= moment.delay_steps + 1)

    def running(self, moment: Moment) -> RunningPlan:
        """The policy need not know."""
        return nothing_running(moment.action_size)

    def schedule(self, chunk: ActionChunk, observation_s: float, moment: Moment, continued: bool) -> TimedPlan:
        """From the observation on, with the first steps that can still be executed blended."""
        actions = chunk.actions
        if moment.plan is not None and self.blend_steps:
            first = steps_until(observation_s, moment.robot_s + self.lead_s, moment.period_s)
            old = moment.plan.rest(observation_s + first * moment.period_s)
            actions = blended(actions, old, first, self.blend_steps)
        return TimedPlan(observation_s, observation_s, moment.period_s, actions)


@dataclass(frozen=True)
class RealTimeChunking:
    """Asks ahead of time, and has the policy continue what is being carried out."""

    execute_steps: int
    """As in :class:`LatencyTrimmed`; the paper's execution horizon ``s``."""

    max_weight: float = 5.0
    """Most that one sampler step pulls; the paper's 5."""

    fade: Fade = exponential_fade
    """Weights over the overlap, from the steps that are sure to be executed to the end of the running plan."""

    blend_steps: int = 4
    """As in :class:`LatencyTrimmed`, for policies that cannot be pulled."""

    lead_s: float = 0.0
    """As in :class:`LatencyTrimmed`."""

    def __post_init__(self) -> None:
        _check(self.execute_steps, self.blend_steps, self.lead_s)
        if not self.max_weight > 0.0:
            raise ConfigError("real-time chunking needs a greatest weight above zero", got=self.max_weight)

    def due(self, moment: Moment) -> bool:
        """As in :class:`LatencyTrimmed`."""
        return self._trimmed.due(moment)

    def running(self, moment: Moment) -> RunningPlan:
        """The rest of the plan; as much of it as the delay covers is fixed."""
        rest = moment.plan.rest(moment.newest_s) if moment.plan is not None else np.zeros((0, moment.action_size))
        return RunningPlan(rest, prefix_weights(len(rest), moment.delay_steps, self.fade), self.max_weight)

    def schedule(self, chunk: ActionChunk, observation_s: float, moment: Moment, continued: bool) -> TimedPlan:
        """From the observation on; blended only if the policy did not continue the plan."""
        if continued:
            return TimedPlan(observation_s, observation_s, moment.period_s, chunk.actions)
        return self._trimmed.schedule(chunk, observation_s, moment, continued)

    @property
    def _trimmed(self) -> LatencyTrimmed:
        return LatencyTrimmed(self.execute_steps, self.blend_steps, self.lead_s)


def prefix_weights(steps: int, frozen: int, fade: Fade = exponential_fade) -> np.ndarray:
    """Weights of the running plan's remaining steps: 1 while frozen, then fading to the end.

    With ``d = frozen`` and ``n = steps`` (the paper's ``H - s``): ``fade((n - i) / (n - d + 1))`` for ``d <= i < n``.

    Args:
        steps: left of the running plan.
        frozen: of which so many are executed before the next plan can be there.
        fade: shape.

    Returns:
        Shape ``(steps,)``, from 0 to 1.
    """
    index = np.arange(steps)
    left = (steps - index) / (steps - min(frozen, steps) + 1)
    return np.where(index < frozen, 1.0, fade(np.minimum(left, 1.0)))


def blended(actions: np.ndarray, old: np.ndarray, first: int, steps: int) -> np.ndarray:
    """Actions that begin at ``first`` close to the old ones and reach their own after ``steps``.

    Linear in the numbers of an action: made for plans that differ little.

    Args:
        actions: of the new plan, shape ``(n, A)``.
        old: of the old plan from step ``first`` of the new on, shape ``(m, A)``.
        first: the first step that can still be executed.
        steps: over which the new takes over.
    """
    count = max(0, min(steps, len(old), len(actions) - first))
    share = (np.arange(count)[:, None] + 1.0) / (steps + 1.0)
    out = actions.copy()
    out[first : first + count] = (1.0 - share) * old[:count] + share * actions[first : first + count]
    return out


def steps_until(start_s: float, time_s: float, period_s: float) -> int:
    """The first control step counted from ``start_s`` that is not over for a plan that arrives at ``time_s``.

    A robot applies an action at the tick nearest to its time, so a step is lost only half a period after its time.
    """
    return max(0, math.ceil((time_s - start_s) / period_s - 0.5 - 1e-6))


def _check(execute_steps: int, blend_steps: int, lead_s: float) -> None:
    if execute_steps < 1 or blend_steps < 0 or lead_s < 0.0:
        raise ConfigError(
            "a way of chunking executes at least one step, and blends and leads by none or more",
            got=f"execute_steps={execute_steps}, blend_steps={blend_steps}, lead_s={lead_s:g}",
        )
