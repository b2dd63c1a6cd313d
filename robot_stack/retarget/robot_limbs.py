"""The limbs of a robot as geometry shows them: which bodies stand on the ground, which chains are legs, which arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_stack.core.errors import RobotStackError
from robot_stack.sim.render import import_mujoco

LOW_M = 0.03
"""Bodies that reach within this of the lowest point are feet [m]."""

LEAST_JOINTS = 3
"""A limb has at least as many, on two bodies or more."""


class LimbError(RobotStackError):
    """A robot's limbs cannot be told from its model."""


@dataclass(frozen=True, eq=False)
class Limb:
    """A chain of bodies that belongs to one side, from the trunk outwards."""

    side: str
    """``"left"`` or ``"right"``, by y in the frame of the base at home."""

    bodies: tuple[int, ...]
    """Numbers of its jointed bodies, from the trunk to the foot or palm."""

    foot: bool
    """Whether it stands on the ground at home."""

    p_base: np.ndarray
    """Where its first joint is, in the base's frame at home, shape ``(3,)`` [m]."""

    tip_base: np.ndarray
    """Where it ends: the middle of the last body's lowest geom for a foot, of all its geoms for a hand, likewise."""

    def middle(self, places: np.ndarray) -> int:
        """Which of :attr:`bodies` is the knee or elbow: as far as can be from both ends.

        Args:
            places: of all bodies, shape ``(bodies, 3)`` [m].
        """
        joints = places[list(self.bodies)]
        if len(joints) == 2:
            return 1
        end = joints[-1] if self.jointed_end(places) else self.tip_base
        reach = np.minimum(np.linalg.norm(joints - joints[0], axis=1), np.linalg.norm(joints - end, axis=1))
        return int(np.argmax(reach))

    def jointed_end(self, places: np.ndarray) -> bool:
        """Whether foot or palm turn on joints of their own (an ankle, a wrist), near its end."""
        joints = places[list(self.bodies)]
        length = np.linalg.norm(np.diff(np.concatenate([joints, self.tip_base[None]]), axis=0), axis=1)
        return bool(length[-1] < 0.6 * length.max())


class Anatomy:
    """Bodies and geoms of a robot at home, in the frame of its base.

    Args:
        model: a ``mujoco.MjModel`` with the robot in it.
        qpos: the robot at home, shape ``(nq,)``.
        root: number of the base's body.
    """

    def __init__(self, model: Any, qpos: np.ndarray, root: int) -> None:
        self._mujoco = import_mujoco()
        self.model, self.root = model, root
        data = self._mujoco.MjData(model)
        data.qpos[:] = qpos
        self._mujoco.mj_kinematics(model, data)
        base = data.xmat[root].reshape(3, 3)
        self.places = (data.xpos - data.xpos[root]) @ base
        """Bodies, shape ``(bodies, 3)`` [m]."""
        self.turns = np.einsum("ji,bjk->bik", base, data.xmat.reshape(-1, 3, 3))
        """Their axes, shape ``(bodies, 3, 3)``."""
        self._geom_places = (data.geom_xpos - data.xpos[root]) @ base
        self._geom_turns = np.einsum("ji,gjk->gik", base, data.geom_xmat.reshape(-1, 3, 3))
        self.jointed = [b for b in range(model.nbody) if b != root and self._under(b) and model.body_jntnum[b] > 0]

    def name(self, body: int) -> str:
        """Name of a body."""
        return str(self.model.body(body).name)

    def joint_names(self, body: int) -> list[str]:
        """Names of a body's joints."""
        first, count = int(self.model.body_jntadr[body]), int(self.model.body_jntnum[body])
        return [str(self.model.joint(j).name) for j in range(first, first + count)]

    def local(self, body: int, place: np.ndarray) -> np.ndarray:
        """A place of the base's frame in the frame of a body, shape ``(3,)`` [m]."""
        return self.turns[body].T @ (place - self.places[body])

    def geoms(self, body: int) -> list[int]:
        """What of a body, and of bodies fixed to it, can touch; all that can be seen where nothing can."""
        own = [b for b in range(self.model.nbody) if self._carrier(b) == body]
        found = [int(g) for g in np.flatnonzero(np.isin(self.model.geom_bodyid, own))]
        solid = [g for g in found if self.model.geom_contype[g] or self.model.geom_conaffinity[g]]
        return solid or found

    def span(self, geom: int) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner of a geom in the base's frame, each of shape ``(3,)`` [m]."""
        kinds, kind = self._mujoco.mjtGeom, int(self.model.geom_type[geom])
        size, turn, middle = self.model.geom_size[geom], self._geom_turns[geom], self._geom_places[geom]
        if kind == kinds.mjGEOM_SPHERE.value:
            half = np.full(3, size[0])
        elif kind == kinds.mjGEOM_CAPSULE.value:
            half = np.abs(turn[:, 2]) * size[1] + size[0]
        else:
            box = self.model.geom_aabb[geom]
            middle, half = middle + turn @ box[:3], np.abs(turn) @ box[3:]
        return middle - half, middle + half

    def spans(self, body: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Corners of everything on a body; ``None`` when there is nothing."""
        found = [self.span(g) for g in self.geoms(body)]
        if not found:
            return None
        return np.min([low for low, _ in found], axis=0), np.max([high for _, high in found], axis=0)

    def lowest(self, body: int) -> float:
        """Lowest point of a body [m]."""
        span = self.spans(body)
        return float(self.places[body, 2] if span is None else span[0][2])

    def top(self, without: set[int]) -> float:
        """Highest point of all geoms but those of some bodies [m]."""
        model, highest = self.model, 0.0
        for geom in range(model.ngeom):
            body = int(model.geom_bodyid[geom])
            if (body == self.root or self._under(body)) and self._carrier(body) not in without:
                highest = max(highest, float(self.span(geom)[1][2]))
        return highest

    def limbs(self) -> list[Limb]:
        """Legs and arms, feet first, then from front to back, left before right.

        Raises:
            LimbError: if there are no two or four feet, as many on each side.
        """
        if not self.jointed:
            raise LimbError("a robot has no joints", where=self.name(self.root))
        low = {b: self.lowest(b) for b in self.jointed}
        floor = min(low.values())
        feet = [b for b in self.jointed if low[b] < floor + LOW_M and self._long(self._chain(b))]
        feet = [b for b in feet if not any(other != b and b in self._chain(other) for other in feet)]
        sides = [self._side(b) for b in feet]
        if len(feet) not in (2, 4) or sides.count("left") != sides.count("right"):
            raise LimbError(
                "a robot's feet cannot be told from its model",
                where=self.name(self.root),
                got=", ".join(f"{self.name(b)} ({s})" for b, s in zip(feet, sides, strict=True)) or "none",
                expected="two or four bodies that reach the ground at home, as many on the left as on the right",
                remedy="give the MJCF a keyframe 'home' in which it stands, or write the keypoint table by hand",
            )
        hands = [] if len(feet) == 4 else self._hands(feet)
        ends = feet + hands
        limbs = [self._limb(b, ends, foot=b in feet) for b in ends]
        return sorted(limbs, key=lambda m: (not m.foot, -round(float(m.p_base[0]), 1), m.side))

    def _hands(self, feet: list[int]) -> list[int]:
        """The last bodies of arms: before fingers part, one on each side, those with the most joints."""
        legs = {b for foot in feet for b in self._chain(foot)}
        best: dict[str, int] = {}
        for body in self.jointed:
            chain = self._chain(body)
            # Trunk and waist belong to both sides, arms do not.
            own = [b for b in chain if b not in legs and abs(self.places[b, 1]) > 0.02]
            parts = [b for b in own[:-1] if len(self._children(b)) > 1]
            if not self._long(own) or parts or set(chain) & legs:
                continue
            side = self._side(body)
            if side not in best or len(chain) > len(self._chain(best[side])):
                best[side] = body
        return [best[s] for s in ("left", "right") if s in best] if len(best) == 2 else []

    def _limb(self, end: int, ends: list[int], *, foot: bool) -> Limb:
        others = {b for other in ends if other != end for b in self._chain(other)}
        bodies = tuple(b for b in self._chain(end) if b not in others)
        if foot:
            geoms = self.geoms(end)
            lowest = min(geoms, key=lambda g: self.span(g)[0][2]) if geoms else None
            tip = self.places[end] if lowest is None else np.mean(self.span(lowest), axis=0)
        else:
            span = self.spans(end)
            tip = self.places[end] if span is None else np.mean(span, axis=0)
        return Limb(self._side(end), bodies, foot, self.places[bodies[0]], tip)

    def far(self, body: int) -> tuple[np.ndarray, float] | None:
        """Middle of a body's geom that is farthest from its joint, and half the geom's thickness [m]."""
        spans = [self.span(g) for g in self.geoms(body)]
        if not spans:
            return None
        low, high = max(spans, key=lambda s: float(np.linalg.norm(np.mean(s, axis=0) - self.places[body])))
        return 0.5 * (low + high), 0.5 * float((high - low).min())

    def _long(self, chain: list[int]) -> bool:
        """Whether a chain of bodies has enough joints for a limb."""
        return len(chain) > 1 and sum(int(self.model.body_jntnum[b]) for b in chain) >= LEAST_JOINTS

    def _side(self, body: int) -> str:
        return "left" if self.places[body, 1] > 0 else "right"

    def _chain(self, body: int) -> list[int]:
        """Jointed bodies from the base to a body."""
        out: list[int] = []
        while body not in (0, self.root):
            if self.model.body_jntnum[body]:
                out.append(body)
            body = int(self.model.body_parentid[body])
        return out[::-1]

    def _children(self, body: int) -> list[int]:
        """Jointed bodies that hang on a body directly."""
        return [b for b in self.jointed if (chain := self._chain(b))[-2:-1] == [body] and chain[-1] == b]

    def _carrier(self, body: int) -> int:
        """The jointed body (or the base) that a body is fixed to."""
        while body and body != self.root and not self.model.body_jntnum[body]:
            body = int(self.model.body_parentid[body])
        return body

    def _under(self, body: int) -> bool:
        return int(self.model.body_rootid[body]) == int(self.model.body_rootid[self.root]) and body != 0
