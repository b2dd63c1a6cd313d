"""Named skeletons: which joints a file has, in which order, and which of them are which keypoints.

Joint orders are facts of the formats: SMPL, SMPL-H and SMPL-X as in the ``smplx`` package, the bodies of the SMPL-H
humanoid as in PHC and InterMimic, LAFAN1 as in Ubisoft's data set, CMU's ASF bones, Mixamo's and HumanIK's names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.retarget.motion import KEYPOINTS

Up = Literal["x", "y", "z", "-x", "-y", "-z"]
"""An axis of a file that points up."""


@dataclass(frozen=True)
class Skeleton:
    """The joints of one kind of file."""

    name: str
    """What the user calls it."""

    title: str
    """In a few words."""

    joints: tuple[str, ...]
    """In the order of the file."""

    keypoints: dict[str, str]
    """Keypoint to joint; what it lacks is left out."""

    up: Up = "z"
    """The axis that usually points up in such files."""

    fps: float = 0.0
    """The rate that such files usually have [1/s]; 0 for no usual one."""

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise ConfigError("a skeleton has two joints of one name", where=self.name)
        for keypoint, joint in self.keypoints.items():
            require_name("keypoint", keypoint, KEYPOINTS, where=self.name)
            require_name("joint", joint, self.joints, where=self.name)


_FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")
_PARTS = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist")


def _both(pelvis: str, left: str, right: str, parts: tuple[str, ...]) -> dict[str, str]:
    """A keypoint map from a pattern for each side, ``parts`` being in the order of ``_PARTS``."""
    out = {"pelvis": pelvis}
    for side, pattern in (("left", left), ("right", right)):
        out |= {f"{side}_{part}": pattern.format(name) for part, name in zip(_PARTS, parts, strict=True)}
    return out


def _fingers(pattern: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern.format(f"{name}{i}") for name in names for i in (1, 2, 3))


_HIK = ("UpLeg", "Leg", "Foot", "ToeBase", "Arm", "ForeArm", "Hand")
"""HumanIK's parts, which Mixamo and most BVH files use."""

_SMPL_BODY = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
_SMPL_HANDS = tuple(
    name for side in ("left", "right") for name in _fingers(side + "_{}", ("index", "middle", "pinky", "ring", "thumb"))
)
_SMPL_MAP = _both("pelvis", "left_{}", "right_{}", ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist"))


def _mocap() -> Skeleton:
    names = ["Hips", "Spine", "Spine1", "Neck", "Head"]
    for side in ("Left", "Right"):
        names += [side + part for part in ("Shoulder", "Arm", "ForeArm", "Hand")]
        names += _fingers(side + "Hand{}", _FINGERS)
    for side in ("Left", "Right"):
        names += [side + part for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
    names += ["LeftFootMod", "RightFootMod"]
    return Skeleton(
        "mocap53",
        "53 joints of OmniRetarget's climbs",
        tuple(names),
        _both("Hips", "Left{}", "Right{}", _HIK),
        "z",
        120.0,
    )


def _humanoid(name: str, title: str, hands: bool) -> Skeleton:
    """SMPL's joints in the depth-first order of the MuJoCo humanoid that PHC and InterMimic use."""
    names = ["Pelvis"]
    for side in ("L", "R"):
        names += [f"{side}_{part}" for part in ("Hip", "Knee", "Ankle", "Toe")]
    names += ["Torso", "Spine", "Chest", "Neck", "Head"]
    for side in ("L", "R"):
        names += [f"{side}_{part}" for part in ("Thorax", "Shoulder", "Elbow", "Wrist")]
        own = _fingers(side + "_{}", ("Index", "Middle", "Pinky", "Ring", "Thumb"))
        names += own if hands else [f"{side}_Hand"]
    parts = ("Hip", "Knee", "Ankle", "Toe", "Shoulder", "Elbow", "Wrist")
    return Skeleton(name, title, tuple(names), _both("Pelvis", "L_{}", "R_{}", parts))


def _lafan() -> Skeleton:
    names = ["Hips"]
    for side in ("Left", "Right"):
        names += [side + part for part in ("UpLeg", "Leg", "Foot", "Toe")]
    names += ["Spine", "Spine1", "Spine2", "Neck", "Head"]
    for side in ("Left", "Right"):
        names += [side + part for part in ("Shoulder", "Arm", "ForeArm", "Hand")]
    parts = ("UpLeg", "Leg", "Foot", "Toe", "Arm", "ForeArm", "Hand")
    return Skeleton("lafan1", "22 joints of LAFAN1", tuple(names), _both("Hips", "Left{}", "Right{}", parts), "y", 30.0)


def _cmu() -> Skeleton:
    """CMU's bones; a bone's point is its far end, as in most arrays made from ASF/AMC."""
    names = ["root"]
    for side in ("l", "r"):
        names += [side + part for part in ("hipjoint", "femur", "tibia", "foot", "toes")]
    names += ["lowerback", "upperback", "thorax", "lowerneck", "upperneck", "head"]
    for side in ("l", "r"):
        parts = ("clavicle", "humerus", "radius", "wrist", "hand", "fingers", "thumb")
        names += [side + part for part in parts]
    parts = ("hipjoint", "femur", "tibia", "foot", "clavicle", "humerus", "radius")
    return Skeleton(
        "cmu", "31 bones of CMU's ASF/AMC (far ends)", tuple(names), _both("root", "l{}", "r{}", parts), "y", 120.0
    )


def _smpl(name: str, title: str, extra: tuple[str, ...]) -> Skeleton:
    return Skeleton(name, title, _SMPL_BODY + extra, _SMPL_MAP)


_ALL = (
    _mocap(),
    _smpl("smpl", "24 joints of SMPL", ("left_hand", "right_hand")),
    _smpl("smplh", "52 joints of SMPL-H", _SMPL_HANDS),
    _smpl("smplx", "55 joints of SMPL-X", ("jaw", "left_eye_smplhf", "right_eye_smplhf", *_SMPL_HANDS)),
    _smpl("smpl_body", "22 body joints of SMPL, SMPL-H, SMPL-X", ()),
    _humanoid("smpl_humanoid", "24 bodies of the MuJoCo SMPL humanoid (PHC)", hands=False),
    _humanoid("smplh_humanoid", "52 bodies of the MuJoCo SMPL-H humanoid (InterMimic, OMOMO)", hands=True),
    _lafan(),
    _cmu(),
    Skeleton("keypoints", "the 15 keypoints themselves", KEYPOINTS, {name: name for name in KEYPOINTS}),
)

SKELETONS: dict[str, Skeleton] = {skeleton.name: skeleton for skeleton in _ALL}
"""Every named skeleton."""

_ALIASES: dict[str, tuple[str, ...]] = {
    "pelvis": ("hips", "pelvis", "hip", "root"),
    "hip": ("upleg", "upperleg", "thigh", "hip", "hipjoint", "femur"),
    "knee": ("leg", "lowerleg", "lowleg", "knee", "calf", "shin", "tibia"),
    "ankle": ("ankle", "foot"),
    "toe": ("toebase", "toe", "toes", "toe0", "ball", "forefoot", "foot"),
    "shoulder": ("arm", "upperarm", "uparm", "shldr", "shoulder", "humerus"),
    "elbow": ("forearm", "lowerarm", "lowarm", "elbow", "radius"),
    "wrist": ("wrist", "hand"),
}
"""What joints are called in files without a named skeleton, most telling first; without sides and separators."""

_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}


def keypoints_by_name(names: Iterable[str]) -> dict[str, str]:
    """Which of any joint names are which keypoints: Mixamo, HumanIK, Biped, Blender, Unreal, Vicon spellings.

    Prefixes such as ``mixamorig:`` and ``Bip01 `` do not count. A keypoint with no likely name is left out. Where both
    ``LeftShoulder`` and ``LeftArm`` are there, the former is the clavicle.
    """
    known: dict[str, str] = {}
    parts: dict[tuple[str, str], str] = {}
    for name in names:
        side, part = _side_and_part(name)
        (known if side == "" else {}).setdefault(part, name)
        parts.setdefault((side, part), name)
    out: dict[str, str] = {}
    pelvis = next((known[alias] for alias in _ALIASES["pelvis"] if alias in known), None)
    if pelvis is not None:
        out["pelvis"] = pelvis
    for side in ("left", "right"):
        for part in _PARTS:
            found = next((parts[side, alias] for alias in _ALIASES[part] if (side, alias) in parts), None)
            if found is not None and found not in out.values():
                out[f"{side}_{part}"] = found
    return {name: out[name] for name in KEYPOINTS if name in out}


def skeleton_of(names: tuple[str, ...]) -> Skeleton | None:
    """The named skeleton with exactly these joints in this order, if there is one."""
    return next((skeleton for skeleton in _ALL if skeleton.joints == names), None)


def _side_and_part(name: str) -> tuple[str, str]:
    """``"mixamorig:LeftUpLeg"`` becomes ``("left", "upleg")``."""
    short = re.sub(r"^(.*[:|]|mixamorig\d*_?|bip0*1[ _]?|character1_)", "", name, flags=re.IGNORECASE)
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", short)
    sides = [_SIDES[word.lower()] for word in words if word.lower() in _SIDES]
    if sides:
        return sides[0], "".join(word.lower() for word in words if word.lower() not in _SIDES)
    plain = "".join(words).lower()
    if plain[:1] in _SIDES and any(plain[1:] in aliases for aliases in _ALIASES.values()):
        return _SIDES[plain[0]], plain[1:]
    return "", plain
