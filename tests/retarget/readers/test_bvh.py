"""BVH against forward kinematics by SciPy's rotations, written down another way."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robot_stack.retarget.motion import MotionError
from robot_stack.retarget.readers.bvh import parse_bvh
from robot_stack.retarget.readers.raw import ReadOptions
from robot_stack.retarget.readers.read import read_motion

SIDE = ("{s}UpLeg", "{s}Leg", "{s}Foot", "{s}ToeBase")
ARM = ("{s}Shoulder", "{s}Arm", "{s}ForeArm", "{s}Hand")
ORDERS = ["".join(p) for p in permutations("XYZ")]


def tree() -> list[tuple[str, str | None, tuple[float, float, float]]]:
    """Name, parent and offset [cm], y up; parents first."""
    out: list[tuple[str, str | None, tuple[float, float, float]]] = [("Hips", None, (1.0, 2.0, 3.0))]
    out += [("Spine", "Hips", (0, 20, 0)), ("Neck", "Spine", (0, 32, 0))]
    for s, sign in (("Left", 1.0), ("Right", -1.0)):
        legs, arms = [n.format(s=s) for n in SIDE], [n.format(s=s) for n in ARM]
        for name, parent, offset in zip(
            legs, ["Hips", *legs], ((9, -2, 0), (0, -42, 0), (0, -42, 0), (0, -5, 14)), strict=False
        ):
            out.append((name, parent, (offset[0] * sign, offset[1], offset[2])))
        for name, parent, offset in zip(
            arms, ["Spine", *arms], ((4, 30, 0), (14, 0, 0), (28, 0, 0), (26, 0, 0)), strict=False
        ):
            out.append((name, parent, (offset[0] * sign, offset[1], offset[2])))
    return out


def written(path: Path, frames: int = 12, seed: int = 0, prefix: str = "", wild: bool = True) -> np.ndarray:
    """Write a BVH whose joints have channels in all orders; its world positions ``(frames, joints + ends, 3)`` [cm]."""
    rng = np.random.default_rng(seed)
    joints, values, places, turns, names, lines = tree(), [], {}, {}, [], ["HIERARCHY"]
    children = {n: [c for c, p, _ in joints if p == n] for n, _, _ in joints}
    offsets = {n: np.array(o, dtype=float) for n, _, o in joints}

    def visit(name: str, parent: str | None, depth: int) -> None:
        pad = "\t" * depth
        number = len(names)
        order = ORDERS[number % 6] if wild else "ZXY"
        lines.extend([f"{pad}{'ROOT' if parent is None else 'JOINT'} {prefix}{name}", pad + "{"])
        lines.append(f"{pad}\tOFFSET " + " ".join(map(str, offsets[name])))
        channels = [f"{letter}rotation" for letter in order]
        angles = rng.uniform(-15, 15, (frames, 3))
        shift = np.repeat(offsets[name][None], frames, axis=0)
        own = [angles]
        if parent is None:
            path_of = np.array([[3.0 * t, 90.0, 1.0 * t] for t in range(frames)])
            # Positions after the rotations, z first: channels come in any order.
            channels = [*channels, "Zposition", "Xposition", "Yposition"]
            own.append(path_of[:, [2, 0, 1]])
            shift = path_of
        elif wild and number % 5 == 0:
            channels = ["Yposition", *channels]
            own.insert(0, shift[:, 1:2] + rng.uniform(-1, 1, (frames, 1)))
            shift[:, 1] = own[0][:, 0]
        lines.append(f"{pad}\tCHANNELS {len(channels)} " + " ".join(channels))
        values.append(np.concatenate(own, axis=1))
        local = Rotation.from_euler(order, angles, degrees=True)  # upper case: about the moving axes
        turns[name] = local if parent is None else turns[parent] * local
        places[name] = shift if parent is None else places[parent] + turns[parent].apply(shift)
        names.append(name)
        for child in children[name]:
            visit(child, name, depth + 1)
        if not children[name]:
            lines.extend([f"{pad}\tEnd Site", pad + "\t{", f"{pad}\t\tOFFSET 0 5 1", pad + "\t}"])
            places[name + "_end"] = places[name] + turns[name].apply([0, 5, 1])
            names.append(name + "_end")
        lines.append(pad + "}")

    visit("Hips", None, 0)
    rows = np.concatenate(values, axis=1)
    lines += ["MOTION", f"Frames: {frames}", "Frame Time: 0.025", *(" ".join(f"{v:.9f}" for v in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n\n")
    return np.stack([places[name] for name in names], axis=1)


def test_positions_are_those_of_independent_forward_kinematics(tmp_path: Path) -> None:
    expected = written(tmp_path / "a.bvh")
    bvh = parse_bvh(tmp_path / "a.bvh")
    assert np.abs(bvh.positions() - expected).max() < 1e-6
    assert bvh.names[:2] == ("Hips", "Spine")
    assert {"Neck_end", "LeftToeBase_end", "RightHand_end"} <= set(bvh.names)
    assert len({order for order in bvh.channels if len(order) == 3}) >= 5


def test_a_bvh_becomes_a_motion_in_metres_with_z_up(tmp_path: Path) -> None:
    expected = written(tmp_path / "a.bvh", prefix="mixamorig:")
    motion = read_motion(tmp_path / "a.bvh")
    assert motion.fps == pytest.approx(40.0)
    assert len(motion.keypoint_names) == 15
    assert motion.keypoint_names["left_shoulder"] == "mixamorig:LeftArm"
    x, y, z = np.moveaxis(expected[:, 0], 1, 0) * 0.01
    assert np.abs(motion.point("mixamorig:Hips") - np.stack([x, -z, y], axis=1)).max() < 1e-8
    assert any("taken as cm" in note for note in motion.notes)
    assert any("height 1.79 m" in note for note in motion.notes)


def test_unit_and_axis_can_be_said(tmp_path: Path) -> None:
    expected = written(tmp_path / "a.bvh")
    motion = read_motion(tmp_path / "a.bvh", ReadOptions(up="y", unit="0.02", height_m=3.5))
    assert motion.point("Hips")[:, 2] == pytest.approx(expected[:, 0, 1] * 0.02)
    assert any("a leg would be 1.68 m" in note for note in motion.notes)


@pytest.mark.parametrize(
    ("frame_time", "fps"),
    [
        *(("0.0333333", 30), ("0.0333", 30), (".008333", 120), ("0.0083", 120), ("4.16667e-2", 24), ("0.01", 100)),
        *(("0.0333667", 1 / 0.0333667), ("0.0417083", 1 / 0.0417083)),
    ],
)
def test_a_rate_is_whole_where_the_files_digits_allow_it(frame_time: str, fps: float, tmp_path: Path) -> None:
    written(tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text()
    (tmp_path / "a.bvh").write_text(text.replace("Frame Time: 0.025", f"Frame Time:\t{frame_time}"))
    assert read_motion(tmp_path / "a.bvh").fps == pytest.approx(fps, rel=1e-12)


def without_toes(path: Path, end: str) -> None:
    """Make the toe joints of a file the end sites of its feet."""
    written(path, wild=False)
    lines, out, k = path.read_text().rstrip().splitlines(), [], 0
    names = [line.split()[1] for line in lines if line.split()[:1] in (["JOINT"], ["ROOT"])]
    gone = [3 + 3 * n + i for n, name in enumerate(names) if name.endswith("ToeBase") for i in range(3)]
    while k < len(lines):
        if lines[k].strip().endswith("ToeBase"):
            out += ["End Site", "{", f"OFFSET {end}", "}"]
            k += 9
        elif k > lines.index("MOTION") + 2:
            out.append(" ".join(np.delete(lines[k].split(), gone)))
            k += 1
        else:
            out.append(lines[k])
            k += 1
    path.write_text("\n".join(out))


def test_ends_of_feet_are_toes_where_there_is_no_toe(tmp_path: Path) -> None:
    """Biovision's first files, and many since, have a foot and then an end site."""
    without_toes(tmp_path / "a.bvh", "0 -5 14")
    motion = read_motion(tmp_path / "a.bvh")
    assert motion.keypoint_names["left_toe"] == "LeftFoot_end"
    foot = motion.point("LeftFoot_end") - motion.point("LeftFoot")
    assert np.linalg.norm(foot, axis=1) == pytest.approx(0.01 * np.hypot(5, 14))
    assert any("the file has no toes" in note for note in motion.notes)
    without_toes(tmp_path / "b.bvh", "0 -9 1")  # straight below the ankle: where the foot stands, no toe
    motion = read_motion(tmp_path / "b.bvh")
    assert "left_toe" not in motion.keypoint_names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Xrotation", "Wrotation", "unknown channel"),
        ("CHANNELS 3", "CHANNELS 4", "another number of channels"),
        ("MOTION", "", "makes no sense"),
        ("Frames: 12", "Frames: 13", "ends too early"),
        ("Frame Time: 0.025", "Frame Time: 0", "no time between"),
        ("Frame Time", "Time", "does not say its frames"),
        ("OFFSET 1.0", "OFFSET one", "where numbers belong"),
        ("HIERARCHY", "HIERARCHY\nnonsense", "makes no sense"),
    ],
)
def test_broken_files_name_the_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    written(tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text()
    assert old in text
    (tmp_path / "a.bvh").write_text(text.replace(old, new, 1))
    with pytest.raises(MotionError, match=message):
        read_motion(tmp_path / "a.bvh")


def test_a_row_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text().rstrip()
    (tmp_path / "a.bvh").write_text(text.rsplit(" ", 1)[0])
    with pytest.raises(MotionError, match="another length"):
        read_motion(tmp_path / "a.bvh")
