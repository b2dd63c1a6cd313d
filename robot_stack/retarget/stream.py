"""Retargeting while the motion goes on: a window of bounded length slides over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.errors import ConfigError, ShapeError
from robot_stack.retarget.anchors import surfaces
from robot_stack.retarget.body import Body
from robot_stack.retarget.contacts import RestMemory, detect
from robot_stack.retarget.frame_pass import FramePass
from robot_stack.retarget.interaction import mesh_energies
from robot_stack.retarget.metrics import figures
from robot_stack.retarget.motion import Motion, MotionError, ObjectMotion
from robot_stack.retarget.problem import Problem
from robot_stack.retarget.result import ContactSegment, Retargeted, Violations
from robot_stack.retarget.retargeter import EMPTY, Retargeter
from robot_stack.retarget.scaling import Scaled, scale_all
from robot_stack.retarget.scene import Scene
from robot_stack.retarget.starts import starts
from robot_stack.retarget.trajectory_pass import TrajectoryPass

SEAM = 3
"""Finished frames at the beginning of every window, which do not move: as far as differences in time reach."""


@dataclass(frozen=True)
class StreamRule:
    """How long the window is; a frame is finished ``ahead_s`` to ``ahead_s + hop_s`` after it came in."""

    ahead_s: float = 1.0
    """So much of the motion after a frame is seen before it is finished [s]."""

    hop_s: float = 0.5
    """So much is finished at a time [s]."""

    context_s: float = 2.0
    """So much of the finished motion still helps to tell contacts [s]."""

    softness: float = 0.2
    """As the second pass's, for windows that begin near their solution."""

    iterations: int = 8
    """Likewise."""

    windowed_iterations: int = 12
    """Likewise."""

    longest_gap_s: float = 0.25
    """A point that is not seen for no longer than this stays where it was [s]."""

    def __post_init__(self) -> None:
        if min(self.ahead_s, self.hop_s, self.context_s) <= 0:
            raise ConfigError("the window of a stream must have positive lengths", got=self)


class StreamingRetargeter:
    """Takes one frame of a motion after the other, and returns the robot's in pieces, each finished for good.

    Memory and time for a frame do not depend on how long the motion is. Frames of a window are solved as the whole
    motion is offline; what is finished stays, and so do the places of stays that began in it. The velocity of a
    piece's last frame looks ahead to where the next frame was expected.

    Args:
        retargeter: robot, keypoints, settings.
        like: says names, keypoints, rate and height of the motion to come; its frames are not used.
        scene: at the source's size.
        rule: the window.

    Example:
        >>> stream = StreamingRetargeter(Retargeter(UNITREE_G1, table), like=motion, scene=scene)
        >>> for points in live():
        ...     piece = stream.push(points)
        ...     if piece is not None:
        ...         robot.follow(piece.qpos)
        >>> rest = stream.finish()
    """

    def __init__(
        self, retargeter: Retargeter, like: Motion, scene: Scene = EMPTY, rule: StreamRule = StreamRule()
    ) -> None:
        self.rule = rule
        self.finished = 0
        """Frames that have been returned."""
        trajectory = replace(
            retargeter.rule.trajectory,
            softness=rule.softness,
            iterations=rule.iterations,
            windowed_iterations=rule.windowed_iterations,
        )
        self._retargeter, self._scene, self._trajectory = retargeter, scene, trajectory
        self._like = _cut(like, slice(0, 0))
        self._moving = tuple(thing.name for thing in scene.objects if thing.moving)
        first = scale_all(self._like, scene, retargeter.table)
        self._body = Body(retargeter.spec, first.robot_scene)
        self._hop, self._ahead = (max(1, round(s * like.fps)) for s in (rule.hop_s, rule.ahead_s))
        self._memory = RestMemory()
        self._points: list[np.ndarray] = []
        self._objects: list[np.ndarray] = []
        self._first = 0  # number of the oldest frame that is kept
        self._remembered = 0  # frames that contacts have been looked for in
        self._unseen = np.zeros(len(like.names), dtype=int)
        self._qpos = np.zeros((0, self._body.nq))  # from SEAM frames before the first unfinished one
        count = len(retargeter.keypoint_names(like))
        self._gram, self._optimum = np.zeros((0, count, count)), np.zeros((0, count, 3))
        self._held: dict[int, tuple[str, np.ndarray]] = {}

    @property
    def latency_s(self) -> float:
        """From when a frame comes in to when it is returned, at most, not counting computation [s]."""
        return (self._ahead + self._hop) / self._like.fps

    def push(self, points: np.ndarray, objects: np.ndarray | None = None) -> Retargeted | None:
        """Take a frame, and return what it finished, if anything.

        Args:
            points: all points of the source in the world, shape ``(points, 3)`` [m]; NaN where not seen.
            objects: poses of the scene's objects that move, in its order, shape ``(objects, 7)``.

        Raises:
            ShapeError: if shapes differ from the motion's that was announced.
            MotionError: if a keypoint is not there for too long.
        """
        self._points.append(self._filled(points))
        poses = np.zeros((0, 7)) if objects is None else np.asarray(objects, dtype=np.float64)
        if poses.shape != (len(self._moving), 7) or not np.isfinite(poses).all():
            raise ShapeError(
                "poses of objects do not fit the scene", got=poses.shape, expected=f"finite ({len(self._moving)}, 7)"
            )
        self._objects.append(poses)
        if self._first + len(self._points) - self.finished < self._ahead + self._hop:
            return None
        return self._advance(self._hop)

    def finish(self) -> Retargeted | None:
        """The rest, when no more frames come; None if there is none.

        Raises:
            MotionError: if the whole motion has fewer than four frames.
        """
        left = self._first + len(self._points) - self.finished
        return self._advance(left) if left else None

    def _filled(self, points: np.ndarray) -> np.ndarray:
        points = np.array(points, dtype=np.float64)
        if points.shape != (len(self._like.names), 3):
            raise ShapeError("a frame has the wrong shape", got=points.shape, expected=f"({len(self._like.names)}, 3)")
        gone = np.logical_not(np.isfinite(points).all(axis=1))
        self._unseen = np.where(gone, self._unseen + 1, 0)
        used = [self._like.names.index(name) for name in self._like.keypoint_names.values()]
        lost = [self._like.names[i] for i in used if gone[i] and (self._unseen[i] > self._longest or not self._points)]
        if lost:
            raise MotionError(
                "points of a live motion are not seen",
                where=f"frame {self._first + len(self._points)}",
                got=", ".join(lost),
                expected=f"gaps of at most {self.rule.longest_gap_s} s, none in the first frame",
            )
        if gone.any():
            points[gone] = self._points[-1][gone] if self._points else 0.0
        return points

    @property
    def _longest(self) -> int:
        return round(self.rule.longest_gap_s * self._like.fps)

    def _advance(self, count: int) -> Retargeted:
        """Solve the window and finish its first ``count`` unfinished frames."""
        robot, seam = self._retargeter, min(SEAM, self.finished)
        motion = self._buffer()
        robot.check(motion, self._scene)
        begin = self.finished - seam - self._first  # of the window in the buffer
        found = detect(
            motion, self._scene, robot.table.contacts, robot.rule.contact, self._memory, self._remembered - self._first
        )
        self._remembered = self._first + len(motion)
        segments = self._in_window(found, begin, seam)
        scaled = scale_all(_cut(motion, slice(begin, None)), self._scene, robot.table)
        problem = self._problem(scaled, segments)
        first = FramePass(problem, robot.rule.frame)
        qpos = first.follow(self._qpos) if len(self._qpos) else first.solve(starts(problem))
        anchors = robot.anchors(scaled, problem, segments)
        second = TrajectoryPass(problem, anchors, self._trajectory, fixed=seam, given=self._held)
        qpos = second.solve(qpos)
        segments = anchors.segments(second.places, second.problem.touches)
        done = slice(seam, seam + count)
        whole = robot.result(scaled.motion, scaled, second.problem, segments, qpos)
        piece = whole.part(done)
        sweep = self._body.sweep(piece.qpos, second.problem.objects[done])
        piece = replace(piece, metrics=figures(second.problem.part(done), piece, sweep))
        last = second.problem.touches[done.stop - 1]
        self._held = {p: held for p, held in anchors.at(done.stop - 1, second.places).items() if last[p]}
        self._forget(qpos, seam, count)
        return piece

    def _buffer(self) -> Motion:
        objects = np.array(self._objects).reshape(len(self._points), len(self._moving), 7)
        moved = tuple(ObjectMotion(name, objects[:, k, :3], objects[:, k, 3:]) for k, name in enumerate(self._moving))
        return replace(self._like, positions=np.array(self._points), objects=moved)

    def _in_window(self, found: tuple[ContactSegment, ...], begin: int, seam: int) -> tuple[ContactSegment, ...]:
        """Stays in frames of the window. None begins in what is finished unless it was known there."""
        columns, start = {}, 0
        for group in self._retargeter.table.contacts:
            columns[group.name] = range(start, start + len(group.points))
            start += len(group.points)
        out = []
        for stay in found:
            known = any(self._held.get(p, ("", None))[0] == stay.surface for p in columns[stay.group])
            first = max(stay.start - begin, 0 if known else seam)
            if stay.stop - begin - first >= 2:
                out.append(replace(stay, start=first, stop=stay.stop - begin))
        return tuple(out)

    def _problem(self, scaled: Scaled, segments: tuple[ContactSegment, ...]) -> Problem:
        """The window's, with energies computed once for each frame."""
        robot, known = self._retargeter, len(self._gram)
        new = replace(scaled, motion=_cut(scaled.motion, slice(known, None)))
        gram, optimum = mesh_energies(new, robot.keypoint_names(self._like), robot.rule.mesh)
        self._gram = np.concatenate([self._gram, gram])
        self._optimum = np.concatenate([self._optimum, optimum])
        touching = surfaces(scaled, segments, robot.table.contacts)
        return robot.problem(scaled, touching, self._body, (self._gram, self._optimum))

    def _forget(self, qpos: np.ndarray, seam: int, count: int) -> None:
        self.finished += count
        drop = seam + count - min(SEAM, self.finished)
        self._qpos, self._gram, self._optimum = qpos[drop:], self._gram[drop:], self._optimum[drop:]
        keep = max(self.finished - max(SEAM, round(self.rule.context_s * self._like.fps)), 0)
        del self._points[: keep - self._first], self._objects[: keep - self._first]
        self._first = keep


def stream(
    retargeter: Retargeter, motion: Motion, scene: Scene = EMPTY, rule: StreamRule = StreamRule()
) -> Iterator[Retargeted]:
    """A whole motion in pieces, with memory that does not grow.

    Args:
        retargeter: robot, keypoints, settings.
        motion: the source.
        scene: at the source's size.
        rule: the window.
    """
    live = StreamingRetargeter(retargeter, motion, scene, rule)
    by_name = {thing.name: thing for thing in motion.objects}
    moving = [by_name[thing.name] for thing in scene.objects if thing.moving]
    for t, points in enumerate(motion.positions):
        poses = [np.concatenate([o.p_world_object[t], o.q_world_object[t]]) for o in moving]
        if (piece := live.push(points, np.array(poses).reshape(-1, 7))) is not None:
            yield piece
    if (piece := live.finish()) is not None:
        yield piece


def joined(pieces: Iterable[Retargeted]) -> Retargeted:
    """Pieces of a stream as one motion.

    Stays that go on from one piece to the next are one. Metrics are the largest, the mean over frames, or the root mean
    square, as their names say.
    """
    all_pieces = list(pieces)
    if not all_pieces:
        raise MotionError("there are no pieces to join")
    first, offset = all_pieces[0], 0
    stays: list[ContactSegment] = []
    for piece in all_pieces:
        stays = _with(stays, piece.contacts, offset)
        offset += len(piece)
    arrays = {
        name: np.concatenate([getattr(piece, name) for piece in all_pieces])
        for name in ("qpos", "qvel", "p_world_target", "p_world_keypoint", "mesh_energy")
    }
    violations = {
        name: np.concatenate([vars(piece.violations)[name] for piece in all_pieces]) for name in vars(first.violations)
    }
    objects = tuple(
        ObjectMotion(
            thing.name,
            np.concatenate([piece.objects[k].p_world_object for piece in all_pieces]),
            np.concatenate([piece.objects[k].q_world_object for piece in all_pieces]),
        )
        for k, thing in enumerate(first.objects)
    )
    weights = np.array([len(piece) for piece in all_pieces]) / offset
    return replace(
        first,
        **arrays,
        violations=Violations(**violations),
        contacts=tuple(sorted(stays, key=lambda s: (s.group, s.start))),
        objects=objects,
        metrics={
            name: _together(name, np.array([piece.metrics[name] for piece in all_pieces]), weights)
            for name in first.metrics
        },
        notes=tuple(dict.fromkeys(note for piece in all_pieces for note in piece.notes)),
    )


def _with(stays: list[ContactSegment], more: tuple[ContactSegment, ...], offset: int) -> list[ContactSegment]:
    out = list(stays)
    for stay in more:
        moved = replace(stay, start=stay.start + offset, stop=stay.stop + offset)
        for k, old in enumerate(out):
            same = (old.group, old.surface, old.stop) == (moved.group, moved.surface, moved.start)
            if same and np.abs(old.p_surface_anchor - moved.p_surface_anchor).max() < 1e-6:
                out[k] = replace(old, stop=moved.stop)
                break
        else:
            out.append(moved)
    return out


def _together(name: str, values: np.ndarray, weights: np.ndarray) -> float:
    if "max" in name:
        return float(values.max())
    if name.endswith("rms"):
        return float(np.sqrt(np.sum(weights * values**2)))
    return float(np.sum(weights * values))


def _cut(motion: Motion, span: slice) -> Motion:
    moved = tuple(ObjectMotion(o.name, o.p_world_object[span], o.q_world_object[span]) for o in motion.objects)
    return replace(motion, positions=motion.positions[span], objects=moved)
