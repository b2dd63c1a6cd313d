"""The stick figure's motions are what they say: bones keep their lengths, what touches is still and near."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError
from robot_stack.retarget.contacts import detect, object_poses, to_frame
from robot_stack.retarget.scene import GROUND
from robot_stack.retarget.stick_figure import StickFigure
from robot_stack.retarget.synthetic import SYNTHETIC, Synthetic, reach, step_up, walk
from tests.retarget.conftest import TABLE

BONES = {
    ("hip", "knee"): 0.42,
    ("knee", "ankle"): 0.42,
    ("shoulder", "elbow"): 0.29,
    ("elbow", "wrist"): 0.26,
}


@pytest.fixture(scope="module", params=sorted(SYNTHETIC))
def made(request: pytest.FixtureRequest) -> Synthetic:
    return SYNTHETIC[request.param]()


def test_bones_keep_their_lengths_and_motion_is_humanly_smooth(made: Synthetic) -> None:
    motion = made.motion
    for side in ("left", "right"):
        for (upper, lower), length in BONES.items():
            bone = motion.point(f"{side}_{lower}") - motion.point(f"{side}_{upper}")
            assert np.abs(np.linalg.norm(bone, axis=1) - length).max() < 1e-9
        # Knees bend backwards and never past straight: the knee lies ahead of the line from hip to ankle.
        hip, knee, ankle = (motion.point(f"{side}_{n}") for n in ("hip", "knee", "ankle"))
        assert np.sum((ankle - hip) * (knee - hip), axis=1).max() < (2 * 0.42) ** 2 / 2
    speed = np.linalg.norm(np.diff(motion.positions, axis=0), axis=2) * motion.fps
    assert speed.max() < 3.5
    assert np.abs(np.diff(speed, axis=0)).max() * motion.fps < 60.0  # [m/s²] of the fastest point
    assert speed[0].max() < 0.1 and speed[-1].max() < 0.1


def surface_path(made: Synthetic, surface: str, keypoint: str) -> tuple[np.ndarray, np.ndarray]:
    """A keypoint in a surface's frame, and its distance from it."""
    points = made.motion.point(keypoint)
    if surface == GROUND:
        return points, points[:, 2]
    thing = next(o for o in made.scene.objects if o.name == surface)
    if thing.moving:
        points = to_frame(points, object_poses(made.motion.objects, made.scene, len(points))[:, 0])
    return points, thing.nearest(points)[0]


def test_what_touches_is_still_on_its_surface_and_at_its_height(made: Synthetic) -> None:
    heights = {"toe": 0.03, "ankle": 0.08, "wrist": 0.05}
    for contact in made.contacts:
        local, gap = surface_path(made, contact.surface, contact.keypoint)
        inside = slice(contact.start, contact.stop)
        assert np.ptp(local[inside], axis=0).max() < 1e-9, contact
        assert np.abs(gap[inside] - heights[contact.keypoint.split("_")[1]]).max() < 1e-9, contact


def test_nothing_of_the_body_is_in_the_ground_or_an_object(made: Synthetic) -> None:
    for name in made.motion.names:
        for surface in (GROUND, *(thing.name for thing in made.scene.objects)):
            assert surface_path(made, surface, name)[1].min() > 0.015, (name, surface)


def test_contacts_are_detected_to_two_frames(made: Synthetic) -> None:
    keypoint = {group.name: group.keypoint for group in TABLE.contacts}
    found = defaultdict(list)
    for segment in detect(made.motion, made.scene, TABLE.contacts):
        found[keypoint[segment.group]].append((segment.start, segment.stop, segment.surface))
    known = defaultdict(list)
    for contact in made.contacts:
        known[contact.keypoint].append((contact.start, contact.stop, contact.surface))
    assert found.keys() == known.keys()
    for name in known:
        assert [row[2] for row in sorted(found[name])] == [row[2] for row in sorted(known[name])]
        ours = np.array([row[:2] for row in sorted(known[name])])
        theirs = np.array([row[:2] for row in sorted(found[name])])
        assert np.abs(ours - theirs).max() <= 2, name


def test_settings_mean_what_they_say() -> None:
    far = walk(steps=4, step_m=0.3).motion.point("pelvis")
    assert far[-1, 0] - far[0, 0] == pytest.approx(1.2, abs=1e-6)
    child = walk(steps=2, step_m=0.2, person=StickFigure(height_m=1.2), fps=50.0).motion
    thigh = child.point("left_knee") - child.point("left_hip")
    assert child.fps == 50.0 and np.linalg.norm(thigh[0]) == pytest.approx(0.42 * 1.2 / 1.7)
    up = step_up(height_m=0.3).motion
    assert up.point("left_toe")[-1, 2] == pytest.approx(0.33)
    with pytest.raises(ConfigError, match="right arm does not reach"):
        reach(height_m=2.2)
