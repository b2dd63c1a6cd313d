"""What a file says of a motion, what its user says, and the motion in metres with z up that both make."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np

from robot_stack.core.errors import ConfigError, require_name
from robot_stack.retarget.motion import KEYPOINTS, Motion, MotionError, ObjectMotion
from robot_stack.retarget.readers.axes import TO_Z_UP, UNITS, bone_lengths, guess_unit, guess_up, turned_objects
from robot_stack.retarget.skeletons import SKELETONS, Up

ASSUMED_FPS = 30.0
"""Rate of a file that tells none and whose kind has no usual one [1/s]."""

LEG_SHARE = 0.47
"""Hip to ankle as a share of standing height. Anthropometry has 0.491 from the trochanter (Drillis and Contini 1964, in
Winter, Biomechanics, figure 4.1); the joint centres of mocap skeletons lie lower: 0.464 in OmniRetarget's climbs."""


@dataclass(frozen=True)
class ReadOptions:
    """What the user knows of a file; all of it may be left out, is then taken from the file or guessed, and noted."""

    skeleton: str = ""
    """A name of :data:`~robot_stack.retarget.skeletons.SKELETONS`, for arrays without joint names."""

    up: str = ""
    """The axis that points up: x, y, z, -x, -y, -z."""

    unit: str = ""
    """Of lengths: m, cm, mm, inch, cmu; or a number, metres a unit."""

    fps: float = 0.0
    """Frames a second [1/s]; 0 for what the file says."""

    height_m: float = 0.0
    """Standing height of the person [m]; 0 for an estimate from the legs."""

    keypoints: dict[str, str] = field(default_factory=dict)
    """Keypoint to joint where the reader's choice is to be overruled; an empty joint leaves the keypoint out."""

    body_model: Path | None = None
    """SMPL-H's or SMPL-X's model file (NPZ), for files of pose parameters."""

    episode: int = 0
    """Which episode of a dataset of robot motion."""

    def __post_init__(self) -> None:
        if self.skeleton:
            require_name("skeleton", self.skeleton, SKELETONS)
        if self.up:
            require_name("up axis", self.up, TO_Z_UP)
        if self.unit:
            metres_of(self.unit)
        for keypoint in self.keypoints:
            require_name("keypoint", keypoint, KEYPOINTS)
        for name in ("fps", "height_m"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ConfigError(f"{name} must be positive, or 0 to take it from the file", got=getattr(self, name))


NOTHING_SAID = ReadOptions()
"""Everything from the file, or guessed."""


def metres_of(unit: str) -> float:
    """Metres in a unit given by name or as a number.

    Raises:
        UnknownNameError: if it is neither.
        ConfigError: if the number is not positive.
    """
    try:
        value = float(unit)
    except ValueError:
        return UNITS[require_name("unit of length", unit, UNITS)]
    if not 0 < value < np.inf:
        raise ConfigError("a unit of length must be positive", got=unit)
    return value


@dataclass(frozen=True, eq=False)
class RawMotion:
    """A motion in its file's own axes and unit."""

    names: tuple[str, ...]
    """Of the points."""

    positions: np.ndarray
    """Shape ``(frames, points, 3)``, float64 [the file's unit]."""

    keypoint_names: dict[str, str]
    """Keypoint to point."""

    source: str
    """The file."""

    fps: float = 0.0
    """[1/s]; 0 when the file does not say."""

    usual_fps: float = 0.0
    """Rate that such files usually have [1/s]; 0 for no usual one."""

    up: Up = "z"
    """Usual in such files."""

    unit: str = ""
    """As the file or its format says; empty when neither does."""

    height_m: float = 0.0
    """0 when the file does not say [m]."""

    objects: tuple[ObjectMotion, ...] = ()
    """In the same axes and unit."""

    sure: bool = False
    """Axes and unit are known (our own files): nothing is guessed."""

    notes: tuple[str, ...] = ()
    """Of the reader."""


def to_motion(raw: RawMotion, options: ReadOptions = NOTHING_SAID) -> Motion:
    """The motion in metres with z up; whatever was guessed or corrected is in its notes.

    Raises:
        MotionError: if the lengths fit no unit.
        UnknownNameError: if the user's keypoint map names a joint that is not there.
    """
    notes = list(raw.notes)
    mapping = _mapping(raw, options.keypoints)
    up = _up(raw, mapping, options.up, notes)
    turn = TO_Z_UP[up]
    metres = _metres(raw, mapping, options.unit, notes)
    positions = (raw.positions @ turn.T) * metres
    objects = tuple(
        ObjectMotion(o.name, (o.p_world_object @ turn.T) * metres, turned_objects(o.q_world_object, turn))
        for o in raw.objects
    )
    motion = Motion(
        names=raw.names,
        positions=positions,
        fps=_fps(raw, options.fps, notes),
        keypoint_names=mapping,
        height_m=options.height_m or raw.height_m or 1.0,
        objects=objects,
        source=raw.source,
    )
    if not options.height_m and not raw.height_m:
        motion = replace(motion, height_m=_height(motion, notes))
    return replace(motion, notes=tuple(notes))


def _mapping(raw: RawMotion, wanted: dict[str, str]) -> dict[str, str]:
    mapping = {**raw.keypoint_names, **wanted}
    for keypoint, name in wanted.items():
        if name:
            require_name("joint", name, raw.names, where=f"{raw.source}, keypoint {keypoint}")
    return {keypoint: mapping[keypoint] for keypoint in KEYPOINTS if mapping.get(keypoint)}


def _up(raw: RawMotion, mapping: dict[str, str], wanted: str, notes: list[str]) -> Up:
    if raw.sure:
        return raw.up
    seen = guess_up(raw.names, raw.positions, mapping)
    if wanted:
        if seen and seen != wanted:
            notes.append(f"{wanted} was said to point up, but the body stands along {seen}: try --up {seen}")
        return cast(Up, wanted)
    if not seen:
        notes.append(f"which axis points up cannot be told from the body; {raw.up}, usual in such files, was taken")
        return raw.up
    if seen != raw.up:
        notes.append(f"{seen} points up, as the body stands; {raw.up} is usual in such files (say otherwise with --up)")
    return seen


def _metres(raw: RawMotion, mapping: dict[str, str], wanted: str, notes: list[str]) -> float:
    if raw.sure:
        return metres_of(raw.unit or "m")
    unit, leg = guess_unit(raw.names, raw.positions, mapping)
    given = wanted or raw.unit
    if given:
        metres = metres_of(given)
        if leg is not None and not 0.3 < leg * metres < 1.6:
            hint = f": try --unit {unit}" if unit else ""
            notes.append(f"a leg would be {leg * metres:.3g} m long with the unit {given!r}{hint}")
            if not wanted and unit:
                notes[-1] = f"the file's unit {given!r} would make a leg {leg * metres:.3g} m long; {unit} was taken"
                return metres_of(unit)
        return metres
    if leg is None:
        notes.append("the unit of length cannot be told without a whole leg; metres were taken")
        return 1.0
    if not unit:
        raise MotionError(
            "the lengths of the body fit no unit",
            where=raw.source,
            got=f"a leg of {leg:.4g}",
            expected="about 0.85 in m, 85 in cm, 850 in mm, 33 in inch, 15 in CMU's unit",
            remedy="give the metres in a unit, e.g. --unit 0.1; or the skeleton if it is another one (--skeleton)",
        )
    if unit != "m":
        notes.append(f"lengths were taken as {unit}: a leg is {leg:.4g} long")
    return UNITS[unit]


def _fps(raw: RawMotion, wanted: float, notes: list[str]) -> float:
    if wanted:
        if raw.fps and abs(wanted - raw.fps) > 0.01 * raw.fps:
            notes.append(f"the file says {raw.fps:g} frames a second; {wanted:g} were asked for")
        return wanted
    if raw.fps:
        return raw.fps
    assumed = raw.usual_fps or ASSUMED_FPS
    why = "usual in such files, " if raw.usual_fps else ""
    notes.append(f"the file does not say its rate; {assumed:g} frames a second, {why}were assumed (say it with --fps)")
    return assumed


def _height(motion: Motion, notes: list[str]) -> float:
    leg = leg_length(motion.names, motion.positions, motion.keypoint_names)
    if leg is None or not leg > 0:
        notes.append("the person's height cannot be told without a whole leg; 1.7 m was assumed (say it with --height)")
        return 1.7
    notes.append(f"height {leg / LEG_SHARE:.2f} m, from legs of {leg:.3f} m (say it with --height)")
    return leg / LEG_SHARE


def leg_length(names: tuple[str, ...], positions: np.ndarray, mapping: dict[str, str]) -> float | None:
    """Hip to knee to ankle, median over time, mean of the legs; ``None`` without a whole leg."""
    legs = []
    for side in ("left", "right"):
        pair = ((f"{side}_hip", f"{side}_knee"), (f"{side}_knee", f"{side}_ankle"))
        bones = bone_lengths(names, positions, mapping, pair)
        if len(bones) == 2:
            legs.append(float(np.nansum(np.nanmedian(np.stack(bones), axis=1))))
    return float(np.mean(legs)) if legs else None
