"""ASF/AMC against SciPy's rotations, and AMC rows against dm_control's parser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robot_stack.retarget.motion import KEYPOINTS, MotionError
from robot_stack.retarget.readers.asf import parse_amc, parse_asf, places
from robot_stack.retarget.readers.read import read_motion

BONES: dict[str, tuple[str, tuple[float, float, float], float, tuple[float, float, float], str]] = {
    "lhipjoint": ("root", (0.9, -0.2, 0), 1.7, (0, 0, 0), ""),
    "lfemur": ("lhipjoint", (0.3, -0.9, 0), 7.2, (0, 0, 20), "rx ry rz"),
    "ltibia": ("lfemur", (0.3, -0.9, 0), 7.4, (0, 0, 20), "rx"),
    "lfoot": ("ltibia", (0.05, -0.3, 0.95), 2.2, (-90, 0, 20), "rx rz"),
    "rhipjoint": ("root", (-0.9, -0.2, 0), 1.7, (0, 0, 0), ""),
    "rfemur": ("rhipjoint", (-0.3, -0.9, 0), 7.2, (0, 0, -20), "rx ry rz"),
    "rtibia": ("rfemur", (-0.3, -0.9, 0), 7.4, (0, 0, -20), "rx"),
    "rfoot": ("rtibia", (-0.05, -0.3, 0.95), 2.2, (-90, 0, -20), "rx rz"),
    "lowerback": ("root", (0, 1, 0), 7.0, (0, 0, 0), "rx ry rz"),
    "lclavicle": ("lowerback", (0.9, 0.3, 0), 3.0, (10, 20, 30), "ry rz"),
    "lhumerus": ("lclavicle", (1, 0, 0), 5.0, (180, 30, -90), "rx ry rz"),
    "lradius": ("lhumerus", (1, 0, 0), 4.0, (180, 30, -90), "rx"),
    "rclavicle": ("lowerback", (-0.9, 0.3, 0), 3.0, (10, -20, -30), "ry rz"),
    "rhumerus": ("rclavicle", (-1, 0, 0), 5.0, (180, -30, 90), "rx ry rz"),
    "rradius": ("rhumerus", (-1, 0, 0), 4.0, (180, -30, 90), "rx"),
}


def write(folder: Path, frames: int = 9) -> tuple[Path, dict[str, np.ndarray]]:
    """An AMC of subject 07 with its ASF; the values by bone."""
    bone_rows = []
    for name, (_, direction, length, axis, dof) in BONES.items():
        rows = [f"name {name}", "direction {} {} {}".format(*direction), f"length {length}"]
        rows += ["axis {} {} {}  XYZ".format(*axis), *([f"dof {dof}", "limits (-160 20)"] if dof else [])]
        bone_rows += ["  begin", "    id 1", *(f"    {row}" for row in rows), "  end"]
    tree: dict[str, list[str]] = {}
    for name, (parent, *_) in BONES.items():
        tree.setdefault(parent, []).append(name)
    text = [
        ":version 1.10",
        ":name VICON",
        ":units",
        "  mass 1.0\n  length 0.45\n  angle deg",
        ":documentation",
        "  made by a test",
        ":root",
        "  order TX TY TZ RX RY RZ\n  axis XYZ\n  position 0 0 0\n  orientation 0 0 0",
        ":bonedata",
        *bone_rows,
        ":hierarchy",
        "  begin",
        *(f"    {parent} {' '.join(children)}" for parent, children in tree.items()),
        "  end",
    ]
    (folder / "07.asf").write_text("\n".join(text))
    rng = np.random.default_rng(1)
    values = {
        "root": np.concatenate(
            [rng.uniform(-1, 1, (frames, 3)) + np.array([0, 16, 0]), rng.uniform(-9, 9, (frames, 3))], 1
        )
    }
    values |= {n: rng.uniform(-20, 20, (frames, len(dof.split()))) for n, (*_, dof) in BONES.items() if dof}
    lines = ["#!made by a test", ":FULLY-SPECIFIED", ":DEGREES"]
    for t in range(frames):
        lines += [str(t + 1), *(f"{n} " + " ".join(f"{x:.6f}" for x in rows[t]) for n, rows in values.items())]
    (folder / "07_01.amc").write_text("\n".join(lines) + "\n")
    return folder / "07_01.amc", values


def independent(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Ends of bones by SciPy; lower case letters turn about the fixed axes, the first letter first."""
    root = values["root"]
    turns, ends = {"root": Rotation.from_euler("xyz", root[:, 3:], degrees=True)}, {"root": root[:, :3]}
    for name, (parent, direction, length, axis, dof) in BONES.items():
        own = Rotation.from_euler("xyz", axis, degrees=True)
        angles = np.zeros((len(root), 3))
        for i, word in enumerate(dof.split()):
            angles[:, "xyz".index(word[1])] = values[name][:, i]
        turn = own * Rotation.from_euler("xyz", angles, degrees=True) * own.inv()
        turns[name] = turns[parent] * turn
        unit = np.array(direction) / np.linalg.norm(direction)
        ends[name] = ends[parent] + turns[name].apply(unit * length)
    return ends


def test_ends_of_bones_are_those_of_independent_forward_kinematics(tmp_path: Path) -> None:
    amc, values = write(tmp_path)
    asf = parse_asf(tmp_path / "07.asf")
    rows, notes = parse_amc(amc, asf)
    expected = independent({n: np.round(v, 6) for n, v in values.items()})
    ours = places(asf, rows)
    assert notes == ()
    for i, name in enumerate(("root", *asf.parents)):
        assert np.abs(ours[:, i] - expected[name]).max() < 1e-9, name


def test_rows_are_those_that_dm_controls_parser_reads(tmp_path: Path) -> None:
    theirs = pytest.importorskip("dm_control.suite.utils.parse_amc")
    amc, values = write(tmp_path)
    rows, _ = parse_amc(amc, parse_asf(tmp_path / "07.asf"))
    stacked = np.concatenate([rows[name] for name in values], axis=1)
    assert np.abs(np.stack(theirs.parse(str(amc))) - stacked).max() == 0.0


def test_an_amc_becomes_a_motion_in_metres(tmp_path: Path) -> None:
    amc, values = write(tmp_path)
    motion = read_motion(amc)
    assert motion.fps == 120.0
    assert set(motion.keypoint_names) == set(KEYPOINTS)
    root = values["root"][:, :3] * 0.0254 / 0.45
    assert motion.point("root") == pytest.approx(np.stack([root[:, 0], -root[:, 2], root[:, 1]], axis=1), abs=1e-7)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    amc, _ = write(tmp_path)
    text = amc.read_text()
    amc.write_text(text.replace("ltibia ", "ltibia 1.0 ", 1))
    with pytest.raises(MotionError, match="another number of them"):
        read_motion(amc)
    amc.write_text(text.replace("1\nroot", "root", 1))
    with pytest.raises(MotionError, match="before its first frame"):
        read_motion(amc)
    amc.write_text(text.replace("lfemur ", "lfemur x", 1))
    with pytest.raises(MotionError, match="number belongs"):
        read_motion(amc)
    asf = (tmp_path / "07.asf").read_text()
    amc.write_text(text)
    for old, message in (
        (":hierarchy", "no :hierarchy"),
        ("    direction", "incomplete"),
        ("root lhipjoint", "unknown bone"),
    ):
        (tmp_path / "07.asf").write_text(asf.replace(old, "    x" if old.startswith(" ") else "foo lhipjoint", 1))
        with pytest.raises(MotionError, match=message):
            read_motion(amc)
    (tmp_path / "07.asf").unlink()
    with pytest.raises(MotionError, match="needs the ASF"):
        read_motion(amc)
