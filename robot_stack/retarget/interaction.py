"""Mesh energies of every frame of a motion in its scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_stack.retarget.contacts import from_frame, object_poses, to_frame
from robot_stack.retarget.mesh import laplacian, neighbours, reduce
from robot_stack.retarget.progress import EVERY, Listener, StepProgress, unheard
from robot_stack.retarget.scaling import Scaled, Target


@dataclass(frozen=True)
class MeshRule:
    """What the interaction mesh is made of."""

    samples: int = 100
    """Points on objects and terrain; OmniRetarget's open implementation has 100."""

    grid: int = 15
    """Points along each side of the ground grid when there are no objects; likewise."""

    distance_weights: bool = False
    """Whether near neighbours count more; OmniRetarget's open implementation does not."""

    seed: int = 0
    """Of the surface samples."""


def mesh_energies(
    scaled: Scaled, names: tuple[str, ...], rule: MeshRule, listen: Listener = unheard
) -> tuple[np.ndarray, np.ndarray]:
    """The reduced energy of every frame.

    Args:
        scaled: the motion and its scene.
        names: keypoints of source and robot.
        rule: settings.
        listen: told how far it is.

    Returns:
        Matrices ``(frames, points, points)`` and optima ``(frames, points, 3)`` [m].
    """
    source, samples, fixed_samples = _corners(scaled, names, rule)
    gram = np.empty((len(source), len(names), len(names)))
    optimum = np.empty_like(source)
    for t, fixed in enumerate(fixed_samples):
        if t % EVERY == 0:
            listen(StepProgress("interaction mesh", t, len(source)))
        corners = np.concatenate([source[t], samples[t]])
        matrix = laplacian(neighbours(corners), corners if rule.distance_weights else None)
        energy = reduce(matrix, corners, fixed, len(names))
        gram[t], optimum[t] = energy.gram, energy.optimum
    if not samples.shape[1]:
        # A mesh of the body alone leaves its place open: that of the source's middle is asked for.
        gram += 1.0 / len(names) ** 2
    return gram, optimum


def _corners(scaled: Scaled, names: tuple[str, ...], rule: MeshRule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mesh corners: body, and scene as the source has it, and scene as the robot has it; in the robot's world.

    Where the robot's object lies elsewhere than the source's, the source is seen from the first object that moves,
    so that its Laplacian coordinates turn with it (the paper's mesh in the object's frame).
    """
    source = scaled.motion.keypoints(names)
    objects = object_poses(scaled.robot_objects, scaled.scene, len(source))
    before = object_poses(scaled.motion.objects, scaled.scene, len(source))
    samples = _samples(scaled, source, before, None, rule)
    if scaled.target is None:
        return source, samples, samples
    fixed = _samples(scaled, source, objects, scaled.target, rule)
    if not objects.shape[1]:
        return source, samples, fixed

    def carried(points: np.ndarray) -> np.ndarray:
        each = points.shape[1]
        there, here = (np.repeat(poses[:, 0], each, axis=0) for poses in (before, objects))
        return from_frame(to_frame(points.reshape(-1, 3), there), here).reshape(points.shape)

    return carried(source), carried(samples), fixed


def _samples(
    scaled: Scaled, source: np.ndarray, objects: np.ndarray, target: Target | None, rule: MeshRule
) -> np.ndarray:
    """Mesh corners of the scene in the world, shape ``(frames, samples, 3)``."""
    scene, count = scaled.scene, len(source)
    if not scene.objects and not scene.ground:
        return np.empty((count, 0, 3))
    if not scene.objects:
        grid = scene.samples(0, rule.seed, grid=rule.grid)
        # The grid follows the person in whole metres, so that the mesh of a long walk does not thin out.
        shift = np.round(source[:, 0] * (1.0, 1.0, 0.0))
        return grid[None] + shift[:, None]
    moving, out = 0, []
    points = scene.samples(rule.samples, rule.seed)
    sizes = scene.sample_counts(rule.samples)
    start = 0
    for thing, size in zip(scene.objects, sizes, strict=True):
        drawn = points[start : start + size]
        own = np.repeat((drawn if target is None else target.mapped(thing.name, drawn))[None], count, axis=0)
        start += size
        if thing.moving:
            pose = np.repeat(objects[:, moving], size, axis=0)
            own = from_frame(own.reshape(-1, 3), pose).reshape(count, size, 3)
            moving += 1
        out.append(own)
    return np.concatenate(out, axis=1)
