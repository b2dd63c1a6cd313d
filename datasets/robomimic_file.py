"""Reading robomimic's HDF5 files: ``data/demo_*/{obs,actions,rewards,dones}``, ``mask/*`` and ``env_args``.

Layout: robomimic's documentation ("Dataset Structure", github.com/ARISE-Initiative/robomimic) and its script
``dataset_states_to_obs.py``. ``obs[t]`` is what was seen before ``actions[t]``; ``rewards[t]``, ``dones[t]`` follow it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from robot_stack.core.errors import DatasetError, MissingExtraError, NonFiniteError, ShapeError, require_name

_IMAGE_ROWS = 64
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class ObservationKey:
    """One observation key, as the first demonstration has it."""

    name: str
    """For example ``"robot0_eef_pos"`` or ``"agentview_image"``."""

    shape: tuple[int, ...]
    """Shape of one step's value."""

    dtype: np.dtype
    """Type of the numbers."""

    @property
    def is_image(self) -> bool:
        """8-bit RGB, channels last."""
        return self.dtype == np.uint8 and len(self.shape) == 3 and self.shape[2] == 3

    @property
    def is_low_dim(self) -> bool:
        """A vector or a single number."""
        return len(self.shape) <= 1 and self.dtype.kind in "fiub"


@dataclass(frozen=True)
class Demonstration:
    """One demonstration without its images; ``n`` steps."""

    name: str
    """For example ``"demo_0"``."""

    actions: np.ndarray
    """float64, shape ``(n, action_size)``."""

    rewards: np.ndarray | None
    """float64, shape ``(n,)``; ``None`` when the file has none."""

    dones: np.ndarray | None
    """bool, shape ``(n,)``; ``None`` when the file has none."""

    low_dim: dict[str, np.ndarray]
    """The chosen low-dimensional keys, each float64 of shape ``(n, size)``."""

    filter_keys: tuple[str, ...]
    """Names of the masks that list it, for example ``("train",)``."""

    instruction: str
    """The episode's own instruction (``lang`` of its ``ep_meta``); empty when it has none."""

    def __len__(self) -> int:
        return len(self.actions)


class RobomimicFile:
    """An open robomimic file.

    Args:
        path: the HDF5 file.

    Raises:
        MissingExtraError: if h5py is not installed.
        DatasetError: if the file is missing, cut short, no HDF5, or has no demonstrations.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open(path)
        if "data" not in self._file:
            raise self._error("the HDF5 file has no group 'data'", got=sorted(self._file), expected="data/demo_0, …")
        self._data = self._file["data"]
        self.names = tuple(sorted((n for n in self._data if hasattr(self._data[n], "keys")), key=_natural))
        """Names of the demonstrations, by number."""
        if not self.names:
            raise self._error(
                "the file holds no demonstrations", got="an empty group 'data'", expected="data/demo_0, …"
            )
        self.env_args = self._json_attribute(self._data, "env_args")
        """``env_name``, ``env_type`` and ``env_kwargs``; empty when the file does not say."""
        self.filter_keys = self._read_masks()
        """Demonstrations of each filter key."""
        self.observation_keys = self._read_observation_keys()
        """Observation keys of the first demonstration."""

    @property
    def env_name(self) -> str:
        """Name of the environment, empty when the file does not say."""
        return str(self.env_args.get("env_name") or "")

    @property
    def control_hz(self) -> float | None:
        """The ``control_freq`` of robosuite [Hz]; ``None`` when the file does not say."""
        rate = (self.env_args.get("env_kwargs") or {}).get("control_freq")
        return float(rate) if rate else None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> RobomimicFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, name: str, low_dim_keys: tuple[str, ...], action_key: str = "actions") -> Demonstration:
        """Read one demonstration, images left out.

        Args:
            name: of the demonstration.
            low_dim_keys: observation keys to read.
            action_key: ``"actions"``, or for example ``"actions_abs"``.

        Raises:
            DatasetError: if a key is missing or damaged.
            ShapeError: if a key has another number of steps than the actions.
            NonFiniteError: if a number is NaN or infinite.
        """
        group = self._demo(name)
        actions = self._numbers(group, action_key, None)
        if actions.ndim != 2 or not len(actions):
            raise ShapeError(
                "actions have no shape (steps, size)", where=self._at(group, action_key), got=actions.shape
            )
        steps = len(actions)
        low_dim = {key: self._numbers(group, f"obs/{key}", steps).reshape(steps, -1) for key in low_dim_keys}
        rewards = self._numbers(group, "rewards", steps).reshape(steps) if "rewards" in group else None
        dones = self._numbers(group, "dones", steps).reshape(steps) > 0 if "dones" in group else None
        listed = tuple(key for key, names in self.filter_keys.items() if name in names)
        spoken = str(self._json_attribute(group, "ep_meta").get("lang") or "")
        return Demonstration(name, actions, rewards, dones, low_dim, listed, spoken)

    def images(self, name: str, key: str, steps: int) -> Iterator[np.ndarray]:
        """The images of one demonstration, read a few at a time.

        Args:
            name: of the demonstration.
            key: observation key.
            steps: how many there must be.

        Yields:
            uint8 RGB of shape ``(height, width, 3)``.

        Raises:
            DatasetError: if the key is missing or damaged.
            ShapeError: if there are more or fewer, or the images have another shape than in the first demonstration.
        """
        group = self._demo(name)
        node = self._node(group, f"obs/{key}")
        expected = (steps, *next(k.shape for k in self.observation_keys if k.name == key))
        if node.shape != expected or node.dtype != np.uint8:
            raise ShapeError(
                "images have another shape or type than expected",
                where=self._at(group, f"obs/{key}"),
                got=f"{node.dtype} {node.shape}",
                expected=f"uint8 {expected}",
            )
        for start in range(0, steps, _IMAGE_ROWS):
            yield from self._load(group, f"obs/{key}", slice(start, start + _IMAGE_ROWS))

    def _numbers(self, group: Any, key: str, steps: int | None) -> np.ndarray:
        array = np.asarray(self._load(group, key, slice(None)))
        if array.dtype.kind not in "fiub":
            raise self._error("a key holds no numbers", where=self._at(group, key), got=array.dtype)
        if steps is not None and (array.ndim < 1 or len(array) != steps):
            raise ShapeError(
                "a key has another number of steps than the actions",
                where=self._at(group, key),
                got=array.shape,
                expected=f"({steps}, …)",
                remedy="the demonstration was cut; leave it out with a filter key, or extract the observations again",
            )
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise NonFiniteError(
                "a demonstration holds NaN or infinity",
                where=f"{self._at(group, key)}, row {row}",
                got=array[row].tolist() if array.ndim > 1 else float(array[row]),
                remedy="leave the demonstration out with a filter key, or extract its observations again",
            )
        return array

    def _load(self, group: Any, key: str, rows: slice) -> Any:
        node = self._node(group, key)
        try:
            return node[rows] if node.shape else node[()]
        except OSError as error:
            raise self._error("a key cannot be read: the file is damaged", self._at(group, key), str(error)) from error

    def _node(self, group: Any, key: str) -> Any:
        if key not in group or not hasattr(group[key], "shape"):
            parent, _, leaf = key.rpartition("/")
            there = sorted(group[parent] if parent and parent in group else group)
            require_name("observation key" if parent else "key", leaf, there, where=self._at(group, parent))
            raise self._error("a key is a group where numbers were expected", self._at(group, key))
        return group[key]

    def _demo(self, name: str) -> Any:
        require_name("demonstration", name, self.names, where=self.path)
        return self._data[name]

    def _read_masks(self) -> dict[str, tuple[str, ...]]:
        masks = {}
        for key in self._file.get("mask", ()):
            listed = tuple(_text(entry) for entry in self._load(self._file["mask"], key, slice(None)))
            for name in listed:
                require_name("demonstration", name, self.names, where=f"{self.path}, /mask/{key}")
            masks[key] = listed
        return masks

    def _read_observation_keys(self) -> tuple[ObservationKey, ...]:
        first = self._data[self.names[0]]
        if "obs" not in first:
            raise self._error(
                "the demonstrations hold no observations",
                where=self._at(first, ""),
                got=sorted(first),
                remedy="extract them first with robomimic's dataset_states_to_obs.py",
            )
        obs = first["obs"]
        return tuple(ObservationKey(k, tuple(obs[k].shape[1:]), obs[k].dtype) for k in obs if hasattr(obs[k], "shape"))

    def _json_attribute(self, group: Any, name: str) -> dict[str, Any]:
        text = group.attrs.get(name)
        if text is None:
            return {}
        try:
            value = json.loads(_text(text))
        except json.JSONDecodeError as error:
            raise self._error(f"the attribute {name!r} is not JSON", self._at(group, ""), str(error)) from error
        return value if isinstance(value, dict) else {}

    def _at(self, group: Any, key: str) -> str:
        return f"{self.path}, {group.name}" + (f"/{key}" if key else "")

    def _error(
        self,
        message: str,
        where: str | None = None,
        got: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> DatasetError:
        fallback = "check that the file is complete and follows robomimic's dataset structure"
        return DatasetError(message, where=where or self.path, got=got, expected=expected, remedy=remedy or fallback)


def _open(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("importing robomimic files", extra="import", package="h5py") from error
    if not path.is_file():
        raise DatasetError("there is no such file", where=path, remedy="check the path; one HDF5 file is expected")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        with path.open("rb") as stream:
            foreign = stream.read(8) != _HDF5_MAGIC
        raise DatasetError(
            "the file is not an HDF5 file" if foreign else "the HDF5 file is cut short or damaged",
            where=path,
            got=f"{path.stat().st_size} bytes; {str(error).splitlines()[0]}",
            remedy="download or copy it again",
        ) from error


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _natural(name: str) -> tuple[str, int, str]:
    found = re.search(r"(\d+)$", name)
    return (name[: found.start()] if found else name, int(found.group()) if found else -1, name)
