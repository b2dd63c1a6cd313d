"""Triangles from files: their connected parts, whether those are closed, and how convex they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError

from robot_stack.retarget.scene import SceneError, SceneObject

WELD_M = 1e-6
"""Corners nearer than this are one [m]."""


@dataclass(frozen=True, eq=False)
class TriangleMesh:
    """Triangles in one frame; use :meth:`clean` on what comes from a file."""

    vertices: np.ndarray
    """Corners, shape ``(corners, 3)`` [m]."""

    triangles: np.ndarray
    """Indices into :attr:`vertices`, shape ``(triangles, 3)``."""

    @classmethod
    def clean(cls, vertices: np.ndarray, triangles: np.ndarray, where: str | Path) -> tuple[TriangleMesh, list[str]]:
        """Weld equal corners, and drop triangles without area and corners without triangles; says what it did.

        Raises:
            SceneError: if corners are not finite, triangles name corners that are not there, or nothing is left.
        """
        vertices, triangles = np.asarray(vertices, dtype=np.float64), np.asarray(triangles, dtype=np.int64)
        if not np.isfinite(vertices).all():
            raise SceneError("a mesh has corners that are not finite", where=where)
        if triangles.size and (triangles.min() < 0 or triangles.max() >= len(vertices)):
            raise SceneError("a triangle names a corner that is not there", where=where, got=f"{len(vertices)} corners")
        _, first, same = np.unique(
            np.round(vertices / WELD_M).astype(np.int64), axis=0, return_index=True, return_inverse=True
        )
        vertices, triangles = vertices[first], same.ravel()[triangles]
        a, b, c = np.moveaxis(vertices[triangles], 1, 0)
        good = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-12
        notes = [] if good.all() else [f"{Path(where).name}: {int((~good).sum())} triangles without area left out"]
        triangles = triangles[good]
        if not len(triangles):
            raise SceneError("a mesh has no triangle with an area", where=where)
        used, triangles = np.unique(triangles, return_inverse=True)
        return cls(vertices[used], triangles.reshape(-1, 3)), notes

    @cached_property
    def closed(self) -> bool:
        """Whether every edge belongs to two triangles that run along it in opposite directions."""
        edges = np.concatenate([self.triangles[:, [i, (i + 1) % 3]] for i in range(3)])
        ahead = {(int(a), int(b)) for a, b in edges}
        return len(ahead) == len(edges) and all((b, a) in ahead for a, b in ahead)

    @property
    def volume(self) -> float:
        """Enclosed volume; means something for a closed mesh only [m³]."""
        a, b, c = np.moveaxis(self.vertices[self.triangles] - self.vertices.mean(axis=0), 1, 0)
        return abs(float(np.sum(a * np.cross(b, c)) / 6.0))

    def parts(self) -> list[TriangleMesh]:
        """Its connected parts, in the order of their first corner."""
        rows = self.triangles.ravel()
        cols = np.roll(self.triangles, 1, axis=1).ravel()
        graph = coo_array((np.ones(len(rows)), (rows, cols)), shape=(len(self.vertices),) * 2)
        count, label = connected_components(graph, directed=False)
        out = []
        for part in range(count):
            used, triangles = np.unique(self.triangles[label[self.triangles[:, 0]] == part], return_inverse=True)
            out.append(TriangleMesh(self.vertices[used], triangles.reshape(-1, 3)))
        return out

    def convex_share(self) -> float:
        """Its volume over that of its convex hull; 1 for what is convex, and for what is not closed (not known).

        Raises:
            QhullError: if it spans no volume.
        """
        return self.volume / ConvexHull(self.vertices).volume if self.closed else 1.0


def convex_parts(
    name: str, mesh: TriangleMesh, *, moving: bool = False, least_share: float = 0.9, hull: bool = False
) -> tuple[list[SceneObject], list[str]]:
    """Each connected part of a mesh as a convex object; says where hulls stand for something that is not known.

    Args:
        name: of the object; parts behind the first are called ``name.1``, ``name.2`` …
        mesh: after :meth:`TriangleMesh.clean`.
        moving: whether it has a motion.
        least_share: parts that fill less of their hull than this are refused, for feet would stand on air.
        hull: take the hull of such parts all the same.

    Raises:
        SceneError: if a part spans no volume, or is not convex.
    """
    objects, notes = [], []
    for i, part in enumerate(mesh.parts()):
        label = name if i == 0 else f"{name}.{i}"
        try:
            share = part.convex_share()
        except QhullError:
            share = 1.0  # SceneObject.convex says what is wrong
        if share < least_share and not hull:
            raise SceneError(
                "a mesh is not convex",
                where=label,
                got=f"it fills {100 * share:.0f} % of its convex hull",
                expected=f"at least {100 * least_share:.0f} %",
                remedy="cut it into convex parts (CoACD does it) that share no corners, or allow its hull",
            )
        objects.append(SceneObject.convex(label, part.vertices, moving=moving))
        if not part.closed:
            notes.append(f"{label}: the mesh is not closed, its convex hull stands for it")
        elif share < 0.999:
            notes.append(f"{label}: its convex hull stands for it, {100 * (1 / share - 1):.1f} % larger")
    return objects, notes


def read_obj_mesh(path: str | Path) -> tuple[TriangleMesh, list[str]]:
    """Corners and faces of an OBJ file; faces with more than three corners are cut into fans.

    Raises:
        SceneError: if the file cannot be read, or has no face with an area.
    """
    path = Path(path)
    vertices: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    number = 0
    try:
        for line in path.read_text().splitlines():
            number += 1
            words = line.split()
            if words[:1] == ["v"]:
                x, y, z = map(float, words[1:4])
                vertices.append([x, y, z])
            elif words[:1] == ["f"]:
                # Numbers count from 1, or from the end when negative; a second and third number are texture and normal.
                raw = [int(word.split("/")[0]) for word in words[1:]]
                corners = [i - 1 if i > 0 else len(vertices) + i for i in raw]
                triangles += [(corners[0], corners[k], corners[k + 1]) for k in range(1, len(corners) - 1)]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SceneError("an OBJ file cannot be read", where=f"{path}, line {number}", got=str(error)) from error
    if not vertices or not triangles:
        missing = "corners" if not vertices else "faces"
        raise SceneError(f"an OBJ file has no {missing}", where=path, expected="lines 'v x y z' and 'f 1 2 3'")
    return TriangleMesh.clean(np.array(vertices), np.array(triangles), path)
