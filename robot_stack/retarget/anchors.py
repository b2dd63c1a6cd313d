"""Where the robot touches: surfaces under its contact points, and places that stay fixed over each stay."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_stack.retarget.contacts import from_frame, object_poses, rotate_from_frame, to_frame
from robot_stack.retarget.keypoint_table import ContactGroup
from robot_stack.retarget.result import ContactSegment
from robot_stack.retarget.scaling import Scaled
from robot_stack.retarget.scene import GROUND


@dataclass(frozen=True, eq=False)
class Touching:
    """Contact of every contact point of the robot in every frame."""

    on: np.ndarray
    """Whether it touches, shape ``(frames, points)``, bool."""

    normal: np.ndarray
    """The surface's normal in the world, shape ``(frames, points, 3)``."""

    place: np.ndarray
    """A point of the surface in the world, likewise [m]; from :func:`anchored`, where the point has to be."""


def columns(groups: tuple[ContactGroup, ...]) -> dict[str, slice]:
    """Which contact points belong to which group."""
    out, start = {}, 0
    for group in groups:
        out[group.name] = slice(start, start + len(group.points))
        start += len(group.points)
    return out


def surfaces(scaled: Scaled, segments: tuple[ContactSegment, ...], groups: tuple[ContactGroup, ...]) -> Touching:
    """The plane that each stay of the source is on, taken under the middle of the stay."""
    frames, where = len(scaled.motion), columns(groups)
    count = sum(len(group.points) for group in groups)
    out = Touching(np.zeros((frames, count), bool), np.zeros((frames, count, 3)), np.zeros((frames, count, 3)))
    keypoint = {group.name: group.keypoint for group in groups}
    clearance = {group.name: group.clearance_m + group.radius_m for group in groups}
    things = {thing.name: thing for thing in scaled.robot_scene.objects}
    for segment in segments:
        span, points = slice(segment.start, segment.stop), where[segment.group]
        source = scaled.motion.point(scaled.motion.keypoint_names[keypoint[segment.group]])[span]
        pose = _pose(scaled, segment)
        middle = to_frame(source, _pose(scaled, segment, of_source=True)).mean(axis=0, keepdims=True)
        if scaled.target is not None:
            middle = scaled.target.mapped(segment.surface, middle)
        if segment.surface == GROUND:
            on, normal = middle * (1.0, 1.0, 0.0), np.array([[0.0, 0.0, 1.0]])
        else:
            _, on, normal = things[segment.surface].nearest(middle)
        out.on[span, points] = True
        out.normal[span, points] = rotate_from_frame(np.repeat(normal, len(segment), 0), pose)[:, None]
        lifted = on + clearance[segment.group] * normal
        out.place[span, points] = from_frame(np.repeat(lifted, len(segment), 0), pose)[:, None]
    return out


def anchored(
    scaled: Scaled,
    segments: tuple[ContactSegment, ...],
    groups: tuple[ContactGroup, ...],
    touching: Touching,
    soles: np.ndarray,
) -> tuple[Touching, tuple[ContactSegment, ...]]:
    """Fixed places for the contact points, from where the first pass has them on average.

    Toe and heel of a foot whose stays on one surface overlap get places of one flat foot, so that no stay asks for a
    shape that a rigid sole does not have.

    Args:
        scaled: the motion.
        segments: of the source.
        groups: of the robot.
        touching: of :func:`surfaces`.
        soles: contact points of the first pass in the world, shape ``(frames, points, 3)`` [m].

    Returns:
        Contact with places, and the segments with their anchors.
    """
    where = columns(groups)
    partner = {group.name: group.partner for group in groups}
    rolls = {group.name: group.clearance_m > 0 for group in groups}
    offsets = {group.name: np.array([p.offset for p in group.points]) for group in groups}
    out = Touching(touching.on, touching.normal, touching.place.copy())
    done: list[ContactSegment] = []
    for cluster in _clusters(segments, partner):
        names = sorted({segment.group for segment in cluster})
        points = np.concatenate([np.arange(where[n].start, where[n].stop) for n in names])
        shape = np.concatenate([offsets[n] for n in names])
        first = cluster[0]
        frames = np.arange(min(s.start for s in cluster), max(s.stop for s in cluster))
        both = frames[touching.on[np.ix_(frames, points)].all(axis=1)]
        frames = both if len(both) else frames[touching.on[np.ix_(frames, points)].any(axis=1)]
        pose = _pose(scaled, first, frames)
        local = np.stack([to_frame(soles[frames, p], pose) for p in points], axis=1).mean(axis=0)
        t, p = np.argwhere(touching.on[np.ix_(frames, points)])[0]
        normal = to_frame(pose[[t], :3] + touching.normal[frames[t], points[p]], pose[[t]])[0]
        on = to_frame(touching.place[[frames[t]], points[p]], pose[[t]])[0]
        if not rolls[first.group]:
            local = local - ((local - on) @ normal)[:, None] * normal
            local = _rigid(shape, local)
            local = local - ((local - on) @ normal)[:, None] * normal
        for segment in cluster:
            mine = np.isin(points, np.arange(where[segment.group].start, where[segment.group].stop))
            span = slice(segment.start, segment.stop)
            own = _pose(scaled, segment)
            for place, column in zip(local[mine], points[mine], strict=True):
                out.place[span, column] = from_frame(np.repeat(place[None], len(segment), 0), own)
            done.append(replace(segment, p_surface_anchor=local[mine]))
    return out, tuple(sorted(done, key=lambda s: (s.group, s.start)))


def _clusters(segments: tuple[ContactSegment, ...], partner: dict[str, str]) -> list[list[ContactSegment]]:
    """Stays of one foot on one surface that overlap, together."""
    left = sorted(segments, key=lambda s: s.start)
    out: list[list[ContactSegment]] = []
    for segment in left:
        family = {segment.group, partner[segment.group]}
        for cluster in reversed(out):
            same = cluster[0].group in family and cluster[0].surface == segment.surface
            if same and segment.start < max(s.stop for s in cluster):
                cluster.append(segment)
                break
        else:
            out.append([segment])
    return out


def _rigid(shape: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The shape, turned and shifted to lie nearest to the seen points (Kabsch)."""
    if len(shape) == 1:
        return seen
    centre, middle = shape.mean(axis=0), seen.mean(axis=0)
    left, _, right = np.linalg.svd((shape - centre).T @ (seen - middle))
    fix = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return (shape - centre) @ left @ fix @ right + middle


def _pose(
    scaled: Scaled, segment: ContactSegment, frames: np.ndarray | None = None, *, of_source: bool = False
) -> np.ndarray:
    """Poses of the segment's surface over its frames, shape ``(frames, 7)``: the robot's or the source's."""
    rows = np.arange(segment.start, segment.stop) if frames is None else frames
    moving = [thing.name for thing in scaled.scene.objects if thing.moving]
    if segment.surface in moving:
        objects = scaled.motion.objects if of_source else scaled.robot_objects
        return object_poses(objects, scaled.scene, len(scaled.motion))[rows, moving.index(segment.surface)]
    return np.tile([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], (len(rows), 1))
