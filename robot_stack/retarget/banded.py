"""The Gauss-Newton system of a whole trajectory: blocks of frames, coupled by differences in time."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

SECOND = (1.0, -2.0, 1.0)
"""Of an acceleration."""

THIRD = (-1.0, 3.0, -3.0, 1.0)
"""Of a jerk."""


class Banded:
    """A symmetric matrix of dense blocks on the diagonal and diagonal blocks up to three frames beside it.

    Differences in time couple a degree of freedom only with itself, so that the band is ``3 nv`` wide, not ``4 nv``,
    and a factorisation takes time linear in the frames (LAPACK's ``pbtrf``).

    Args:
        blocks: on the diagonal, shape ``(frames, nv, nv)``, symmetric.
    """

    def __init__(self, blocks: np.ndarray) -> None:
        frames, nv, _ = blocks.shape
        self._nv = nv
        # One row for each column of the matrix, from its diagonal down: LAPACK's own order, so that nothing is copied.
        self._columns = np.zeros((frames, nv, 3 * nv + 1))
        for dof in range(nv):
            self._columns[:, dof, : nv - dof] = blocks[:, dof, dof:]

    def copy(self) -> Banded:
        """Another, which may be changed and solved."""
        out = Banded.__new__(Banded)
        out._nv, out._columns = self._nv, self._columns.copy()
        return out

    def add_diagonal(self, values: np.ndarray, first_dof: int = 0) -> None:
        """Add to the diagonal; shape ``(frames, nv - first_dof)``."""
        self._columns[:, first_dof:, 0] += values

    def add_outer(self, rows: np.ndarray, frames: np.ndarray, weight: np.ndarray) -> None:
        """Add the sum of ``weight · rowᵀ row`` to the blocks of their frames.

        Args:
            rows: shape ``(n, nv)``.
            frames: of each row, rising, shape ``(n,)``.
            weight: of each row, shape ``(n,)``.
        """
        if not len(rows):
            return
        where, first, count = np.unique(frames, return_index=True, return_counts=True)
        padded = np.zeros((len(where), int(count.max()), self._nv))
        padded[np.repeat(np.arange(len(where)), count), np.arange(len(rows)) - np.repeat(first, count)] = (
            np.sqrt(weight)[:, None] * rows
        )
        blocks = np.swapaxes(padded, 1, 2) @ padded
        for dof in range(self._nv):
            self._columns[where, dof, : self._nv - dof] += blocks[:, dof, dof:]

    def add_difference(self, stencil: tuple[float, ...], weight: np.ndarray, first_dof: int = 0) -> None:
        """Add the squares of a difference in time.

        Args:
            stencil: its coefficients.
            weight: by difference and degree of freedom, shape ``(frames - len(stencil) + 1, nv - first_dof)``.
            first_dof: degrees of freedom before this take no part.
        """
        count = len(weight)
        for i, first in enumerate(stencil):
            for j in range(i, len(stencil)):
                self._columns[i : i + count, first_dof:, (j - i) * self._nv] += first * stencil[j] * weight

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution for a right side of shape ``(frames, nv)``; the matrix is used up.

        Raises:
            numpy.linalg.LinAlgError: if the matrix is not positive definite.
        """
        flat = self._columns.reshape(-1, 3 * self._nv + 1).T
        factor = cholesky_banded(flat, lower=True, overwrite_ab=True, check_finite=False)
        return cho_solve_banded((factor, True), right.ravel(), check_finite=False).reshape(right.shape)


def nearby(values: np.ndarray, reach: int) -> np.ndarray:
    """Sums over all frames at most ``reach`` away, shape ``(frames,)``."""
    total = np.concatenate([np.zeros(reach + 1), np.cumsum(values, dtype=np.float64)])
    total = np.concatenate([total, np.full(reach, total[-1])])
    return total[2 * reach + 1 :] - total[: len(values)]


def spread(values: np.ndarray, stencil: tuple[float, ...], frames: int) -> np.ndarray:
    """Transpose of a difference in time: ``(frames - len(stencil) + 1, n)`` to ``(frames, n)``."""
    out = np.zeros((frames, values.shape[1]))
    for i, factor in enumerate(stencil):
        out[i : i + len(values)] += factor * values
    return out
