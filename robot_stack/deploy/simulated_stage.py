"""A whole deployment in simulated time: policy, chunks, the robot's loop with state machine and safety filter, body.

What differs from a deployment over ROS is the transport alone: messages take no time, but for the policy's delay, and
nothing depends on how fast or how busy this machine is. Serves an
:class:`~robot_stack.deploy.evaluator_core.Evaluation`.
"""

from __future__ import annotations

import numpy as np

from robot_stack.core.clock import SimulatedClock
from robot_stack.core.driver import BatchDriver
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError
from robot_stack.core.observation import Observation
from robot_stack.core.seeding import generator
from robot_stack.deploy.assemble import assemble
from robot_stack.deploy.evaluator_core import Seen
from robot_stack.deploy.plant_bus import PlantBus
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.loop_reports import Observed, Report
from robot_stack.hardware.robot_loop import RobotLoop
from robot_stack.hardware.state_machine import Event, State
from robot_stack.policies.deployment import require_deployable
from robot_stack.runtime.async_driver import AsyncDriver
from robot_stack.runtime.chunking import Chunking
from robot_stack.runtime.delayed_driver import Delay
from robot_stack.runtime.thinker import Thought, think

_STREAM = 0x737467
"""Separates delays from other uses of an episode's seed."""


class SimulatedStage:
    """A :class:`robot_stack.deploy.evaluator_core.Stage`.

    Args:
        task: full name of the task, for example ``panda/drawer``.
        driver: the policy; state only, no cameras.
        chunking: how one chunk follows another.
        delay: of each decision, from observation to chunk [s].
        instruction: what to do, in words.
        servo_hz: of the simulated body [Hz]; 0 takes the action mode's own.
        another_model: accept a policy trained on a robot with another model hash.
        trained: the embodiment that the policy was made for; not checked when left out.

    Raises:
        EmbodimentMismatchError: if the policy was trained for another robot.
        ConfigError: if the simulated body cannot stand in for the robot.
    """

    def __init__(
        self,
        task: str,
        driver: BatchDriver,
        chunking: Chunking,
        delay: Delay,
        *,
        instruction: str = "",
        servo_hz: float = 0.0,
        another_model: bool = False,
        trained: Embodiment | None = None,
    ) -> None:
        self._clock = SimulatedClock(100.0)
        settings = RobotNodeConfig(
            robot=task.partition("/")[0], task=task, bus="direct", start="here", direct_servo_hz=servo_hz
        )
        parts = assemble(settings, self._clock)
        if not isinstance(parts.bus, PlantBus):
            raise ConfigError("only a simulated body plays in simulated time", got=type(parts.bus).__name__)
        self.robot = parts.embodiment
        """Who plays."""
        if trained is not None:
            require_deployable(trained, self.robot, cameras=(), another_model=another_model)
        self._bus = parts.bus
        self._driver, self._delay, self._instruction = driver, delay, instruction
        period_s = 1.0 / self.robot.control_hz
        self.asynchronous = AsyncDriver(
            chunking,
            action_size=self.robot.action_size,
            history=driver.history,
            period_s=period_s,
            lead_s=0.5 / parts.bus.servo_hz,
        )
        self._fingerprint = self.robot.fingerprint()
        self._arriving: tuple[float, Thought] | None = None
        self._observed: list[Observed] = []
        self._scores: list[Seen] = []
        self._seed, self._source, self._ticks = 0, generator(0, _STREAM), 0
        self.loop = RobotLoop(parts, self._hear)
        """The robot's."""
        parts.bus.open()
        self.loop.engage(self._clock.now())

    @property
    def state(self) -> str:
        """Of the robot's loop."""
        return self.loop.state.value

    @property
    def reason(self) -> str:
        """What was wrong with the robot since its last reset."""
        return self.loop.latched

    def now_s(self) -> float:
        """The robot's clock [s]."""
        return self._clock.now()

    def wait(self, timeout_s: float) -> None:
        """Let a control period pass."""
        until_s = self._clock.now() + min(timeout_s, 1.0 / self.robot.control_hz) - 1e-9
        while self._clock.now() < until_s:
            self._tick()

    def request(self, service: str) -> tuple[bool, str]:
        """Ask the loop; it answers at its next tick."""
        asked = self.loop.inputs.ask(Event(service))
        self._tick()
        return asked.accepted, asked.sentence

    def put_back(self, seed: int) -> None:
        """Put the body to the start of a seed."""
        self._bus.reset(seed)

    def seed_policy(self, seed: int) -> None:
        """Of the policy's noise in the next episode."""
        self._seed = seed

    def scores(self) -> list[Seen]:
        """What the task said since the last call."""
        scores, self._scores = self._scores, []
        return scores

    def verdict(self, *, over: bool) -> bool | None:
        """Nobody is there to say."""
        return None

    def _tick(self) -> None:
        self._clock.sleep_until(self._clock.now() + self.loop.period_s)
        now_s = self._clock.now()
        self._ticks += 1
        if self._ticks % max(1, round(0.05 / self.loop.period_s)) == 0:
            self.loop.inputs.hear_deadman(True, round(now_s * 1e9))
        self._receive(now_s)
        before = self.loop.state
        self.loop.tick(now_s, 0.0)
        if self.loop.state is State.ARMED and before is not State.ARMED:
            self._bus.let_go()
            self._driver.reset(0, self._instruction, self._seed)
            self.asynchronous.reset()
            self._arriving, self._source = None, generator(self._seed, _STREAM)
        reward, success, failed = self._bus.score
        self._scores.append(Seen(now_s, reward, success, failed))
        observed, self._observed = self._observed, []
        for each in observed:
            self._see(each)

    def _hear(self, report: Report) -> None:
        if isinstance(report, Observed):
            self._observed.append(report)

    def _see(self, observed: Observed) -> None:
        if self.loop.state is not State.ARMED:
            return
        time_s = observed.stamp_ns * 1e-9
        self.asynchronous.observe(Observation(observed.vector, {}, time_s, observed.stamp_ns), time_s)
        ask = self.asynchronous.ask(time_s)
        if ask is not None:
            thought = think(self._driver, 0, ask, self.robot.action_size)
            self._arriving = (time_s + self._delay(self._source), thought)

    def _receive(self, now_s: float) -> None:
        if self._arriving is None or self._arriving[0] > now_s + 1e-9:
            return
        (arrived_s, thought), self._arriving = self._arriving, None
        if thought.chunk is None:
            return
        at_s = max(arrived_s, self.asynchronous.robot_time(thought.ask.observation_s))
        plan = self.asynchronous.answer(thought.ask, thought.chunk, at_s, continued=thought.continued)
        if plan is not None:
            offsets_s = plan.start_s - plan.observation_s + plan.period_s * np.arange(len(plan))
            stamp = thought.ask.history[-1].sequence
            names = self.robot.action_names
            self.loop.inputs.hear_chunk(StampedChunk(stamp, names, plan.actions, offsets_s, self._fingerprint))
