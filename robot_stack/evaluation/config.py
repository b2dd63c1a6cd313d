"""How an evaluation is made."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_stack.core.errors import ConfigError
from robot_stack.core.seeding import Split, episode_seed


@dataclass(frozen=True)
class VideoConfig:
    """Which episodes are filmed, and how."""

    count: int = 0
    """The first so many episodes are filmed."""

    camera: str = ""
    """A camera of the embodiment, or a view that the robot's ``render`` knows; empty: the embodiment's first camera."""

    height: int = 240
    """Of rendered frames [pixel]; a camera of the embodiment keeps its own size."""

    width: int = 240
    """Of rendered frames [pixel]; a camera of the embodiment keeps its own size."""

    every: int = 0
    """Film every n-th step; 0: as many as give about 25 frames a second of playback."""

    speed: float = 1.0
    """Of playback: 1 is the speed of life, 0.25 four times slower."""

    montage_columns: int = 4
    """Columns of the grid that shows all films at once; 0: no grid."""

    def __post_init__(self) -> None:
        if (
            self.count < 0
            or self.every < 0
            or not self.speed > 0
            or self.height < 2
            or self.width < 2
            or self.montage_columns < 0
        ):
            raise ConfigError("these video settings make no sense", got=self)


@dataclass(frozen=True)
class EvaluationConfig:
    """Which episodes make up an evaluation. Two evaluations with equal ``split`` and ``stream`` have equal starts."""

    episodes: int = 50
    """How many."""

    split: Split = "held_out"
    """Whose seeds: ``"held_out"`` ones are never seen in collection."""

    stream: int = 0
    """Repetition of a study, below 100."""

    horizon: int | None = None
    """Longest episode [control steps]; ``None`` takes the task's."""

    stop_on_success: bool = True
    """End an episode at the first step after which the goal is reached."""

    steps_after_success: int = 0
    """So many more steps once the goal is reached, so that films show it."""

    confidence: float = 0.95
    """Of the intervals."""

    videos: VideoConfig = field(default_factory=VideoConfig)
    """Which episodes are filmed."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.steps_after_success < 0 or (self.horizon is not None and self.horizon < 1):
            raise ConfigError("an evaluation needs at least one episode of at least one step", got=self)

    def seed(self, index: int) -> int:
        """The seed of episode ``index``."""
        return episode_seed(self.split, index, stream=self.stream)
