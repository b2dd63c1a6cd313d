"""Terrain given by heights on a grid, cut into convex pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from robot_stack.core.errors import ShapeError
from robot_stack.retarget.scene import SceneError, SceneObject

_Block = tuple[int, int, int, int]
"""First and last row, first and last column of corners."""


@dataclass(frozen=True, eq=False)
class HeightField:
    """Heights at the corners of a grid; cells are cut from lower left to upper right, as MuJoCo cuts them."""

    heights: np.ndarray
    """Shape ``(rows along y, columns along x)``, in the world or the frame it is given in [m]."""

    cell_m: tuple[float, float]
    """Size of a cell along x and y [m]."""

    origin_m: tuple[float, float] = (0.0, 0.0)
    """Where ``heights[0, 0]`` is, x and y [m]."""

    def __post_init__(self) -> None:
        if self.heights.ndim != 2 or min(self.heights.shape) < 2:
            raise ShapeError("a height field needs two rows and two columns", got=self.heights.shape)
        if not np.isfinite(self.heights).all() or not min(self.cell_m) > 0:
            raise SceneError("a height field needs finite heights and cells with a size", got=self.cell_m)

    def height(self, xy: np.ndarray) -> np.ndarray:
        """Height of the surface at places ``(n, 2)`` on it, shape ``(n,)`` [m]; outside, of the nearest edge."""
        rows, columns = self.heights.shape
        at = (np.asarray(xy) - self.origin_m) / self.cell_m
        x, y = np.clip(at[:, 0], 0, columns - 1), np.clip(at[:, 1], 0, rows - 1)
        c, r = np.minimum(x.astype(int), columns - 2), np.minimum(y.astype(int), rows - 2)
        u, v = x - c, y - r
        z = self.heights
        corner, across = z[r, c], z[r + 1, c + 1]
        below = corner + u * (z[r, c + 1] - corner) + v * (across - z[r, c + 1])
        above = corner + v * (z[r + 1, c] - corner) + u * (across - z[r + 1, c])
        return np.where(u >= v, below, above)

    def pieces(
        self, name: str, *, tolerance_m: float = 1e-3, depth_m: float = 0.3, above_m: float = -np.inf, most: int = 400
    ) -> list[SceneObject]:
        """Convex bodies whose tops are the surface.

        Blocks of cells that are not convex are cut where their valleys are sharpest until each block's hull is nowhere
        higher than the surface by more than the tolerance, so that stairs, ramps and blocks come out as few pieces.

        Args:
            name: of the terrain; pieces are called ``name``, ``name.1``, ``name.2`` …
            tolerance_m: how much the pieces may be too high [m].
            depth_m: how far they reach below the lowest height, for deep penetrations to be pushed up [m].
            above_m: pieces that are nowhere higher are left out (a ground plane is there instead) [m].
            most: more pieces than this are refused.

        Raises:
            SceneError: if it takes more.
        """
        rows, columns = self.heights.shape
        low = float(self.heights.min()) - depth_m
        stack: list[_Block] = [(0, rows - 1, 0, columns - 1)]
        found: list[np.ndarray] = []
        while stack:
            block = stack.pop()
            if self._part(block).max() <= above_m:
                continue
            if self._excess(block) <= tolerance_m:
                found.append(self._points(block))
            elif block[1] - block[0] == 1 and block[3] - block[2] == 1:
                # Corners in order: lower left, lower right, upper left, upper right.
                corners = self._points(block)
                found += [corners[[0, 1, 3]], corners[[0, 2, 3]]]
            else:
                stack += self._cut(block)
            if len(found) + len(stack) > most:
                raise SceneError(
                    "a height field is too rough to be cut into convex pieces",
                    where=name,
                    got=f"more than {most} pieces at {1e3 * tolerance_m:g} mm",
                    remedy="use a coarser grid, a larger tolerance, or only the part that is walked on",
                )
        found = [points for points in found if points[:, 2].max() > above_m]
        return [self._piece(name if i == 0 else f"{name}.{i}", points, low) for i, points in enumerate(found)]

    def _part(self, block: _Block) -> np.ndarray:
        r0, r1, c0, c1 = block
        return self.heights[r0 : r1 + 1, c0 : c1 + 1]

    def _points(self, block: _Block) -> np.ndarray:
        r0, r1, c0, c1 = block
        x = self.origin_m[0] + self.cell_m[0] * np.arange(c0, c1 + 1)
        y = self.origin_m[1] + self.cell_m[1] * np.arange(r0, r1 + 1)
        grid = np.meshgrid(x, y)
        return np.stack([*grid, self._part(block)], axis=-1).reshape(-1, 3)

    def _excess(self, block: _Block) -> float:
        """How much higher than the surface the hull is, at corners and in the middles of cells and their diagonals."""
        points = self._points(block)
        flat = np.column_stack([points[:, :2], np.ones(len(points))])
        plane = np.linalg.lstsq(flat, points[:, 2], rcond=None)[0]
        if np.abs(flat @ plane - points[:, 2]).max() < 1e-9:
            return 0.0
        span = float(np.ptp(points[:, 2])) + 1.0
        corners = points.reshape(*self._part(block).shape, 3)[[0, 0, -1, -1], [0, -1, 0, -1]]
        hull = ConvexHull(np.concatenate([points, corners * (1, 1, 0) + (0, 0, points[:, 2].min() - span)]))
        top = np.unique(hull.equations[hull.equations[:, 2] > 1e-9].round(12), axis=0)
        places = np.concatenate([points, self._middles(block)])
        over = -(places[:, :2] @ top[:, :2].T + top[:, 3]) / top[:, 2]
        return float((over.min(axis=1) - places[:, 2]).max())

    def _middles(self, block: _Block) -> np.ndarray:
        """Places on the surface in the middle of every cell and of its two triangles."""
        r0, r1, c0, c1 = block
        out = []
        for u, v in ((0.5, 0.5), (2 / 3, 1 / 3), (1 / 3, 2 / 3)):
            x = self.origin_m[0] + self.cell_m[0] * (np.arange(c0, c1) + u)
            y = self.origin_m[1] + self.cell_m[1] * (np.arange(r0, r1) + v)
            xy = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
            out.append(np.column_stack([xy, self.height(xy)]))
        return np.concatenate(out)

    def _cut(self, block: _Block) -> list[_Block]:
        """Two halves, along the line of corners with the sharpest valley, else along the middle of the longer side."""
        r0, r1, c0, c1 = block
        part = self._part(block)
        valleys = [
            np.maximum(np.diff(part, 2, axis=axis), 0.0).sum(axis=1 - axis) / self.cell_m[1 - axis] for axis in (0, 1)
        ]
        best = [float(v.max(initial=0.0)) for v in valleys]
        if max(best) > 1e-9:
            axis = int(np.argmax(best))
            line = int(np.argmax(valleys[axis])) + 1
        else:
            axis = 0 if r1 - r0 >= c1 - c0 else 1
            line = ((r1 - r0) if axis == 0 else (c1 - c0)) // 2
        if axis == 0:
            return [(r0, r0 + line, c0, c1), (r0 + line, r1, c0, c1)]
        return [(r0, r1, c0, c0 + line), (r0, r1, c0 + line, c1)]

    @staticmethod
    def _piece(name: str, top: np.ndarray, low: float) -> SceneObject:
        bottom = top * (1.0, 1.0, 0.0) + (0.0, 0.0, low)
        piece = SceneObject.convex(name, np.concatenate([top, bottom]))
        return SceneObject(
            name, piece.vertices, piece.triangles, piece.normals, hidden=np.asarray(piece.normals[:, 2] < 0.02)
        )
