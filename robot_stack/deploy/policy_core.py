"""What the policy node does, without ROS: observations and states in, plans out, a policy that is kept alive.

Three threads meet here: whoever feeds in (the node's executor), the thinker, and nobody else; a lock keeps them apart,
and no policy is ever asked while it is held.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robot_stack.core.clock import ScaledClock
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import EmbodimentMismatchError, RobotStackError, one_line
from robot_stack.core.observation import Observation
from robot_stack.deploy.frame_matcher import FrameMatcher
from robot_stack.deploy.policy_config import PolicyNodeConfig
from robot_stack.deploy.policy_place import PolicyPlace, open_place, warm_up
from robot_stack.runtime.async_driver import Ask, AsyncDriver
from robot_stack.runtime.chunking import (
    Chunking,
    LatencyTrimmed,
    RealTimeChunking,
    Synchronous,
    exponential_fade,
    linear_fade,
)
from robot_stack.runtime.policy_connection import PolicyServerError
from robot_stack.runtime.thinker import Thinker, Thought
from robot_stack.runtime.timed_plan import TimedPlan

ARMED = "ARMED"
"""The state in which a policy is asked."""

RETRY_S = 1.0
"""How often a policy that is lost is looked for, and an episode that cannot begin is begun again [real s]."""


@dataclass(frozen=True)
class Reports:
    """Who is told what; called from any thread."""

    plan: Callable[[TimedPlan, int], None]
    """A plan for the robot, and the stamp of its observation [ns]."""

    info: Callable[[str], None] = lambda text: None
    """What a person may want to know."""

    warn: Callable[[str], None] = lambda text: None
    """What a person should know."""


class PolicyCore:
    """One policy for one robot.

    Args:
        config: which policy, and how.
        reports: where plans go.
        opening: makes the policy's place.
    """

    def __init__(
        self,
        config: PolicyNodeConfig,
        reports: Reports,
        opening: Callable[[PolicyNodeConfig, Embodiment], PolicyPlace] = open_place,
    ) -> None:
        self.config, self._reports, self._opening = config, reports, opening
        self.clock = ScaledClock(config.clock_speed)
        self.robot: Embodiment | None = None
        """Who is driven; ``None`` until the robot node has said so."""
        self.fingerprint = ""
        """Of the robot's embodiment."""
        self.failure: Exception | None = None
        """Why this policy can never drive this robot."""
        self.frames = FrameMatcher((), config.image_tolerance_s)
        self.asynchronous: AsyncDriver | None = None
        """``None`` until the policy is loaded."""
        self.latencies: deque[float] = deque(maxlen=500)
        """Of decisions, from asking to the answer [s of robot time]."""
        self.last_error = ""
        """Why the last question had no answer."""
        self.pictureless = 0
        """Questions that were not asked because a camera's frame was missing."""
        self.instruction, self.seed = config.instruction, config.seed
        self._place: PolicyPlace | None = None
        self._thinker: Thinker | None = None
        self._lock = threading.RLock()
        self._armed, self._begun, self._busy, self._lost = False, False, False, False
        self._episode, self._retry_s, self._steps = 0, 0.0, (0, 0)
        self._stamps: dict[int, int] = {}
        self._sequence = 0

    # --- from the node's executor

    def meet(self, robot: Embodiment) -> None:
        """The robot node said which robot it is; the first time, the policy is loaded.

        Raises:
            EmbodimentMismatchError: if it is another one than before.
        """
        with self._lock:
            if self.robot is not None:
                if robot.fingerprint() != self.fingerprint:
                    raise EmbodimentMismatchError("the robot node came back as another robot", self.robot.diff(robot))
                return
            self.robot, self.fingerprint = robot, robot.fingerprint()
            self._thinker = Thinker(self._heard, robot.action_size)
            self._busy = True
            self._thinker.do(self._open)

    def state(self, name: str) -> None:
        """The robot node's state changed."""
        with self._lock:
            armed = name == ARMED
            if armed and not self._armed:
                self._episode += 1
            if armed != self._armed:
                self._begun = False
                if self.asynchronous is not None:
                    self.asynchronous.reset()
            self._armed = armed
        self.tend()

    def observe(self, stamp_ns: int, state: np.ndarray) -> None:
        """The robot measured something.

        Args:
            stamp_ns: when, on its own clock [ns].
            state: the state vector.
        """
        with self._lock:
            driver = self.asynchronous
            if driver is None or not self._begun:
                return
            self._sequence += 1
            now_s = self.clock.now()
            if not driver.observe(Observation(state, {}, stamp_ns * 1e-9, self._sequence), now_s):
                return
            self._stamps[self._sequence] = stamp_ns
            if len(self._stamps) > 1024:
                del self._stamps[next(iter(self._stamps))]
            ask = driver.ask(now_s)
            if ask is not None and self._thinker is not None:
                self._thinker.ask(ask) if self._pictured(ask) else self._unpictured(ask)

    def tend(self) -> None:
        """Begin, or look for a policy that is lost, ARMED or not; to be called now and then."""
        with self._lock:
            if self.failure is not None or self._busy or self._thinker is None or self._place is None:
                return
            if not (self._begun or self._lost or self._place.alive):
                self._put_off(PolicyServerError("the policy is gone", where=self.config.policy), lost=True)
            if time.monotonic() < self._retry_s or not (self._lost or (self._armed and not self._begun)):
                return
            self._busy = True
            self._thinker.do(self._restore if self._lost else self._begin)

    def close(self) -> None:
        """End the policy; idempotent."""
        with self._lock:
            thinker, self._thinker = self._thinker, None
            self._armed = self._begun = False
        if thinker is not None:
            thinker.close()
        if self._place is not None:
            self._place.close()

    def describe(self) -> tuple[int, str, dict[str, object]]:
        """Level (0 fine, 1 warning, 2 error), one sentence, numbers."""
        with self._lock:
            return _describe(self)

    # --- from the thinker's thread

    def _open(self) -> None:
        assert self.robot is not None
        try:
            place = self._opening(self.config, self.robot)
            executed, ahead = warm_up(place, self.robot, self.instruction)
            chunking = chunking_of(self.config, executed, ahead, 1.0 / self.robot.control_hz)
        except Exception as error:  # whatever a policy raises while it is loaded
            with self._lock:
                self.failure, self._busy = error, False
            return
        with self._lock:
            self._place, self._steps, period_s = place, (executed, ahead), 1.0 / self.robot.control_hz
            self.frames = FrameMatcher([self.robot.camera(name) for name in place.cameras], self.frames.tolerance_s)
            self.asynchronous = AsyncDriver(
                chunking,
                action_size=self.robot.action_size,
                history=place.driver.history,
                period_s=period_s,
                lead_s=0.5 * period_s,
            )
            assert self._thinker is not None
            self._thinker.driver = place.driver
            self._busy = False
        self._reports.info(f"policy ready: plans {ahead} steps ahead; {type(chunking).__name__}")

    def _begin(self) -> None:
        """Begin an episode."""
        with self._lock:
            episode, seed, instruction, place = self._episode, self.seed, self.instruction, self._place
        assert place is not None
        try:
            place.driver.reset(0, instruction, seed)
        except Exception as error:  # whatever a policy raises
            self._put_off(error, lost=isinstance(error, PolicyServerError))
            return
        with self._lock:
            self._busy, self.last_error = False, ""
            if self._armed and self._episode == episode and self.asynchronous is not None:
                self._begun, self._retry_s = True, 0.0
                self.seed = seed + 1
                self.asynchronous.reset()

    def _restore(self) -> None:
        """Bring a policy back that is lost; it must be the one of before."""
        place, robot = self._place, self.robot
        assert place is not None and robot is not None
        try:
            place.revive()
            steps = warm_up(place, robot, self.instruction)
            if steps != self._steps:
                raise PolicyServerError("the policy came back as another one", got=steps, expected=self._steps)
        except Exception as error:  # whatever a policy raises
            self._put_off(error, lost=True)
            return
        with self._lock:
            self._busy, self._lost, self._retry_s, self.last_error = False, False, 0.0, ""
        self._reports.info("the policy is back" + (": it goes on" if self._armed else ""))
        self.tend()

    def _heard(self, thought: Thought) -> None:
        now_s = self.clock.now()
        with self._lock:
            driver = self.asynchronous
            if driver is None:
                return
            self.latencies.append(now_s - thought.ask.asked_s)
            if thought.chunk is None:
                driver.fail(thought.ask)
                error = thought.error
            else:
                error = None
                plan = driver.answer(thought.ask, thought.chunk, now_s, continued=thought.continued)
                stamp = self._stamps.get(thought.ask.history[-1].sequence)
                if plan is not None and self._begun and stamp is not None:
                    self._reports.plan(plan, stamp)
            lost = isinstance(error, PolicyServerError) and not (self._busy or self._lost)
        if error is not None and lost:
            self._put_off(error, lost=True)
        elif error is not None:
            self._note(error)

    def _put_off(self, error: Exception, *, lost: bool) -> None:
        """There is no episode for now; it is tried again, with a policy that is brought back if it is ``lost``."""
        with self._lock:
            self._begun, self._busy, self._lost = False, False, lost
            self._retry_s = time.monotonic() + RETRY_S
        self._note(error)

    def _note(self, error: Exception) -> None:
        text = one_line(error) if isinstance(error, RobotStackError) else f"{type(error).__name__}: {one_line(error)}"
        if text != self.last_error:
            self._reports.warn(text)
        self.last_error = text

    # --- pictures

    def _pictured(self, ask: Ask) -> bool:
        """Put the frames of each moment into the question."""
        if not self.frames.names:
            return True
        seen: list[Observation] = []
        for observation in ask.history:
            images = self.frames.match(observation.time_s)
            if images is None:
                return False
            seen.append(replace(observation, images=images))
        object.__setattr__(ask, "history", tuple(seen))
        return True

    def _unpictured(self, ask: Ask) -> None:
        assert self.asynchronous is not None
        self.asynchronous.fail(ask)
        self.pictureless += 1


def chunking_of(config: PolicyNodeConfig, executed: int, ahead: int, period_s: float) -> Chunking:
    """The way of chunking that a configuration names.

    Args:
        config: names it.
        executed: steps of a chunk that the policy is meant to execute.
        ahead: steps that it plans.
        period_s: of control [s].
    """
    lead_s = 0.5 * period_s
    if config.strategy == "synchronous":
        return Synchronous(min(config.execute_steps or executed, ahead), lead_s)
    steps = min(config.execute_steps or max(1, ahead // 2), ahead)
    if config.strategy == "trimmed":
        return LatencyTrimmed(steps, config.blend_steps, lead_s)
    fade = exponential_fade if config.schedule == "exponential" else linear_fade
    return RealTimeChunking(steps, config.max_guidance_weight, fade, config.blend_steps, lead_s)


def _describe(core: PolicyCore) -> tuple[int, str, dict[str, object]]:
    driver = core.asynchronous
    values: dict[str, object] = {"policy": core.config.policy, "strategy": core.config.strategy}
    if driver is None:
        waiting = "waits for the robot node" if core.robot is None else "loads the policy"
        return (1, waiting, values) if core.failure is None else (2, one_line(core.failure), values)
    counts: dict[str, Any] = dict(vars(driver.counts))
    values |= counts
    values |= {"observations missing": driver.seen.missing, "observations late": driver.seen.out_of_order}
    if core.latencies:
        median, p99 = np.quantile(core.latencies, (0.5, 0.99))
        values |= {"decision median s": float(median), "decision p99 s": float(p99)}
    values |= {"delay s": driver.delay.seconds, "questions without a picture": core.pictureless}
    for name, camera in core.frames.counts.items():
        values |= {f"camera {name} {key}": value for key, value in vars(camera).items() if value or key == "frames"}
    if core._lost:
        return 2, f"the policy is lost, and looked for: {core.last_error}", values
    if core._armed and not core._begun:
        return (
            (2, f"no episode can begin: {core.last_error}", values)
            if core._retry_s
            else (1, "begins an episode", values)
        )
    if driver.counts.late and not driver.counts.planned:
        return 2, "the policy is slower than its own plans: use the strategy 'synchronous', or a faster one", values
    return 0, "drives" if core._begun else "waits for ARMED", values
