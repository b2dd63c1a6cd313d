"""Stays of a foot with known times."""

from __future__ import annotations

import numpy as np

from robot_stack.retarget.contacts import detect, from_frame, to_frame
from robot_stack.retarget.motion import Motion
from robot_stack.retarget.scene import Scene, SceneObject
from tests.retarget.conftest import TABLE

GROUPS = tuple(group for group in TABLE.contacts if group.name == "left_toe")


def steps(lift_m: float = 0.12, rest_m: float = 0.03) -> np.ndarray:
    """A toe that stands for 20 frames, swings for 10, stands for 20 …"""
    out = []
    for k in range(3):
        stand = np.tile([0.6 * k, 0.0, rest_m], (20, 1))
        s = (np.arange(1, 11) / 11)[:, None]
        swing = np.concatenate([0.6 * (k + s), 0 * s, rest_m + lift_m * np.sin(np.pi * s)], axis=1)
        out += [stand, swing]
    return np.concatenate(out[:-1])


def motion(points: np.ndarray) -> Motion:
    return Motion(("toe",), points[:, None], 30.0, {"left_toe": "toe"}, 1.7)


def test_stays_are_found_to_the_frame() -> None:
    found = detect(motion(steps()), Scene(), GROUPS)
    assert [s.surface for s in found] == ["ground"] * 3
    for segment, start in zip(found, (0, 30, 60), strict=True):
        assert abs(segment.start - start) <= 1 and abs(segment.stop - start - 20) <= 1


def test_noise_does_not_cut_a_stay() -> None:
    noisy = steps() + 0.001 * np.random.default_rng(0).standard_normal((80, 3))
    assert len(detect(motion(noisy), Scene(), GROUPS)) == 3


def test_time_reversed_stays_are_the_same() -> None:
    points = steps() + 0.001 * np.random.default_rng(1).standard_normal((80, 3))
    there = [(s.start, s.stop) for s in detect(motion(points), Scene(), GROUPS)]
    back = [(80 - s.stop, 80 - s.start) for s in detect(motion(points[::-1].copy()), Scene(), GROUPS)]
    assert there == back[::-1]


def test_a_slow_point_in_the_air_touches_nothing_and_a_fast_one_on_the_ground_neither() -> None:
    still = np.tile([0.0, 0.0, 0.8], (60, 1))
    assert detect(motion(still), Scene(), GROUPS) == ()
    slide = np.stack([np.arange(60) * 0.05, np.zeros(60), np.full(60, 0.03)], axis=1)
    assert detect(motion(slide), Scene(), GROUPS) == ()


def test_a_step_up_changes_the_surface() -> None:
    box = SceneObject.box("step", (0.3, 0.5, 0.1), (0.6, 0.0, 0.1))
    points = steps()
    points[24:56, 2] += 0.2
    found = detect(motion(points), Scene((box,)), GROUPS)
    assert [s.surface for s in found] == ["ground", "step", "ground"]


def test_frames_lead_back() -> None:
    rng = np.random.default_rng(2)
    pose = rng.standard_normal((9, 7))
    pose[:, 3:] /= np.linalg.norm(pose[:, 3:], axis=1, keepdims=True)
    points = rng.standard_normal((9, 3))
    assert np.abs(from_frame(to_frame(points, pose), pose) - points).max() < 1e-12
