"""A stage over any :class:`robot_stack.core.world.World`: the robot lives in a thread of its own.

So that nothing but its motion tells policies apart, every decision takes equally long: the slowest policy is measured
at the start, and all wait for that time. Stations that share this process decide one at a time, whatever they run.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from robot_stack.console.trials.padding import padded_jpeg
from robot_stack.console.trials.stage import StageStatus
from robot_stack.core.action import ActionChunk
from robot_stack.core.clock import Clock, MonotonicClock
from robot_stack.core.driver import Driver
from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.errors import ConfigError, EpisodeAborted, RobotStackError
from robot_stack.core.observation import Observation
from robot_stack.core.world import World, WorldMaker
from robot_stack.evaluation.film import Film
from robot_stack.evaluation.trials.plan import InitialCondition
from robot_stack.runtime.loop import run_episode

DriversMaker = Callable[[World], Sequence[Driver]]
"""Makes the drivers of all policies, in the plan's order, for a world; called in the stage's thread."""

FRAMES_PER_S = 10.0
"""Camera pictures, and frames of films [1/s]."""

_WARM_UPS = 4
_MARGIN = 1.5


class PacedClock:
    """The robot's clock for simulation in real time: evenly paced, and never in a hurry after a pause."""

    def __init__(self) -> None:
        self._virtual, self._real = 0.0, time.monotonic()

    def now(self) -> float:
        """Simulated seconds."""
        return self._virtual

    def sleep_until(self, time_s: float) -> None:
        """Let the time between pass, counted from when the last sleep ended."""
        due = self._real + max(0.0, time_s - self._virtual)
        now = time.monotonic()
        if due > now:
            time.sleep(due - now)
        self._real, self._virtual = max(due, now), max(self._virtual, time_s)


@runtime_checkable
class Renders(Protocol):
    """A robot that can be looked at without a camera in its embodiment."""

    def render(self, camera: str, height: int, width: int) -> np.ndarray:
        """RGB, uint8 of shape ``(height, width, 3)``."""
        ...


class Budget:
    """Makes every decision take equally long, over all policies and stages of a process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or MonotonicClock()
        self.seconds = 0.0
        """What every decision takes [s]."""
        self.lock = threading.Lock()

    def allow(self, seconds: float) -> None:
        """Raise the budget to cover a decision that took so long."""
        self.seconds = max(self.seconds, seconds * _MARGIN)


class EvenDriver:
    """A driver whose decisions take the budget's time.

    Args:
        driver: decides.
        budget: how long that may take.
    """

    def __init__(self, driver: Driver, budget: Budget) -> None:
        self.driver, self.budget = driver, budget
        self.history = driver.history

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins; takes the budget's time as well."""
        due = self.budget.clock.now() + self.budget.seconds
        with self.budget.lock:
            self.driver.reset(instruction, seed)
        self.budget.clock.sleep_until(due)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """Decide, and wait until the time is over."""
        due = self.budget.clock.now() + self.budget.seconds
        with self.budget.lock:
            chunk = self.driver.act(history)
        self.budget.clock.sleep_until(due)
        return chunk

    def measure(self, first: Observation, instruction: str) -> None:
        """Decide a few times, so that what loads lazily is loaded, and raise the budget to what it took."""
        for number in range(_WARM_UPS):
            before = self.budget.clock.now()
            with self.budget.lock:
                self.driver.reset(instruction, 0)
                self.driver.act([first] * self.history)
            if number:  # the first one loads things
                self.budget.allow(self.budget.clock.now() - before)


class WorldStage:
    """See the module.

    Args:
        world: makes the robot and its task, in the stage's thread.
        drivers: makes the drivers of all policies.
        camera: a camera of the embodiment, or a view that the robot renders; empty: the embodiment's first camera.
        budget: shared by the stages of a process.
        size: height and width of rendered views [pixel].
        horizon: longest episode [control steps]; ``None``: the task's.
        clock: makes the clock of each trial: a paced one for simulation, :class:`MonotonicClock` for a robot.
    """

    def __init__(
        self,
        world: WorldMaker,
        drivers: DriversMaker,
        *,
        camera: str = "",
        budget: Budget | None = None,
        size: tuple[int, int] = (360, 480),
        horizon: int | None = None,
        clock: Callable[[], Clock] = PacedClock,
    ) -> None:
        self._make_world, self._make_drivers, self._make_clock = world, drivers, clock
        self._camera, self._size, self._horizon = camera, size, horizon
        self._budget = budget or Budget()
        self._commands: queue.Queue[Callable[[World], None] | None] = queue.Queue()
        self._stop = threading.Event()
        self._status = StageStatus()
        self._frame, self._target = b"", b""
        self._condition: InitialCondition | None = None
        self._problem: Exception | None = None
        self._world: World | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._live, name="stage", daemon=True)
        self._thread.start()

    def wait_until_ready(self, timeout_s: float = 120.0) -> None:
        """Return when robot and policies are loaded and measured.

        Raises:
            RobotStackError: if they cannot be loaded.
        """
        if not self._ready.wait(timeout_s):
            raise ConfigError("a robot is not ready", got=f"nothing after {timeout_s:g} s")
        if self._problem is not None:
            raise self._problem

    def show(self, condition: InitialCondition) -> None:
        """Go to the start of a trial."""
        self._stop.set()
        self._commands.put(lambda world: self._do_show(world, condition))

    def start(self, arm: int, film: Path | None) -> None:
        """Let a policy drive from the start that was shown last."""
        self._status = StageStatus("moving")
        wish = self._stop = threading.Event()  # of this start alone: a stop that comes at once is not lost
        self._commands.put(lambda world: self._do_start(world, arm, film, wish))

    def stop(self, reason: str) -> None:
        """Bring the robot to rest at once, even while a policy thinks; the episode ends with the next step."""
        self._stop.set()
        world = self._world
        if world is not None and self._status.state == "moving":
            world.robot.stop(reason)

    def status(self) -> StageStatus:
        """How it stands."""
        return self._status

    def frame(self) -> bytes:
        """The newest picture."""
        return self._frame

    def target(self) -> bytes:
        """The picture at the start."""
        return self._target

    def close(self) -> None:
        """Stop, and release the robot."""
        self._stop.set()
        self._commands.put(None)
        self._thread.join(timeout=10.0)

    # --- in the stage's thread

    def _live(self) -> None:
        try:
            world = self._world = self._make_world()
            self._drivers = [EvenDriver(driver, self._budget) for driver in self._make_drivers(world)]
            self._measure(world)
        except Exception as error:
            self._problem = error if isinstance(error, RobotStackError) else ConfigError(f"no robot: {error!r}")
            self._ready.set()
            return
        self._ready.set()
        try:
            while (command := self._commands.get()) is not None:
                try:
                    command(world)
                except Exception as error:  # a stage outlives what goes wrong in a trial; the evaluator sees it
                    self._status = StageStatus("done", self._status.elapsed_s, self._status.steps, _one_line(error))
        finally:
            world.close()

    def _measure(self, world: World) -> None:
        """Find the time that the slowest policy needs, and load what loads lazily."""
        first = world.task.reset(world.robot, 0)
        for driver in self._drivers:
            driver.measure(first, world.task.instruction)
        self._frame = padded_jpeg(self._look(world, first))

    def _do_show(self, world: World, condition: InitialCondition) -> None:
        self._condition = condition
        first = world.task.reset(world.robot, _seed(condition))
        self._frame = self._target = padded_jpeg(self._look(world, first))
        self._status = StageStatus()

    def _do_start(self, world: World, arm: int, film: Path | None, wish: threading.Event) -> None:
        if self._condition is None:
            raise ConfigError("no initial condition was shown")
        watcher = _Watcher(self, world, film, wish)
        error = ""
        try:
            run_episode(
                world.robot,
                self._drivers[arm],
                world.task,
                seed=_seed(self._condition),
                horizon=self._horizon,
                stop_on_success=False,
                clock=self._make_clock(),
                subscribers=(watcher,),
            )
        except EpisodeAborted:
            pass
        except Exception as problem:
            error = _one_line(problem)
        watcher.finish()
        self._status = StageStatus("done", watcher.elapsed_s, watcher.steps, error)

    def _look(self, world: World, observation: Observation) -> np.ndarray:
        robot = world.robot
        if self._camera and self._camera not in observation.images and isinstance(robot, Renders):
            return robot.render(self._camera, *self._size)
        if self._camera in observation.images:
            return observation.images[self._camera]
        if observation.images:
            return next(iter(observation.images.values()))
        if isinstance(robot, Renders):
            return robot.render(self._camera, *self._size)
        raise ConfigError("this robot has no camera", remedy="name one with --camera")


class _Watcher:
    """Looks at an episode: pictures, film, time, and the wish to stop."""

    def __init__(self, stage: WorldStage, world: World, film: Path | None, wish: threading.Event) -> None:
        self.stage, self.world, self.wish = stage, world, wish
        self.elapsed_s, self.steps, self.every = 0.0, 0, 1
        self._path, self._film = film, None

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        self.every = max(1, round(context.embodiment.control_hz / FRAMES_PER_S))
        self.period_s = 1.0 / context.embodiment.control_hz
        if self._path is not None:
            with contextlib.suppress(Exception):  # pictures never harm a trial
                self._film = Film(self._path, FRAMES_PER_S)
        self._see(first)

    def on_step(self, step: Step) -> None:
        self.steps = step.index + 1
        self.elapsed_s = self.steps * self.period_s
        if self.steps % self.every == 0:
            self._see(step.next_observation)
        self.stage._status = StageStatus("moving", self.elapsed_s, self.steps)
        if self.wish.is_set():
            raise EpisodeAborted("stopped by the evaluator")

    def on_end(self, result: EpisodeResult | None) -> None:
        pass

    def finish(self) -> None:
        with contextlib.suppress(Exception):
            if self._film is not None:
                self._film.finish()

    def _see(self, observation: Observation) -> None:
        image = self.stage._look(self.world, observation)
        self.stage._frame = padded_jpeg(image)
        with contextlib.suppress(Exception):
            if self._film is not None:
                self._film.add(image)


def _seed(condition: InitialCondition) -> int:
    return 0 if condition.seed is None else condition.seed


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
