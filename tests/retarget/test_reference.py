"""References for tracking: velocities are those of the positions, bodies are MuJoCo's, contacts keep their times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import ShapeError
from robot_stack.retarget.motion import ObjectMotion
from robot_stack.retarget.reference import read_reference, tracking_reference, write_reference
from robot_stack.retarget.result import ContactSegment, Retargeted
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.scene import Scene, SceneObject
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.locoman import LOCOMAN
from robot_stack.sim.robots.model import compile_robot
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE, robot_motion
from tests.retarget.test_saved import same

FRAMES = 40


@pytest.fixture(scope="module")
def result() -> Retargeted:
    qpos, motion, _ = robot_motion(FRAMES)
    box = SceneObject.box("box", (0.05, 0.05, 0.05), (0, 0, 0))
    angle = 0.02 * np.arange(FRAMES)
    turn = np.stack([np.cos(angle), 0 * angle, 0 * angle, np.sin(angle)], axis=1)
    moved = ObjectMotion("box", np.outer(np.arange(FRAMES) / 30.0, (0.5, 0, 0)) + np.array([0.0, 2.0, 0.5]), turn)
    judged = Retargeter(UNITREE_G1, TABLE).judge(motion, Scene(ground=False), qpos)
    return replace(
        judged,
        contacts=(
            ContactSegment("left_toe", 0, 10, "ground", np.zeros((2, 3))),
            ContactSegment("left_toe", 20, 40, "box", np.zeros((2, 3))),
            ContactSegment("right_hand", 5, 6, "box", np.zeros((1, 3))),
        ),
        scene=Scene((SceneObject(box.name, box.vertices, box.triangles, box.normals, moving=True),), ground=False),
        objects=(moved,),
    )


def test_it_is_the_motion_at_fifty_frames_a_second(result: Retargeted) -> None:
    reference = tracking_reference(result, UNITREE_G1)
    assert (reference.fps, len(reference)) == (50.0, 66)
    # Every fifth frame of 50 and every third of 30 a second are the same moment.
    assert np.abs(reference.qpos[::5] - result.qpos[:40:3]).max() < 1e-6
    assert np.abs(np.linalg.norm(reference.qpos[:, 3:7], axis=1) - 1).max() < 1e-12
    assert reference.checks["penetration_max_m"] == 0.0
    assert reference.checks["joint_speed_excess"] == 0.0
    assert (tracking_reference(result, UNITREE_G1, 30.0).qpos == result.qpos).all()


def test_velocities_are_those_of_the_positions(result: Retargeted) -> None:
    reference = tracking_reference(result, UNITREE_G1)
    inner = slice(1, -1)
    for position, velocity in (
        (reference.body_pos_w, reference.body_lin_vel_w),
        (reference.object_pos_w, reference.object_lin_vel_w),
        (reference.joint_pos, reference.joint_vel),
    ):
        slope = (position[2:] - position[:-2]) * 25.0
        assert np.abs(slope - velocity[inner]).max() < 0.02 * max(1.0, np.abs(slope).max())
    # Rates from the change of the body's axes: dR/dt = [w] R.
    mujoco = import_mujoco()
    for quaternion, rates in (
        (reference.body_quat_w[:, 7], reference.body_ang_vel_w[:, 7]),
        (reference.object_quat_w[:, 0], reference.object_ang_vel_w[:, 0]),
    ):
        matrices = np.empty((len(reference), 9))
        for t, q in enumerate(quaternion):
            mujoco.mju_quat2Mat(matrices[t], q)
        matrices = matrices.reshape(-1, 3, 3)
        skew = (matrices[2:] - matrices[:-2]) * 25.0 @ np.swapaxes(matrices[inner], 1, 2)
        found = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
        assert np.abs(found - rates[inner]).max() < 0.02 * max(1.0, np.abs(rates).max())
    assert reference.object_ang_vel_w[3:-3, 0, 2] == pytest.approx(0.04 * 30.0, rel=1e-3)


def test_bodies_and_tips_are_mujocos(result: Retargeted) -> None:
    reference = tracking_reference(result, UNITREE_G1)
    model = compile_robot(UNITREE_G1).model
    data = import_mujoco().MjData(model)
    t = 33
    data.qpos[:], data.qvel[:] = reference.qpos[t], reference.qvel[t]
    import_mujoco().mj_forward(model, data)
    assert reference.body_names[0] == "pelvis"
    for i, name in enumerate(reference.body_names):
        assert reference.body_pos_w[t, i] == pytest.approx(data.body(name).xpos, abs=1e-12)
        assert reference.body_quat_w[t, i] == pytest.approx(data.body(name).xquat, abs=1e-12)
    assert reference.tip_names == ("left_hand", "right_hand", "left_foot", "right_foot")
    for i, name in enumerate(reference.tip_names):
        assert reference.tip_pos_w[t, i] == pytest.approx(data.site(name).xpos, abs=1e-12)


def test_contacts_keep_their_times(result: Retargeted) -> None:
    reference = tracking_reference(result, UNITREE_G1)
    assert reference.contact_names == ("left_toe", "right_hand")
    assert reference.surface_names == ("box", "ground")
    times = np.arange(len(reference)) / 50.0
    frame = np.minimum(np.rint(times * 30.0), 39)
    expected = np.where(frame < 10, 1, np.where(frame >= 20, 0, -1))
    assert (reference.contact_surface[:, 0] == expected).all()
    assert (reference.contact == (reference.contact_surface >= 0)).all()
    assert reference.contact[:, 1].sum() in (1, 2)
    named = tracking_reference(result, UNITREE_G1, contact_names=("right_toe", "left_toe"))
    assert named.contact.any(axis=0).tolist() == [False, True]


def test_it_comes_back_from_its_file(result: Retargeted, tmp_path: Path) -> None:
    reference = tracking_reference(result, UNITREE_G1)
    write_reference(tmp_path / "a.npz", reference)
    assert same(read_reference(tmp_path / "a.npz"), reference)
    np.savez(tmp_path / "b.npz", qpos=np.zeros(3))
    with pytest.raises(ShapeError, match="no reference for tracking"):
        read_reference(tmp_path / "b.npz")


def test_another_robot_is_refused(result: Retargeted) -> None:
    with pytest.raises(ShapeError, match="another robot"):
        tracking_reference(result, LOCOMAN)
