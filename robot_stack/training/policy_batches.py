"""Batches of demonstrations as a policy wants them: the right windows, from one dataset or a mixture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError
from robot_stack.datasets.mixture import Mixture, Source
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.stream import BatchStream
from robot_stack.datasets.windows import PAD_SUFFIX, Batch, Windows, WindowSpec, diffusion_windows
from robot_stack.policies.config import PolicyConfig
from robot_stack.policies.normalizer_table import SOURCE
from robot_stack.training.dataset_embodiment import ACTION, IMAGE, STATE, embodiment_of
from robot_stack.training.demonstrations import open_demonstrations, split_episodes
from robot_stack.training.job import ImitationJob

_KEPT = ("action", "action_is_pad", "task_index", "index", SOURCE)


class Demonstrations:
    """The datasets of a job, opened, checked, split, and cut into windows.

    Args:
        job: which datasets, which policy.

    Raises:
        DatasetError: if a dataset is missing, damaged or empty, or its episodes are too short.
        NonFiniteError: if a state or action is NaN or infinite.
        EmbodimentMismatchError: if the datasets are of different robots.
        UnknownNameError: if a camera does not exist.
    """

    def __init__(self, job: ImitationJob) -> None:
        self.job = job
        self.datasets = open_demonstrations([d.root for d in job.datasets], (STATE, ACTION), optional=(STATE,))
        self.embodiment = _common_embodiment(self.datasets, job.policy.inputs.cameras)
        self.spec = window_spec(job.policy, self.embodiment)
        self.splits = [
            split_episodes(data.num_episodes, job.data.validation_fraction, seed=job.seed, at_most=config.max_episodes)
            for data, config in zip(self.datasets, job.datasets, strict=True)
        ]
        cache = int(job.data.frame_cache_gb * 1e9)
        self.train = self._mixture([split.train for split in self.splits], cache)
        held_out = [split.validation for split in self.splits]
        self.validation = self._mixture(held_out, cache) if all(len(e) for e in held_out) else None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Instructions by ``task_index``."""
        return self.train.tasks

    @property
    def action_offsets(self) -> tuple[int, ...]:
        """Steps of a chunk relative to the present."""
        return next(field.offsets for field in self.spec.fields if field.name == ACTION)

    def stream(self, rank: int, world_size: int) -> PolicyStream:
        """One process's share of the training batches, without end.

        Raises:
            ConfigError: if the batch cannot be shared equally.
        """
        size = self.job.data.batch_size
        if size % world_size:
            raise ConfigError(
                "the batch cannot be shared equally among the processes",
                got=f"batch_size={size}, {world_size} processes",
                expected="a multiple of the number of processes",
            )
        stream = BatchStream(self.train, size // world_size, seed=self.job.seed, rank=rank, world_size=world_size)
        return PolicyStream(stream)

    def validation_batches(self) -> Iterator[Batch]:
        """The same windows of held-out episodes each time, each once, in the shares of the mixture."""
        if self.validation is None:
            return
        count = min(self.job.data.validation_windows, self.validation.num_windows)
        source, window = self.validation.draw(0, count, seed=self.job.seed)
        for first in range(0, count, self.job.data.batch_size):
            part = slice(first, first + self.job.data.batch_size)
            yield policy_batch(self.validation.batch(source[part], window[part]))

    def close(self) -> None:
        """Close video files."""
        for dataset in self.datasets:
            dataset.close()

    def _mixture(self, episodes: Sequence[np.ndarray], cache: int) -> Mixture:
        sources = []
        for data, config, chosen in zip(self.datasets, self.job.datasets, episodes, strict=True):
            windows = Windows(data, self.spec, episodes=chosen, frame_cache_bytes=cache)
            sources.append(Source(windows, config.weight, config.source_name))
        return Mixture(sources)


class PolicyStream:
    """A stream of batches with the entries policies know; see :class:`robot_stack.training.data.BatchSource`."""

    def __init__(self, stream: BatchStream) -> None:
        self.stream = stream

    def __next__(self) -> Batch:
        """The next batch."""
        return policy_batch(next(self.stream))

    def peek(self) -> Batch:
        """The first batch of all, whatever the stream has given."""
        return policy_batch(self.stream.batch_at(0))

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands."""
        return self.stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.stream.load_state_dict(state)


def policy_batch(batch: Batch) -> Batch:
    """The entries that policies and the training loop use; see "Training batches" in ARCHITECTURE.md.

    A mixture's ``source_index`` becomes ``source``. A batch without it gets none: the windows of a single dataset do
    not say which normaliser is theirs, and a policy with several refuses them with a :class:`ShapeError`.
    """
    if "source_index" in batch:
        batch = {**batch, SOURCE: batch["source_index"]}
    return {
        name: values
        for name, values in batch.items()
        if name in _KEPT or name == STATE or (name.startswith(IMAGE) and not name.endswith(PAD_SUFFIX))
    }


def window_spec(policy: PolicyConfig, embodiment: Embodiment) -> WindowSpec:
    """The windows a policy learns from: the chunk begins with the oldest observation, as in Diffusion Policy."""
    inputs = policy.inputs
    fields = [STATE] if embodiment.state_size else []
    fields += [IMAGE + embodiment.camera(name).name for name in inputs.cameras]
    return diffusion_windows(
        fields, n_obs=inputs.n_obs_steps, horizon=policy.horizon, n_action_steps=policy.n_action_steps
    )


def _common_embodiment(datasets: Sequence[Dataset], cameras: tuple[str, ...]) -> Embodiment:
    first = embodiment_of(datasets[0])
    for other in datasets[1:]:
        first.require_match(embodiment_of(other), what=f"dataset {datasets[0].root.name!r}", use_cameras=cameras)
    return first
