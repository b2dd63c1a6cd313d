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
    """A point of the surface in the world, likewise [m]; from :class:`Anchors`, where the point has to be."""


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


@dataclass(frozen=True, eq=False)
class _Cluster:
    """Stays of one foot on one surface that overlap: one flat, rigid sole."""

    stays: tuple[ContactSegment, ...]
    points: np.ndarray
    shape: np.ndarray
    flat: bool
    frames: np.ndarray
    pose: np.ndarray
    normal: np.ndarray
    on: np.ndarray
    begins: np.ndarray


class Anchors:
    """Fixed places for the contact points of every stay.

    Toe and heel of a foot whose stays on one surface overlap get places of one flat foot, so that no stay asks for a
    shape that a rigid sole does not have.

    Args:
        scaled: the motion.
        segments: of the source.
        groups: of the robot.
        touching: of :func:`surfaces`.
    """

    def __init__(
        self,
        scaled: Scaled,
        segments: tuple[ContactSegment, ...],
        groups: tuple[ContactGroup, ...],
        touching: Touching,
    ) -> None:
        self._scaled, self._touching, self._where = scaled, touching, columns(groups)
        partner = {group.name: group.partner for group in groups}
        self._clusters = [
            self._cluster(stays, {group.name: group for group in groups}) for stays in _clusters(segments, partner)
        ]

    def __len__(self) -> int:
        return len(self._clusters)

    def _cluster(self, stays: list[ContactSegment], groups: dict[str, ContactGroup]) -> _Cluster:
        names = sorted({stay.group for stay in stays})
        points = np.concatenate([np.arange(self._where[n].start, self._where[n].stop) for n in names])
        shape = np.concatenate([[p.offset for p in groups[n].points] for n in names])
        frames = np.arange(min(s.start for s in stays), max(s.stop for s in stays))
        on = self._touching.on[np.ix_(frames, points)]
        frames = frames[on.all(axis=1)] if on.all(axis=1).any() else frames[on.any(axis=1)]
        pose = _pose(self._scaled, stays[0], frames)
        t, p = np.argwhere(self._touching.on[np.ix_(frames, points)])[0]
        normal = to_frame(pose[[t], :3] + self._touching.normal[frames[t], points[p]], pose[[t]])[0]
        place = to_frame(self._touching.place[[frames[t]], points[p]], pose[[t]])[0]
        flat = groups[stays[0].group].clearance_m == 0
        begins = np.array([_begin(stays, self._where, int(p)) for p in points])
        return _Cluster(tuple(stays), points, shape, flat, frames, pose, normal, place, begins)

    def fit(
        self, soles: np.ndarray, held: dict[int, tuple[str, np.ndarray]] | None = None, before: int = 0
    ) -> list[np.ndarray]:
        """Places, in their surfaces' frames, from where contact points are on average over each stay.

        Args:
            soles: contact points in the world, shape ``(frames, points, 3)`` [m].
            held: by contact point, the surface and the place of a stay …
            before: … that began before this frame.
        """
        return [_fitted(cluster, soles, held or {}, before) for cluster in self._clusters]

    def world(self, places: list[np.ndarray]) -> np.ndarray:
        """Where every contact point has to be in every frame, shape ``(frames, points, 3)`` [m]."""
        out = self._touching.place.copy()
        for cluster, local in zip(self._clusters, places, strict=True):
            for stay in cluster.stays:
                span, pose = slice(stay.start, stay.stop), _pose(self._scaled, stay)
                for place, column in self._own(cluster, stay, local):
                    out[span, column] = from_frame(np.repeat(place[None], len(stay), 0), pose)
        return out

    def at(self, frame: int, places: list[np.ndarray]) -> dict[int, tuple[str, np.ndarray]]:
        """Surface and place of each contact point that touches in a frame: what :meth:`fit` takes as ``held``."""
        return {
            column: (stay.surface, place)
            for cluster, local in zip(self._clusters, places, strict=True)
            for stay in cluster.stays
            if stay.start <= frame < stay.stop
            for place, column in self._own(cluster, stay, local)
        }

    def segments(self, places: list[np.ndarray], touches: np.ndarray) -> tuple[ContactSegment, ...]:
        """All stays with their places, in order of group and time.

        Args:
            places: of :meth:`fit`.
            touches: which contact point touches in which frame; a stay that was shortened is returned so.
        """
        done = []
        for cluster, local in zip(self._clusters, places, strict=True):
            for stay in cluster.stays:
                own = self._own(cluster, stay, local)
                frames = stay.start + np.flatnonzero(touches[stay.start : stay.stop, [p for _, p in own]].any(axis=1))
                if len(frames):
                    anchor = np.array([place for place, _ in own])
                    start, stop = int(frames[0]), int(frames[-1]) + 1
                    done.append(replace(stay, start=start, stop=stop, p_surface_anchor=anchor))
        return tuple(sorted(done, key=lambda s: (s.group, s.start)))

    def _own(self, cluster: _Cluster, stay: ContactSegment, local: np.ndarray) -> list[tuple[np.ndarray, int]]:
        span = self._where[stay.group]
        pairs = zip(local, cluster.points, strict=True)
        return [(place, int(p)) for place, p in pairs if span.start <= p < span.stop]


def _begin(stays: list[ContactSegment], where: dict[str, slice], point: int) -> int:
    """First frame of a point's first stay."""
    return min(stay.start for stay in stays if where[stay.group].start <= point < where[stay.group].stop)


def _fitted(cluster: _Cluster, soles: np.ndarray, held: dict[int, tuple[str, np.ndarray]], before: int) -> np.ndarray:
    seen = [to_frame(soles[cluster.frames, p], cluster.pose) for p in cluster.points]
    local = np.stack(seen, axis=1).mean(axis=0)
    going = {
        int(column): held[column][1]
        for k, column in enumerate(cluster.points)
        if cluster.begins[k] < before and column in held and held[column][0] == cluster.stays[0].surface
    }
    kept = np.array([int(column) in going for column in cluster.points])
    for k in np.flatnonzero(kept):
        local[k] = going[int(cluster.points[k])]
    if not cluster.flat or kept.all():
        return local

    def level(points: np.ndarray) -> np.ndarray:
        return points - ((points - cluster.on) @ cluster.normal)[:, None] * cluster.normal

    out = level(_rigid(cluster.shape, level(local), np.where(kept, 1e4, 1.0)))
    out[kept] = local[kept]
    return out


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


def _rigid(shape: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The shape, turned and shifted to lie nearest to the seen points (Kabsch)."""
    if len(shape) == 1:
        return seen
    centre, middle = np.average(shape, axis=0, weights=weights), np.average(seen, axis=0, weights=weights)
    left, _, right = np.linalg.svd((weights[:, None] * (shape - centre)).T @ (seen - middle))
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
