"""CMU's ASF (bones) with AMC (angles): forward kinematics gives the far end of every bone.

A bone of length ``l`` and direction ``d`` turns in its own axes ``C`` (angles of the file's ``axis`` line): its
rotation is ``parent · C · M · C⁻¹`` with ``M = Rz Ry Rx`` of the row's angles, and its end lies ``l`` along ``d`` from
its parent's end; the root's row is a position and angles in the order of its ``order`` line. The file's ``length``
scales lengths: CMU writes 0.45, and numbers divided by it are inches (http://mocap.cs.cmu.edu).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_stack.retarget.motion import MotionError
from robot_stack.retarget.readers.raw import RawMotion, ReadOptions
from robot_stack.retarget.readers.turning import about, chained
from robot_stack.retarget.skeletons import SKELETONS, keypoints_by_name

AMC_FPS = 120.0
"""CMU's rate; AMC files do not say theirs [1/s]."""

ROOT = "root"


@dataclass(frozen=True, eq=False)
class Bone:
    """One bone of an ASF file, at rest."""

    name: str
    """Its name, also in the AMC file."""

    direction: np.ndarray
    """Unit, in the world at rest, shape ``(3,)``."""

    length: float
    """[file's unit]."""

    axis: np.ndarray
    """Its own axes in the world at rest, shape ``(3, 3)``."""

    dof: tuple[int, ...]
    """Axes of its angles in the order of the AMC row: 0, 1, 2 for x, y, z."""


@dataclass(frozen=True, eq=False)
class Asf:
    """A skeleton."""

    bones: dict[str, Bone]
    """By name, without the root."""

    parents: dict[str, str]
    """Bone to bone or root; parents come before their children."""

    root_order: tuple[str, ...]
    """What the root's row holds: ``tx``, ``ty``, ``tz``, ``rx``, ``ry``, ``rz`` in some order."""

    root_axis: np.ndarray
    """The root's own axes at rest, shape ``(3, 3)``."""

    root_place: np.ndarray
    """The root's position at rest, shape ``(3,)`` [file's unit]."""

    degrees: bool
    """Whether angles are degrees."""

    scale: float
    """The file's unit of length: its numbers divided by this are inches."""


def read_amc(path: Path, options: ReadOptions) -> RawMotion:
    """An AMC file with the ASF beside it: of its own name, of the subject (``07_01.amc``: ``07.asf``), or the only one.

    Raises:
        MotionError: if there is no such ASF, or one of the two cannot be read.
    """
    asf = parse_asf(_skeleton_file(path))
    names = (ROOT, *asf.parents)
    rows, notes = parse_amc(path, asf)
    positions = places(asf, rows)
    cmu = SKELETONS["cmu"]
    known = {k: v for k, v in cmu.keypoints.items() if v in names}
    return RawMotion(
        names=names,
        positions=positions / asf.scale,
        keypoint_names=known if len(known) > 8 else keypoints_by_name(names),
        source=str(path),
        usual_fps=AMC_FPS,
        up="y",
        unit="inch" if asf.scale != 1.0 else "",
        notes=notes,
    )


def places(asf: Asf, rows: dict[str, np.ndarray]) -> np.ndarray:
    """World positions of the root and of every bone's far end, shape ``(frames, 1 + bones, 3)`` [file's unit].

    Args:
        asf: the skeleton.
        rows: by bone, its values in the order of the AMC file, shape ``(frames, values)``.
    """
    radians = np.pi / 180.0 if asf.degrees else 1.0
    frames = len(rows[ROOT])
    eye = np.broadcast_to(np.eye(3), (frames, 3, 3))
    place = np.repeat(asf.root_place[None], frames, axis=0)
    turn = [eye]
    for i, channel in enumerate(asf.root_order):
        axis = "xyz".index(channel[1])
        if channel[0] == "t":
            place[:, axis] += rows[ROOT][:, i]
        else:
            # Listed x, y, z: x turns first, so it stands last in the product.
            turn.insert(1, about(axis, rows[ROOT][:, i] * radians))
    turns = {ROOT: asf.root_axis @ chained(turn) @ asf.root_axis.T}
    ends = {ROOT: place}
    for name, parent in asf.parents.items():
        bone = asf.bones[name]
        own = [eye]
        for i, axis in enumerate(bone.dof):
            own.insert(1, about(axis, rows[name][:, i] * radians))
        turns[name] = turns[parent] @ bone.axis @ chained(own) @ bone.axis.T
        ends[name] = ends[parent] + turns[name] @ (bone.direction * bone.length)
    return np.stack([ends[name] for name in (ROOT, *asf.parents)], axis=1)


def parse_amc(path: Path, asf: Asf) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Values by bone, each ``(frames, values)``, and notes; bones that the ASF does not have are left out.

    Raises:
        MotionError: naming the line that cannot be read.
    """
    frames: list[dict[str, list[float]]] = []
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if not words or words[0][0] in ":#":
            continue
        if len(words) == 1 and words[0].isdigit():
            frames.append({})
            continue
        if not frames:
            raise MotionError("an AMC file has values before its first frame", where=f"{path}, line {number}", got=line)
        frames[-1][words[0]] = [_number(word, f"{path}, line {number}") for word in words[1:]]
    if not frames:
        raise MotionError("an AMC file has no frames", where=path)
    sizes = {name: len(asf.bones[name].dof) for name in asf.parents} | {ROOT: len(asf.root_order)}
    out: dict[str, np.ndarray] = {}
    for name, size in sizes.items():
        rows = [frame.get(name, [0.0] * size if not size else None) for frame in frames]
        bad = next((i for i, row in enumerate(rows) if row is None or len(row) != size), None)
        if bad is not None:
            raise MotionError(
                f"an AMC file lacks values of the bone {name!r}, or has another number of them",
                where=f"{path}, frame {bad + 1}",
                got=rows[bad],
                expected=f"{size} values, as the ASF says",
                remedy="take the ASF of the same subject",
            )
        out[name] = np.array(rows, dtype=np.float64).reshape(len(frames), size)
    strange = sorted(set(frames[0]) - set(sizes))
    notes = (f"bones that the ASF does not have were left out: {', '.join(strange)}",) if strange else ()
    return out, notes


def parse_asf(path: Path) -> Asf:
    """Read an ASF file.

    Raises:
        MotionError: naming what is missing or cannot be read.
    """
    sections = _sections(path)
    for needed in ("root", "bonedata", "hierarchy"):
        if needed not in sections:
            raise MotionError(f"an ASF file has no :{needed}", where=path)
    units = {words[0]: words[1] for words in sections.get("units", []) if len(words) > 1}
    degrees = units.get("angle", "deg").startswith("deg")
    radians = np.pi / 180.0 if degrees else 1.0
    bones = _bones(sections["bonedata"], radians, str(path))
    root = {words[0]: words[1:] for words in sections["root"]}
    parents: dict[str, str] = {}
    for words in sections["hierarchy"]:
        if words[0] in ("begin", "end"):
            continue
        for child in words[1:]:
            if child not in bones or (words[0] != ROOT and words[0] not in parents):
                raise MotionError("an ASF hierarchy names an unknown bone", where=path, got=" ".join(words))
            parents[child] = words[0]
    order = root.get("order", ["TX", "TY", "TZ", "RX", "RY", "RZ"])
    angles = _floats(root.get("orientation", ["0", "0", "0"]), str(path))
    return Asf(
        bones=bones,
        parents=parents,
        root_order=tuple(word.lower() for word in order),
        root_axis=_axes(angles * radians, "".join(root.get("axis", ["XYZ"]))),
        root_place=_floats(root.get("position", ["0", "0", "0"]), str(path)),
        degrees=degrees,
        scale=_number(units.get("length", "1"), str(path)),
    )


def _bones(rows: list[list[str]], radians: float, where: str) -> dict[str, Bone]:
    out: dict[str, Bone] = {}
    current: dict[str, list[str]] = {}
    for words in rows:
        if words[0] == "begin":
            current = {}
        elif words[0] == "end":
            missing = [key for key in ("name", "direction", "length", "axis") if key not in current]
            if missing:
                raise MotionError("a bone of an ASF file is incomplete", where=where, got=current, expected=missing)
            direction = _floats(current["direction"], where)
            order = current["axis"][3] if len(current["axis"]) > 3 else "XYZ"
            out[current["name"][0]] = Bone(
                name=current["name"][0],
                direction=direction / max(float(np.linalg.norm(direction)), 1e-12),
                length=_number(current["length"][0], where),
                axis=_axes(_floats(current["axis"][:3], where) * radians, order),
                dof=tuple("xyz".index(word.lower()[1]) for word in current.get("dof", []) if word.lower()[0] == "r"),
            )
        else:
            current[words[0]] = words[1:]
    return out


def _axes(angles: np.ndarray, order: str) -> np.ndarray:
    """``XYZ``: x turns first. Angles are listed in that order [rad]."""
    out = np.eye(3)
    for letter, angle in zip(order.lower(), angles, strict=False):
        out = about("xyz".index(letter), np.array([angle]))[0] @ out
    return out


def _sections(path: Path) -> dict[str, list[list[str]]]:
    out: dict[str, list[list[str]]] = {}
    name = ""
    for line in _lines(path):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].startswith(":"):
            name = words[0][1:].lower()
            out[name] = []
        elif name:
            out[name].append(words)
    return out


def _skeleton_file(path: Path) -> Path:
    own = [path.with_suffix(".asf"), path.with_name(f"{path.stem.split('_')[0]}.asf")]
    there = sorted(path.parent.glob("*.asf"))
    for file in own:
        if file in there:
            return file
    if len(there) == 1:
        return there[0]
    raise MotionError(
        "an AMC file needs the ASF file of its person",
        where=path,
        got=", ".join(file.name for file in there) or "no ASF in this folder",
        expected=f"{own[0].name} or {own[1].name} beside it",
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise MotionError("a file cannot be read", where=path, got=error.strerror) from error


def _floats(words: list[str], where: str) -> np.ndarray:
    return np.array([_number(word, where) for word in words[:3]])


def _number(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise MotionError("a file has something else where a number belongs", where=where, got=word) from error
