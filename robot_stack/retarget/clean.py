"""Motions as they come become motions that can be retargeted: gaps, missing joints, ground, rate; or are refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.motion import KEYPOINTS, Motion, MotionError, ObjectMotion
from robot_stack.retarget.readers.axes import BONES, bone_lengths
from robot_stack.retarget.resample import continuous, resampled, resampled_quaternions


@dataclass(frozen=True)
class CleanRule:
    """What is repaired, and up to where."""

    rate: float = 30.0
    """Wanted frames a second [1/s]; 0 keeps the motion's own."""

    longest_gap_s: float = 0.25
    """Longer gaps of a keypoint are refused, shorter ones are interpolated [s]."""

    vanishing_m: float = 0.3
    """A point that jumps by more to the very origin was not seen: many systems write zeros then [m]."""

    ground: str = "auto"
    """``"auto"`` lifts the motion when its feet rest above or below the ground and there are no objects; ``"keep"``; or
    a number to add to all heights [m]."""

    foot_low_m: float = -0.01
    """Lowest height at which a resting toe joint is taken to be on the ground [m]."""

    foot_high_m: float = 0.10
    """Highest, likewise [m]."""

    foot_rest_m: float = 0.03
    """Where a resting toe joint is put when it is outside of that [m]."""

    shortest_s: float = 0.3
    """Shorter motions are refused [s]."""

    stillest_m: float = 0.01
    """A motion whose keypoints all stay within this is refused [m]."""

    bone_change: float = 0.12
    """Bones whose length varies by more (standard deviation over mean) are noted."""

    def __post_init__(self) -> None:
        if self.ground not in ("auto", "keep"):
            try:
                float(self.ground)
            except ValueError:
                raise ConfigError("the ground is auto, keep or a height [m]", got=self.ground) from None
        if self.rate < 0 or not np.isfinite(self.rate):
            raise ConfigError("the rate must be positive, or 0 for the motion's own", got=self.rate)


USUAL = CleanRule()
"""The rule that is used when none is given."""


def cleaned(motion: Motion, rule: CleanRule = USUAL, *, scene_given: bool = False) -> Motion:
    """The motion without gaps, on the ground, at the wanted rate; what was done is in its notes.

    Joints that are no keypoints and have long gaps are left out; keypoints that were never seen, too. A missing pelvis
    is put between the hips.

    Args:
        motion: as read: metres, z up.
        rule: what to repair.
        scene_given: a scene belongs to it, so that its heights have a meaning and are not changed.

    Raises:
        MotionError: if it is too short, does not move, or has gaps that are too long.
    """
    notes = list(motion.notes)
    motion = _without_zeros(motion, rule, notes)
    motion = _filled(motion, rule, notes)
    motion = _with_pelvis(motion, notes)
    if (len(motion) - 1) / motion.fps < rule.shortest_s or len(motion) < 4:
        raise MotionError(
            "a motion is too short",
            where=motion.source,
            got=f"{len(motion)} frames, {motion.duration_s:.2f} s",
            expected=f"at least 4 frames and {rule.shortest_s:g} s",
        )
    _refuse_still(motion, rule)
    _doubts(motion, rule, notes)
    motion = _on_ground(motion, rule, scene_given, notes)
    motion = at_rate(motion, rule.rate, notes)
    return replace(motion, notes=tuple(notes))


def at_rate(motion: Motion, rate: float, notes: list[str]) -> Motion:
    """The motion without gaps at another rate [1/s]; 0 keeps its own."""
    if not rate or abs(rate - motion.fps) < 1e-6 * motion.fps:
        return motion
    objects = tuple(
        ObjectMotion(
            o.name,
            resampled(o.p_world_object, motion.fps, rate),
            resampled_quaternions(o.q_world_object, motion.fps, rate),
        )
        for o in motion.objects
    )
    how = "low-passed and " if rate < motion.fps else ""
    notes.append(f"{how}resampled from {motion.fps:g} to {rate:g} frames a second")
    return replace(motion, positions=resampled(motion.positions, motion.fps, rate), fps=rate, objects=objects)


def _without_zeros(motion: Motion, rule: CleanRule, notes: list[str]) -> Motion:
    """Points that vanish to the origin, and infinite ones, become NaN."""
    positions = np.where(np.isfinite(motion.positions), motion.positions, np.nan)
    at_origin = (positions == 0.0).all(axis=2)
    vanished = []
    for p in np.flatnonzero(at_origin.any(axis=0)):
        seen = np.flatnonzero(np.isfinite(positions[:, p]).all(axis=1) & ~at_origin[:, p])
        for start, stop in _runs(at_origin[:, p]):
            beside = [*seen[seen < start][-1:], *seen[seen >= stop][:1]]
            if all(np.linalg.norm(positions[t, p]) > rule.vanishing_m for t in beside):
                positions[start:stop, p] = np.nan
                vanished.append(motion.names[p])
    if vanished:
        notes.append(f"points at the very origin were taken as not seen: {_listed(list(dict.fromkeys(vanished)))}")
    return replace(motion, positions=positions)


def _filled(motion: Motion, rule: CleanRule, notes: list[str]) -> Motion:
    """Short gaps interpolated, long ones refused or their joints left out."""
    positions = motion.positions.copy()
    of_point = {name: keypoint for keypoint, name in motion.keypoint_names.items()}
    longest = max(1, round(rule.longest_gap_s * motion.fps))
    filled, dropped, keep = [], [], []
    for p, name in enumerate(motion.names):
        seen = np.asarray(np.isfinite(positions[:, p]).all(axis=1))
        gap = longest_run(~seen)
        if gap and seen.any() and gap <= longest and seen.sum() > 1:
            positions[:, p] = _interpolated(positions[:, p], seen)
            filled.append(f"{name} ({int((~seen).sum())} frames)")
        elif gap and seen.any() and name in of_point:
            start, stop = _where_longest(~seen)
            raise MotionError(
                f"the keypoint {of_point[name]!r} has a gap that is too long to fill",
                where=motion.source,
                got=f"{name} was not seen in frames {start} to {stop - 1}, {gap / motion.fps:.2f} s",
                expected=f"gaps of at most {rule.longest_gap_s:g} s",
                remedy="cut the motion there, fill the gap in your mocap software, or allow more with --longest-gap",
            )
        elif gap:
            dropped.append(name)
            continue
        keep.append(p)
    if filled:
        notes.append(f"gaps were filled: {_listed(filled)}")
    if dropped:
        notes.append(f"joints were left out, as they were not or hardly seen: {_listed(dropped)}")
    names = tuple(motion.names[p] for p in keep)
    mapping = {k: n for k, n in motion.keypoint_names.items() if n in names}
    objects = tuple(_filled_object(o, longest, motion, notes) for o in motion.objects)
    return replace(motion, names=names, positions=positions[:, keep], keypoint_names=mapping, objects=objects)


def _filled_object(thing: ObjectMotion, longest: int, motion: Motion, notes: list[str]) -> ObjectMotion:
    both = np.concatenate([thing.p_world_object, continuous_where_seen(thing.q_world_object)], axis=1)
    seen = np.asarray(np.isfinite(both).all(axis=1))
    gap = longest_run(~seen)
    if not gap:
        return thing
    if gap > longest or seen.sum() < 2:
        start, stop = _where_longest(~seen)
        raise MotionError(
            f"the object {thing.name!r} has a gap that is too long to fill",
            where=motion.source,
            got=f"frames {start} to {stop - 1}, {gap / motion.fps:.2f} s",
            expected=f"gaps of at most {longest / motion.fps:g} s",
        )
    notes.append(f"gaps of the object {thing.name} were filled ({int((~seen).sum())} frames)")
    both = _interpolated(both, seen)
    turn = both[:, 3:] / np.linalg.norm(both[:, 3:], axis=1, keepdims=True)
    return ObjectMotion(thing.name, both[:, :3], turn)


def continuous_where_seen(quaternions: np.ndarray) -> np.ndarray:
    """Signs that do not jump from one seen frame to the next, shape ``(frames, 4)``; NaN stays."""
    out = quaternions.copy()
    seen = np.isfinite(out).all(axis=1)
    if seen.any():
        out[seen] = continuous(out[seen])
    return out


def _with_pelvis(motion: Motion, notes: list[str]) -> Motion:
    missing = [k for k in KEYPOINTS if k not in motion.keypoint_names]
    hips = [motion.keypoint_names.get(f"{side}_hip", "") for side in ("left", "right")]
    if "pelvis" in missing and all(hips) and "pelvis" not in motion.names:
        middle = 0.5 * (motion.point(hips[0]) + motion.point(hips[1]))
        missing.remove("pelvis")
        notes.append("the pelvis was not there and was put between the hips")
        motion = replace(
            motion,
            names=(*motion.names, "pelvis"),
            positions=np.concatenate([motion.positions, middle[:, None]], axis=1),
            keypoint_names={"pelvis": "pelvis", **motion.keypoint_names},
        )
    if missing:
        notes.append(f"keypoints that the motion does not have: {', '.join(missing)}")
    return motion


def _refuse_still(motion: Motion, rule: CleanRule) -> None:
    points = [motion.point(name) for name in motion.keypoint_names.values()]
    if not points:
        raise MotionError(
            "no joint is known to be a keypoint",
            where=motion.source,
            got=_listed(motion.names),
            expected=f"joints for some of {', '.join(KEYPOINTS)}",
            remedy="name them: --keypoints pelvis=Hips left_hip=LeftUpLeg ...",
        )
    spread = max(float(np.linalg.norm(np.ptp(p, axis=0))) for p in points)
    if spread < rule.stillest_m:
        raise MotionError(
            "a motion does not move",
            where=motion.source,
            got=f"every keypoint stays within {1e3 * spread:.2g} mm",
            expected=f"more than {1e3 * rule.stillest_m:g} mm",
            remedy="is it a single pose, or is the unit another one (--unit)?",
        )


def _doubts(motion: Motion, rule: CleanRule, notes: list[str]) -> None:
    """Notes on what looks wrong and cannot be repaired."""
    bones = [b for b in BONES if b[0] in motion.keypoint_names and b[1] in motion.keypoint_names]
    lengths = bone_lengths(motion.names, motion.positions, motion.keypoint_names, bones)
    loose = [
        f"{a} to {b} ({np.std(length) / np.mean(length):.0%})"
        for (a, b), length in zip(bones, lengths, strict=True)
        if np.std(length) > rule.bone_change * max(float(np.mean(length)), 1e-9)
    ]
    if loose:
        notes.append(f"bones change their length: {_listed(loose)}; is the skeleton another one (--skeleton)?")
    if _sides_seem_swapped(motion):
        notes.append("the toes point backwards: left and right are swapped, or the axes are left-handed")


def _sides_seem_swapped(motion: Motion) -> bool:
    have = motion.keypoint_names
    if not all(f"{s}_{p}" in have for s in ("left", "right") for p in ("hip", "ankle", "toe")):
        return False
    left, right = (motion.point(have[f"{s}_hip"]) for s in ("left", "right"))
    forward = np.cross(left - right, (0.0, 0.0, 1.0))
    toes = [motion.point(have[f"{s}_toe"]) - motion.point(have[f"{s}_ankle"]) for s in ("left", "right")]
    along = [np.sum(toe * forward, axis=1) / np.maximum(np.linalg.norm(toe, axis=1), 1e-9) for toe in toes]
    width = np.maximum(np.linalg.norm(forward, axis=1), 1e-9)
    return all(float(np.median(a / width)) < -0.3 for a in along)


def _on_ground(motion: Motion, rule: CleanRule, scene_given: bool, notes: list[str]) -> Motion:
    if rule.ground == "keep":
        return motion
    if rule.ground != "auto":
        return _lifted(motion, float(rule.ground), notes, "as asked for")
    feet = [motion.point(motion.keypoint_names[k]) for k in ("left_toe", "right_toe") if k in motion.keypoint_names]
    if not feet:
        return motion
    rest = float(np.percentile(np.minimum.reduce([foot[:, 2] for foot in feet]), 2.0))
    if rule.foot_low_m <= rest <= rule.foot_high_m:
        return motion
    if scene_given or motion.objects:
        notes.append(
            f"the lowest toe rests at {rest:.3f} m; nothing was moved, since a scene belongs to the motion: if its "
            f"ground is not at z = 0, add {rule.foot_rest_m - rest:+.3f} m (--ground)"
        )
        return motion
    return _lifted(motion, rule.foot_rest_m - rest, notes, f"the lowest toe rested at {rest:.3f} m")


def _lifted(motion: Motion, height: float, notes: list[str], why: str) -> Motion:
    if not height:
        return motion
    notes.append(f"all heights were changed by {height:+.3f} m: {why}")
    up = np.array([0.0, 0.0, height])
    objects = tuple(replace(o, p_world_object=o.p_world_object + up) for o in motion.objects)
    return replace(motion, positions=motion.positions + up, objects=objects)


def _interpolated(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Monotone cubics through what was seen ``(frames, n)``; before the first and after the last it stands still."""
    times = np.flatnonzero(seen)
    inside = np.clip(np.arange(len(values)), times[0], times[-1])
    return np.where(seen[:, None], values, PchipInterpolator(times, values[seen])(inside))


def longest_run(missing: np.ndarray) -> int:
    """Length of the longest run of True."""
    start, stop = _where_longest(missing)
    return stop - start


def _where_longest(missing: np.ndarray) -> tuple[int, int]:
    return max(_runs(missing), key=lambda run: run[1] - run[0], default=(0, 0))


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First frame and first frame after of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))).reshape(-1, 2)
    return [(int(start), int(stop)) for start, stop in edges]


def _listed(names: list[str] | tuple[str, ...], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
