"""The reduced energy is the mesh's, and its slope its derivative."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.retarget.mesh import MeshError, laplacian, neighbours, reduce


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("moved", [False, True])
def test_reduced_energy_is_the_energy_of_the_whole_mesh(weighted: bool, moved: bool) -> None:
    rng = np.random.default_rng(0)
    source = rng.standard_normal((115, 3))
    fixed = source[15:] + (0.1 * rng.standard_normal((100, 3)) if moved else 0.0)
    matrix = laplacian(neighbours(source), source if weighted else None)
    energy = reduce(matrix, source, fixed, 15)
    for _ in range(5):
        body = source[:15] + rng.standard_normal((15, 3))
        whole = np.sum((matrix @ source - matrix @ np.concatenate([body, fixed])) ** 2)
        assert energy.value(body) == pytest.approx(whole, rel=1e-10)
    assert moved or energy.rest < 1e-20


def test_gradient_is_the_derivative() -> None:
    rng = np.random.default_rng(1)
    source = rng.standard_normal((60, 3))
    energy = reduce(laplacian(neighbours(source)), source, source[15:] + 0.1, 15)
    body, step = rng.standard_normal((2, 15, 3))
    slope = (energy.value(body + 1e-5 * step) - energy.value(body - 1e-5 * step)) / 2e-5
    assert np.sum(energy.gradient(body) * step) == pytest.approx(slope, rel=1e-7)


def test_mesh_of_the_body_alone_ignores_shifts() -> None:
    source = np.random.default_rng(2).standard_normal((15, 3))
    energy = reduce(laplacian(neighbours(source)), source, np.empty((0, 3)), 15)
    assert energy.value(source + np.array([3.0, -2.0, 1.0])) < 1e-12
    assert energy.optimum.mean(axis=0) == pytest.approx(source.mean(axis=0))


def test_points_in_a_plane_have_a_mesh_all_the_same() -> None:
    grid = np.stack([*np.meshgrid(np.arange(5.0), np.arange(4.0)), np.zeros((4, 5))], axis=-1).reshape(-1, 3)
    adjacent = neighbours(grid)
    assert (adjacent == adjacent.T).all() and adjacent.any(axis=1).all()
    assert (neighbours(grid) == adjacent).all()


@pytest.mark.parametrize("points", [np.zeros((4, 3)), np.full((8, 3), np.nan)])
def test_what_has_no_mesh_is_refused(points: np.ndarray) -> None:
    with pytest.raises(MeshError, match="at least five finite"):
        neighbours(points)
