"""Plays a recorded episode as chunks of actions at their true times; needs no ROS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import DatasetError
from robot_stack.datasets.layout import embodiment_path
from robot_stack.datasets.metadata import read_json
from robot_stack.datasets.reader import Dataset
from robot_stack.deploy.replay_config import ReplayConfig
from robot_stack.policies.deployment import require_deployable
from robot_stack.runtime.timed_plan import TimedPlan


class Replay:
    """One episode of a dataset.

    Its first action is for the first observation after the robot became ARMED; every other one for as long after it as
    it was recorded. Nothing is interpolated between recorded times, since what two action vectors have in the middle
    depends on the action mode.

    Args:
        config: which episode, how fast.
        robot: who plays it.

    Raises:
        DatasetError: if there is no such dataset or episode, or it has no embodiment.
        EmbodimentMismatchError: if it was recorded with another robot.
    """

    def __init__(self, config: ReplayConfig, robot: Embodiment) -> None:
        root = Path(config.dataset)
        if not root.is_dir():
            raise DatasetError("there is no dataset here", where=root, remedy="check the path")
        path = embodiment_path(root)
        if not path.exists():
            raise DatasetError("the dataset does not say which robot it was recorded with", where=path)
        recorded = from_plain(Embodiment, read_json(path), where=str(path))
        require_deployable(recorded, robot, cameras=())
        with Dataset(root) as data:
            episode = data.episode(config.episode)
            self.actions = np.array(episode.column(config.column), np.float64)
            """Shape ``(steps, action_size)``."""
            times_s = np.array(episode.column("observation.time"), np.float64).reshape(-1)
        period_s = 1.0 / robot.control_hz
        if len(times_s) > 1 and not (np.diff(times_s) > 0).all():
            times_s = period_s * np.arange(len(times_s))  # recorded without true times
        self.times_s = (times_s - times_s[0]) / config.speed
        """When each action is due, after the first [s of robot time]."""
        self.duration_s = float(self.times_s[-1]) + period_s
        """From the first action to the end of the last [s of robot time]."""
        self._ahead_s, self._every_s = config.chunk_s, config.chunk_s / 2
        self._began_s: float | None = None
        self._told_s = -np.inf

    @property
    def over(self) -> bool:
        """The last observation came after the last action's time."""
        return self._began_s is not None and self._told_s - self._began_s > self.duration_s

    def begin(self) -> None:
        """The robot became ARMED: from the first action, at its next observation."""
        self._began_s, self._told_s = None, -np.inf

    def due(self, observation_s: float) -> tuple[TimedPlan, np.ndarray] | None:
        """The next actions, if it is time to tell them.

        Args:
            observation_s: stamp of the newest observation, on the robot's clock [s].

        Returns:
            A plan, and when each of its actions is due after the observation [s]; ``None`` when nothing is to be told.
        """
        if self._began_s is None:
            self._began_s = observation_s
        if observation_s - self._told_s < self._every_s:
            return None
        now_s = observation_s - self._began_s
        if now_s > self.duration_s:
            self._told_s = observation_s
            return None
        self._told_s = observation_s
        first = max(0, int(np.searchsorted(self.times_s, now_s + 1e-9, side="right")) - 1)
        last = max(first + 1, int(np.searchsorted(self.times_s, now_s + self._ahead_s, side="right")))
        offsets_s = np.maximum(self.times_s[first:last] - now_s, 0.0)
        plan = TimedPlan(observation_s, observation_s + float(offsets_s[0]), self._ahead_s, self.actions[first:last])
        return plan, offsets_s
