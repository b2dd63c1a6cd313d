"""A retargeted motion as one NPZ: everything that is needed to judge it, to look at it, and to retarget it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.atomic import atomic_path
from robot_stack.core.errors import RobotStackError
from robot_stack.retarget.motion import Motion, ObjectMotion
from robot_stack.retarget.readers.arrays import load_npz
from robot_stack.retarget.result import ContactSegment, Retargeted, Violations
from robot_stack.retarget.scene import Scene, SceneObject

FORMAT = "robot_stack/retargeted/1"
"""What the array ``format`` says; the number grows when a reader has to know."""


class SavedResultError(RobotStackError):
    """A file is no retargeted motion, or a damaged one."""


@dataclass(frozen=True, eq=False)
class Saved:
    """What a file holds."""

    result: Retargeted
    """The robot's motion, with its scene and objects."""

    source: Motion | None = None
    """The source at the robot's size, after cleaning, with all its joints; ``None`` when it was not kept."""

    mjcf: str = ""
    """Path of the robot's MJCF where it is none that comes with robot_stack; empty otherwise."""

    height_m: float = 0.0
    """Length that stands for the robot's height [m]; 0 when it was not kept."""


def write_result(
    path: str | Path, result: Retargeted, source: Motion | None = None, *, mjcf: str = "", height_m: float = 0.0
) -> None:
    """Write a result, atomically.

    Args:
        path: an NPZ file.
        result: what to keep.
        source: the cleaned motion at the source's size; it is kept at the robot's.
        mjcf: path of the robot's MJCF, for a robot that robot_stack does not know.
        height_m: of the robot's keypoint table [m].

    Raises:
        StorageError: if the file system refuses; what was there before stays.
    """
    arrays: dict[str, Any] = {"format": np.array(FORMAT), "robot_mjcf": np.array(mjcf)}
    arrays["robot_height"] = np.array(height_m)
    for entry in fields(Retargeted):
        value = getattr(result, entry.name)
        if isinstance(value, (np.ndarray, str, float, int)):
            arrays[entry.name] = np.asarray(value)
    arrays["joint_names"] = np.array(result.joint_names)
    arrays["keypoint_names"] = np.array(result.keypoint_names)
    arrays["metrics"] = np.array(json.dumps(result.metrics))
    arrays["notes"] = np.array(json.dumps(result.notes))
    arrays |= {f"violations_{name}": values for name, values in vars(result.violations).items()}
    arrays |= _contacts(result.contacts) | _scene(result.scene) | _objects(result.objects)
    if source is not None:
        arrays |= _source(source, result.scale)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_result(path: str | Path) -> Saved:
    """Read what :func:`write_result` wrote.

    Raises:
        MotionError: if the file cannot be read.
        SavedResultError: if it holds something else, or parts are missing.
    """
    return saved_from(load_npz(Path(path)), Path(path))


def is_result(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the arrays of an NPZ are a result of ours."""
    return "format" in arrays and str(arrays["format"]).startswith(FORMAT.rpartition("/")[0])


def saved_from(arrays: Mapping[str, np.ndarray], where: Path) -> Saved:
    """The result among the arrays of an NPZ; see :func:`read_result`."""
    if not is_result(arrays):
        raise SavedResultError("a file is no retargeted motion", where=where, got=", ".join(arrays) or "(nothing)")
    if str(arrays["format"]) != FORMAT:
        raise SavedResultError(
            "a retargeted motion was written by another version",
            where=where,
            got=str(arrays["format"]),
            expected=FORMAT,
            remedy="retarget it again, or read it with the version that wrote it",
        )
    try:
        return Saved(_result(arrays), _read_source(arrays), str(arrays["robot_mjcf"]), float(arrays["robot_height"]))
    except (KeyError, ValueError, TypeError) as error:
        raise SavedResultError(
            "a retargeted motion is damaged", where=where, got=f"{type(error).__name__}: {error}"
        ) from error


def _result(arrays: Mapping[str, np.ndarray]) -> Retargeted:
    special = {
        "joint_names": tuple(map(str, arrays["joint_names"])),
        "keypoint_names": tuple(map(str, arrays["keypoint_names"])),
        "metrics": json.loads(str(arrays["metrics"])),
        "notes": tuple(json.loads(str(arrays["notes"]))),
        "violations": Violations(**{e.name: arrays[f"violations_{e.name}"] for e in fields(Violations)}),
        "contacts": _read_contacts(arrays),
        "scene": _read_scene(arrays),
        "objects": _read_objects(arrays),
    }
    plain = {
        e.name: arrays[e.name] if arrays[e.name].ndim else arrays[e.name].item()
        for e in fields(Retargeted)
        if e.name in arrays and e.name not in special
    }
    return Retargeted(**plain, **special)


def _contacts(contacts: tuple[ContactSegment, ...]) -> dict[str, np.ndarray]:
    points = [np.asarray(c.p_surface_anchor, dtype=np.float64).reshape(-1, 3) for c in contacts]
    return {
        "contact_group": np.array([c.group for c in contacts], dtype=np.str_),
        "contact_surface": np.array([c.surface for c in contacts], dtype=np.str_),
        "contact_span": np.array([(c.start, c.stop) for c in contacts], dtype=np.int64).reshape(-1, 2),
        "contact_points": np.array([len(p) for p in points], dtype=np.int64),
        "contact_anchor": np.concatenate([*points, np.empty((0, 3))]),
    }


def _read_contacts(arrays: Mapping[str, np.ndarray]) -> tuple[ContactSegment, ...]:
    anchors = np.split(arrays["contact_anchor"], np.cumsum(arrays["contact_points"])[:-1])
    rows = zip(arrays["contact_group"], arrays["contact_span"], arrays["contact_surface"], anchors, strict=False)
    return tuple(ContactSegment(str(g), int(a), int(b), str(s), p) for g, (a, b), s, p in rows)


def _scene(scene: Scene) -> dict[str, np.ndarray]:
    out = {
        "scene_ground": np.array(scene.ground),
        "scene_notes": np.array(json.dumps(scene.notes)),
        "scene_objects": np.array([o.name for o in scene.objects], dtype=np.str_),
    }
    for i, thing in enumerate(scene.objects):
        out |= {f"scene_{i}_{e.name}": np.asarray(getattr(thing, e.name)) for e in fields(thing)}
    return out


def _read_scene(arrays: Mapping[str, np.ndarray]) -> Scene:
    things = []
    for i in range(len(arrays["scene_objects"])):
        values = {e.name: arrays[f"scene_{i}_{e.name}"] for e in fields(SceneObject) if f"scene_{i}_{e.name}" in arrays}
        plain: dict[str, Any] = {k: v if v.ndim else v.item() for k, v in values.items()}
        things.append(SceneObject(**plain))
    notes = tuple(json.loads(str(arrays["scene_notes"])))
    return Scene(tuple(things), bool(arrays["scene_ground"]), notes=notes)


def _objects(objects: tuple[ObjectMotion, ...], prefix: str = "object") -> dict[str, np.ndarray]:
    return {
        f"{prefix}_names": np.array([o.name for o in objects], dtype=np.str_),
        f"{prefix}_positions": _stacked([o.p_world_object for o in objects], 3),
        f"{prefix}_quaternions": _stacked([o.q_world_object for o in objects], 4),
    }


def _stacked(paths: list[np.ndarray], size: int) -> np.ndarray:
    return np.stack(paths) if paths else np.zeros((0, 0, size))


def _read_objects(arrays: Mapping[str, np.ndarray], prefix: str = "object") -> tuple[ObjectMotion, ...]:
    rows = zip(arrays[f"{prefix}_names"], arrays[f"{prefix}_positions"], arrays[f"{prefix}_quaternions"], strict=True)
    return tuple(ObjectMotion(str(name), p, q) for name, p, q in rows)


def _source(source: Motion, scale: float) -> dict[str, np.ndarray]:
    return {
        "source_names": np.array(source.names),
        "source_positions": (source.positions * scale).astype(np.float32),
        "source_keypoints": np.array(json.dumps(source.keypoint_names)),
        "source_height": np.array(source.height_m * scale),
        "source_fps": np.array(source.fps),
        "source_from": np.array(source.source),
        "source_notes": np.array(json.dumps(source.notes)),
    }


def _read_source(arrays: Mapping[str, np.ndarray]) -> Motion | None:
    if "source_names" not in arrays:
        return None
    return Motion(
        names=tuple(map(str, arrays["source_names"])),
        positions=arrays["source_positions"].astype(np.float64),
        fps=float(arrays["source_fps"]),
        keypoint_names=json.loads(str(arrays["source_keypoints"])),
        height_m=float(arrays["source_height"]),
        objects=_read_objects(arrays),
        source=str(arrays["source_from"]),
        notes=tuple(json.loads(str(arrays["source_notes"]))),
    )
