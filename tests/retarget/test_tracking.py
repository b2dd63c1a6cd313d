"""Replay in physics: what must fall falls when it must, what can be followed is, and reports say what happened."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.body import Body
from robot_stack.retarget.contacts import object_poses
from robot_stack.retarget.feed_forward import feed_forward
from robot_stack.retarget.result import Retargeted
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.scene import Scene
from robot_stack.retarget.synthetic import carry, reach, squat
from robot_stack.retarget.tracking import TrackingReplay, TrackingRule
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE

ROBOT = Retargeter(UNITREE_G1, TABLE)


@pytest.fixture(scope="module")
def reaching() -> Retargeted:
    made = reach()
    return ROBOT(made.motion, made.scene)


def replayed(result: Retargeted, **changes: object):
    return TrackingReplay(UNITREE_G1, TABLE, replace(TrackingRule(), **changes))(result)


def standing(result: Retargeted, lift_m: float = 0.0, frames: int = 60) -> Retargeted:
    """The first frame, for a while."""
    qpos = np.repeat(result.qpos[:1], frames, axis=0)
    qpos[:, 2] += lift_m
    contacts = tuple(replace(c, start=0, stop=frames) for c in result.contacts if c.start == 0 and not lift_m)
    return replace(result, qpos=qpos, qvel=np.zeros((frames, result.qvel.shape[1])), contacts=contacts)


def test_a_robot_in_the_air_falls_as_fast_as_gravity_says(reaching: Retargeted) -> None:
    report = replayed(standing(reaching, lift_m=2.0), feed_forward=False)
    assert report.broken == "base"
    assert report.held_s == pytest.approx(np.sqrt(2 * 0.25 / 9.81), abs=0.005)
    assert report.base_m == pytest.approx(0.5 * 9.81 * report.time_s**2, rel=0.03, abs=1e-3)
    assert report.share == pytest.approx(report.held_s / report.duration_s)
    assert "base left its bound" in report.text()


def test_feed_forward_carries_the_weight(reaching: Retargeted) -> None:
    body = Body(UNITREE_G1, reaching.scene)
    weight = float(body.model.body_subtreemass[body.robot.root]) * 9.81
    _, missing = feed_forward(body, standing(reaching, lift_m=2.0, frames=4), TABLE)
    assert missing == pytest.approx(weight, rel=1e-3)  # in the air nothing gives it
    torques, missing = feed_forward(body, standing(reaching, frames=4), TABLE)
    assert missing.max() < 0.01 * weight
    # On the ground the torques are those that keep a robot still: simulated with them alone it hardly starts to move.
    with_them, without = replayed(standing(reaching)), replayed(standing(reaching), feed_forward=False)
    assert with_them.joint_max[25] < 0.2 * without.joint_max[25]
    assert np.abs(torques).max() < 60.0
    assert np.isnan(without.missing_n)


def test_a_slow_motion_is_followed_to_its_end_and_the_object_stands(reaching: Retargeted) -> None:
    report = replayed(reaching)
    assert report.broken == "" and report.held_s == report.duration_s == pytest.approx(3.0)
    assert report.joint_max.max() < np.radians(10) and report.base_m.max() < 0.1
    assert "no bound was broken" in report.text()
    assert report.qpos.shape == (1500, 36) and report.saturated.mean() < 1e-3
    again = replayed(reaching, longest_s=1.0)
    assert again.duration_s == 1.0 and (again.qpos[:400] == report.qpos[:400]).all()
    figures = again.summary()
    assert figures["held_s"] == figures["duration_s"] == 1.0 and figures["broken"] == ""
    assert json.loads(json.dumps(figures)) == figures


def test_a_held_base_shows_what_the_joints_can_do() -> None:
    made = squat()
    result = ROBOT(made.motion, made.scene)
    report = replayed(result, hold_base=True)
    assert report.broken == "" and report.base_m.max() < 0.02
    assert np.sqrt(np.mean(report.joint_rms**2)) < np.radians(1.0)
    weak = replace(UNITREE_G1, joints=tuple(replace(joint, effort=0.5) for joint in UNITREE_G1.joints))
    tired = TrackingReplay(weak, TABLE, TrackingRule(hold_base=True))(result)
    assert tired.broken == "joints" and tired.saturated.mean() > 0.1
    first = replayed(result, joint_rad=1e-4, hold_base=True)
    assert first.broken == "joints" and len(first.time_s) < 0.2 * 1500
    on = replayed(result, joint_rad=1e-4, hold_base=True, stop=False)
    assert on.held_s == first.held_s and len(on.time_s) == 1500


def test_objects_are_bodies_with_weight() -> None:
    made = carry(steps=0)
    frames = 20
    motion = replace(
        made.motion,
        positions=made.motion.positions[:frames],
        objects=tuple(
            replace(o, p_world_object=o.p_world_object[:frames], q_world_object=o.q_world_object[:frames])
            for o in made.motion.objects
        ),
    )
    result = Retargeter(UNITREE_G1, TABLE)(motion, made.scene)
    report = replayed(result)
    assert report.object_m.max() < 2e-3  # it stands where it is
    up = np.array([0.0, 0.0, 1.0])
    lifted = tuple(replace(o, p_world_object=o.p_world_object + up) for o in result.objects)
    report = replayed(replace(result, objects=lifted))
    assert report.broken == "object box"
    assert report.held_s == pytest.approx(np.sqrt(2 * 0.3 / 9.81), abs=0.005)
    assert object_poses(lifted, result.scene, frames).shape == (frames, 1, 7)


def test_wrong_motions_and_rules_are_refused(reaching: Retargeted) -> None:
    with pytest.raises(ConfigError, match="another robot's"):
        replayed(replace(reaching, robot="locoman"))
    with pytest.raises(ConfigError, match="must be positive"):
        TrackingRule(base_m=0.0)
    with pytest.raises(ConfigError, match="physics rate"):
        TrackingReplay(UNITREE_G1, TABLE, TrackingRule(servo_hz=333.0))
    # Without ground and objects the replay is still one.
    assert replayed(replace(standing(reaching, frames=6), scene=Scene(ground=False))).broken == ""
