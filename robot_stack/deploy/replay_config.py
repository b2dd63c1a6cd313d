"""The parameters of the replay node, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError


@dataclass(frozen=True)
class ReplayConfig:
    """What ``python -m robot_stack.deploy.replay_process`` takes as ROS parameters."""

    dataset: str = ""
    """Folder of the dataset."""

    episode: int = 0
    """Which of its episodes; played once each time the robot becomes ARMED."""

    column: Literal["action", "action.requested"] = "action"
    """What was sent, or what was asked for."""

    speed: float = 1.0
    """1 keeps the recorded times, 0.5 takes twice as long; at most 1."""

    chunk_s: float = 0.5
    """How far ahead actions are published [s of robot time]."""

    clock_speed: float = 1.0
    """Seconds of robot time for each real one."""

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 1:
            raise ConfigError("an episode is replayed as fast as it was recorded, or slower", got=self.speed)
        if self.episode < 0 or not (self.chunk_s > 0 and self.clock_speed > 0):
            raise ConfigError("episode, times and speeds of a replay are positive", got=self)
