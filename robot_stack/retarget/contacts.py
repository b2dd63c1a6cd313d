"""When the source touches what: stays of feet and hands on surfaces, with hysteresis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from robot_stack.retarget.keypoint_table import ContactGroup
from robot_stack.retarget.motion import Motion, ObjectMotion
from robot_stack.retarget.result import ContactSegment
from robot_stack.retarget.scene import GROUND, Scene


@dataclass(frozen=True)
class ContactRule:
    """A stay begins when a point is slow AND near, and ends when it is fast OR far; lengths at the source's size.

    OmniRetarget's paper calls a foot standing below 1 cm/s in the plane, its open code below 30 cm/s, both at any
    height. Markers sit above the skin, so that nearness is measured from the height at which each point rests.
    """

    begin_speed: float = 0.12
    """[m/s]."""

    end_speed: float = 0.25
    """[m/s]."""

    begin_gap_m: float = 0.025
    """Above the height of rest."""

    end_gap_m: float = 0.045
    """Likewise."""

    largest_rest_m: float = 0.16
    """A point whose slow moments are all farther away than this touches nothing."""

    largest_hand_rest_m: float = 0.12
    """The same for hands, whose wrists often rest near things without touching them."""

    rest_spread_m: float = 0.04
    """How much farther a point may rest on one surface than on all together."""

    largest_drift_m: float = 0.05
    """Feet and hands that creep farther than this during a stay have stepped: the stay is cut where they did."""

    pivot_m: float = 0.02
    """When the heel comes down elsewhere while the toe stays, or the other way round, the foot has turned: the stay
    that went on is cut in between."""

    shortest_s: float = 0.10
    """Shorter stays are left out, and gaps half as long are closed."""


def object_poses(objects: tuple[ObjectMotion, ...], scene: Scene, frames: int) -> np.ndarray:
    """Poses of the scene's moving objects, shape ``(frames, objects, 7)``: position and quaternion wxyz."""
    by_name = {thing.name: thing for thing in objects}
    moving = [by_name[thing.name] for thing in scene.objects if thing.moving]
    poses = [np.concatenate([m.p_world_object, m.q_world_object], axis=1) for m in moving]
    return np.stack(poses, axis=1) if poses else np.zeros((frames, 0, 7))


def to_frame(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """World points ``(frames, 3)`` in the frame of poses ``(frames, 7)``."""
    return _rotate(pose[:, 3:] * (1.0, -1.0, -1.0, -1.0), points - pose[:, :3])


def from_frame(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Inverse of :func:`to_frame`."""
    return _rotate(pose[:, 3:], points) + pose[:, :3]


def rotate_from_frame(vectors: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Directions instead of points."""
    return _rotate(pose[:, 3:], vectors)


class RestMemory:
    """Where each contact group's point rested, for motions that are seen piece by piece.

    Args:
        moments: so many slow moments near each surface are remembered, the newest.
    """

    def __init__(self, moments: int = 3000) -> None:
        self._moments = moments
        self._seen: dict[str, np.ndarray] = {}

    def __call__(self, group: str, close: np.ndarray) -> np.ndarray:
        """Old and new slow moments together, shape ``(surfaces, moments)``; others are infinite.

        Args:
            group: its name.
            close: distances from the surfaces in new frames, infinite where fast, shape ``(surfaces, frames)`` [m].
        """
        both = np.concatenate([self._seen[group], close], axis=1) if group in self._seen else close
        self._seen[group] = both[:, np.isfinite(both).any(axis=0)][:, -self._moments :]
        return self._seen[group]


def detect(
    motion: Motion,
    scene: Scene,
    groups: tuple[ContactGroup, ...],
    rule: ContactRule = ContactRule(),
    memory: RestMemory | None = None,
    fresh: int = 0,
) -> tuple[ContactSegment, ...]:
    """Contact segments of all groups whose keypoint the source has, in order of group and time.

    Args:
        motion: the source, at its own size, without gaps.
        scene: likewise at the source's size.
        groups: of the robot's keypoint table.
        rule: thresholds.
        memory: where points rested before this motion began, for one that is a piece of a longer one.
        fresh: the first frame that the memory has not seen yet.
    """
    if not scene.ground and not scene.objects:
        return ()
    poses = object_poses(motion.objects, scene, len(motion))
    moving = {thing.name for thing in scene.objects if thing.moving}
    found: list[ContactSegment] = []
    paths: dict[str, np.ndarray] = {}
    for group in groups:
        if group.keypoint not in motion.keypoint_names:
            continue
        points = motion.point(motion.keypoint_names[group.keypoint])
        paths[group.name] = points
        gaps, speeds, names = _gaps_and_speeds(points, scene, poses, motion.fps, stands=group.clearance_m == 0)
        slow = speeds < rule.begin_speed
        close = np.where(slow, gaps, np.inf)
        largest = rule.largest_hand_rest_m if group.clearance_m > 0 else rule.largest_rest_m
        known = close if memory is None else memory(group.name, close[:, fresh:])
        if known.min(initial=np.inf) > largest:
            continue
        rest = _rests(known, largest, rule.rest_spread_m)
        nearest = np.argmin(gaps, axis=0)
        touches = np.full(len(points), -1)
        for s in range(len(names)):
            on = _hysteresis(speeds[s], gaps[s] - rest[s], rule) & (gaps[s] - rest[s] < rule.end_gap_m)
            touches[on & ((nearest == s) | (touches < 0))] = s
        carried = {s for s, name in enumerate(names) if name in moving}
        touches = _cut_creeping(touches, points, rule, carried)
        touches = _tidied(touches, max(1, round(rule.shortest_s * motion.fps)))
        found += [
            ContactSegment(group.name, start, stop, names[surface], np.empty((0, 3)))
            for start, stop, surface in _runs(touches)
            if surface >= 0
        ]
    return _cut_pivots(found, groups, paths, rule)


def _cut_creeping(touches: np.ndarray, points: np.ndarray, rule: ContactRule, carried: set[int]) -> np.ndarray:
    """A stay on what does not move, cut at its fastest moment until each part stays within the largest drift."""
    out = touches.copy()
    for _ in range(8):
        calm = True
        for start, stop, surface in _runs(out):
            path = points[start:stop]
            if surface in carried or surface < 0:
                continue  # a hand goes where the object goes
            if stop - start > 4 and np.ptp(path, axis=0).max() > rule.largest_drift_m:
                calm = False
                ahead = np.linalg.norm(path[3:] - path[:-3], axis=1)
                fastest = start + 1 + int(np.argmax(ahead))
                out[fastest - 1 : fastest + 2] = -1
        if calm:
            break
    return out


def _cut_pivots(
    segments: list[ContactSegment], groups: tuple[ContactGroup, ...], paths: dict[str, np.ndarray], rule: ContactRule
) -> tuple[ContactSegment, ...]:
    """Cut a stay where the other end of the foot changes its place."""
    partner = {group.name: group.partner for group in groups}
    out: list[ContactSegment] = []
    for segment in segments:
        others = sorted(
            (s for s in segments if s.group == partner[segment.group] and s.surface == segment.surface),
            key=lambda s: s.start,
        )
        inside = [s for s in others if s.start < segment.stop and s.stop > segment.start]
        rest = segment
        for before, after in pairwise(inside):
            places = [paths[s.group][s.start : s.stop].mean(axis=0) for s in (before, after)]
            if np.linalg.norm(places[1] - places[0]) > rule.pivot_m:
                out.append(replace(rest, stop=before.stop))
                rest = replace(rest, start=after.start)
        out.append(rest)
    return tuple(s for s in out if len(s) > 1)


def _rests(close: np.ndarray, largest: float, spread: float) -> np.ndarray:
    """Distance at which a point rests on each surface: the fifth percentile of its slow, near moments.

    Captured scenes and markers do not fit to the centimetre, and differently for each surface; but a surface that
    seems to keep a point much farther away than the others do is one that is not touched.
    """
    overall = float(np.percentile(close[close < largest], 5))
    own = [float(np.percentile(c[c < largest], 5)) if (c < largest).any() else overall for c in close]
    return np.minimum(own, overall + spread)


def _gaps_and_speeds(
    points: np.ndarray, scene: Scene, poses: np.ndarray, fps: float, *, stands: bool
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Distance from, and speed over, every surface; shapes ``(surfaces, frames)``. Feet stand on nothing steep."""
    gaps, speeds, names = [], [], []
    if scene.ground:
        gaps.append(np.abs(points[:, 2]))
        speeds.append(_speed(points, fps))
        names.append(GROUND)
    moving = 0
    for thing in scene.objects:
        local = points
        if thing.moving:
            local = to_frame(points, poses[:, moving])
            moving += 1
        distance, _, normal = thing.nearest(local)
        steep = (normal[:, 2] < 0.5) & stands & (not thing.moving)
        gaps.append(np.where(steep, np.inf, np.abs(distance)))
        speeds.append(_speed(local, fps))
        names.append(thing.name)
    return np.array(gaps).reshape(-1, len(points)), np.array(speeds).reshape(-1, len(points)), names


def _speed(points: np.ndarray, fps: float) -> np.ndarray:
    if len(points) < 3:
        return np.zeros(len(points))
    return np.linalg.norm(np.gradient(points, axis=0), axis=1) * fps


def _hysteresis(speed: np.ndarray, gap: np.ndarray, rule: ContactRule) -> np.ndarray:
    begins = (speed < rule.begin_speed) & (gap < rule.begin_gap_m)
    goes_on = (speed < rule.end_speed) & (gap < rule.end_gap_m)
    on = np.zeros(len(speed), dtype=bool)
    # Forwards and backwards, so that a reversed motion has the same stays.
    for order in (range(len(speed)), range(len(speed) - 1, -1, -1)):
        held = False
        for t in order:
            held = bool(begins[t] or (held and goes_on[t]))
            on[t] |= held
    return on


def _runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """``(start, stop, value)`` of stretches of equal values."""
    edges = np.flatnonzero(np.diff(values)) + 1
    starts, stops = np.concatenate([[0], edges]), np.concatenate([edges, [len(values)]])
    return [(int(a), int(b), int(values[a])) for a, b in zip(starts, stops, strict=True) if b > a]


def _tidied(touches: np.ndarray, shortest: int) -> np.ndarray:
    out = touches.copy()
    for start, stop, surface in _runs(touches):
        inner = start > 0 and stop < len(touches)
        if surface < 0 and inner and stop - start <= shortest // 2 and touches[start - 1] == touches[stop]:
            out[start:stop] = touches[stop]
    for start, stop, surface in _runs(out):
        if surface >= 0 and stop - start < shortest:
            out[start:stop] = -1
    return out


def _rotate(quaternion: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    w, v = quaternion[:, :1], quaternion[:, 1:]
    t = 2.0 * np.cross(v, vectors)
    return vectors + w * t + np.cross(v, t)
