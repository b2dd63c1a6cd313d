"""Turns episodes of the control loop into episodes of a dataset."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from robot_stack.core.episode import EpisodeContext, EpisodeResult, Step
from robot_stack.core.errors import EmbodimentMismatchError
from robot_stack.core.observation import Observation
from robot_stack.core.provenance import code_revision
from robot_stack.datasets.episode_buffer import EpisodeBuffer, GrowingRows, RowChecker
from robot_stack.datasets.schema import IMAGE_PREFIX, dataset_features
from robot_stack.datasets.writer import DatasetWriter

Keep = Callable[[EpisodeResult], bool]
"""Decides after an episode whether it becomes part of the dataset."""


def keep_all(result: EpisodeResult) -> bool:
    """Keep every episode that did not break off."""
    return True


def keep_successes(result: EpisodeResult) -> bool:
    """Keep the episodes in which the goal was reached."""
    return result.success


class DatasetRecorder:
    """Records episodes while they happen; a subscriber of the control loop.

    Frames go to the writer's journal step by step, so that a recording survives the death of the process. An episode
    that breaks off is dropped.

    Args:
        writer: of the dataset; its embodiment must be the robot's.
        keep: see :data:`Keep`.
    """

    def __init__(self, writer: DatasetWriter, *, keep: Keep = keep_all) -> None:
        self._writer, self._keep = writer, keep
        self._context: EpisodeContext | None = None
        self._first_s = 0.0
        self._code: dict[str, str] | None = None
        self.committed: list[int] = []
        """Numbers of the episodes that were kept, in order."""

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """Begin an episode.

        Raises:
            EmbodimentMismatchError: if the robot is not the dataset's.
        """
        if context.embodiment.fingerprint() != self._writer.fingerprint:
            raise EmbodimentMismatchError(
                "the robot is another one than the dataset's", self._writer.embodiment.diff(context.embodiment)
            )
        if self._code is None:
            self._code = code_revision()
        self._context, self._first_s = context, first.time_s
        self._writer.begin(context.instruction, {**facts_of(context), "code": self._code})

    def on_step(self, step: Step) -> None:
        """Add a frame."""
        frame: dict[str, Any] = frame_of(step, self._first_s)
        frame |= {IMAGE_PREFIX + name: image for name, image in step.observation.images.items()}
        self._writer.add(frame)

    def on_end(self, result: EpisodeResult | None) -> None:
        """Commit the episode, or drop it when it broke off or is not to be kept."""
        if self._context is None:
            return
        self._context = None
        if result is None or not result.steps or not self._keep(result):
            self._writer.abort()
            return
        self.committed.append(self._writer.commit(provenance=facts_of_result(result)))


class EpisodeCollector:
    """Collects episodes in memory as :class:`EpisodeBuffer`; a subscriber of the control loop for worker processes.

    Args:
        keep: see :data:`Keep`.
        images: keep camera images; without them the buffers fit datasets of the same robot without cameras.
    """

    def __init__(self, *, keep: Keep = keep_all, images: bool = True) -> None:
        self._keep, self._images = keep, images
        self._context: EpisodeContext | None = None
        self._first_s = 0.0
        self._pictures: dict[str, list[np.ndarray]] = {}
        self.episodes: list[EpisodeBuffer] = []
        """The episodes that were kept; :meth:`take` empties the list."""

    def on_start(self, context: EpisodeContext, first: Observation) -> None:
        """Begin an episode."""
        self._context, self._first_s = context, first.time_s
        self._embodiment = context.embodiment if self._images else context.embodiment.with_cameras(())
        features = dataset_features(self._embodiment, storage="image")
        self._checker = RowChecker(features, context.embodiment.control_hz)
        self._rows = GrowingRows(self._checker.dtype)
        self._pictures = {camera.name: [] for camera in self._checker.cameras}

    def on_step(self, step: Step) -> None:
        """Add a frame."""
        self._checker.fill(self._rows.next(), frame_of(step, self._first_s), step.index)
        self._rows.keep()
        for name, images in self._pictures.items():
            images.append(step.observation.images[name.removeprefix(IMAGE_PREFIX)].copy())

    def on_end(self, result: EpisodeResult | None) -> None:
        """Keep the episode, or drop it when it broke off or is not wanted."""
        context, self._context = self._context, None
        if context is None or result is None or not result.steps or not self._keep(result):
            return
        facts = {**facts_of(context), **facts_of_result(result)}
        rows = self._rows.array()
        columns = {name: rows[name].copy() for name in rows.dtype.names or ()}
        images = {name: np.stack(pictures) for name, pictures in self._pictures.items()}
        self.episodes.append(EpisodeBuffer(self._embodiment, context.instruction, facts, columns, images))

    def take(self) -> list[EpisodeBuffer]:
        """The episodes kept since the last call."""
        taken, self.episodes = self.episodes, []
        return taken


def frame_of(step: Step, first_s: float) -> dict[str, Any]:
    """The numbers of a step, as a frame of the dataset.

    Args:
        step: of the control loop.
        first_s: when the episode's first observation was received, on the episode's clock [s].
    """
    frame: dict[str, Any] = {
        "action": step.receipt.sent,
        "action.requested": step.requested,
        "observation.time": step.observation.time_s - first_s,
        "next.reward": step.score.reward,
        "next.success": step.score.success,
        "next.done": step.score.terminated or step.score.success,
    }
    if step.observation.state.size:
        frame["observation.state"] = step.observation.state
    return frame


def facts_of(context: EpisodeContext) -> dict[str, Any]:
    """What is known of an episode when it begins, as plain data."""
    return {
        "task": context.task,
        "driver": context.driver,
        "seed": int(context.seed),
        "robot": context.embodiment.name,
        "milestones": list(context.milestones),
    }


def facts_of_result(result: EpisodeResult) -> dict[str, Any]:
    """How an episode ended, as plain data."""
    return {
        "success": bool(result.success),
        "ending": result.ending,
        "success_step": result.success_step,
        "total_reward": float(result.total_reward) if math.isfinite(result.total_reward) else None,
        "milestone_steps": dict(result.milestones),
        "interventions": int(result.interventions),
        "overruns": int(result.overruns),
        "duration_s": float(result.duration_s),
    }
