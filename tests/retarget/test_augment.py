"""Changed scenes: every contact is kept, every constraint holds, and drawn changes repeat."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.retarget.augment import Augmenter
from robot_stack.retarget.contacts import from_frame
from robot_stack.retarget.result import Retargeted
from robot_stack.retarget.retargeter import Retargeter
from robot_stack.retarget.synthetic import carry, reach, step_up, walk
from robot_stack.retarget.variation import ObjectChange, Variation, VariationRanges
from robot_stack.sim.robots.unitree_g1 import UNITREE_G1
from tests.retarget.conftest import TABLE

ROBOT = Retargeter(UNITREE_G1, TABLE)


def kept(result: Retargeted) -> None:
    assert result.metrics["contact_share"] >= 0.95
    assert result.metrics["penetration_max_m"] < 1e-3
    assert result.metrics["self_penetration_max_m"] < 1e-3
    assert result.metrics["stance_drift_max_m"] < 1e-3
    assert result.accepted().all()


@pytest.fixture(scope="module")
def climbing() -> Augmenter:
    made = step_up()
    return Augmenter(ROBOT, made.motion, made.scene)


@pytest.mark.parametrize("height", [0.7, 1.2])
def test_a_higher_or_lower_box_is_climbed_with_the_same_contacts(climbing: Augmenter, height: float) -> None:
    result = climbing(Variation({"box": ObjectChange(stretch=(1.0, 1.0, height))}))
    kept(result)
    assert f"stretched by 1.000 1.000 {height:.3f}" in " ".join(result.notes)
    top = result.scene.objects[0].vertices[:, 2].max()
    assert top == pytest.approx(0.2 * result.scale * height)
    rise = result.qpos[-1, 2] - climbing.nominal.qpos[-1, 2]
    assert rise == pytest.approx(top - 0.2 * result.scale, abs=0.03)
    groups = {(s.group, s.surface) for s in result.contacts}
    assert groups == {(s.group, s.surface) for s in climbing.nominal.contacts}


def test_feet_lie_flat_on_a_tilted_and_turned_box(climbing: Augmenter) -> None:
    change = ObjectChange(shift_m=(0.03, -0.02), turn_rad=0.15, tilt=(0.08, -0.05))
    result = climbing(Variation({"box": change}))
    kept(result)
    box, seen = result.scene.objects[0], 0
    for segment in result.contacts:
        if segment.surface == "box":
            distance, _, normal = box.nearest(segment.p_surface_anchor)
            assert distance == pytest.approx(0.005, abs=1e-3)  # middles of the sole's balls
            # The top's slope along the turned axes.
            up = normal[0] / normal[0, 2]
            assert up[:2] == pytest.approx((-0.08, 0.05), abs=1e-6)
            seen += 1
    assert seen >= 4
    assert box.vertices[:, 2].min() < 1e-9  # no gap below what was lifted


def test_a_hand_finds_a_table_elsewhere() -> None:
    made = reach()
    augmenter = Augmenter(ROBOT, made.motion, made.scene)
    result = augmenter(Variation({"table": ObjectChange((0.05, 0.04), stretch=(1.0, 1.0, 1.08))}))
    kept(result)
    palm = {r: next(s for s in r.contacts if s.group == "right_hand") for r in (result, augmenter.nominal)}
    moved = palm[result].p_surface_anchor[0] - palm[augmenter.nominal].p_surface_anchor[0]
    top = [r.scene.objects[0].vertices[:, 2].max() for r in (result, augmenter.nominal)]
    assert moved[2] == pytest.approx(top[0] - top[1], abs=0.02)


def test_a_carried_box_starts_elsewhere_and_comes_back_to_its_path(climbing: Augmenter) -> None:
    made = carry(steps=2)
    frames = len(made.motion)
    nominal = replace(climbing.nominal, qpos=np.zeros((frames, 36)), qvel=np.zeros((frames, 35)))
    augmenter = Augmenter(ROBOT, made.motion, made.scene, nominal=nominal)
    change = ObjectChange(shift_m=(0.06, 0.08), turn_rad=0.2, stretch=(1.05, 1.0, 0.9))
    scaled = augmenter.scaled(Variation({"box": change}))
    ours, plain = scaled.robot_objects[0], scaled.motion.objects[0]
    off = ours.p_world_object - plain.p_world_object
    assert off[0, :2] == pytest.approx((0.06, 0.08))
    sizes = np.linalg.norm(off[:, :2], axis=1)
    assert all(b <= a + 1e-12 for a, b in pairwise(sizes)) and sizes[-1] < 0.5 * sizes[0]
    still = np.linalg.norm(np.diff(plain.p_world_object, axis=0), axis=1) < 1e-9
    assert np.abs(np.diff(ours.p_world_object, axis=0)[still]).max() < 1e-12  # what lies still stays where it is
    # The lower box stands on the ground all the same.
    box = scaled.robot_scene.objects[0]
    pose = np.concatenate([ours.p_world_object, ours.q_world_object], axis=1)
    for t in (0, -1):
        corners = from_frame(box.vertices, np.repeat(pose[t][None], len(box.vertices), 0))
        assert corners[:, 2].min() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
def test_hands_go_where_the_box_went_and_feet_less_so() -> None:
    made = carry(steps=2)
    augmenter = Augmenter(ROBOT, made.motion, made.scene)
    variation = Variation({"box": ObjectChange(shift_m=(0.06, 0.08), turn_rad=0.2, stretch=(1.05, 1.0, 0.9))})
    scaled = augmenter.scaled(variation)
    off = scaled.robot_objects[0].p_world_object - scaled.motion.objects[0].p_world_object
    result = augmenter(variation)
    kept(result)
    hands = [result.keypoint_names.index(f"{side}_wrist") for side in ("left", "right")]
    grasp = 50
    way = (result.p_world_keypoint - augmenter.nominal.p_world_keypoint)[grasp]
    assert way[hands].mean(axis=0)[:2] == pytest.approx(off[grasp, :2], abs=0.03)
    feet = [result.keypoint_names.index(f"{side}_ankle") for side in ("left", "right")]
    assert np.linalg.norm(way[feet, :2], axis=1).max() < 0.7 * np.linalg.norm(off[grasp])


def test_drawn_changes_repeat_and_stay_in_their_ranges() -> None:
    scene = carry().scene
    ranges = VariationRanges(shift_m=(0.05, 0.1), size=(0.8, 0.9))
    drawn = [ranges.sample(scene, 3, number) for number in range(200)]
    assert drawn == [ranges.sample(scene, 3, number) for number in range(200)]
    assert drawn != [ranges.sample(scene, 4, number) for number in range(200)]
    far = np.array([np.hypot(*v.of("box").shift_m) for v in drawn])
    assert far.min() > 0.05 and far.max() < 0.1
    factors = np.array([v.of("box").stretch for v in drawn])
    assert factors.min() > 0.8 * 0.95 and factors.max() < 0.9 * 1.05
    fixed = VariationRanges(height=(1.1, 1.1), tilt=(0.0, 0.0)).sample(step_up().scene, 0)
    assert fixed == Variation({"box": ObjectChange(stretch=(1.0, 1.0, 1.1))})


def test_a_series_keeps_contacts(climbing: Augmenter) -> None:
    series = list(climbing.series(VariationRanges(height=(0.8, 1.2)), seed=1, count=3))
    heights = [result.scene.objects[0].vertices[:, 2].max() for _, result in series]
    assert len(set(heights)) == 3
    for _, result in series:
        kept(result)


def test_what_cannot_be_changed_is_refused(climbing: Augmenter) -> None:
    with pytest.raises(UnknownNameError, match="box"):
        climbing(Variation({"bax": ObjectChange()}))
    with pytest.raises(ConfigError, match="positive factors"):
        ObjectChange(stretch=(1.0, 0.0, 1.0))
    with pytest.raises(ConfigError, match="finite"):
        ObjectChange(turn_rad=float("nan"))
    with pytest.raises(ConfigError, match="does not move"):
        Variation({"box": ObjectChange(tilt=(0.1, 0.0))}).check(carry().scene)
    with pytest.raises(ConfigError, match="smaller to a larger"):
        VariationRanges(size=(1.1, 0.9))
    with pytest.raises(ConfigError, match="nothing to change"):
        Augmenter(ROBOT, walk().motion, walk().scene)
