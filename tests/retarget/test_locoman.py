"""A person on all fours becomes a quadruped: arms are its front legs, legs its rear legs."""

from __future__ import annotations

import numpy as np

from robot_stack.retarget.keypoint_table import KEYPOINT_TABLES
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.synthetic import all_fours, walk
from robot_stack.sim.robots.locoman import LOCOMAN

ROBOT = Retargeter(LOCOMAN, KEYPOINT_TABLES["locoman"])


def test_a_crawl_keeps_all_constraints_and_its_feet() -> None:
    source = all_fours(strides=1)
    result = ROBOT(source.motion, source.scene)
    assert result.accepted().all()
    assert {stay.group for stay in result.contacts} == {"2_FL", "1_FR", "4_RL", "3_RR"}
    assert result.metrics["stance_drift_max_m"] < 1e-3
    assert result.metrics["stance_speed_max"] < 0.01
    assert result.metrics["contact_share"] >= 0.95
    for stay in result.contacts:
        assert np.abs(stay.p_surface_anchor[:, 2] - 0.02).max() < 1e-9  # middles of ball feet, on the ground
    way = source.motion.point("pelvis")[-1] - source.motion.point("pelvis")[0]
    assert np.linalg.norm(result.qpos[-1, :2] - result.qpos[0, :2] - result.scale * way[:2]) < 0.05
    up = 1 - 2 * (result.qpos[:, 4] ** 2 + result.qpos[:, 5] ** 2)
    assert up.min() > np.cos(np.radians(10))  # the trunk stays level


def test_an_upright_walk_comes_back_with_what_cannot_be_followed() -> None:
    source = walk(steps=1)
    result = ROBOT(source.motion, source.scene)
    assert np.isfinite(result.qpos).all()
    missed = np.logical_not(result.accepted())
    assert missed.any() == any("not every constraint" in note for note in result.notes)
