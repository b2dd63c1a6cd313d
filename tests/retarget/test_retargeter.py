"""Whole retargetings with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.body import Body
from robot_stack.retarget.motion import KEYPOINTS, Motion, MotionError
from robot_stack.retarget.problem import Weights
from robot_stack.retarget.progress import StepProgress
from robot_stack.retarget.retargeter import Retargeter, RetargetRule
from robot_stack.retarget.scene import Scene, SceneObject
from robot_stack.sim.render import import_mujoco
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE, climb, robot_motion

mujoco = import_mujoco()
AIR = Scene(ground=False)


def retargeter(**changes: object) -> Retargeter:
    return Retargeter(UNITREE_G1, TABLE, replace(RetargetRule(), **changes))


def angle(first: np.ndarray, second: np.ndarray) -> float:
    """Largest angle between unit quaternions [rad]."""
    return float(2 * np.arccos(np.clip(np.abs(np.sum(first * second, axis=1)), 0, 1)).max())


@pytest.fixture(scope="module")
def own() -> tuple[np.ndarray, Motion, Body]:
    return robot_motion()


def test_a_robots_own_motion_comes_back(own: tuple[np.ndarray, Motion, Body]) -> None:
    qpos, motion, _ = own
    heard: list[StepProgress] = []
    result = retargeter()(motion, Scene(), listen=heard.append)
    assert result.scale == 1.0
    assert np.linalg.norm(result.p_world_keypoint - result.p_world_target, axis=2).max() < 1e-3
    assert np.abs(result.qpos[:, 7:] - qpos[:, 7:]).max() < np.radians(1.0)
    assert angle(result.qpos[:, 3:7], qpos[:, 3:7]) < np.radians(1.0)
    assert np.abs(result.qpos[:, :3] - qpos[:, :3]).max() < 1e-3
    assert result.accepted().all()
    assert list(dict.fromkeys(p.step for p in heard)) == ["interaction mesh", "first pass", "second pass", "check"]
    for step in ("interaction mesh", "first pass", "second pass"):
        own_steps = [p for p in heard if p.step == step]
        assert [p.done for p in own_steps] == sorted({p.done for p in own_steps})
        assert all(0 <= p.done < p.total for p in own_steps)
        assert own_steps[0].unit == "rounds" or own_steps[0].total == len(motion)


def test_a_turned_and_shifted_scene_gives_the_turned_and_shifted_motion(own: tuple[np.ndarray, Motion, Body]) -> None:
    _, motion, _ = own
    half = 0.6
    turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
    c, s = np.cos(2 * half), np.sin(2 * half)
    matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    there = retargeter()(motion, AIR)
    here = retargeter()(replace(motion, positions=motion.positions @ matrix.T + (1.0, -2.0, 0.5)), AIR)
    assert np.abs(here.p_world_keypoint - (there.p_world_keypoint @ matrix.T + (1.0, -2.0, 0.5))).max() < 1e-3
    assert np.abs(here.qpos[:, 7:] - there.qpos[:, 7:]).max() < 2e-3
    back = here.qpos[:, 3:7].copy()
    for t in range(len(back)):
        mujoco.mju_mulQuat(back[t], turn * (1, 1, 1, -1), here.qpos[t, 3:7])
    assert angle(back, there.qpos[:, 3:7]) < 2e-3


def test_a_mirrored_motion_gives_the_mirrored_motion(own: tuple[np.ndarray, Motion, Body]) -> None:
    _, motion, body = own
    swap = {name: name.replace("left", "?").replace("right", "left").replace("?", "right") for name in KEYPOINTS}
    mirrored = np.stack([motion.point(swap[name]) for name in KEYPOINTS], axis=1) * (1.0, -1.0, 1.0)
    plain = retargeter()(motion, AIR).qpos[:, 7:]
    other = retargeter()(replace(motion, positions=mirrored), AIR).qpos[:, 7:]
    for i, name in enumerate(body.joint_names):
        twin = body.joint_names.index(name.replace("left", "?").replace("right", "left").replace("?", "right"))
        sign = -1.0 if "roll" in name or "yaw" in name else 1.0
        assert np.abs(plain[:, i] - sign * other[:, twin]).max() < np.radians(1.0), name


@pytest.fixture(scope="module")
def stepped() -> tuple:
    motion, scene = climb(0, 110)
    return motion, scene, retargeter(second_pass=False)(motion, scene), retargeter()(motion, scene)


def test_a_climb_keeps_all_constraints_on_mujocos_own_distances(stepped: tuple) -> None:
    _, scene, _, result = stepped
    body = Body(UNITREE_G1, scene.scaled(result.scale))
    model, data = body.model, mujoco.MjData(body.model)
    ours = np.flatnonzero(body.of_robot(np.arange(model.ngeom)) & (model.geom_contype > 0))
    theirs = [g for g in range(model.ngeom) if not body.of_robot(np.array([g]))[0]]
    worst = 0.0
    for t in range(0, len(result), 5):
        data.qpos[:] = result.qpos[t]
        mujoco.mj_kinematics(model, data)
        for first in ours:
            for second in theirs:
                gap = mujoco.mj_geomDistance(model, data, int(first), int(second), 0.05, np.zeros(6))
                worst = max(worst, -gap)
    assert worst < 1e-3
    assert result.metrics["penetration_max_m"] < 1e-3
    assert result.metrics["self_penetration_max_m"] < 1e-3
    assert (np.abs(np.diff(result.qpos[:, 7:], axis=0)) * 30 <= body.speed + 1e-6).all()
    assert ((result.qpos[:, 7:] >= body.low - 1e-9) & (result.qpos[:, 7:] <= body.high + 1e-9)).all()
    assert result.accepted().all()


def test_feet_stay_where_they_stand(stepped: tuple) -> None:
    *_, result = stepped
    assert {segment.group for segment in result.contacts} >= {"left_toe", "left_heel", "right_toe", "right_heel"}
    assert result.metrics["stance_drift_max_m"] < 1e-3
    assert result.metrics["contact_share"] > 0.99
    for segment in result.contacts:
        if segment.surface == "ground":
            assert np.abs(segment.p_surface_anchor[:, 2] - 0.005).max() < 1e-9  # middles of the sole's balls


def test_the_second_pass_is_smoother_and_keeps_contacts_better(stepped: tuple) -> None:
    *_, first, second = stepped
    assert second.metrics["joint_jerk_rms"] < 0.5 * first.metrics["joint_jerk_rms"]
    assert second.metrics["stance_drift_max_m"] < first.metrics["stance_drift_max_m"]


def test_velocities_are_those_of_the_positions(stepped: tuple) -> None:
    *_, result = stepped
    model = Body(UNITREE_G1, Scene()).model
    t, out = 50, np.zeros(result.qvel.shape[1])
    mujoco.mj_differentiatePos(model, out, 2 / 30.0, result.qpos[t - 1], result.qpos[t + 1])
    assert np.abs(out - result.qvel[t]).max() < 0.02


def test_what_the_robot_cannot_follow_is_said() -> None:
    motion, scene = climb(0, 40)
    broken = motion.positions.copy()
    broken[20:, motion.names.index("LeftFoot")] += (0.0, 0.0, -0.5)  # through the ground
    broken[20:, motion.names.index("LeftToeBase")] += (0.0, 0.0, -0.5)
    broken[20:, motion.names.index("RightHand")] += (4.0, 0.0, 0.0)
    result = retargeter()(replace(motion, positions=broken), scene)
    assert np.isfinite(result.qpos).all()
    assert result.accepted().all()  # the robot does what it can, and keeps its constraints
    assert result.off_target_m()[25:].min() > 1.0 > result.off_target_m()[:15].max()
    (note,) = [note for note in result.notes if "cannot follow" in note]
    assert "right_wrist" in note and "frames" in note


def test_an_impossible_scene_comes_back_with_slack_in_every_frame_and_a_note() -> None:
    _, motion, _ = robot_motion(frames=12, lift_m=0.0)
    slab = SceneObject.box("slab", (3.0, 3.0, 0.5), (0.0, 0.0, 0.6))  # 10 cm are left below it
    result = retargeter()(motion, Scene((slab,)))
    assert np.isfinite(result.qpos).all()
    missed = np.logical_not(result.accepted())
    assert (missed == (np.maximum(result.violations.penetration_m, result.violations.anchor_m) > 1e-3)).all()
    assert missed.all()
    (note,) = [note for note in result.notes if "not every constraint" in note]
    assert "in 12 frames (0 to 11)" in note and "penetration_m" in note


def test_a_motion_that_is_possible_has_no_such_notes(stepped: tuple) -> None:
    *_, result = stepped
    assert not [note for note in result.notes if "not every" in note or "cannot" in note]


def test_accelerations_can_be_limited(own: tuple[np.ndarray, Motion, Body]) -> None:
    _, motion, _ = own
    free = retargeter()(motion, AIR)
    limit = 0.6 * free.metrics["joint_acceleration_max"]
    bound = retargeter(joint_acceleration=limit)(motion, AIR)
    assert bound.metrics["joint_acceleration_max"] <= limit + 1e-6
    assert bound.accepted().all() and free.violations.acceleration.max() == 0.0
    with pytest.raises(ConfigError, match="positive"):
        RetargetRule(joint_acceleration=0.0)


def test_weights_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="positive"):
        Weights(jerk=0.0)


def test_bad_motions_are_refused() -> None:
    _, motion, _ = robot_motion(frames=6)
    with pytest.raises(MotionError, match="four frames"):
        retargeter()(replace(motion, positions=motion.positions[:3]))
    gap = motion.positions.copy()
    gap[2, 4] = np.nan
    with pytest.raises(MotionError, match="gaps"):
        retargeter()(replace(motion, positions=gap))
    with pytest.raises(MotionError, match="too few keypoints"):
        retargeter()(replace(motion, keypoint_names={"pelvis": "pelvis"}))


def test_a_source_without_hands_is_retargeted_all_the_same() -> None:
    _, motion, _ = robot_motion(frames=8)
    fewer = {k: v for k, v in motion.keypoint_names.items() if "wrist" not in k and "toe" not in k}
    result = retargeter()(replace(motion, keypoint_names=fewer), AIR)
    assert len(result.keypoint_names) == 11
    assert np.isfinite(result.qpos).all()
