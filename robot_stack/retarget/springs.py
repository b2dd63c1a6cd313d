"""Constraints of the second pass: stiff one-sided springs whose rests move until nothing is violated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.retarget.banded import SECOND
from robot_stack.retarget.body import Sweep
from robot_stack.retarget.problem import Problem

LARGEST_SHIFT = 2e-3
"""No rest moves farther than this, so that what cannot be met does not pull ever harder [m, rad]."""

SPEED_MARGIN = 0.995
"""Share of a speed or acceleration limit that is aimed at, so that rounding stays below the limit."""


JOLT = 100.0
"""Weight of an acceleration's excess beside a speed's: second differences are smaller than first ones."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A trajectory and its geometry."""

    qpos: np.ndarray
    """Shape ``(frames, nq)``."""

    sweep: Sweep
    """Kinematics and near pairs."""

    places: np.ndarray
    """Keypoints, shape ``(frames, keypoints, 3)`` [m]."""

    soles: np.ndarray
    """Contact points, shape ``(frames, soles, 3)`` [m]."""

    first: np.ndarray
    """Tangent steps between frames, shape ``(frames - 1, nv)``."""

    second: np.ndarray
    """Their differences, shape ``(frames - 2, nv)``."""

    third: np.ndarray
    """And theirs, shape ``(frames - 3, nv)``."""


def look(problem: Problem, qpos: np.ndarray) -> Seen:
    """Kinematics, near pairs and differences of a trajectory."""
    body = problem.body
    sweep = body.sweep(qpos, problem.objects)
    first = body.between(qpos[:-1], qpos[1:])
    return Seen(
        qpos,
        sweep,
        body.places(sweep, *problem.keypoints),
        body.places(sweep, *problem.soles),
        first,
        np.diff(first, axis=0),
        np.diff(first, 2, axis=0),
    )


class Bound:
    """A limit of the joints' speeds or accelerations, with springs on both sides.

    Args:
        order: of the difference in time: 1 or 2.
        limit: of its absolute value, shape ``(nv - 6,)``.
        weight: of a squared excess beside those of other springs.
        count: how many differences there are.
    """

    def __init__(self, order: int, limit: np.ndarray, weight: float, count: int) -> None:
        self.order, self.limit, self.weight = order, limit, weight
        self.stencil = (-1.0, 1.0) if order == 1 else SECOND
        self.rest = np.zeros((max(0, count), len(limit)))

    def of(self, seen: Seen) -> np.ndarray:
        """The differences, shape ``(count, nv - 6)``."""
        return (seen.first if self.order == 1 else seen.second)[:, 6:]

    def side(self, values: np.ndarray) -> np.ndarray:
        """1 where the upper limit is exceeded, -1 where the lower one is, else 0."""
        up = values > self.limit - np.maximum(self.rest, 0.0)
        down = -values > self.limit - np.maximum(-self.rest, 0.0)
        return up.astype(np.int8) - down.astype(np.int8)

    def excess(self, values: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Signed, over the limits of the given sides; 0 where there is none."""
        return np.where(side != 0, values - side * (self.limit - np.maximum(side * self.rest, 0.0)), 0.0)


class Springs:
    """Anchors, distances, speeds and accelerations as squared violations with a weight: an augmented Lagrangian.

    A spring alone leaves a violation in proportion to what pulls at it. :meth:`shift` moves its rest by what is left,
    which makes the force the multiplier of the constraint, and the violation vanish without ever stiffer springs
    (Hestenes 1969, Powell 1969).

    Args:
        problem: anchors, limits.
        weight: of a squared violation [1/m², 1/rad²].
    """

    def __init__(self, problem: Problem, weight: float) -> None:
        self.weight = weight
        frames, body = len(problem), problem.body
        self._extra = np.ones(frames)
        self._geoms = int(body.model.ngeom)
        self.bounds = [Bound(1, SPEED_MARGIN * body.speed * problem.dt, 1.0, frames - 1)]
        if problem.acceleration is not None:
            self.bounds.append(Bound(2, SPEED_MARGIN * problem.acceleration * problem.dt**2, JOLT, frames - 2))
        self._anchor = np.zeros((*problem.touches.shape, 3))
        self._keys, self._depths = np.zeros(0, dtype=np.int64), np.zeros(0)

    def soften(self, factor: float) -> None:
        """Change the weight by a factor, and leave the forces."""
        self.weight *= factor
        for shifts in (self._anchor, self._depths, *(bound.rest for bound in self.bounds)):
            shifts /= factor

    def part(self, problem: Problem, span: slice) -> Springs:
        """Those of a stretch of frames, with weights and rests as they are here."""
        out = Springs(problem.part(span), self.weight)
        frames = self._keys // self._geoms**2
        inside = (frames >= span.start) & (frames < span.stop)
        out._keys = self._keys[inside] - span.start * self._geoms**2
        out._depths, out._extra = self._depths[inside].copy(), self._extra[span].copy()
        out._anchor = self._anchor[span].copy()
        for theirs, own in zip(out.bounds, self.bounds, strict=True):
            theirs.rest = own.rest[span.start : span.stop - own.order].copy()
        return out

    def stiffen(self, frames: np.ndarray, factor: float, most: float) -> None:
        """Grow the weight of some frames (``(frames,)``, bool), at most to ``most`` times the others'."""
        grown = np.where(frames, np.minimum(factor, most / self._extra), 1.0)
        self._extra *= grown
        self._anchor /= grown[:, None, None]
        self._depths /= grown[self._keys // self._geoms**2]

    def by_frame(self) -> np.ndarray:
        """Weight of anchors and distances in each frame, shape ``(frames,)``."""
        return self.weight * self._extra

    def away(self, problem: Problem, seen: Seen) -> np.ndarray:
        """Contact points from the rests of their anchors' springs, shape ``(frames, soles, 3)`` [m]."""
        return np.where(problem.touches[..., None], seen.soles - problem.on + self._anchor, 0.0)

    def depth(self, sweep: Sweep) -> np.ndarray:
        """How far each near pair is inside its rest, negative where it is free, shape ``(pairs,)`` [m]."""
        if not len(self._keys):
            return -sweep.distance
        keys = self._key(sweep)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, self._depths[at], 0.0) - sweep.distance

    def cost(self, problem: Problem, seen: Seen) -> np.ndarray:
        """By frame, shape ``(frames,)``."""
        depth = np.maximum(self.depth(seen.sweep), 0.0)
        out = np.sum(self.away(problem, seen) ** 2, axis=(1, 2))
        out += np.bincount(seen.sweep.frame, depth**2, len(out))
        out *= self._extra
        for bound in self.bounds:
            values = bound.of(seen)
            out[1 : len(values) + 1] += bound.weight * np.sum(bound.excess(values, bound.side(values)) ** 2, axis=1)
        return self.weight * out

    def shift(self, problem: Problem, seen: Seen) -> None:
        """Move every rest by the violation that is left."""
        depth, keys = self.depth(seen.sweep), self._key(seen.sweep)
        active = depth > 0.0
        # Several contacts of one pair share the deepest one's rest.
        order = np.lexsort((-depth[active], keys[active]))
        self._keys, where = np.unique(keys[active][order], return_index=True)
        self._depths = np.minimum(depth[active][order][where], LARGEST_SHIFT)
        self._anchor = np.clip(self.away(problem, seen), -LARGEST_SHIFT, LARGEST_SHIFT)
        for bound in self.bounds:
            values = bound.of(seen)
            bound.rest = np.clip(bound.excess(values, bound.side(values)), -0.1, 0.1)

    def _key(self, sweep: Sweep) -> np.ndarray:
        first, second = sweep.geoms.astype(np.int64).T
        return (sweep.frame * self._geoms + first) * self._geoms + second


def miss(problem: Problem, seen: Seen) -> np.ndarray:
    """Largest violation of an anchor or a distance in each frame, or slip since the one before, ``(frames,)`` [m]."""
    off = np.where(problem.touches[..., None], seen.soles - problem.on, 0.0)
    slip = np.where((problem.touches[1:] & problem.touches[:-1])[..., None], np.diff(off, axis=0), 0.0)
    out = np.linalg.norm(off, axis=2).max(axis=1, initial=0.0)
    out[1:] = np.maximum(out[1:], np.linalg.norm(slip, axis=2).max(axis=1, initial=0.0))
    np.maximum.at(out, seen.sweep.frame, -seen.sweep.distance)
    return out


def too_fast(problem: Problem, seen: Seen) -> np.ndarray:
    """Largest excess over a speed limit, or ten times that over an acceleration limit, in a frame's step [rad]."""
    body, out = problem.body, np.zeros(len(seen.qpos))
    out[1:] = (np.abs(seen.first[:, 6:]) - body.speed * problem.dt).max(axis=1, initial=0.0)
    if problem.acceleration is not None:
        over = np.abs(seen.second[:, 6:]) - problem.acceleration * problem.dt**2
        out[1:-1] = np.maximum(out[1:-1], 10.0 * over.max(axis=1, initial=0.0))
    return out
