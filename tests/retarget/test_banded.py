"""The banded system is the dense one."""

from __future__ import annotations

import numpy as np

from robot_stack.retarget.banded import SECOND, THIRD, Banded, nearby, spread


def test_solution_is_the_dense_systems() -> None:
    rng = np.random.default_rng(0)
    frames, nv = 9, 5
    halves = rng.standard_normal((frames, nv, nv))
    blocks = halves @ np.swapaxes(halves, 1, 2) + np.eye(nv)
    where = np.array([0, 0, 3, 8, 8, 8])
    rows, weight = rng.standard_normal((6, nv)), rng.uniform(1.0, 2.0, 6)
    system, dense = Banded(blocks), np.zeros((frames, nv, frames, nv))
    for t in range(frames):
        dense[t, :, t] += blocks[t]
    for row, w, t in zip(rows, weight, where, strict=True):
        dense[t, :, t] += w * np.outer(row, row)
    system.add_outer(rows, where, weight)
    for stencil, first in ((SECOND, 0), (THIRD, 0), ((-1.0, 1.0), 2)):
        scale = rng.uniform(0.5, 1.5, (frames - len(stencil) + 1, nv - first))
        system.add_difference(stencil, scale, first_dof=first)
        for k in range(len(scale)):
            for d in range(first, nv):
                column = np.zeros((frames, nv))
                column[k : k + len(stencil), d] = stencil
                dense += scale[k, d - first] * column[:, :, None, None] * column
    extra = rng.uniform(0.0, 1.0, (frames, nv - 2))
    system.add_diagonal(extra, first_dof=2)
    for t in range(frames):
        dense[t, range(2, nv), t, range(2, nv)] += extra[t]
    right = rng.standard_normal((frames, nv))
    kept = system.copy()
    expected = np.linalg.solve(dense.reshape(frames * nv, -1), right.ravel()).reshape(frames, nv)
    assert np.abs(system.solve(right) - expected).max() < 1e-10
    assert np.abs(kept.solve(right) - expected).max() < 1e-10


def test_spread_is_the_transpose_of_the_difference() -> None:
    rng = np.random.default_rng(1)
    path, weight = rng.standard_normal((12, 3)), rng.standard_normal((9, 3))
    forth = np.sum(np.diff(path, 3, axis=0) * weight)
    assert abs(forth - np.sum(path * spread(weight, THIRD, 12))) < 1e-12


def test_sums_of_neighbours() -> None:
    values = np.array([1.0, 0.0, 2.0, 0.0, 5.0])
    assert np.allclose(nearby(values, 1), [1.0, 3.0, 2.0, 7.0, 5.0])
    assert np.allclose(nearby(values, 10), values.sum())
