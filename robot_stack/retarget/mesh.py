"""The interaction mesh and its Laplacian energy, reduced exactly to a small quadratic of the body's points.

OmniRetarget (arXiv 2509.26633): body points and scene samples are the corners of a Delaunay mesh of the source; the
energy is the sum over all corners of the squared change of the Laplacian coordinate ``p_i - sum_j w_ij p_j``. Scene
samples do not depend on the robot, so that with ``L = [B F]`` (columns of body and of fixed points) and target
Laplacian ``d = L V_source - F P_fixed`` the energy is ``|d - B X|²``: with ``M = BᵀB`` and ``M X* = Bᵀ d`` exactly
``tr (X - X*)ᵀ M (X - X*) + c``. M has the size of the body's points (15), whatever the size of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import Delaunay, QhullError

from robot_stack.core.errors import RobotStackError
from robot_stack.core.seeding import generator


class MeshError(RobotStackError):
    """No interaction mesh can be made of these points."""


@dataclass(frozen=True, eq=False)
class ReducedEnergy:
    """Energy ``tr (X - X*)ᵀ M (X - X*) + c`` of body points X."""

    gram: np.ndarray
    """M, shape ``(points, points)``, symmetric and positive semi-definite."""

    optimum: np.ndarray
    """X*, shape ``(points, 3)`` [m]."""

    rest: float
    """c, the energy that no body pose removes [m²]."""

    def value(self, points: np.ndarray) -> float:
        """Energy of body points, shape ``(points, 3)`` [m²]."""
        off = points - self.optimum
        return float(np.sum(off * (self.gram @ off)) + self.rest)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Its derivative, shape ``(points, 3)``."""
        return 2.0 * self.gram @ (points - self.optimum)


def neighbours(points: np.ndarray) -> np.ndarray:
    """Which points share a Delaunay edge, shape ``(points, points)``, bool.

    Points in one plane have no tetrahedra: they are lifted by a fixed jitter of a tenth of a millimetre, which leaves
    the result independent of order and machine.

    Raises:
        MeshError: if the points are not finite or fewer than five.
    """
    if len(points) < 5 or not np.isfinite(points).all():
        raise MeshError("an interaction mesh needs at least five finite points", got=points.shape)
    try:
        mesh = Delaunay(points)
    except QhullError:
        jitter = 1e-4 * generator(0).standard_normal(points.shape)
        mesh = Delaunay(points + jitter)
    corners = mesh.simplices
    adjacent = np.zeros((len(points), len(points)), dtype=bool)
    for i in range(4):
        for j in range(4):
            if i != j:
                adjacent[corners[:, i], corners[:, j]] = True
    return adjacent


def laplacian(adjacent: np.ndarray, points: np.ndarray | None = None) -> np.ndarray:
    """``I - W`` with rows of W that sum to one, shape ``(points, points)``.

    Args:
        adjacent: of :func:`neighbours`.
        points: when given, weights fall with distance (``1 / d`` normalised); otherwise all neighbours count alike.
    """
    weights = adjacent.astype(np.float64)
    if points is not None:
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        weights = weights / np.maximum(apart, 1e-3)
    degree = np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    weights /= -degree
    weights[np.diag_indices(len(weights))] += 1.0
    return weights


def reduce(matrix: np.ndarray, source: np.ndarray, fixed: np.ndarray, body: int) -> ReducedEnergy:
    """The energy of a mesh as a quadratic of its body points.

    Args:
        matrix: of :func:`laplacian`; the body's points come first.
        source: all corners of the source, shape ``(corners, 3)`` [m].
        fixed: the corners behind the body's as they are for the robot, shape ``(corners - body, 3)`` [m]. For the
            mesh in the frame of an object, give ``source`` in the target's world: moved by the object's target pose
            times the inverse of its source pose.
        body: how many body points.
    """
    columns = matrix[:, :body]
    wanted = matrix @ source - matrix[:, body:] @ fixed
    gram = columns.T @ columns
    # A mesh without scene has energy zero for any common shift: the smallest X* of all, about the source's middle.
    middle = source[:body].mean(axis=0)
    right = columns.T @ (wanted - columns @ np.broadcast_to(middle, (body, 3)))
    optimum = np.linalg.lstsq(gram, right, rcond=1e-12)[0] + middle
    left = wanted - columns @ optimum
    return ReducedEnergy(gram, optimum, float(np.sum(left * left)))
