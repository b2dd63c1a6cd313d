"""What an imitation training run does, as plain data: written into its folder, and all that is needed to go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_stack.algorithms.imitation import ImitationConfig
from robot_stack.core.errors import ConfigError
from robot_stack.policies.config import DiffusionPolicyConfig, PolicyConfig
from robot_stack.training.loop import TrainConfig
from robot_stack.training.schedule import ScheduleConfig


@dataclass(frozen=True)
class DatasetConfig:
    """One dataset of a mixture."""

    root: Path
    """Its folder."""

    weight: float | None = None
    """Share of the samples, relative to the others; by number of windows when no dataset gives one."""

    name: str = ""
    """Name of the source in normalisers and messages; the folder's name when empty."""

    max_episodes: int | None = None
    """Learn from so many at most, chosen at random; ``None`` for all."""

    @property
    def source_name(self) -> str:
        """Name of the source."""
        return self.name or self.root.resolve().name


@dataclass(frozen=True)
class DataConfig:
    """How demonstrations become batches."""

    batch_size: int = 256
    """Windows per update, over all processes together."""

    validation_fraction: float = 0.04
    """Share of the episodes of each dataset that is held out; 0 for none."""

    validation_windows: int = 1024
    """So many windows of the held-out episodes are looked at, at most."""

    frame_cache_gb: float = 4.0
    """Cameras that fit are decoded once into a raw cache of at most this size [GB]; others for each batch."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.validation_windows < 1 or self.frame_cache_gb < 0:
            raise ConfigError("batch_size, validation_windows or frame_cache_gb is out of range", got=self)


@dataclass(frozen=True)
class ImitationJob:
    """A whole training run."""

    datasets: tuple[DatasetConfig, ...]
    """Where the demonstrations are."""

    policy: PolicyConfig = DiffusionPolicyConfig()
    """What is trained."""

    train: TrainConfig = TrainConfig()
    """How long, how often to look, to validate and to save."""

    learning: ImitationConfig = ImitationConfig()
    """Optimiser, averaging, precision."""

    schedule: ScheduleConfig = ScheduleConfig()
    """Learning rate over time."""

    data: DataConfig = DataConfig()
    """Batches and validation."""

    seed: int = 0
    """Of everything: weights, order, noise, split."""

    def __post_init__(self) -> None:
        names = [dataset.source_name for dataset in self.datasets]
        if not names:
            raise ConfigError("training needs at least one dataset")
        if len(set(names)) != len(names):
            raise ConfigError(
                "two datasets have one name", got=names, remedy="give each a name: the normalisers are told apart by it"
            )
