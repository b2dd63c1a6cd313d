"""World joint positions as NPY and NPZ: skeleton, axes, unit, rate and height, said or told from the body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.retarget.motion import KEYPOINTS, MotionError
from robot_stack.retarget.readers.arrays import read_objects
from robot_stack.retarget.readers.axes import TO_Z_UP
from robot_stack.retarget.readers.raw import LEG_SHARE, ReadOptions
from robot_stack.retarget.readers.read import read_motion
from robot_stack.retarget.skeletons import SKELETONS
from tests.retarget.conftest import CLIMBS
from tests.retarget.figure import LEG_M, filled, walker

WALK = walker()


def saved(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


@pytest.mark.parametrize("name", list(SKELETONS))
def test_every_skeleton_gives_its_keypoints(name: str, tmp_path: Path) -> None:
    skeleton = SKELETONS[name]
    file = tmp_path / "motion.npy"
    np.save(file, filled(skeleton.joints, skeleton.keypoints, WALK))
    motion = read_motion(file, ReadOptions(skeleton=name, up="z", unit="m", fps=30, height_m=1.75))
    assert np.abs(motion.keypoints() - WALK).max() < 1e-12
    assert (motion.fps, motion.height_m, motion.notes) == (30.0, 1.75, ())


@pytest.mark.parametrize("name", ["mocap53", "smplh", "smplh_humanoid", "smplx", "smpl_humanoid", "lafan1", "cmu"])
def test_the_skeleton_is_told_from_its_bones(name: str, tmp_path: Path) -> None:
    skeleton = SKELETONS[name]
    file = tmp_path / "motion.npy"
    np.save(file, filled(skeleton.joints, skeleton.keypoints, WALK).reshape(len(WALK), -1).astype(np.float32))
    motion = read_motion(file)
    assert motion.names == skeleton.joints
    assert any(skeleton.title in note for note in motion.notes)
    assert any("does not say its rate" in note for note in motion.notes)


@pytest.mark.parametrize("up", TO_Z_UP)
@pytest.mark.parametrize(
    ("unit", "metres"), [("m", 1.0), ("cm", 0.01), ("mm", 0.001), ("inch", 0.0254), ("cmu", 0.056444)]
)
def test_axes_and_unit_are_told_from_the_body(up: str, unit: str, metres: float, tmp_path: Path) -> None:
    turned = WALK @ TO_Z_UP[up] / metres  # pyright: ignore[reportArgumentType]
    motion = read_motion(saved(tmp_path / "m.npz", positions=turned, names=KEYPOINTS, fps=30.0))
    assert np.abs(motion.keypoints() - WALK).max() < 1e-4
    assert motion.height_m == pytest.approx(LEG_M / 0.47, rel=1e-3)
    assert any("points up" in n for n in motion.notes) == (up != "z")
    assert any(f"taken as {unit}" in n for n in motion.notes) == (unit != "m")
    assert any("height 1.79 m" in n for n in motion.notes)


def test_what_the_user_says_counts_and_doubts_are_noted(tmp_path: Path) -> None:
    file = saved(tmp_path / "m.npz", positions=WALK, names=KEYPOINTS, fps=30.0)
    motion = read_motion(file, ReadOptions(up="y", unit="cm", fps=60))
    assert any("--up z" in note for note in motion.notes)
    assert any("--unit m" in note for note in motion.notes)
    assert any("30 frames a second; 60 were asked for" in note for note in motion.notes)
    assert np.abs(motion.keypoints() - WALK @ TO_Z_UP["y"].T * 0.01).max() < 1e-12
    assert motion.fps == 60


def test_a_child_in_inches_goes_before_a_giant(tmp_path: Path) -> None:
    leg = 21.68  # inches; in CMU's unit 1.22 m, which is nearer to an adult's leg
    known = WALK * leg / LEG_M
    np.savez(tmp_path / "m.npz", positions=known, names=KEYPOINTS, fps=30)
    motion = read_motion(tmp_path / "m.npz")
    assert motion.height_m == pytest.approx(leg * 0.0254 / LEG_SHARE)
    np.savez(tmp_path / "m.npz", positions=known * 1.25 / leg, names=KEYPOINTS, fps=30)
    assert read_motion(tmp_path / "m.npz").height_m == pytest.approx(1.25 / LEG_SHARE)  # nothing smaller fits


def test_a_files_own_words_count_but_not_an_impossible_unit(tmp_path: Path) -> None:
    file = saved(
        tmp_path / "m.npz", positions=WALK * 100, names=KEYPOINTS, fps=50, up="Z", unit="m", height=1.8, skeleton=""
    )
    motion = read_motion(file)
    assert (motion.fps, motion.height_m) == (50.0, 1.8)
    assert any("the file's unit 'm' would make a leg 84 m long; cm was taken" in n for n in motion.notes)
    assert np.abs(motion.keypoints() - WALK).max() < 1e-9


def test_a_lying_body_leaves_the_usual_axis(tmp_path: Path) -> None:
    lying = WALK.copy()
    half = len(lying) // 2
    lying[half:] = lying[half:] @ TO_Z_UP["x"].T
    motion = read_motion(saved(tmp_path / "m.npz", positions=lying, names=KEYPOINTS, fps=30))
    assert any("cannot be told" in note for note in motion.notes)


def test_keypoints_can_be_named_by_the_user(tmp_path: Path) -> None:
    names = [f"p{i}" for i in range(15)]
    file = saved(tmp_path / "m.npz", positions=WALK, names=names, fps=30)
    wanted = {k: f"p{i}" for i, k in enumerate(KEYPOINTS)}
    assert np.abs(read_motion(file, ReadOptions(keypoints=wanted)).keypoints() - WALK).max() < 1e-12
    fewer = read_motion(file, ReadOptions(keypoints={**wanted, "left_toe": ""}))
    assert "left_toe" not in fewer.keypoint_names
    with pytest.raises(UnknownNameError, match="unknown joint 'p99'"):
        read_motion(file, ReadOptions(keypoints={"left_toe": "p99"}))


def test_objects_come_along_and_turn_with_the_axes(tmp_path: Path) -> None:
    place = WALK[:, 0] + (0.3, 0, 0)
    turn = np.tile([0.5, 0.5, 0.5, 0.5], (len(WALK), 1))
    up = TO_Z_UP["y"]
    file = saved(
        tmp_path / "m.npz",
        positions=WALK @ up,
        names=KEYPOINTS,
        fps=30,
        box_position=place @ up,
        box_quaternion_xyzw=turn,
    )
    (box,) = read_motion(file).objects
    assert box.name == "box"
    assert np.abs(box.p_world_object - place).max() < 1e-12
    # x, y, z of the object point along y, z, x of the file; its y is our z, its z our -y.
    assert np.abs(np.abs(box.q_world_object) - np.abs([np.sqrt(0.5), np.sqrt(0.5), 0, 0])).max() > 0.1
    w, x, y, z = box.q_world_object[0]
    first = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
    assert first == pytest.approx(up @ [0, 1, 0])
    with pytest.raises(MotionError, match="does not fit the person's"):
        read_objects(saved(tmp_path / "o.npz", box_position=place[:5]), len(place))
    with pytest.raises(MotionError, match="no unit quaternion"):
        read_objects(saved(tmp_path / "o.npz", box_position=place, box_quaternion=2 * turn), len(place))
    with pytest.raises(MotionError, match="holds none"):
        read_objects(saved(tmp_path / "o.npz", box=place), len(place))


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"positions": WALK[:, :, :2]}, {}, "wrong shape"),
        ({"positions": WALK[:, :7]}, {}, "no known skeleton has 7 joints"),
        ({"positions": WALK}, {"skeleton": "smplx"}, "does not have the joints"),
        ({"positions": WALK, "names": ["a"] * 3}, {}, "another number of joints"),
        ({"positions": WALK.astype("S8")}, {}, "must be numbers"),
        ({"positions": WALK * 5, "names": KEYPOINTS, "fps": 30}, {}, "fit no unit"),
        ({"positions": WALK, "names": KEYPOINTS, "fps": -1.0}, {}, "fps must be positive"),
        ({"poses_or_so": WALK}, {}, "no motion that is known"),
    ],
)
def test_bad_arrays_are_refused(arrays: dict, options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(MotionError, match=message):
        read_motion(saved(tmp_path / "m.npz", **arrays), ReadOptions(**options))


def test_files_that_cannot_be_read_say_the_way_out(tmp_path: Path) -> None:
    for name, content, message in (
        ("a.npz", b"not a zip", "cannot be read"),
        ("a.npy", b"", "cannot be read"),
        ("a.pt", b"x", "162:318"),
        ("a.fbx", b"x", "export it as BVH"),
        ("a.xyz", b"x", "kind of file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MotionError, match=message):
            read_motion(tmp_path / name)
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(MotionError, match="may run any code"):
        read_motion(tmp_path / "o.npy")
    with pytest.raises(MotionError, match="no such motion file"):
        read_motion(tmp_path / "none.npy")
    with pytest.raises(UnknownNameError, match="smplxx"):
        ReadOptions(skeleton="smplxx")
    with pytest.raises(UnknownNameError, match="unit of length"):
        ReadOptions(unit="furlong")
    with pytest.raises(ConfigError, match="fps"):
        ReadOptions(fps=-1.0)


def test_a_real_climb_is_told_whole() -> None:
    folder = CLIMBS / "seq_0"
    if not folder.is_dir():
        pytest.skip("the shared climbing motions are not here")
    motion = read_motion(next(folder.glob("*.npy")))
    assert (motion.fps, len(motion.keypoint_names)) == (120.0, 15)
    assert motion.height_m == pytest.approx(1.78, abs=0.05)
