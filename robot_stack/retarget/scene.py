"""What a motion happens on and with: ground, terrain and objects, as convex bodies with known surfaces."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from robot_stack.core.errors import RobotStackError
from robot_stack.core.seeding import generator

GROUND = "ground"
"""Name of the plane z = 0."""


class SceneError(RobotStackError):
    """An object or terrain cannot be used."""


@dataclass(frozen=True, eq=False)
class SceneObject:
    """A convex body: its triangles, with normals to the outside."""

    name: str
    """As in :class:`~robot_stack.retarget.motion.ObjectMotion` when it moves."""

    vertices: np.ndarray
    """Corners in its own frame, shape ``(corners, 3)`` [m]."""

    triangles: np.ndarray
    """Indices into :attr:`vertices`, shape ``(triangles, 3)``."""

    normals: np.ndarray
    """Unit, outwards, shape ``(triangles, 3)``."""

    moving: bool = False
    """Whether it has a motion; otherwise its frame is the world's."""

    hidden: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Triangles that nothing can touch, such as faces between two pieces of one terrain: no samples are drawn from
    them. Shape ``(triangles,)``, or empty when there are none."""

    @classmethod
    def convex(cls, name: str, points: np.ndarray, *, moving: bool = False) -> SceneObject:
        """The convex hull of points.

        Raises:
            SceneError: if they span no volume (fewer than four, all in a plane) or are not finite.
        """
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1:] != (3,) or not np.isfinite(points).all():
            raise SceneError("the corners of an object must be finite points", where=name, got=points.shape)
        try:
            hull = ConvexHull(points)
        except (QhullError, ValueError) as error:
            raise SceneError(
                "an object spans no volume",
                where=name,
                got=f"{len(points)} corners",
                expected="at least four that do not lie in one plane",
                remedy="give a plane some thickness, or leave it out: the ground z = 0 is always there",
            ) from error
        keep, triangles = np.unique(hull.simplices, return_inverse=True)
        return cls(name, points[keep], triangles.reshape(-1, 3), hull.equations[:, :3].copy(), moving)

    @classmethod
    def box(
        cls,
        name: str,
        half: tuple[float, float, float],
        centre: tuple[float, float, float],
        *,
        moving: bool = False,
    ) -> SceneObject:
        """A box along the axes; sizes in metres."""
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
        return cls.convex(name, corners * half + centre, moving=moving)

    def scaled(self, factor: float) -> SceneObject:
        """The same, larger about the origin of its frame."""
        return replace(self, vertices=self.vertices * factor)

    def mapped(self, affine: np.ndarray) -> SceneObject:
        """The same after an affine map of its frame: moved, turned, stretched or sheared.

        Args:
            affine: shape ``(3, 4)``; the linear part must not mirror or flatten.

        Raises:
            SceneError: if it does.
        """
        linear = affine[:, :3]
        if not np.isfinite(affine).all() or np.linalg.det(linear) <= 1e-9:
            raise SceneError("an object can be stretched and turned, but not flattened or mirrored", where=self.name)
        # Normals are covectors.
        normals = self.normals @ np.linalg.inv(linear)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return replace(self, vertices=self.vertices @ linear.T + affine[:, 3], normals=normals)

    @property
    def open_areas(self) -> np.ndarray:
        """Of the triangles, 0 for those that are hidden [m²]."""
        return np.where(self.hidden, 0.0, self.areas) if self.hidden.any() else self.areas

    @property
    def areas(self) -> np.ndarray:
        """Of the triangles [m²]."""
        a, b, c = np.moveaxis(self.vertices[self.triangles], 1, 0)
        return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)

    def sample(self, count: int, seed: int, *, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
        """Points spread evenly over the surface, shape ``(count, 3)`` [m].

        Args:
            count: how many.
            seed: same seed, same points.
            low: only triangles whose middle is higher than this take part, unless none is [m].
            high: likewise, lower.
        """
        rng = generator(seed, zlib.crc32(self.name.encode()))
        middle = self.vertices[self.triangles].mean(axis=1)[:, 2]
        areas = np.where((middle > low) & (middle < high), self.open_areas, 0.0)
        areas = areas if areas.sum() > 0 else self.areas
        which = rng.choice(len(areas), size=count, p=areas / areas.sum())
        u = np.sqrt(rng.random((count, 1)))
        v = rng.random((count, 1))
        a, b, c = np.moveaxis(self.vertices[self.triangles[which]], 1, 0)
        return (1 - u) * a + u * (1 - v) * b + u * v * c

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nearest surface points, exact for all positions outside and inside.

        Args:
            points: in its frame, shape ``(n, 3)`` [m].

        Returns:
            Signed distance (negative inside) ``(n,)``, surface point ``(n, 3)``, that triangle's normal ``(n, 3)``.
        """
        a, b, c = np.moveaxis(self.vertices[self.triangles], 1, 0)
        on = _nearest_in_triangles(points[:, None], a[None], b[None], c[None])
        squared = np.sum((on - points[:, None]) ** 2, axis=2)
        facing = np.sum(self.normals * (points[:, None] - a), axis=2)
        # Of equally near triangles (an edge, a corner) the one that looks most at the point.
        best = np.argmin(squared - 1e-9 * facing, axis=1)
        rows = np.arange(len(points))
        sign = np.where(facing.max(axis=1) > 0, 1.0, -1.0)
        return sign * np.sqrt(squared[rows, best]), on[rows, best], self.normals[best]

    def add_to(self, spec: Any) -> None:
        """Add it to an ``MjSpec``: a mesh geom of the world, or of a mocap body of its name when it moves."""
        body = spec.worldbody.add_body(name=f"scene_{self.name}", mocap=True) if self.moving else spec.worldbody
        add_hull(spec, body, self)


@dataclass(frozen=True, eq=False)
class Scene:
    """All that does not belong to the person: objects, and the ground where wanted."""

    objects: tuple[SceneObject, ...] = ()
    """Convex bodies; terrain is a row of them."""

    ground: bool = True
    """Whether the plane z = 0 is there."""

    notes: tuple[str, ...] = ()
    """What was approximated or repaired when it was read, in sentences."""

    def scaled(self, factor: float) -> Scene:
        """The same, larger about the world's origin (objects that move: about their own)."""
        return replace(self, objects=tuple(thing.scaled(factor) for thing in self.objects))

    def add_to(self, spec: Any) -> None:
        """Add everything to an ``MjSpec`` that has a robot."""
        if self.ground:
            spec.worldbody.add_geom(
                name=f"scene_{GROUND}", type=_mujoco().mjtGeom.mjGEOM_PLANE, size=(20, 20, 0.1), rgba=(0.8, 0.8, 0.8, 1)
            )
        for thing in self.objects:
            thing.add_to(spec)

    def samples(self, count: int, seed: int, *, grid: int = 15, reach_m: float = 1.0) -> np.ndarray:
        """Points of the interaction mesh that do not belong to the body, in the world (or the object's frame).

        With objects, ``count`` points over their outer faces, as OmniRetarget does (faces hidden below the ground or
        flush with it take no part); without, a grid on the ground about the origin, jittered by a tenth of a
        millimetre because a flat regular grid has no unique Delaunay mesh.
        """
        if not self.objects:
            line = np.linspace(-reach_m, reach_m, grid)
            flat = np.stack([*np.meshgrid(line, line, indexing="ij"), np.zeros((grid, grid))], axis=-1).reshape(-1, 3)
            return flat + 1e-4 * generator(seed, zlib.crc32(GROUND.encode())).standard_normal(flat.shape)
        shares = self.sample_counts(count)
        lows = [-np.inf if thing.moving else 1e-3 for thing in self.objects]
        drawn = zip(self.objects, shares, lows, strict=True)
        return np.concatenate([thing.sample(n, seed, low=low) for thing, n, low in drawn])

    def sample_counts(self, count: int) -> list[int]:
        """How many of ``count`` samples each object gets: by area, at least four."""
        areas = np.array([thing.open_areas.sum() for thing in self.objects])
        return [int(n) for n in np.maximum(4, np.floor(count * areas / areas.sum()))]


def add_hull(spec: Any, body: Any, thing: SceneObject) -> Any:
    """Add an object as a mesh geom ``scene_NAME`` of a body, in that body's frame, and return the geom.

    Args:
        spec: the ``MjSpec``.
        body: of it.
        thing: what to add.
    """
    mesh = spec.add_mesh(name=f"scene_{thing.name}")
    mesh.uservert = thing.vertices.ravel()
    mesh.userface = _outward(thing).ravel()
    return body.add_geom(
        name=f"scene_{thing.name}",
        type=_mujoco().mjtGeom.mjGEOM_MESH,
        meshname=mesh.name,
        rgba=(0.55, 0.65, 0.75, 1.0),
        contype=1,
        conaffinity=1,
    )


def read_obj(path: Path) -> np.ndarray:
    """Corners of an OBJ file, shape ``(corners, 3)``; the body is their convex hull.

    Raises:
        SceneError: if there are none, or a line cannot be read.
    """
    try:
        rows = [line.split()[1:4] for line in path.read_text().splitlines() if line.startswith("v ")]
        points = np.array(rows, dtype=np.float64).reshape(-1, 3)
    except (OSError, ValueError) as error:
        raise SceneError("an OBJ file cannot be read", where=path, got=str(error)) from error
    if not len(points):
        raise SceneError("an OBJ file has no corners", where=path, expected="lines 'v x y z'")
    return points


def _nearest_in_triangles(p: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Nearest points of triangles: the foot of the perpendicular when inside, else the nearest of three edges."""
    ab, ac = b - a, c - a
    normal = np.cross(ab, ac)
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    foot = p - np.sum((p - a) * normal, axis=-1, keepdims=True) * normal
    inside = np.ones(foot.shape[:-1], dtype=bool)
    best = np.full(foot.shape, np.inf)
    nearest = np.full(foot.shape[:-1], np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        inside &= np.sum(np.cross(edge, foot - start) * normal, axis=-1) >= 0
        length = np.maximum(np.sum(edge * edge, axis=-1), 1e-18)
        along = np.clip(np.sum((p - start) * edge, axis=-1) / length, 0.0, 1.0)
        on = start + along[..., None] * edge
        squared = np.sum((p - on) ** 2, axis=-1)
        closer = squared < nearest
        best = np.where(closer[..., None], on, best)
        nearest = np.where(closer, squared, nearest)
    return np.where(inside[..., None], foot, best)


def _outward(thing: SceneObject) -> np.ndarray:
    """Triangles with their corners counter-clockwise as seen from outside."""
    a, b, c = np.moveaxis(thing.vertices[thing.triangles], 1, 0)
    turned = np.sum(np.cross(b - a, c - a) * thing.normals, axis=1) < 0
    return np.where(turned[:, None], thing.triangles[:, ::-1], thing.triangles)


def _mujoco() -> Any:
    from robot_stack.sim.render import import_mujoco

    return import_mujoco()
