"""What is repaired, with a note, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.clean import CleanRule, cleaned
from robot_stack.retarget.motion import KEYPOINTS, Motion, MotionError, ObjectMotion
from tests.retarget.figure import walker

SAME = CleanRule(rate=0)


def walk(frames: int = 60, **changes: object) -> Motion:
    motion = Motion(KEYPOINTS, walker(frames), 30.0, {k: k for k in KEYPOINTS}, 1.75, source="walk")
    return replace(motion, **changes)  # pyright: ignore[reportArgumentType]


def broken(points: dict[str, slice], value: float = np.nan, motion: Motion | None = None) -> Motion:
    motion = motion or walk()
    positions = motion.positions.copy()
    for name, frames in points.items():
        positions[frames, KEYPOINTS.index(name)] = value
    return replace(motion, positions=positions)


def noted(motion: Motion, text: str) -> bool:
    return any(text in note for note in motion.notes)


def test_a_good_motion_is_not_touched() -> None:
    out = cleaned(walk(), SAME)
    assert (out.positions == walk().positions).all()
    assert out.notes == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_short_gaps_are_filled(value: float) -> None:
    gaps = {"left_wrist": slice(20, 26), "right_wrist": slice(0, 3), "left_ankle": slice(57, 60)}
    out = cleaned(broken(gaps, value), SAME)
    assert np.isfinite(out.positions).all()
    assert noted(out, "gaps were filled: left_ankle (3 frames), left_wrist (6 frames), right_wrist (3 frames)")
    assert noted(out, "origin") == (value == 0.0)
    off = np.linalg.norm(out.point("left_wrist") - walk().point("left_wrist"), axis=1)
    assert 0 < off.max() < 0.03
    untouched = np.delete(out.positions, [KEYPOINTS.index(k) for k in gaps], axis=1)
    assert (untouched == np.delete(walk().positions, [KEYPOINTS.index(k) for k in gaps], axis=1)).all()


def test_long_gaps_are_refused_with_their_place() -> None:
    with pytest.raises(MotionError, match=r"'left_wrist' has a gap(.|\n)*frames 20 to 29, 0\.33 s(.|\n)*--longest-gap"):
        cleaned(broken({"left_wrist": slice(20, 30)}), SAME)
    assert len(cleaned(broken({"left_wrist": slice(20, 30)}), replace(SAME, longest_gap_s=0.5))) == 60


def test_a_pelvis_that_passes_the_origin_is_no_gap() -> None:
    motion = walk()
    motion = replace(motion, positions=motion.positions - motion.positions[30, 0])
    assert (motion.point("pelvis")[30] == 0).all()
    assert not noted(cleaned(motion, replace(SAME, ground="keep")), "origin")


def test_missing_joints_are_left_out_and_the_pelvis_made() -> None:
    out = cleaned(broken({"pelvis": slice(0, 60), "left_toe": slice(0, 60)}), SAME)
    assert "left_toe" not in out.keypoint_names
    assert noted(out, "joints were left out, as they were not or hardly seen: pelvis, left_toe")
    assert noted(out, "keypoints that the motion does not have: left_toe")
    middle = 0.5 * (out.point("left_hip") + out.point("right_hip"))
    assert (out.keypoints(("pelvis",))[:, 0] == middle).all()
    extra = replace(
        walk(), names=(*KEYPOINTS, "Tail"), positions=np.concatenate([walker(), np.full((60, 1, 3), np.nan)], axis=1)
    )
    extra.positions[:3, -1] = 0.5
    assert "Tail" not in cleaned(extra, SAME).names


def test_still_short_and_foreign_motions_are_refused() -> None:
    with pytest.raises(MotionError, match="does not move"):
        cleaned(walk(positions=np.repeat(walker()[:1], 60, axis=0)), SAME)
    with pytest.raises(MotionError, match="too short"):
        cleaned(walk(frames=6), SAME)
    with pytest.raises(MotionError, match="no joint is known"):
        cleaned(walk(keypoint_names={}), SAME)


@pytest.mark.parametrize("height", [0.4, -0.25])
def test_a_motion_off_the_ground_is_put_on_it(height: float) -> None:
    box = ObjectMotion("box", np.zeros((60, 3)), np.tile([1.0, 0, 0, 0], (60, 1)))
    motion = walk(positions=walker() + np.array([0, 0, height]))
    out = cleaned(motion, SAME)
    lowest = np.minimum(out.point("left_toe")[:, 2], out.point("right_toe")[:, 2])
    assert np.percentile(lowest, 2) == pytest.approx(0.03, abs=1e-9)
    assert noted(out, "all heights were changed")
    for kept in (cleaned(motion, SAME, scene_given=True), cleaned(replace(motion, objects=(box,)), SAME)):
        assert (kept.positions == motion.positions).all()
        assert noted(kept, "--ground")
    assert not cleaned(motion, replace(SAME, ground="keep")).notes
    lifted = cleaned(replace(motion, objects=(box,)), replace(SAME, ground="0.5"))
    assert lifted.objects[0].p_world_object[0, 2] == 0.5
    assert np.allclose(lifted.positions - motion.positions, (0, 0, 0.5))
    with pytest.raises(ConfigError, match="ground"):
        CleanRule(ground="floor")


def test_loose_bones_and_swapped_sides_are_noted() -> None:
    loose = walk()
    loose.positions[:, KEYPOINTS.index("left_knee"), 0] += 0.5 * np.sin(np.arange(60))
    assert noted(cleaned(loose, SAME), "bones change their length")
    swapped = walk(positions=walker() * np.array([1.0, -1.0, 1.0]))
    assert noted(cleaned(swapped, SAME), "left and right are swapped")


def test_another_rate_takes_objects_along() -> None:
    place = np.outer(np.arange(121) / 120.0, (1.0, 2.0, 0.0))
    box = ObjectMotion("box", place, np.tile([1.0, 0, 0, 0], (121, 1)))
    motion = Motion(KEYPOINTS, walker(121, 120.0), 120.0, {k: k for k in KEYPOINTS}, 1.75, objects=(box,))
    out = cleaned(motion)
    assert (len(out), out.fps) == (31, 30.0)
    assert np.abs(out.positions - walker(31, 30.0)).max() < 2e-3
    assert np.abs(out.objects[0].p_world_object - place[::4]).max() < 1e-9
    assert noted(out, "low-passed and resampled from 120 to 30")


def test_gaps_of_objects() -> None:
    place, turn = np.outer(np.arange(60), (0.01, 0, 0)), np.tile([0.0, 0, 0, 1.0], (60, 1))
    turn[40:] *= -1
    place[10:14] = np.nan
    turn[30:33] = np.nan
    out = cleaned(walk(objects=(ObjectMotion("box", place, turn),)), SAME)
    assert np.abs(out.objects[0].p_world_object - np.outer(np.arange(60), (0.01, 0, 0))).max() < 1e-9
    assert np.abs(np.abs(out.objects[0].q_world_object) - (0, 0, 0, 1)).max() < 1e-9
    place[10:30] = np.nan
    with pytest.raises(MotionError, match="the object 'box' has a gap"):
        cleaned(walk(objects=(ObjectMotion("box", place, turn),)), SAME)
