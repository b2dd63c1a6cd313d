"""BVH: a tree of joints with offsets, then rows of channels; forward kinematics gives the joints' world positions.

Channels may come in any order and number; rotations are degrees, applied in the order in which they are listed
(``Zrotation Xrotation Yrotation`` is R = Rz Rx Ry), as in Biovision's description. Position channels take the place of
the joint's offset, as in LAFAN1's and Blender's readers: exporters repeat it in them. End sites become points called
``<joint>_end``; where a foot has no toe joint (Biovision's own files, MotionBuilder's short skeletons), its end site is
the toe. BVH knows no unit and no up axis: files are in centimetres, inches or metres, mostly with y up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np

from robot_stack.retarget.motion import MotionError
from robot_stack.retarget.readers.raw import RawMotion, ReadOptions
from robot_stack.retarget.readers.turning import about, chained
from robot_stack.retarget.skeletons import keypoints_by_name, skeleton_of

_FLAT_FOOT = np.radians(35.0)
"""A foot's end site is a toe when the foot makes at least this angle with the shin; else it is the sole or the heel."""

_CHANNELS = {f"{axis}{kind}": (kind, i) for i, axis in enumerate("xyz") for kind in ("position", "rotation")}


@dataclass
class _Joint:
    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Bvh:
    """A BVH file, parsed."""

    names: tuple[str, ...]
    """Of joints and end sites, parents before children."""

    parents: tuple[int, ...]
    """Of each; -1 for a root."""

    offsets: np.ndarray
    """From the parent, shape ``(joints, 3)`` [file's unit]."""

    channels: tuple[tuple[str, ...], ...]
    """Of each joint, in lower case and in the order of the rows."""

    rows: np.ndarray
    """Channel values, shape ``(frames, channels)`` [file's unit, degree]."""

    fps: float
    """Rows a second [1/s]."""

    def positions(self) -> np.ndarray:
        """World positions of all joints by forward kinematics, shape ``(frames, joints, 3)`` [file's unit]."""
        frames = len(self.rows)
        places = np.empty((frames, len(self.names), 3))
        turns = np.empty((frames, len(self.names), 3, 3))
        column = 0
        for j, parent in enumerate(self.parents):
            values = self.rows[:, column : column + len(self.channels[j])]
            column += len(self.channels[j])
            shift, turn = self._local(j, values)
            if parent < 0:
                places[:, j], turns[:, j] = shift, turn
            else:
                places[:, j] = places[:, parent] + np.einsum("tij,tj->ti", turns[:, parent], shift)
                turns[:, j] = turns[:, parent] @ turn
        return places

    def _local(self, joint: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shift = np.repeat(self.offsets[joint][None], len(values), axis=0)
        turn = [np.broadcast_to(np.eye(3), (len(values), 3, 3))]
        for i, channel in enumerate(self.channels[joint]):
            kind, axis = _CHANNELS[channel]
            if kind == "position":
                shift[:, axis] = values[:, i]
            else:
                turn.append(about(axis, np.radians(values[:, i])))
        return shift, chained(turn)


def read_bvh(path: Path, options: ReadOptions) -> RawMotion:
    """Joints and end sites of a BVH file.

    Raises:
        MotionError: naming the line that cannot be read.
    """
    bvh = parse_bvh(path)
    known = skeleton_of(bvh.names)
    mapping, positions = known.keypoints if known else keypoints_by_name(bvh.names), bvh.positions()
    toes = _ends_of_feet(bvh, positions, mapping)
    notes = (f"the file has no toes: the ends of the feet stand for them ({', '.join(toes.values())})",)
    return RawMotion(
        names=bvh.names,
        positions=positions,
        keypoint_names={**mapping, **toes},
        source=str(path),
        fps=bvh.fps,
        up="y",
        notes=notes if toes else (),
    )


def _ends_of_feet(bvh: Bvh, positions: np.ndarray, mapping: dict[str, str]) -> dict[str, str]:
    """End sites of feet without toe joints, as keypoints; none where they do not point forward."""
    out = {}
    for side in ("left", "right"):
        knee, ankle = (mapping.get(f"{side}_{part}", "") for part in ("knee", "ankle"))
        end = f"{ankle}_end"
        if f"{side}_toe" in mapping or not knee or not ankle or end not in bvh.names:
            continue
        at = {name: positions[:, bvh.names.index(name)] for name in (knee, ankle, end)}
        shin, foot = at[ankle] - at[knee], at[end] - at[ankle]
        length = np.linalg.norm(shin, axis=1) * np.linalg.norm(foot, axis=1)
        if not (length > 0).all():
            continue
        angle = np.arccos(np.clip(np.sum(shin * foot, axis=1) / length, -1.0, 1.0))
        if np.median(angle) > _FLAT_FOOT:
            out[f"{side}_toe"] = end
    return out


def parse_bvh(path: Path) -> Bvh:
    """Read a BVH file.

    Raises:
        MotionError: naming the line that cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise MotionError("a BVH file cannot be read", where=path, got=error.strerror) from error
    numbered = ((i + 1, line.split()) for i, line in enumerate(lines) if line.strip())
    joints = _hierarchy(numbered, path)
    frames, fps, start = _motion_header(numbered, path)
    columns = sum(len(joint.channels) for joint in joints)
    rows = _rows(lines, start, columns, path)
    if len(rows) < frames:
        raise MotionError("a BVH file ends too early", where=path, got=f"{len(rows)} rows", expected=f"{frames}")
    return Bvh(
        names=tuple(joint.name for joint in joints),
        parents=tuple(joint.parent for joint in joints),
        offsets=np.array([joint.offset for joint in joints]),
        channels=tuple(joint.channels for joint in joints),
        rows=rows[:frames],
        fps=fps,
    )


def _hierarchy(numbered: Iterator[tuple[int, list[str]]], path: Path) -> list[_Joint]:
    joints: list[_Joint] = []
    stack: list[int] = []
    for number, words in numbered:
        where = f"{path}, line {number}"
        head = words[0].upper()
        if head == "HIERARCHY" or head == "{":
            continue
        if head == "MOTION":
            if stack or not joints:
                raise MotionError("a BVH hierarchy is not closed", where=where, got=f"{len(stack)} open brackets")
            return joints
        if head in ("ROOT", "JOINT", "END"):
            parent = stack[-1] if stack else -1
            name = f"{joints[parent].name}_end" if head == "END" else " ".join(words[1:]).rstrip("{").strip()
            joints.append(_Joint(_unused(name or f"joint_{len(joints)}", joints), parent))
            stack.append(len(joints) - 1)
        elif head == "OFFSET" and stack:
            joints[stack[-1]].offset = _numbers(words[1:4], 3, where)
        elif head == "CHANNELS" and stack:
            joints[stack[-1]].channels = _channel_names(words, where)
        elif head == "}" and stack:
            stack.pop()
        else:
            raise MotionError("a BVH hierarchy has a line that makes no sense", where=where, got=" ".join(words)[:80])
    raise MotionError("a BVH file has no motion", where=path, expected="a line MOTION after the hierarchy")


def _channel_names(words: list[str], where: str) -> tuple[str, ...]:
    names = tuple(word.lower() for word in words[2:])
    if not words[1:2] or not words[1].isdigit() or int(words[1]) != len(names):
        raise MotionError("a BVH joint lists another number of channels than it says", where=where, got=" ".join(words))
    for name in names:
        if name not in _CHANNELS:
            raise MotionError(
                "a BVH joint has an unknown channel", where=where, got=name, expected=", ".join(_CHANNELS)
            )
    return names


def _unused(name: str, joints: list[_Joint]) -> str:
    """Names are those of the file, with a number behind where a file uses one twice."""
    taken = {joint.name for joint in joints}
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(2, len(joints) + 3) if f"{name}_{i}" not in taken)


def _motion_header(numbered: Iterator[tuple[int, list[str]]], path: Path) -> tuple[int, float, int]:
    frames, number = 0, 0
    for number, words in numbered:
        text = " ".join(words).lower()
        if text.startswith("frames:"):
            frames = int(_numbers(words[1:2], 1, f"{path}, line {number}")[0])
        elif text.startswith("frame time:"):
            time = float(_numbers(words[2:3], 1, f"{path}, line {number}")[0])
            if not 0 < time < 10 or frames < 1:
                raise MotionError(
                    "a BVH file has no frames, or no time between them",
                    where=f"{path}, line {number}",
                    got=f"{frames} frames of {time:g} s",
                )
            return frames, _rate(words[2]), number
        else:
            break
    raise MotionError(
        "a BVH file does not say its frames and their time",
        where=f"{path}, line {number}",
        expected="lines 'Frames: N' and 'Frame Time: seconds'",
    )


def _rate(frame_time: str) -> float:
    """Rows a second; a whole number where the file's digits allow it: 0.0333 s are 30 a second, 0.0333667 are 29.97."""
    written = Decimal(frame_time)
    whole = round(1 / written)
    if whole and abs(written - 1 / Decimal(whole)) <= Decimal(1).scaleb(int(written.as_tuple().exponent)):
        return float(whole)
    return float(1 / written)


def _rows(lines: list[str], start: int, columns: int, path: Path) -> np.ndarray:
    out = []
    for number, line in enumerate(lines[start:], start=start + 1):
        if line.strip():
            out.append(_numbers(line.split(), columns, f"{path}, line {number}"))
    return np.array(out).reshape(-1, columns)


def _numbers(words: list[str], count: int, where: str) -> np.ndarray:
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise MotionError("a BVH file has something else where numbers belong", where=where, got=str(error)) from error
    if len(values) != count:
        raise MotionError("a BVH row has another length", where=where, got=f"{len(values)} numbers", expected=count)
    return values
