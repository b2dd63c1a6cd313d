"""World joint positions as NPY or NPZ, and motions of objects as NPZ. Nothing here loads a pickle.

An NPZ holds ``positions`` of shape ``(frames, joints, 3)`` (or one of :data:`POSITIONS`), and may hold ``names``,
``skeleton``, ``fps``, ``up``, ``unit``, ``height`` [m], and objects as :func:`read_objects` has them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.errors import require_name
from robot_stack.retarget.motion import MotionError, ObjectMotion
from robot_stack.retarget.readers.axes import TO_Z_UP, steadiness
from robot_stack.retarget.readers.raw import RawMotion, ReadOptions
from robot_stack.retarget.skeletons import SKELETONS, Skeleton, Up, keypoints_by_name, skeleton_of

POSITIONS = ("positions", "joint_positions", "global_joint_positions", "joints", "p_world_joint")
"""Names under which an NPZ may keep world joint positions, in this order."""

_CLEAR_MARGIN = 0.1
"""By so much steadier must a skeleton be than the next one to be taken without asking."""


def load_npy(path: Path) -> np.ndarray:
    """One array.

    Raises:
        MotionError: if it cannot be read, or holds Python objects.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an NPZ; those that hold Python objects are left out.

    Raises:
        MotionError: if it cannot be read, or nothing can be read without pickle.
    """
    out, refused = {}, []
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                try:
                    out[name] = archive[name]
                except ValueError:
                    refused.append(name)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from error
    if not out:
        raise _unreadable(path, f"only Python objects: {', '.join(refused) or 'no array'}")
    return out


def read_npy(path: Path, options: ReadOptions) -> RawMotion:
    """World joint positions of a skeleton that is named by the user, or told from the array itself."""
    positions = _points(load_npy(path), path)
    return _raw(positions, _skeleton(positions, options, path), str(path))


def read_npz(path: Path, arrays: Mapping[str, np.ndarray], options: ReadOptions) -> RawMotion:
    """World joint positions with what the file says of them.

    Raises:
        MotionError: if there are none.
    """
    key = next((name for name in POSITIONS if name in arrays), None)
    if key is None:
        raise MotionError(
            "an NPZ file holds no motion that is known here",
            where=path,
            got=", ".join(arrays) or "(nothing)",
            expected=f"world joint positions ({', '.join(POSITIONS)}), SMPL parameters (poses, trans) or a result",
        )
    positions = _points(arrays[key], path)
    names = tuple(str(n) for n in np.atleast_1d(arrays.get("names", arrays.get("joint_names", np.array([])))))
    said = options if options.skeleton else ReadOptions(skeleton=text_of(arrays, "skeleton"))
    if names and not options.skeleton:
        if len(names) != positions.shape[1]:
            raise MotionError(
                "an NPZ file names another number of joints than it has",
                where=path,
                got=f"{len(names)} names, {positions.shape[1]} joints",
            )
        known = skeleton_of(names)
        mapping = known.keypoints if known else keypoints_by_name(names)
        raw = RawMotion(names, positions, mapping, str(path), usual_fps=known.fps if known else 0.0)
    else:
        raw = _raw(positions, _skeleton(positions, said, path), str(path))
    up = text_of(arrays, "up").lower()
    return RawMotion(
        names=raw.names,
        positions=raw.positions,
        keypoint_names=raw.keypoint_names,
        source=raw.source,
        fps=number_of(arrays, ("fps", "frame_rate", "mocap_framerate", "mocap_frame_rate"), path),
        usual_fps=raw.usual_fps,
        up=_axis(up, path) if up else raw.up,
        unit=text_of(arrays, "unit") or text_of(arrays, "units"),
        height_m=number_of(arrays, ("height", "height_m"), path),
        objects=objects_of(arrays, len(positions), path),
        notes=raw.notes,
    )


def read_objects(path: Path, frames: int) -> tuple[ObjectMotion, ...]:
    """Motions of objects from an NPZ.

    It holds ``<name>_position`` ``(frames, 3)`` and ``<name>_quaternion`` ``(frames, 4)`` wxyz, or
    ``<name>_quaternion_xyzw``; without either the object only slides.

    Args:
        path: the file.
        frames: of the motion they belong to.

    Raises:
        MotionError: if there is none, or one has another length.
    """
    found = objects_of(load_npz(path), frames, path)
    if not found:
        raise MotionError(
            "a file of objects' motions holds none", where=path, expected="arrays <name>_position, <name>_quaternion"
        )
    return found


def objects_of(arrays: Mapping[str, np.ndarray], frames: int, where: Path) -> tuple[ObjectMotion, ...]:
    """Objects' motions among the arrays of an NPZ; see :func:`read_objects`."""
    out = []
    for key in arrays:
        name = key.removesuffix("_position")
        if name == key or not name:
            continue
        position = np.asarray(arrays[key], dtype=np.float64)
        if f"{name}_quaternion_xyzw" in arrays:
            quaternion = np.roll(np.asarray(arrays[f"{name}_quaternion_xyzw"], dtype=np.float64), 1, axis=-1)
        else:
            still = np.tile([1.0, 0.0, 0.0, 0.0], (len(position), 1))
            quaternion = np.asarray(arrays.get(f"{name}_quaternion", still), dtype=np.float64)
        if position.shape != (frames, 3) or quaternion.shape != (frames, 4):
            raise MotionError(
                f"the motion of object {name!r} does not fit the person's",
                where=where,
                got=(position.shape, quaternion.shape),
                expected=f"({frames}, 3) and ({frames}, 4)",
            )
        out.append(ObjectMotion(name, position, unit_quaternions(quaternion, f"{where}, object {name}")))
    return tuple(out)


def unit_quaternions(quaternions: np.ndarray, where: str) -> np.ndarray:
    """Normalised, ``(frames, 4)``; NaN stays.

    Raises:
        MotionError: if one is far from unit length.
    """
    size = np.linalg.norm(quaternions, axis=1, keepdims=True)
    finite = np.isfinite(size[:, 0])
    if (np.abs(size[finite] - 1.0) > 0.05).any():
        bad = int(np.flatnonzero(finite)[np.argmax(np.abs(size[finite, 0] - 1.0))])
        raise MotionError("an orientation is no unit quaternion", where=f"{where}, frame {bad}", got=quaternions[bad])
    return quaternions / size


def text_of(arrays: Mapping[str, np.ndarray], key: str) -> str:
    """A text that an NPZ keeps as an array; empty when it has none."""
    value = arrays.get(key)
    if value is None or value.size != 1 or value.dtype.kind not in "US":
        return ""
    item: Any = value.reshape(-1)[0]
    return item.decode() if isinstance(item, bytes) else str(item)


def number_of(arrays: Mapping[str, np.ndarray], keys: tuple[str, ...], where: Path) -> float:
    """A positive number that an NPZ keeps under one of several names; 0 when it has none.

    Raises:
        MotionError: if it is not positive.
    """
    for key in keys:
        if key in arrays and np.asarray(arrays[key]).size == 1:
            value = float(np.asarray(arrays[key]).reshape(-1)[0])
            if not 0 < value < np.inf:
                raise MotionError(f"{key} must be positive", where=where, got=value)
            return value
    return 0.0


def _axis(up: str, where: Path) -> Up:
    require_name("up axis", up, TO_Z_UP, where=where)
    return next(axis for axis in TO_Z_UP if axis == up)


def _raw(positions: np.ndarray, chosen: tuple[Skeleton, tuple[str, ...]], source: str) -> RawMotion:
    skeleton, notes = chosen
    return RawMotion(
        skeleton.joints,
        positions,
        skeleton.keypoints,
        source,
        usual_fps=skeleton.fps,
        up=skeleton.up,
        notes=notes,
    )


def _points(array: np.ndarray, path: Path) -> np.ndarray:
    """Shape ``(frames, joints, 3)``; flat rows ``(frames, 3 * joints)`` are taken apart."""
    if array.dtype.kind not in "fiu":
        raise MotionError("joint positions must be numbers", where=path, got=array.dtype)
    if array.ndim == 2 and array.shape[1] % 3 == 0 and array.shape[1] >= 12:
        array = array.reshape(len(array), -1, 3)
    if array.ndim != 3 or array.shape[2] != 3 or not array.shape[0]:
        raise MotionError(
            "joint positions have the wrong shape",
            where=path,
            got=array.shape,
            expected="(frames, joints, 3), or (frames, 3 * joints)",
        )
    return array.astype(np.float64)


def _skeleton(positions: np.ndarray, options: ReadOptions, path: Path) -> tuple[Skeleton, tuple[str, ...]]:
    joints = positions.shape[1]
    if options.skeleton:
        skeleton = SKELETONS[require_name("skeleton", options.skeleton, SKELETONS, where=path)]
        if len(skeleton.joints) != joints:
            fitting = [s.name for s in SKELETONS.values() if len(s.joints) == joints]
            raise MotionError(
                f"the file does not have the joints of the skeleton {skeleton.name!r}",
                where=path,
                got=f"{joints} joints",
                expected=f"{len(skeleton.joints)} joints: {', '.join(skeleton.joints)}",
                remedy=f"--skeleton {' or '.join(fitting)}" if fitting else "save them as NPZ with their names",
            )
        return skeleton, ()
    candidates = [s for s in SKELETONS.values() if len(s.joints) == joints]
    if not candidates:
        raise MotionError(
            f"no known skeleton has {joints} joints",
            where=path,
            expected=", ".join(f"{s.name} ({len(s.joints)})" for s in SKELETONS.values()),
            remedy="save an NPZ with positions and names: np.savez(path, positions=..., names=[...], fps=...)",
        )
    scores = sorted((steadiness(s, positions), s.name) for s in candidates)
    best = SKELETONS[scores[0][1]]
    if len(scores) > 1 and scores[1][0] - scores[0][0] < _CLEAR_MARGIN:
        raise MotionError(
            f"several skeletons have {joints} joints, and the motion does not tell which one this is",
            where=path,
            expected=" or ".join(f"--skeleton {s.name}" for s in candidates),
        )
    return best, (f"{joints} joints: taken for {best.title} (say otherwise with --skeleton)",)


def _unreadable(path: Path, why: object) -> MotionError:
    return MotionError(
        "a motion file cannot be read",
        where=path,
        got=str(why).splitlines()[0] if str(why) else type(why).__name__,
        expected="NumPy arrays of numbers; pickled Python objects are not loaded, since they may run any code",
        remedy="in a program you trust, save plain arrays: np.savez(path, positions=..., names=..., fps=...)",
    )
