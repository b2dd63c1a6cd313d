"""Results as files come back as they were."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import RobotStackError
from robot_stack.retarget.motion import KEYPOINTS, Motion, ObjectMotion
from robot_stack.retarget.readers.read import read
from robot_stack.retarget.result import ContactSegment, Retargeted, Violations
from robot_stack.retarget.saved import SavedResultError, read_result, write_result
from robot_stack.retarget.scene import Scene, SceneObject
from tests.retarget.figure import walker

FRAMES = 12


def result() -> Retargeted:
    """A result of the G1 that was not computed, but has everything."""
    rng = np.random.default_rng(0)
    box = SceneObject.box("box", (0.1, 0.2, 0.3), (0, 0, 0))
    moving = SceneObject(box.name, box.vertices, box.triangles, box.normals, moving=True)
    turn = np.tile([1.0, 0, 0, 0], (FRAMES, 1))
    qpos = np.concatenate([rng.uniform(0, 1, (FRAMES, 3)), turn, 0.1 * rng.standard_normal((FRAMES, 29))], axis=1)
    points = walker(FRAMES)
    return Retargeted(
        robot="unitree_g1",
        fps=30.0,
        qpos=qpos,
        qvel=rng.standard_normal((FRAMES, 35)),
        joint_names=tuple(f"joint_{i}" for i in range(29)),
        contacts=(
            ContactSegment("left_toe", 0, 5, "ground", rng.standard_normal((2, 3))),
            ContactSegment("left_hand", 3, 12, "box", rng.standard_normal((1, 3))),
        ),
        keypoint_names=KEYPOINTS,
        p_world_target=points,
        p_world_keypoint=points + 0.01,
        mesh_energy=rng.random(FRAMES),
        violations=Violations(**{entry.name: rng.random(FRAMES) for entry in fields(Violations)}),
        scale=0.75,
        scene=Scene((moving, SceneObject.box("step", (1, 1, 0.1), (0, 0, 0.1)))),
        objects=(ObjectMotion("box", rng.standard_normal((FRAMES, 3)), turn),),
        metrics={"penetration_max_m": 0.1},
        notes=("a note with ümlaut",),
    )


def source() -> Motion:
    return Motion(KEYPOINTS, walker(FRAMES), 30.0, {k: k for k in KEYPOINTS}, 1.76, result().objects, "walk", ("n",))


def same(first: object, second: object) -> bool:
    """Equal through dataclasses, tuples and arrays."""
    if isinstance(first, np.ndarray):
        return bool((first == np.asarray(second)).all()) and first.dtype == np.asarray(second).dtype
    if isinstance(first, tuple):
        return isinstance(second, tuple) and len(first) == len(second) and all(map(same, first, second))
    if hasattr(first, "__dataclass_fields__"):
        return type(first) is type(second) and all(same(v, getattr(second, k)) for k, v in vars(first).items())
    return first == second and type(first) is type(second)


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    write_result(tmp_path / "out.npz", result(), source(), mjcf="x.xml")
    saved = read_result(tmp_path / "out.npz")
    assert same(saved.result, result())
    assert saved.mjcf == "x.xml"
    assert saved.source is not None
    assert saved.source.height_m == pytest.approx(1.76 * 0.75)
    assert np.abs(saved.source.positions - walker(FRAMES) * 0.75).max() < 1e-6
    write_result(tmp_path / "out.npz", result())
    assert read_result(tmp_path / "out.npz").source is None
    assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]


def test_a_result_on_bare_ground_without_contacts_comes_back(tmp_path: Path) -> None:
    bare = replace(result(), scene=Scene(ground=False), objects=(), contacts=(), notes=())
    write_result(tmp_path / "out.npz", bare, replace(source(), objects=()))
    saved = read_result(tmp_path / "out.npz")
    assert same(saved.result, bare)
    assert saved.source is not None and saved.source.objects == ()


def test_a_result_is_a_motion_for_the_next_robot(tmp_path: Path) -> None:
    write_result(tmp_path / "out.npz", result(), source())
    reading = read(tmp_path / "out.npz")
    assert (reading.motion.keypoints() == result().p_world_keypoint).all()
    assert reading.motion.height_m == 1.32
    assert same(reading.scene, result().scene)
    assert same(reading.motion.objects[0].p_world_object, result().objects[0].p_world_object)
    assert reading.motion.notes == ("the source is unitree_g1, itself retargeted",)


def test_other_and_damaged_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(SavedResultError, match="no retargeted motion"):
        read_result(tmp_path / "a.npz")
    write_result(tmp_path / "b.npz", result())
    arrays = dict(np.load(tmp_path / "b.npz"))
    np.savez(tmp_path / "c.npz", **{**arrays, "format": "robot_stack/retargeted/9"})
    with pytest.raises(SavedResultError, match="another version"):
        read_result(tmp_path / "c.npz")
    del arrays["qpos"]
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(SavedResultError, match="damaged"):
        read_result(tmp_path / "c.npz")
    whole = (tmp_path / "b.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RobotStackError, match="cannot be read"):
        read_result(tmp_path / "d.npz")
