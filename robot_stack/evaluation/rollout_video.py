"""Films an episode while it runs, beside its world; whatever goes wrong with pictures never harms the episode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.errors import RenderError
from robot_stack.core.observation import Observation
from robot_stack.core.world import World
from robot_stack.evaluation.config import VideoConfig
from robot_stack.evaluation.film import Film
from robot_stack.runtime.slots import EpisodeJob

_GREEN, _RED = (46, 160, 67), (207, 34, 46)
_USUAL_RATE = 25.0
_HOLD_S = 0.6


@runtime_checkable
class Renders(Protocol):
    """A simulated robot that can be looked at without having cameras in its embodiment."""

    def render(self, camera: str, height: int, width: int) -> np.ndarray:
        """The scene now, uint8 of shape ``(height, width, 3)``."""
        ...


@dataclass(frozen=True)
class FilmReport:
    """What came of filming an episode."""

    path: str = ""
    """The film; empty when there is none."""

    problem: str = ""
    """Why there is none; empty when there is."""


class RolloutFilm:
    """A recorder that films; its last picture has a green border after success, a red one after failure.

    Args:
        world: whose episode it is.
        path: where the film goes.
        config: camera, size and rate.
    """

    def __init__(self, world: World, path: Path, config: VideoConfig) -> None:
        self.robot, self.path, self.config = world.robot, path, config
        self.film: Film | None = None
        self.last: np.ndarray | None = None
        self.every, self.problem = 1, ""

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """Open the film."""
        hz = context.embodiment.control_hz * self.config.speed
        self.every = self.config.every or max(1, round(hz / _USUAL_RATE))
        try:
            self.film = Film(self.path, hz / self.every)
            self._add(first)
        except Exception as error:
            self._give_up(error)

    def on_step(self, step: Step) -> None:
        """Add a frame when it is due."""
        if self.film is None or (step.index + 1) % self.every:
            return
        try:
            self._add(step.next_observation)
        except Exception as error:
            self._give_up(error)

    def on_end(self, result: EpisodeResult | None) -> None:
        """Hold the last picture for a moment, and close."""
        if self.film is None:
            return
        if result is None:
            self.film.abandon()
            self.film, self.problem = None, "the episode broke off"
            return
        try:
            assert self.last is not None
            picture = bordered(self.last, _GREEN if result.success else _RED)
            for _ in range(max(1, round(_HOLD_S * self.film.frames_per_s))):
                self.film.add(picture)
            self.film.finish()
        except Exception as error:
            self._give_up(error)

    def take(self) -> FilmReport:
        """Where the film is, or why it is not."""
        return FilmReport("" if self.problem else str(self.path), self.problem)

    def _add(self, observation: Observation) -> None:
        assert self.film is not None
        self.last = self._look(observation)
        self.film.add(self.last)

    def _look(self, observation: Observation) -> np.ndarray:
        camera, images = self.config.camera, observation.images
        if images and (not camera or camera in images):
            return images[camera or next(iter(images))]
        if isinstance(self.robot, Renders):
            return self.robot.render(camera, self.config.height, self.config.width)
        raise RenderError(
            f"nothing to film: no camera {camera!r}" if camera else "nothing to film: no camera",
            got=f"cameras: {', '.join(images) or 'none'}; the robot has no render method",
            remedy="evaluate a world with a camera, or ask for no videos",
        )

    def _give_up(self, error: Exception) -> None:
        self.problem = f"{type(error).__name__}: {error}"
        if self.film is not None:
            self.film.abandon()
            self.film = None


def bordered(image: np.ndarray, colour: tuple[int, int, int], width: int = 6) -> np.ndarray:
    """A copy with a coloured border, uint8 of shape ``(height, width, 3)``."""
    out = image.copy()
    for edge in (out[:width], out[-width:], out[:, :width], out[:, -width:]):
        edge[:] = colour
    return out


@dataclass(frozen=True)
class FilmRecorder:
    """Makes the recorder of one episode, in the process where it runs."""

    folder: str
    """Where the films go."""

    config: VideoConfig
    """Camera, size and rate."""

    def __call__(self, world: World, job: EpisodeJob) -> RolloutFilm:
        """A film called after the episode's index and seed."""
        name = f"{job.index:04d}_seed{job.spec.seed}.mp4"
        return RolloutFilm(world, Path(self.folder) / name, self.config)
