"""One factor keeps shapes; a factor a bone gives the robot's bones; the notes say which and why."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from robot_stack.retarget.body import Body
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.scaling import scale_all
from robot_stack.retarget.scene import Scene
from robot_stack.retarget.synthetic import carry, squat
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE

CHAINS = (("pelvis", "hip", "knee", "ankle", "toe"), ("pelvis", "shoulder", "elbow", "wrist"))


def bones() -> list[tuple[str, str]]:
    return [
        (a if a == "pelvis" else f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for chain in CHAINS
        for a, b in pairwise(chain)
    ]


def test_one_factor_keeps_all_proportions() -> None:
    source = carry(steps=1)
    scaled = scale_all(source.motion, source.scene, TABLE)
    factor = TABLE.height_m / source.motion.height_m
    assert scaled.factor == pytest.approx(factor)
    assert np.abs(scaled.motion.positions - factor * source.motion.positions).max() < 1e-12
    assert (
        np.abs(scaled.motion.objects[0].p_world_object - factor * source.motion.objects[0].p_world_object).max() < 1e-12
    )
    assert np.abs(scaled.scene.objects[0].vertices - factor * source.scene.objects[0].vertices).max() < 1e-12
    assert "one factor" in scaled.why and "contacts of the source stay contacts" in scaled.why


def test_a_factor_a_bone_gives_the_robots_bones_in_the_sources_directions() -> None:
    source = squat()
    scaled = Retargeter(UNITREE_G1, TABLE).scaled_by_limbs(source.motion)
    body = Body(UNITREE_G1, Scene())
    sweep = body.sweep(body.home()[None], near=False)
    home = body.places(sweep, *body.points(tuple(TABLE.keypoints[name] for name in TABLE.names)))[0]
    for a, b in bones():
        own = np.linalg.norm(home[TABLE.names.index(b)] - home[TABLE.names.index(a)])
        before = source.motion.point(b) - source.motion.point(a)
        after = scaled.motion.point(b) - scaled.motion.point(a)
        assert np.median(np.linalg.norm(after, axis=1)) == pytest.approx(own, rel=1e-9)
        along = np.sum(before * after, axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
        assert along.min() > 1 - 1e-9
    assert "one factor a bone" in scaled.why


def test_with_objects_there_is_one_factor_and_the_notes_say_why() -> None:
    source = carry(steps=1)
    scaled = Retargeter(UNITREE_G1, TABLE).scaled_by_limbs(source.motion, source.scene)
    assert "one factor 0." in scaled.why and "come apart" in scaled.why


def test_a_result_says_how_it_was_scaled_and_uses_what_it_is_given() -> None:
    robot, source = Retargeter(UNITREE_G1, TABLE), squat()
    motion = source.motion
    scaled = robot.scaled_by_limbs(motion)
    result = robot(motion, source.scene, scaled)
    assert scaled.why in result.notes and result.scale == scaled.factor
    assert result.accepted().all()
