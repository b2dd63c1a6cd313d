"""The geoms of an MJCF without a robot, as convex bodies: what stands still, and what is free to move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull

from robot_stack.retarget.height_field import HeightField
from robot_stack.retarget.scene import Scene, SceneError, SceneObject
from robot_stack.retarget.triangle_mesh import TriangleMesh, convex_parts
from robot_stack.sim.render import import_mujoco

ROUND_M = 1e-3
"""How much smaller than the true shape a polyhedron for a round geom should be at most [m]."""

WIDE_M = 10.0
"""Half the side of what stands for an infinite plane that is not the ground [m]."""


def read_mjcf_scene(path: str | Path, *, hull: bool = False, tolerance_m: float = 1e-3) -> Scene:
    """The geoms of an MJCF that can be touched.

    A body with a free joint (or a mocap body) moves and is called as the body; its frame is the body's. Everything else
    stands where it is at the model's start. A level plane at z = 0 is the ground. Round geoms become polyhedra, about
    1 mm too small (the notes say by how much); height fields become convex pieces; mesh geoms must be convex or
    consist of convex parts.

    Args:
        path: the MJCF.
        hull: take the convex hull of meshes that are not convex.
        tolerance_m: by how much pieces of a height field may be too high [m].

    Raises:
        SceneError: if it cannot be compiled, has joints other than free ones, or geoms that no convex body can be.
    """
    mujoco = import_mujoco()
    path = Path(path)
    try:
        model = mujoco.MjModel.from_xml_path(str(path))
    except (ValueError, mujoco.FatalError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise SceneError("the MJCF of a scene cannot be compiled", where=path, got=first) from error
    if (model.jnt_type != mujoco.mjtJoint.mjJNT_FREE.value).any():
        raise SceneError(
            "the MJCF of a scene has joints that are not free",
            where=path,
            expected="objects that move freely or not at all",
            remedy="take the robot out of the file, and fix drawers and doors",
        )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return _Reader(model, data, path, hull, tolerance_m).scene()


class _Reader:
    """Collects the objects of one model."""

    def __init__(self, model: Any, data: Any, path: Path, hull: bool, tolerance_m: float) -> None:
        self._mujoco = import_mujoco()
        self._model, self._data, self._path = model, data, path
        self._hull, self._tolerance = hull, tolerance_m
        self._objects: list[SceneObject] = []
        self._notes: list[str] = []
        self._ground = False

    def scene(self) -> Scene:
        model = self._model
        solid = np.flatnonzero((model.geom_contype | model.geom_conaffinity) > 0)
        for geom in solid:
            self._add(int(geom))
        if not self._objects and not self._ground:
            raise SceneError("the MJCF of a scene has no geom that can be touched", where=self._path)
        names = [thing.name for thing in self._objects]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise SceneError("two geoms of a scene have one name", where=self._path, got=", ".join(twice))
        return Scene(tuple(self._objects), self._ground, tuple(self._notes))

    def _add(self, geom: int) -> None:
        kinds, kind = self._mujoco.mjtGeom, int(self._model.geom_type[geom])
        body, moving = self._carrier(geom)
        name = self._name(geom, body, moving)
        p_frame, r_frame = self._frame(geom, body, moving)
        if kind == kinds.mjGEOM_PLANE.value:
            self._plane(geom, name, p_frame, r_frame)
            return
        if kind == kinds.mjGEOM_HFIELD.value:
            parts = self._height_field(geom, name)
        elif kind == kinds.mjGEOM_MESH.value:
            parts = self._mesh(geom, name, moving)
        else:
            corners, off = self._corners(kind, self._model.geom_size[geom])
            if off > 1e-6:
                self._notes.append(f"{name}: a polyhedron stands for a round shape, at most {1e3 * off:.1f} mm smaller")
            parts = [SceneObject.convex(name, corners, moving=moving)]
        pose = np.column_stack([r_frame, p_frame])
        self._objects += [part.mapped(pose) for part in parts]

    def _carrier(self, geom: int) -> tuple[int, bool]:
        """The body whose frame a geom is given in, and whether that moves."""
        body = int(self._model.geom_bodyid[geom])
        while body:
            if self._model.body_jntnum[body] or self._model.body_mocapid[body] >= 0:
                return body, True
            body = int(self._model.body_parentid[body])
        return 0, False

    def _name(self, geom: int, body: int, moving: bool) -> str:
        """What moves is called as its body (its further geoms ``body.1``, …), the rest as the geom or its body."""
        model = self._model
        if not moving:
            own = model.geom(geom).name or model.body(int(model.geom_bodyid[geom])).name.replace("world", "")
            label = own or f"geom{geom}"
            base = label
        else:
            base = label = model.body(body).name or f"body{body}"
        taken, k = {thing.name for thing in self._objects}, 0
        while label in taken:
            k += 1
            label = f"{base}.{k}"
        return label

    def _frame(self, geom: int, body: int, moving: bool) -> tuple[np.ndarray, np.ndarray]:
        """Pose of a geom in the world, or in the frame of the body that moves."""
        p, r = self._data.geom_xpos[geom].copy(), self._data.geom_xmat[geom].reshape(3, 3).copy()
        if not moving:
            return p, r
        p_body, r_body = self._data.xpos[body], self._data.xmat[body].reshape(3, 3)
        return r_body.T @ (p - p_body), r_body.T @ r

    def _plane(self, geom: int, name: str, p: np.ndarray, r: np.ndarray) -> None:
        if abs(p[2]) < 1e-9 and r[2, 2] > 1 - 1e-12:
            self._ground = True
            return
        half = [float(s) if s > 0 else WIDE_M for s in self._model.geom_size[geom][:2]]
        slab = SceneObject.box(name, (half[0], half[1], 0.1), (0.0, 0.0, -0.1))
        self._notes.append(f"{name}: a slab of {2 * half[0]:g} m by {2 * half[1]:g} m stands for the plane")
        self._objects.append(slab.mapped(np.column_stack([r, p])))

    def _height_field(self, geom: int, name: str) -> list[SceneObject]:
        model, number = self._model, int(self._model.geom_dataid[geom])
        rows, columns, start = (int(a[number]) for a in (model.hfield_nrow, model.hfield_ncol, model.hfield_adr))
        x, y, top, base = model.hfield_size[number]
        heights = top * model.hfield_data[start : start + rows * columns].reshape(rows, columns).astype(np.float64)
        field = HeightField(heights, (2 * x / (columns - 1), 2 * y / (rows - 1)), (-float(x), -float(y)))
        return field.pieces(name, tolerance_m=self._tolerance, depth_m=float(base))

    def _mesh(self, geom: int, name: str, moving: bool) -> list[SceneObject]:
        model, number = self._model, int(self._model.geom_dataid[geom])
        first, count = int(model.mesh_vertadr[number]), int(model.mesh_vertnum[number])
        face, faces = int(model.mesh_faceadr[number]), int(model.mesh_facenum[number])
        vertices = model.mesh_vert[first : first + count].astype(np.float64)
        mesh, notes = TriangleMesh.clean(vertices, model.mesh_face[face : face + faces], name)
        parts, more = convex_parts(name, mesh, moving=moving, hull=self._hull)
        self._notes += notes + more
        return parts

    def _corners(self, kind: int, size: np.ndarray) -> tuple[np.ndarray, float]:
        """Corners of a polyhedron about the geom's middle, and how much smaller than the geom it is [m]."""
        kinds = self._mujoco.mjtGeom
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
        if kind == kinds.mjGEOM_BOX.value:
            return signs * size, 0.0
        if kind == kinds.mjGEOM_CYLINDER.value:
            ring, off = _ring(float(size[0]))
            ends = [np.column_stack([ring, np.full(len(ring), z)]) for z in (-size[1], size[1])]
            return np.concatenate(ends), off
        if kind in (kinds.mjGEOM_SPHERE.value, kinds.mjGEOM_CAPSULE.value, kinds.mjGEOM_ELLIPSOID.value):
            largest = float(size.max()) if kind == kinds.mjGEOM_ELLIPSOID.value else float(size[0])
            ball, off = _ball(largest)
            if kind == kinds.mjGEOM_ELLIPSOID.value:
                return ball / largest * size, off
            up = np.array([0.0, 0.0, float(size[1]) if kind == kinds.mjGEOM_CAPSULE.value else 0.0])
            return np.concatenate([ball + up, ball - up]), off
        raise SceneError("a scene has a geom that no convex body can stand for", where=self._path, got=kinds(kind).name)


def _ring(radius: float) -> tuple[np.ndarray, float]:
    """Corners of a regular polygon on a circle, ``(n, 2)``, and how far its sides are inside of it [m]."""
    sides = int(np.clip(np.ceil(np.pi / np.arccos(max(0.0, 1 - ROUND_M / radius))), 12, 48))
    angle = 2 * np.pi * np.arange(sides) / sides
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), radius * (1 - np.cos(np.pi / sides))


def _ball(radius: float) -> tuple[np.ndarray, float]:
    """Corners on a sphere, evenly spread (Fibonacci's lattice), ``(n, 3)``, and how far the faces are inside [m]."""
    # A face of an even lattice of n points lies about 2.4 / n of the radius inside.
    count = int(np.clip(np.ceil(4.2 * radius / ROUND_M), 60, 600))
    k = np.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    out = np.sqrt(1 - z**2)
    points = np.stack([out * np.cos(turn), out * np.sin(turn), z], axis=1)
    points[0], points[-1] = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)
    inside = 1.0 + float(ConvexHull(points).equations[:, 3].max())
    return radius * points, radius * inside
