"""The one control loop: simulated or real, one robot or many, recorded or not.

The loop is written once, as a generator that asks for decisions. :func:`run_episode` answers it with one driver;
:class:`robot_stack.runtime.fleet.Fleet` runs many of them side by side and answers them in batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from robot_stack.core.action import ActionChunk
from robot_stack.core.clock import Clock, SimulatedClock
from robot_stack.core.driver import Driver
from robot_stack.core.episode import Ending, EpisodeContext, EpisodeResult, Step, Subscriber
from robot_stack.core.errors import ConfigError, NonFiniteError
from robot_stack.core.observation import Observation, check_observation
from robot_stack.core.robot import Robot
from robot_stack.core.task import Score, Task

Decisions = Generator[tuple[Observation, ...], ActionChunk, EpisodeResult]
"""Yields the last observations, oldest first; is sent an action chunk; returns how the episode ended."""


@dataclass(frozen=True)
class EpisodeSpec:
    """Which episode to run."""

    seed: int
    """Of the reset distribution and of the driver."""

    history: int = 1
    """How many of the last observations the driver needs."""

    horizon: int | None = None
    """Longest episode [control steps]; ``None`` takes the task's."""

    stop_on_success: bool = True
    """End at the first step after which the goal is reached."""

    steps_after_success: int = 0
    """So many more steps once the goal is reached, so that recordings show it reached."""

    driver: str = ""
    """Who decides, for the record."""


def episode(
    robot: Robot,
    task: Task,
    spec: EpisodeSpec,
    *,
    clock: Clock | None = None,
    subscribers: Sequence[Subscriber] = (),
) -> Decisions:
    """One episode as a generator that yields observations and is sent action chunks.

    Deadlines are absolute: step ``k`` is due at ``start + k / control_hz`` on ``clock``; a missed deadline is counted
    and never made up for by hurrying. With the default simulated clock no time passes between steps.

    Args:
        robot: what is driven.
        task: what is to be done; it resets the robot and scores each step.
        spec: seed, horizon and ending.
        clock: whose deadlines are kept.
        subscribers: told of the start, every step and the end; on an error they are told ``None``.

    Raises:
        NonFiniteError: if an observation or an action is not finite.
        ShapeError: if an array does not match the embodiment.
    """
    embodiment = robot.embodiment
    period_s = 1.0 / embodiment.control_hz
    horizon = spec.horizon or task.horizon
    if horizon < 1 or spec.history < 1:
        raise ConfigError("an episode needs at least one step and one observation", got=(horizon, spec.history))
    clock = clock or SimulatedClock()
    told: list[Subscriber] = []
    try:
        observation = task.reset(robot, spec.seed)
        check_observation(observation, embodiment)
        context = EpisodeContext(embodiment, task.name, task.instruction, spec.seed, task.milestones, spec.driver)
        for subscriber in subscribers:
            told.append(subscriber)
            subscriber.on_start(context, observation)
        tally = _Tally(task, spec)
        history = deque([observation] * spec.history, maxlen=spec.history)
        chunk, used, index = None, 0, 0
        start_s = clock.now()
        ending: Ending = "horizon"
        while index < horizon:
            if chunk is None or used == len(chunk):
                chunk, used = (yield tuple(history)), 0
            action = embodiment.check_action(chunk.actions[used])
            used += 1
            receipt = robot.command(action)
            due_s = start_s + (index + 1) * period_s
            tally.overruns += clock.now() > due_s + 0.5 * period_s
            clock.sleep_until(due_s)
            seen = robot.observe()
            check_observation(seen, embodiment)
            score = task.score(seen, receipt)
            tally.add(index, score, bool(receipt.interventions))
            step = Step(index, observation, action, receipt, seen, score)
            for subscriber in subscribers:
                subscriber.on_step(step)
            observation = seen
            history.append(observation)
            index += 1
            if score.terminated:
                ending = "terminated"
                break
            if tally.finished(index):
                ending = "success"
                break
        result = tally.result(ending, index, clock.now() - start_s)
    except BaseException:
        robot.stop("the episode broke off")
        for subscriber in told:
            subscriber.on_end(None)
        raise
    for subscriber in subscribers:
        subscriber.on_end(result)
    return result


def run_episode(
    robot: Robot,
    driver: Driver,
    task: Task,
    *,
    seed: int,
    horizon: int | None = None,
    stop_on_success: bool = True,
    steps_after_success: int = 0,
    clock: Clock | None = None,
    subscribers: Sequence[Subscriber] = (),
    driver_name: str = "",
) -> EpisodeResult:
    """Run one episode with one driver.

    Args:
        robot: what is driven.
        driver: what decides.
        task: what is to be done.
        seed: of the reset distribution and of the driver.
        horizon: longest episode [control steps]; ``None`` takes the task's.
        stop_on_success: end at the first step after which the goal is reached.
        steps_after_success: so many more steps once the goal is reached.
        clock: whose deadlines are kept; see :func:`episode`.
        subscribers: told of the start, every step and the end.
        driver_name: who decides, for the record.
    """
    spec = EpisodeSpec(seed, driver.history, horizon, stop_on_success, steps_after_success, driver_name)
    driver.reset(task.instruction, seed)
    loop = episode(robot, task, spec, clock=clock, subscribers=subscribers)
    try:
        history = next(loop)
        while True:
            try:
                chunk = driver.act(history)
            except BaseException as error:
                loop.throw(error)
                raise
            history = loop.send(chunk)
    except StopIteration as done:
        return done.value


class _Tally:
    """Adds up the scores of one episode."""

    def __init__(self, task: Task, spec: EpisodeSpec) -> None:
        self.task, self.spec = task, spec
        self.reward, self.interventions, self.overruns = 0.0, 0, 0
        self.success_step: int | None = None
        self.milestones: dict[str, int | None] = dict.fromkeys(task.milestones)

    def add(self, index: int, score: Score, intervened: bool) -> None:
        if score.reward != score.reward:
            raise NonFiniteError("a reward is not a number", where=f"task {self.task.name!r}, step {index}")
        self.reward += score.reward
        self.interventions += intervened
        if score.success and self.success_step is None:
            self.success_step = index
        for name, reached in zip(self.milestones, score.milestones, strict=False):
            if reached and self.milestones[name] is None:
                self.milestones[name] = index

    def finished(self, steps: int) -> bool:
        if not self.spec.stop_on_success or self.success_step is None:
            return False
        return steps > self.success_step + self.spec.steps_after_success

    def result(self, ending: Ending, steps: int, duration_s: float) -> EpisodeResult:
        return EpisodeResult(
            task=self.task.name,
            seed=self.spec.seed,
            success=self.success_step is not None,
            ending=ending,
            steps=steps,
            success_step=self.success_step,
            total_reward=self.reward,
            milestones=self.milestones,
            interventions=self.interventions,
            overruns=self.overruns,
            duration_s=duration_s,
        )
