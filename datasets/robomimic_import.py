"""robomimic's HDF5 demonstrations become a LeRobotDataset v3.0.

``obs[t]``, ``actions[t]``, ``rewards[t]`` and ``dones[t]`` become one frame. Every low-dimensional observation key is a
state field, so that a policy chooses among them later; every image key is a camera. robosuite's quaternions, which are
(x, y, z, w), are turned to (w, x, y, z). Each demonstration is durable when it is written, and an import that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, DatasetError, require_name
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.episode_buffer import EpisodeBuffer
from robot_stack.datasets.robomimic_file import Demonstration, ObservationKey, RobomimicFile
from robot_stack.datasets.schema import IMAGE_PREFIX, Storage
from robot_stack.datasets.source import Source
from robot_stack.datasets.video_writer import VideoCodec
from robot_stack.datasets.writer import DatasetWriter

_ROBOSUITE = 1
_UNITS = (
    ("_joint_pos", "rad"),
    ("_joint_vel", "rad/s"),
    ("_vel_ang", "rad/s"),
    ("_vel_lin", "m/s"),
    ("_qvel", "rad/s"),
    ("_pos", "m"),
)


@dataclass(frozen=True)
class RobomimicImportConfig:
    """What to take from a robomimic file."""

    instruction: str = ""
    """The task in words; the file's own (``ep_meta``), or else the environment's name, when left out."""

    state: tuple[str, ...] = ()
    """Low-dimensional observation keys, in order; all of them when left out."""

    cameras: tuple[str, ...] | None = None
    """Image observation keys, in order; all of them when left out."""

    action_key: str = "actions"
    """For example ``"actions_abs"`` for absolute poses."""

    filter_key: str = ""
    """Take the demonstrations of this filter key only, e.g. ``"train"``."""

    control_hz: float | None = None
    """Control rate [Hz]; the file's own (``control_freq``) when left out."""

    success_reward: float | None = 1.0
    """A step with at least this reward is a success (robosuite's sparse reward); None: success is not known."""

    storage: Storage = "video"
    """Cameras as video files or as PNG pictures in the rows, which keeps every bit."""


def import_robomimic(
    path: str | Path,
    out: str | Path,
    config: RobomimicImportConfig = RobomimicImportConfig(),
    *,
    codec: VideoCodec | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Import a file; demonstrations that ``out`` already has are left out.

    Args:
        path: the HDF5 file.
        out: folder of the dataset, new or from an earlier import of the same file.
        config: what to take.
        codec: how videos are encoded.
        progress: called with demonstrations done and demonstrations in all.

    Returns:
        How many demonstrations were written.

    Raises:
        MissingExtraError: if h5py is not installed.
        DatasetError: if the file is missing, damaged, or has no demonstrations or observations.
        NonFiniteError, ShapeError: naming the demonstration, key and row that cannot be taken.
        UnknownNameError: if a key, filter key or attribute that was asked for is not in the file.
        ConfigError: if the control rate is unknown.
        EmbodimentMismatchError: if ``out`` holds another robot's data.
    """
    path, out = Path(path), Path(out)
    with RobomimicFile(path) as file:
        layout = _layout(file, config)
        names = _chosen(file, config)
        done = _already_imported(out, path)
        wanted = [name for name in names if name not in done]
        if done and not wanted:
            return 0
        with DatasetWriter(out, layout.embodiment, storage=config.storage, codec=codec) as writer:
            for i, name in enumerate(wanted):
                writer.write_episode(_episode(file, name, layout, config))
                if progress:
                    progress(len(done) + i + 1, len(done) + len(wanted))
    return len(wanted)


@dataclass(frozen=True)
class _Layout:
    """Which keys become what."""

    embodiment: Embodiment
    state: tuple[ObservationKey, ...]
    cameras: tuple[ObservationKey, ...]
    turned: frozenset[str]


def _layout(file: RobomimicFile, config: RobomimicImportConfig) -> _Layout:
    keys = {key.name: key for key in file.observation_keys}
    low_dim = {name: key for name, key in keys.items() if key.is_low_dim}
    images = {name: key for name, key in keys.items() if key.is_image}
    where = f"{file.path}, observations of {file.names[0]}"
    state = [require_name("low-dimensional observation key", n, low_dim, where=where) for n in config.state or low_dim]
    wanted = images if config.cameras is None else config.cameras
    cameras = [require_name("image observation key", n, images, where=where) for n in wanted]
    hz = config.control_hz or file.control_hz
    if hz is None:
        raise ConfigError(
            "the file does not say at which rate it was recorded",
            where=file.path,
            expected="control_freq in env_args",
            remedy="give the rate with --control-hz",
        )
    turned = frozenset(n for n in state if _is_quaternion(low_dim[n]) and file.env_args.get("env_type") == _ROBOSUITE)
    first = file.read(file.names[0], (), config.action_key)
    embodiment = Embodiment(
        name=f"robomimic/{_slug(file.env_name or file.path.stem)}",
        state=tuple(_state_field(low_dim[name], turned) for name in state),
        action=(_action_field(first.actions, config.action_key),),
        cameras=tuple(_camera(images[name]) for name in cameras),
        control_hz=hz,
    )
    return _Layout(embodiment, tuple(low_dim[n] for n in state), tuple(images[n] for n in cameras), turned)


def _chosen(file: RobomimicFile, config: RobomimicImportConfig) -> tuple[str, ...]:
    if not config.filter_key:
        return file.names
    listed = file.filter_keys[require_name("filter key", config.filter_key, file.filter_keys, where=file.path)]
    return tuple(name for name in file.names if name in listed)


def _already_imported(out: Path, path: Path) -> set[str]:
    """Names of the demonstrations that an earlier run wrote; refuses a dataset that is something else."""
    if not (out / "meta" / "info.json").exists() or not (out / "meta" / "episodes").exists():
        return set()
    try:
        notes = Source(out).notes
    except DatasetError as error:
        if "no episodes" in error.message:
            return set()
        raise
    names = set()
    for note in notes:
        origin = note.provenance.get("imported_from")
        if not isinstance(origin, dict) or origin.get("file") != path.name:
            raise DatasetError(
                "the folder holds a dataset that was not imported from this file",
                where=out,
                got=f"episode {note.index} from {origin.get('file') if isinstance(origin, dict) else 'a recording'}",
                remedy="import into a new folder and merge: robot-stack data merge",
            )
        names.add(str(origin.get("demonstration")))
    return names


def _episode(file: RobomimicFile, name: str, layout: _Layout, config: RobomimicImportConfig) -> EpisodeBuffer:
    demo = file.read(name, tuple(key.name for key in layout.state), config.action_key)
    _check_sizes(file, demo, layout)
    steps = len(demo)
    parts = [_turned(demo.low_dim[k.name]) if k.name in layout.turned else demo.low_dim[k.name] for k in layout.state]
    columns: dict[str, np.ndarray] = {"action": demo.actions.astype(np.float32)}
    if parts:
        columns["observation.state"] = np.concatenate(parts, axis=1).astype(np.float32)
    if demo.rewards is not None:
        columns["next.reward"] = demo.rewards.astype(np.float32)
    if demo.dones is not None:
        columns["next.done"] = demo.dones
    success = None
    if demo.rewards is not None and config.success_reward is not None:
        columns["next.success"] = demo.rewards >= config.success_reward
        success = bool(columns["next.success"].any())
    images = {
        IMAGE_PREFIX + _camera_name(key.name): np.stack(list(file.images(name, key.name, steps)))
        for key in layout.cameras
    }
    provenance: dict[str, Any] = {
        "driver": "demonstration",
        "task": file.env_name,
        "success": success,
        "filter_keys": list(demo.filter_keys),
        "imported_from": {"format": "robomimic", "file": file.path.name, "demonstration": name},
    }
    instruction = config.instruction or demo.instruction or _words(file.env_name) or file.path.stem
    return EpisodeBuffer(layout.embodiment, instruction, provenance, columns=columns, images=images)


def _check_sizes(file: RobomimicFile, demo: Demonstration, layout: _Layout) -> None:
    """Every demonstration must have the numbers of the first."""
    expected = {key.name: int(np.prod(key.shape, dtype=int)) for key in layout.state}
    found = {name: values.shape[1] for name, values in demo.low_dim.items()}
    expected["actions"], found["actions"] = layout.embodiment.action_size, demo.actions.shape[1]
    for name, size in expected.items():
        if found[name] != size:
            raise DatasetError(
                f"the demonstrations differ in the size of {name!r}",
                where=f"{file.path}, /data/{demo.name}",
                got=found[name],
                expected=f"{size} as in {file.names[0]}",
                remedy="leave the demonstration out with a filter key",
            )


def _state_field(key: ObservationKey, turned: frozenset[str]) -> Field:
    name, size = _slug(key.name), int(np.prod(key.shape, dtype=int))
    axes: tuple[str, ...] = ()
    if key.name in turned:
        axes = ("w", "x", "y", "z")
    elif size == 3 and key.name.endswith("_pos"):
        axes = ("x", "y", "z")
    unit = next((unit for suffix, unit in _UNITS if key.name.endswith(suffix)), "1")
    return Field(name, size, unit, tuple(f"{name}_{axis}" for axis in axes))


def _action_field(actions: np.ndarray, key: str) -> Field:
    """Actions of robomimic lie in [-1, 1]; absolute ones have limits that the file does not tell."""
    size = actions.shape[1]
    limits = ((-1.0,) * size, (1.0,) * size) if key == "actions" else ((), ())
    return Field(_slug(key), size, "1", low=limits[0], high=limits[1])


def _camera(key: ObservationKey) -> CameraSpec:
    return CameraSpec(_camera_name(key.name), key.shape[0], key.shape[1])


def _camera_name(key: str) -> str:
    return _slug(key.removesuffix("_image"))


def _is_quaternion(key: ObservationKey) -> bool:
    return key.name.endswith("_quat") and key.shape == (4,)


def _turned(quaternions: np.ndarray) -> np.ndarray:
    """(x, y, z, w) to (w, x, y, z), shape ``(n, 4)``."""
    return quaternions[:, [3, 0, 1, 2]]


def _slug(name: str) -> str:
    return re.sub(r"[\s/.]+", "_", name)


def _words(name: str) -> str:
    """``NutAssemblySquare`` as ``nut assembly square``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()
