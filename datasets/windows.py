"""Windows over episodes: for each time step the past a policy sees and the future it must produce.

A window belongs to an *anchor*, the present step t of an episode. Every field is taken at t plus its offsets; offsets
that leave the episode repeat its first or last step, and a mask says where. Windows are gathered for a whole batch at
once from memory-mapped columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from robot_stack.core.errors import ConfigError, DatasetError, require_name
from robot_stack.datasets.columns import Column
from robot_stack.datasets.frame_cache import Camera
from robot_stack.datasets.reader import Dataset

Batch = dict[str, np.ndarray]

PAD_SUFFIX = "_is_pad"
"""``batch[field + PAD_SUFFIX]`` is True where a step lies outside the episode, shape ``(windows, offsets)``."""

INDEX_FIELDS = ("index", "episode_index", "frame_index", "task_index", "timestamp")
"""Always in a batch, taken at the anchor, shape ``(windows,)``."""


@dataclass(frozen=True)
class FieldWindow:
    """One field and the steps at which it is taken."""

    name: str
    """A numeric feature or a camera of the dataset."""

    offsets: tuple[int, ...]
    """Steps relative to the anchor: ``(-1, 0)`` is the previous and the present one."""

    def __post_init__(self) -> None:
        if not self.offsets:
            raise ConfigError(f"the window of {self.name!r} has no offsets", remedy="give at least (0,)")


@dataclass(frozen=True)
class WindowSpec:
    """What a window holds, and how far windows may reach beyond the ends of an episode."""

    fields: tuple[FieldWindow, ...]
    """The fields, each with its own offsets."""

    pad_before: int
    """Anchors are dropped whose earliest offset lies more than this many steps before the episode's first."""

    pad_after: int
    """Anchors are dropped whose latest offset lies more than this many steps after the episode's last."""

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if not names or len(set(names)) != len(names):
            raise ConfigError("a window needs fields with different names", got=names)
        if self.pad_before < 0 or self.pad_after < 0:
            raise ConfigError("padding cannot be negative", got=(self.pad_before, self.pad_after))

    @property
    def first_offset(self) -> int:
        """The earliest offset of any field."""
        return min(min(field.offsets) for field in self.fields)

    @property
    def last_offset(self) -> int:
        """The latest offset of any field."""
        return max(max(field.offsets) for field in self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields."""
        return tuple(field.name for field in self.fields)


def diffusion_windows(
    observations: Sequence[str], *, n_obs: int, horizon: int, n_action_steps: int, action: str = "action"
) -> WindowSpec:
    """The windows of Diffusion Policy (Chi et al., 2023).

    Observations at ``-(n_obs-1) … 0``; actions at ``-(n_obs-1) … horizon-n_obs``, so that both begin together and
    actions ``n_obs-1 … n_obs-1+n_action_steps-1`` are those executed. As there, a window may begin ``n_obs-1`` steps
    before the episode and end ``n_action_steps-1`` steps after it. Anchors whose last executed action would lie
    further out are left away: the last ``horizon-n_action_steps-n_obs+1`` steps are never an anchor.

    Args:
        observations: state fields and cameras.
        n_obs: observation steps.
        horizon: action steps.
        n_action_steps: actions executed before the next decision.
        action: the action's field.

    Raises:
        ConfigError: if the executed actions do not fit the horizon.
    """
    if n_obs < 1 or n_action_steps < 1 or n_obs - 1 + n_action_steps > horizon:
        raise ConfigError(
            "the executed actions do not fit the horizon",
            got=f"n_obs={n_obs}, n_action_steps={n_action_steps}, horizon={horizon}",
            expected="n_obs - 1 + n_action_steps <= horizon",
        )
    first = -(n_obs - 1)
    fields = [FieldWindow(name, tuple(range(first, 1))) for name in observations]
    fields.append(FieldWindow(action, tuple(range(first, first + horizon))))
    return WindowSpec(tuple(fields), pad_before=n_obs - 1, pad_after=n_action_steps - 1)


def chunk_windows(observations: Sequence[str], *, horizon: int, n_obs: int = 1, action: str = "action") -> WindowSpec:
    """The windows of ACT (Zhao et al., 2023) and flow policies: actions ``0 … horizon-1``, every step is an anchor.

    Args:
        observations: state fields and cameras.
        horizon: action steps.
        n_obs: observation steps, the present one last.
        action: the action's field.
    """
    fields = [FieldWindow(name, tuple(range(-(n_obs - 1), 1))) for name in observations]
    fields.append(FieldWindow(action, tuple(range(horizon))))
    return WindowSpec(tuple(fields), pad_before=n_obs - 1, pad_after=horizon - 1)


class Windows:
    """The windows of one dataset, numbered ``0 … len - 1`` by episode and anchor.

    Args:
        dataset: where they come from, as it is now.
        spec: what they hold.
        episodes: only these, in this order; all when not given. Use it to split train from validation.
        frame_cache_bytes: cameras that fit are decoded once into a raw cache of at most this size; others are
            decoded for each batch.

    Raises:
        UnknownNameError: if the dataset lacks a field.
        DatasetError: if the dataset is empty, an episode does not exist, or no window is left.
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: WindowSpec,
        *,
        episodes: Sequence[int] | np.ndarray | None = None,
        frame_cache_bytes: int = 4 << 30,
    ) -> None:
        dataset.require_episodes()
        valid = (*dataset.column_names, *dataset.camera_names)
        for name in spec.names:
            require_name("field", name, valid, where=dataset.root)
        self.dataset = dataset
        self.spec = spec
        self.episodes = _chosen_episodes(dataset, episodes)
        """The episodes, in order, shape ``(episodes,)``."""
        self._start = dataset.episodes.start[self.episodes]
        self._length = dataset.episodes.length[self.episodes]
        first, count = _anchors(self._length, spec)
        self._stop = np.cumsum(count)
        self._before = self._stop - count - first
        self.num_dropped_episodes = int((count == 0).sum())
        """Episodes too short to hold any window."""
        if not len(self):
            raise DatasetError(
                "no episode is long enough for a window",
                where=dataset.root,
                got=f"{len(self.episodes)} episodes of {self._length.min()} to {self._length.max()} frames",
                expected=f"more than {spec.last_offset - spec.first_offset - spec.pad_before - spec.pad_after} frames",
                remedy="use a shorter horizon or more padding",
            )
        cameras = tuple(name for name in spec.names if name in dataset.camera_names)
        dataset.cache_frames(cameras, frame_cache_bytes)
        self._sources: dict[str, Column | Camera] = {
            name: dataset.camera(name) if name in cameras else dataset.column(name) for name in spec.names
        }
        self._index_columns = {name: dataset.column(name) for name in ("task_index", "timestamp")}
        self._groups = _group_by_offsets(spec)

    def __len__(self) -> int:
        return int(self._stop[-1]) if len(self._stop) else 0

    @property
    def tasks(self) -> tuple[str, ...]:
        """Task texts by the batch's ``task_index``."""
        return self.dataset.tasks

    def anchors(self, numbers: np.ndarray) -> np.ndarray:
        """Rows of the dataset at which some windows are anchored, shape ``(n,)``."""
        numbers = np.asarray(numbers)
        episode = np.searchsorted(self._stop, numbers, side="right")
        return self._start[episode] + numbers - self._before[episode]

    def batch(self, numbers: np.ndarray) -> Batch:
        """Gather windows.

        Args:
            numbers: which, integers of shape ``(n,)`` in ``0 … len - 1``.

        Returns:
            For each field an array of shape ``(n, offsets, *shape)`` and its mask ``(n, offsets)`` under the field's
            name plus ``"_is_pad"``; cameras are uint8 ``(n, offsets, height, width, channels)``. Besides, the
            :data:`INDEX_FIELDS` of the anchors, shape ``(n,)``.

        Raises:
            DatasetError: if a number is out of range.
            DatasetError, VideoError: if a video file is damaged.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= len(self)):
            raise DatasetError("there is no such window", got=numbers, expected=f"0 to {len(self) - 1}")
        episode = np.searchsorted(self._stop, numbers, side="right")
        first = self._start[episode]
        last = first + self._length[episode] - 1
        step = numbers - self._before[episode]
        anchor = first + step
        out: Batch = {"index": anchor, "episode_index": self.episodes[episode], "frame_index": step}
        for name, column in self._index_columns.items():
            out[name] = column.take(anchor)
        for offsets, names in self._groups:
            wanted = anchor[:, None] + offsets
            rows = np.minimum(np.maximum(wanted, first[:, None]), last[:, None])
            is_pad = rows != wanted
            for name in names:
                out[name] = self._take(name, rows)
                out[name + PAD_SUFFIX] = is_pad.copy()
        return out

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Every window once, in order; the last batch may be smaller."""
        for start in range(0, len(self), batch_size):
            yield self.batch(np.arange(start, min(start + batch_size, len(self))))

    def field_shape(self, name: str) -> tuple[int, ...]:
        """Shape of a field in a batch of one window, without the window axis: ``(offsets, *shape)``."""
        require_name("field", name, self.spec.names)
        field = next(field for field in self.spec.fields if field.name == name)
        feature = self.dataset.features[name]
        shape = feature.image_shape if feature.is_camera else feature.row_shape
        return (len(field.offsets), *shape)

    @cached_property
    def description(self) -> dict[str, object]:
        """What determines the numbering, as plain data: for checks on resuming."""
        places = np.stack([self._start, self._length]).astype(np.int64).tobytes()
        return {
            "windows": len(self),
            "episodes": len(self.episodes),
            "places": hashlib.blake2b(places, digest_size=8).hexdigest(),
        }

    def _take(self, name: str, rows: np.ndarray) -> np.ndarray:
        source = self._sources[name]
        if isinstance(source, Column):
            return source.take(rows)
        return source.read(rows.ravel()).reshape(*rows.shape, *source.shape)


def _chosen_episodes(dataset: Dataset, episodes: Sequence[int] | np.ndarray | None) -> np.ndarray:
    if episodes is None:
        return np.arange(dataset.num_episodes)
    chosen = np.asarray(episodes, dtype=np.int64)
    wrong = chosen[(chosen < 0) | (chosen >= dataset.num_episodes)]
    if len(wrong) or chosen.ndim != 1 or not len(chosen):
        raise DatasetError(
            "the chosen episodes are not in the dataset",
            where=dataset.root,
            got=wrong[:10].tolist() or "an empty choice",
            expected=f"numbers from 0 to {dataset.num_episodes - 1}",
        )
    return chosen


def _anchors(length: np.ndarray, spec: WindowSpec) -> tuple[int, np.ndarray]:
    """First anchor step, and number of anchors of each episode."""
    first = max(0, -spec.first_offset - spec.pad_before)
    last = np.minimum(length - 1, length - 1 + spec.pad_after - spec.last_offset)
    return first, np.maximum(last - first + 1, 0)


def _group_by_offsets(spec: WindowSpec) -> list[tuple[np.ndarray, list[str]]]:
    """Fields with equal offsets share their rows and mask."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for field in spec.fields:
        groups.setdefault(field.offsets, []).append(field.name)
    return [(np.array(offsets), names) for offsets, names in groups.items()]
