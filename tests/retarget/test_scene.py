"""Surfaces: nearest points, samples, and shapes that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_stack.retarget.scene import Scene, SceneError, SceneObject, read_obj


def test_nearest_point_of_a_box_is_the_clamped_one() -> None:
    half = np.array([0.3, 0.2, 0.1])
    box = SceneObject.box("box", (0.3, 0.2, 0.1), (0.0, 0.0, 0.0))
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (500, 3))
    outside = (np.abs(points) > half).any(axis=1)
    distance, on, normal = box.nearest(points)
    clamped = np.clip(points, -half, half)
    assert np.abs(on[outside] - clamped[outside]).max() < 1e-12
    assert distance[outside] == pytest.approx(np.linalg.norm(points - clamped, axis=1)[outside])
    assert distance[~outside] == pytest.approx(-(half - np.abs(points)).min(axis=1)[~outside])
    assert np.sum(normal * (points - on), axis=1)[outside].min() > 0


def test_samples_lie_on_the_surface_and_repeat() -> None:
    box = SceneObject.box("box", (0.5, 0.4, 0.3), (0.0, 0.0, 0.3))
    points = box.sample(300, 7, low=1e-3)
    assert np.abs(box.nearest(points)[0]).max() < 1e-9
    assert points[:, 2].min() > 0.0  # the face on the ground takes no part
    assert (points == box.sample(300, 7, low=1e-3)).all()
    top = np.abs(points[:, 2] - 0.6) < 1e-9
    assert top.mean() == pytest.approx(0.8 / (0.8 + 2.16), abs=0.06)


def test_scaling_keeps_proportions() -> None:
    box = Scene((SceneObject.box("box", (0.5, 0.4, 0.3), (1.0, 0.0, 0.3)),)).scaled(0.5).objects[0]
    assert box.vertices.max(axis=0) == pytest.approx((0.75, 0.2, 0.3))


@pytest.mark.parametrize(
    "points", [np.zeros((3, 3)), np.eye(4, 3) * (1, 1, 0), np.full((8, 3), np.inf), np.zeros((8, 2))]
)
def test_shapes_without_volume_are_refused(points: np.ndarray) -> None:
    with pytest.raises(SceneError):
        SceneObject.convex("thing", points)


def test_obj_files(tmp_path: Path) -> None:
    file = tmp_path / "a.obj"
    file.write_text("# box\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\n")
    assert SceneObject.convex("a", read_obj(file)).areas.sum() == pytest.approx(1.5 + np.sqrt(3) / 2)
    file.write_text("v 1 2 x\n")
    with pytest.raises(SceneError, match="cannot be read"):
        read_obj(file)
    file.write_text("f 1 2 3\n")
    with pytest.raises(SceneError, match="no corners"):
        read_obj(file)
