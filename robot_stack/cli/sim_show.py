"""How a running simulation is seen: MuJoCo's viewer, a film, or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from robot_stack.core.clock import Clock, MonotonicClock, SimulatedClock
from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.errors import ConfigError, EpisodeAborted, RenderError
from robot_stack.core.observation import Observation
from robot_stack.core.world import World


class Unseen:
    """Nobody looks; as fast as it goes. The other ways to see build on it."""

    is_live = False
    """Whether a window is open that somebody can close."""

    def __init__(self) -> None:
        self.clock: Clock = SimulatedClock()
        """Whose deadlines the loop keeps."""

    @property
    def goes_on(self) -> bool:
        """Whether another episode may begin."""
        return True

    def __enter__(self) -> Unseen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """An episode begins."""

    def on_step(self, step: Step) -> None:
        """One control step is done."""

    def on_end(self, result: EpisodeResult | None) -> None:
        """The episode is over."""

    def tell(self) -> None:
        """Say what came of it."""


class Filmed(Unseen):
    """Every control step, or as many as make 25 pictures a second, into one film.

    Args:
        robot: has ``render(camera, height, width)``.
        path: where the film goes.
        camera: what it shows; empty for the task's view.
        size: height and width [pixel].
        slow: how much slower than life it runs.
        hz: control rate [Hz].
    """

    def __init__(self, robot: Any, path: Path, camera: str, size: tuple[int, int], slow: float, hz: float) -> None:
        super().__init__()
        from robot_stack.evaluation.film import Film

        if path.suffix != ".mp4":
            raise ConfigError("a film is an .mp4 file", got=path)
        self._every = max(1, round(hz / 25.0 / slow))
        self._robot, self._camera, self._size = robot, camera, size
        self._film = Film(path, hz / self._every / slow)
        self._path = path

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """The first picture."""
        self._film.add(self._robot.render(self._camera, *self._size))

    def on_step(self, step: Step) -> None:
        """A picture, if it is time for one."""
        if step.index % self._every == 0:
            self._film.add(self._robot.render(self._camera, *self._size))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._film.frames:
            self._film.finish()
        else:
            self._film.abandon()

    def tell(self) -> None:
        """Where the film is."""
        Console(highlight=False).print(f"film: [bold]{self._path}[/bold]")


class Viewer(Unseen):
    """MuJoCo's interactive viewer, in real time.

    Args:
        model: ``mujoco.MjModel``.
        data: ``mujoco.MjData``.
        slow: how much slower than life it runs.
    """

    is_live = True

    def __init__(self, model: Any, data: Any, slow: float) -> None:
        super().__init__()
        self.clock = MonotonicClock() if slow == 1.0 else SlowClock(slow)
        self._model, self._data = model, data
        self._window: Any = None

    @property
    def goes_on(self) -> bool:
        """Whether the window is still open."""
        return self._window is not None and self._window.is_running()

    def __enter__(self) -> Viewer:
        """Open the window.

        Raises:
            RenderError: if the display does not answer.
        """
        _require_window()
        import mujoco.viewer

        self._window = mujoco.viewer.launch_passive(self._model, self._data)
        return self

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """Show the start."""
        self._window.sync()

    def on_step(self, step: Step) -> None:
        """Show the step.

        Raises:
            EpisodeAborted: if the window was closed.
        """
        if not self._window.is_running():
            raise EpisodeAborted("the viewer was closed")
        self._window.sync()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._window.close()


def _require_window() -> None:
    import warnings

    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opens = glfw.init()
    if not opens:
        raise RenderError(
            "no window can be opened on this display",
            got=f"DISPLAY={os.environ.get('DISPLAY', '')} WAYLAND_DISPLAY={os.environ.get('WAYLAND_DISPLAY', '')}",
            remedy="film it with --video FILE.mp4, or run it with --headless",
        )


class SlowClock(MonotonicClock):
    """The machine's clock, running slower.

    Args:
        factor: how many real seconds make one of this clock's.
    """

    def __init__(self, factor: float) -> None:
        if not factor > 0:
            raise ConfigError("slow motion needs a positive factor", got=factor)
        self._factor = factor

    def now(self) -> float:
        """Seconds on this clock."""
        return super().now() / self._factor

    def sleep_until(self, time_s: float) -> None:
        """Sleep until ``time_s`` on this clock."""
        super().sleep_until(time_s * self._factor)


def showing(
    world: World, video: Path | None, headless: bool, camera: str, size: tuple[int, int], slow: float, task: str
) -> Unseen:
    """How to see a world: as asked, otherwise the viewer where there is a display, otherwise a film.

    Args:
        world: has a MuJoCo robot.
        video: the film to write; ``None`` for none.
        headless: look at nothing.
        camera: of the film.
        size: of the film, height and width [pixel].
        slow: how much slower than life.
        task: names the film that nobody named.

    Raises:
        ConfigError: if the robot cannot be looked at.
    """
    robot: Any = world.robot
    if headless and video is None:
        return Unseen()
    if not hasattr(robot, "render"):
        raise ConfigError("this robot cannot be looked at", remedy="add --headless")
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform != "linux"
    if video is None and has_display and hasattr(robot, "model"):
        return Viewer(robot.model, robot.data, slow)
    path = video or Path(f"{task.replace('/', '_')}.mp4")
    if video is None:
        Console(stderr=True).print(f"no display: filming into {path} (--headless for neither)", style="dim")
    return Filmed(robot, path, camera, size, slow, robot.embodiment.control_hz)
