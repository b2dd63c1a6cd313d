"""Many motions of a robot from one demonstration: other objects, other places, other terrain, with the same contacts.

After OmniRetarget (arXiv 2509.26633, section IV-D): the mesh of the source stays and is seen from the object; the
robot's object starts elsewhere and comes back to its own path once it moves; base and legs are held near the motion
that the robot has without any change, the less the farther out along the leg.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.body import Body
from robot_stack.retarget.contacts import from_frame
from robot_stack.retarget.motion import Motion, ObjectMotion
from robot_stack.retarget.result import Retargeted
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.scaling import Scaled, Target, scale_all
from robot_stack.retarget.scene import Scene, SceneObject
from robot_stack.retarget.variation import ObjectChange, Variation, VariationRanges


@dataclass(frozen=True)
class AugmentRule:
    """How changes fade, and what is held."""

    shift_decay_s: float = 1.67
    """Time constant with which a shift fades while the object moves [s]; 50 frames of the open implementation."""

    turn_decay_s: float = 0.83
    """Likewise of a turn; 25 frames there."""

    hold: float = 2.0
    """Cost of a squared step of the base away from the unchanged motion [1/rad², 1/m²], where the mesh's energy counts
    1; the open implementation has 5 against 10. With less the feet walk to where the object is, with more the hands
    have to do it alone."""

    hold_depth: float = 4.0
    """The cost falls to 1/e over so many joints out along a leg."""

    moved_m: float = 0.005
    """An object has moved when it did so by more in a frame, or turned its weight in radians [m]."""


class Augmenter:
    """Retargets one motion to changed scenes.

    Args:
        retargeter: for one robot. Another embodiment is another retargeter.
        motion: the source.
        scene: at the source's size.
        rule: settings.
        nominal: what the retargeter makes of the unchanged scene; made here when left out.

    Example:
        >>> augmenter = Augmenter(Retargeter(UNITREE_G1, KEYPOINT_TABLES["unitree_g1"]), motion, scene)
        >>> moved = augmenter(Variation({"box": ObjectChange(shift_m=(0.1, 0.0))}))
        >>> for variation, result in augmenter.series(VariationRanges(), seed=0, count=10): ...
    """

    def __init__(
        self,
        retargeter: Retargeter,
        motion: Motion,
        scene: Scene,
        rule: AugmentRule = AugmentRule(),
        nominal: Retargeted | None = None,
    ) -> None:
        if not scene.objects:
            raise ConfigError("a scene without objects has nothing to change", where=motion.source)
        self.retargeter, self.motion, self.scene, self.rule = retargeter, motion, scene, rule
        self.nominal = retargeter(motion, scene) if nominal is None else nominal

    def __call__(self, variation: Variation) -> Retargeted:
        """The robot's motion in a changed scene; its notes say what was changed.

        Raises:
            UnknownNameError: if the scene has no object of a name.
            ConfigError: if something that moves is tilted.
        """
        return self.retargeter(self.motion, self.scene, self.scaled(variation))

    def series(self, ranges: VariationRanges, seed: int, count: int) -> Iterator[tuple[Variation, Retargeted]]:
        """Results of drawn variations, one after the other.

        Args:
            ranges: what they are drawn from.
            seed: same seed, same series.
            count: how many.
        """
        for number in range(count):
            variation = ranges.sample(self.scene, seed, number)
            yield variation, self(variation)

    def scaled(self, variation: Variation) -> Scaled:
        """The motion at the robot's size with the changed scene, for the retargeter."""
        variation.check(self.scene)
        scaled = scale_all(self.motion, self.scene, self.retargeter.table)
        things, objects, maps = [], [], {}
        paths = {thing.name: thing for thing in scaled.motion.objects}
        for thing in scaled.scene.objects:
            change = variation.of(thing.name)
            if thing.moving:
                affine = np.column_stack([np.diag(change.stretch), np.zeros(3)])
                changed = thing.mapped(affine)
                objects.append(self._path(paths[thing.name], thing, changed, change))
            else:
                affine = _standing(thing, change)
                changed = _founded(thing.mapped(affine), change)
            things.append(changed)
            if not change.nothing:
                maps[thing.name] = affine
        scene = replace(scaled.scene, objects=tuple(things))
        weight = np.tile(self._hold(), (len(self.motion), 1))
        target = Target(scene, tuple(objects), maps, self.nominal.qpos, weight)
        return replace(scaled, target=target, why=f"{scaled.why}; {variation.text()}")

    def _path(self, path: ObjectMotion, before: SceneObject, after: SceneObject, change: ObjectChange) -> ObjectMotion:
        """Where a changed object goes: elsewhere at first, then back to its own path while it moves."""
        pose = np.concatenate([path.p_world_object, path.q_world_object], axis=1)
        step = np.linalg.norm(np.diff(pose, axis=0), axis=1)
        fps = self.motion.fps
        moves = np.concatenate([[0.0], step > self.rule.moved_m * 30.0 / fps])
        while_moving = np.cumsum(moves) / fps
        shift = np.exp(-while_moving / self.rule.shift_decay_s)[:, None] * (*change.shift_m, 0.0)
        half = 0.5 * np.exp(-while_moving / self.rule.turn_decay_s) * change.turn_rad
        turn = np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=1)
        # What stands on something at first goes on standing on it, whatever its size.
        lowest = [from_frame(t.vertices, np.repeat(pose[:1], len(t.vertices), 0))[:, 2].min() for t in (before, after)]
        lift = np.array([0.0, 0.0, lowest[0] - lowest[1]])
        return ObjectMotion(path.name, path.p_world_object + shift + lift, _times(turn, path.q_world_object))

    def _hold(self) -> np.ndarray:
        """Cost of a squared step away from the unchanged motion, shape ``(nv,)``: base and legs, less along the leg."""
        body, table = Body(self.retargeter.spec, Scene()), self.retargeter.table
        model, out = body.model, np.zeros(body.nv)
        out[:6] = self.rule.hold
        feet = {table.keypoints[n].body for n in table.names if n.endswith(("_ankle", "_toe"))}
        for name in feet:
            chain, number = [], body.robot.body(name)
            while number != body.robot.root:
                first, count = int(model.body_dofadr[number]), int(model.body_dofnum[number])
                chain += list(range(first, first + count))[::-1]
                number = int(model.body_parentid[number])
            for depth, dof in enumerate(chain[::-1], start=1):
                out[dof] = self.rule.hold * np.exp(-depth / self.rule.hold_depth)
        return out


def _standing(thing: SceneObject, change: ObjectChange) -> np.ndarray:
    """Affine map of the world for what does not move, about the point of the ground below its middle."""
    middle = 0.5 * (thing.vertices.min(axis=0) + thing.vertices.max(axis=0)) * (1.0, 1.0, 0.0)
    c, s = np.cos(change.turn_rad), np.sin(change.turn_rad)
    linear = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ np.diag(change.stretch)
    linear[2, :2] = np.array(change.tilt) @ linear[:2, :2]
    return np.column_stack([linear, middle - linear @ middle + (*change.shift_m, 0.0)])


def _founded(thing: SceneObject, change: ObjectChange) -> SceneObject:
    """Without a gap below what a tilt has lifted off the ground."""
    if not any(change.tilt):
        return thing
    low = thing.vertices * (1.0, 1.0, 0.0) + (0.0, 0.0, thing.vertices[:, 2].min())
    return SceneObject.convex(thing.name, np.concatenate([thing.vertices, low]))


def _times(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Products of quaternions wxyz, ``(n, 4)``."""
    w, v, s, u = p[:, :1], p[:, 1:], q[:, :1], q[:, 1:]
    return np.concatenate([w * s - np.sum(v * u, axis=1, keepdims=True), w * u + s * v + np.cross(v, u)], axis=1)
