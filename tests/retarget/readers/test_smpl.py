"""Pose parameters with a body model made up by the test, against brute force on its skin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robot_stack.retarget.motion import MotionError
from robot_stack.retarget.readers.raw import ReadOptions
from robot_stack.retarget.readers.read import read_motion
from robot_stack.retarget.readers.smpl import read_body_model
from robot_stack.retarget.skeletons import SKELETONS

BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
REST = {
    0: (0, 0.9, 0),
    1: (0.09, 0.85, 0),
    2: (-0.09, 0.85, 0),
    4: (0.1, 0.45, 0),
    5: (-0.1, 0.45, 0),
    7: (0.1, 0.06, 0),
}
REST |= {
    8: (-0.1, 0.06, 0),
    10: (0.1, 0, 0.13),
    11: (-0.1, 0, 0.13),
    16: (0.18, 1.4, 0),
    17: (-0.18, 1.4, 0),
    15: (0, 1.6, 0),
}
REST |= {18: (0.45, 1.4, 0), 19: (-0.45, 1.4, 0), 20: (0.7, 1.4, 0), 21: (-0.7, 1.4, 0)}


def body_model(path: Path, joints: int, betas: int = 10) -> dict[str, np.ndarray]:
    """A model with three points of skin a joint."""
    rng = np.random.default_rng(joints)
    rest = np.array([REST.get(j, (0.0, 1.2, 0.0)) for j in range(joints)], dtype=float)
    rest += 0.01 * rng.standard_normal((joints, 3))
    offsets = rng.standard_normal((joints, 3, 3)) * 0.05
    offsets -= offsets.mean(axis=1, keepdims=True)
    regressor = np.zeros((joints, 3 * joints))
    for j in range(joints):
        regressor[j, 3 * j : 3 * j + 3] = 1 / 3
    parents = [*BODY_PARENTS, *([20, 22, 23] * 20)][:joints]
    if joints == 55:
        parents = [*BODY_PARENTS, 15, 15, 15, *([20] * 15), *([21] * 15)]
    if joints == 24:
        parents = [*BODY_PARENTS, 20, 21]
    model = {
        "J_regressor": regressor,
        "v_template": (rest[:, None] + offsets).reshape(-1, 3),
        "shapedirs": 0.01 * rng.standard_normal((3 * joints, 3, betas)),
        "kintree_table": np.array([[2**32 - 1, *parents[1:]], range(joints)], dtype=np.int64),
    }
    np.savez(path, **model)  # pyright: ignore[reportArgumentType]
    return model


def brute(model: dict, poses: np.ndarray, trans: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Joints frame by frame with 4 x 4 matrices."""
    skin = model["v_template"] + sum(b * model["shapedirs"][:, :, i] for i, b in enumerate(betas))
    rest = model["J_regressor"] @ skin
    parents = model["kintree_table"][0]
    out = np.empty((len(poses), len(rest), 3))
    for t, pose in enumerate(poses):
        world: list[np.ndarray] = []
        for j in range(len(rest)):
            local = np.eye(4)
            local[:3, :3] = Rotation.from_rotvec(pose[j]).as_matrix()
            local[:3, 3] = rest[j] - (rest[parents[j]] if j else 0)
            world.append(local if j == 0 else world[parents[j]] @ local)
            out[t, j] = world[j][:3, 3] + trans[t]
    return out


@pytest.mark.parametrize(("joints", "kind"), [(24, "smpl"), (52, "smplh"), (55, "smplx")])
def test_joints_are_those_of_brute_force(joints: int, kind: str, tmp_path: Path) -> None:
    model = body_model(tmp_path / "model.npz", joints)
    rng = np.random.default_rng(0)
    poses, trans, betas = (
        0.3 * rng.standard_normal((7, joints, 3)),
        rng.standard_normal((7, 3)),
        rng.standard_normal(10),
    )
    poses[0] = 0.0
    np.savez(
        tmp_path / "m.npz",
        poses=poses.reshape(7, -1),
        trans=trans,
        betas=betas,
        mocap_framerate=120.0,
        gender="neutral",
    )
    motion = read_motion(tmp_path / "m.npz", ReadOptions(body_model=tmp_path / "model.npz", up="z"))
    expected = brute(model, poses, trans, betas)
    assert np.abs(motion.positions - expected).max() < 1e-12
    assert motion.names == SKELETONS[kind].joints
    assert motion.fps == 120
    skin = model["v_template"] + model["shapedirs"] @ betas
    assert motion.height_m == pytest.approx(np.ptp(skin[:, 1]))


def test_named_parts_and_bodies_without_hands(tmp_path: Path) -> None:
    model = body_model(tmp_path / "model.npz", 55)
    rng = np.random.default_rng(1)
    root, body = rng.standard_normal((5, 3)), 0.2 * rng.standard_normal((5, 63))
    whole = np.zeros((5, 55, 3))
    whole[:, 0], whole[:, 1:22] = root, body.reshape(5, 21, 3)
    expected = brute(model, whole, np.zeros((5, 3)), np.zeros(10))
    np.savez(tmp_path / "m.npz", global_orient=root, body_pose=body, transl=np.zeros((5, 3)))
    motion = read_motion(tmp_path / "m.npz", ReadOptions(body_model=tmp_path / "model.npz", up="z"))
    assert np.abs(motion.positions - expected).max() < 1e-12
    assert any("no hands" in note for note in motion.notes)


@pytest.mark.parametrize("kind", ["smplh", "smplx"])
def test_parts_that_are_missing_stay_at_rest(kind: str, tmp_path: Path) -> None:
    """Names of AMASS and of the smplx package, jaws without eyes, hands together or apart, SMPL's body of 23 joints."""
    joints, hands = {"smplh": (52, 22), "smplx": (55, 25)}[kind]
    model = body_model(tmp_path / "model.npz", joints)
    rng = np.random.default_rng(2)
    whole = 0.3 * rng.standard_normal((5, joints, 3))
    whole[:, 23:25] *= kind != "smplx"
    parts = {"root_orient": whole[:, 0], "trans": np.zeros((5, 3))}
    body = np.concatenate([whole[:, 1:22], rng.standard_normal((5, 2, 3))], axis=1)
    if kind == "smplx":
        parts["pose_jaw"] = whole[:, 22]
    one = {**parts, "pose_body": whole[:, 1:22].reshape(5, -1), "pose_hand": whole[:, hands:].reshape(5, -1)}
    apart = {"left_hand_pose": whole[:, hands : hands + 15], "right_hand_pose": whole[:, hands + 15 :]}
    two = {**parts, "body_pose": body.reshape(5, -1), **apart}
    expected = brute(model, whole, np.zeros((5, 3)), np.zeros(10))
    for arrays in (one, two):
        np.savez(tmp_path / "m.npz", **arrays)
        motion = read_motion(tmp_path / "m.npz", ReadOptions(body_model=tmp_path / "model.npz", up="z"))
        assert np.abs(motion.positions - expected).max() < 1e-12
    np.savez(tmp_path / "m.npz", **{**two, "left_hand_pose": np.ones((5, 12)), "right_hand_pose": np.ones((5, 12))})
    motion = read_motion(tmp_path / "m.npz", ReadOptions(body_model=tmp_path / "model.npz", up="z"))
    assert any("principal components" in note for note in motion.notes)
    whole[:, hands:] = 0.0
    assert np.abs(motion.positions - brute(model, whole, np.zeros((5, 3)), np.zeros(10))).max() < 1e-12
    np.savez(tmp_path / "m.npz", **{**two, "body_pose": np.zeros((4, 63))})
    with pytest.raises(MotionError, match="body_pose"):
        read_motion(tmp_path / "m.npz", ReadOptions(body_model=tmp_path / "model.npz"))


@pytest.mark.parametrize(("directions", "shapes"), [(20, 10), (400, 300)])
def test_expressions_of_smplx_are_no_shapes(directions: int, shapes: int, tmp_path: Path) -> None:
    """AMASS fits 16 numbers of shape; the first release of SMPL-X has 10 and then its expressions."""
    model = body_model(tmp_path / "model.npz", 55, betas=directions)
    betas = np.random.default_rng(3).standard_normal(16)
    rest = model["J_regressor"] @ (model["v_template"] + model["shapedirs"][:, :, : min(16, shapes)] @ betas[:shapes])
    assert np.abs(read_body_model(tmp_path / "model.npz").rest(betas) - rest).max() < 1e-12


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    file, model = tmp_path / "m.npz", tmp_path / "model.npz"
    body_model(model, 52)
    np.savez(file, poses=np.zeros((5, 165)), trans=np.zeros((5, 3)))
    with pytest.raises(MotionError, match="body model"):
        read_motion(file)
    with pytest.raises(MotionError, match="those of smplx"):
        read_motion(file, ReadOptions(body_model=model))
    np.savez(file, poses=np.zeros((5, 156)), trans=np.zeros((4, 3)))
    with pytest.raises(MotionError, match="different lengths"):
        read_motion(file, ReadOptions(body_model=model))
    with pytest.raises(MotionError, match=r"pickle\.load"):
        read_motion(file, ReadOptions(body_model=tmp_path / "model.pkl"))
    np.savez(model, v_template=np.zeros((3, 3)))
    with pytest.raises(MotionError, match="lacks arrays"):
        read_body_model(model)
    np.savez(
        model,
        v_template=np.zeros((3, 3)),
        J_regressor=np.zeros((24, 4)),
        shapedirs=np.zeros((3, 3, 1)),
        kintree_table=[[0]],
    )
    with pytest.raises(MotionError, match="do not fit one another"):
        read_body_model(model)
