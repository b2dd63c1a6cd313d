"""Frames and the moments they belong to."""

from __future__ import annotations

import numpy as np
import pytest

from robot_stack.core.errors import UnknownNameError
from robot_stack.core.fields import CameraSpec
from robot_stack.deploy.frame_matcher import FrameMatcher
from robot_stack.hardware.cameras.image_messages import ImageMessageError

FRONT, WRIST = CameraSpec("front", 4, 6), CameraSpec("wrist", 2, 2)


def picture(shade: int, spec: CameraSpec = FRONT):
    return lambda: np.full(spec.shape, shade, np.uint8)


def matcher(*cameras: CameraSpec, tolerance_s: float = 0.05) -> FrameMatcher:
    return FrameMatcher(cameras or (FRONT,), tolerance_s)


def test_the_nearest_frame_is_taken_within_the_tolerance() -> None:
    made = matcher()
    for number in range(5):
        made.add("front", 10.0 + 0.1 * number, picture(number))
    for time_s, shade in ((10.0, 0), (10.04, 0), (10.06, 1), (10.3, 3), (10.44, 4), (9.96, 0)):
        found = made.match(time_s)
        assert found is not None and found["front"][0, 0, 0] == shade
    assert made.match(9.9) is None
    assert made.match(10.46) is None
    assert made.counts["front"].missed == 2


def test_all_cameras_are_needed() -> None:
    made = matcher(FRONT, WRIST)
    made.add("front", 1.0, picture(1))
    assert made.match(1.0) is None
    made.add("wrist", 1.01, picture(2, WRIST))
    assert set(made.match(1.0) or ()) == {"front", "wrist"}
    with pytest.raises(UnknownNameError):
        made.add("back", 1.0, picture(1))


def test_a_broken_frame_gives_way_to_the_next_nearest() -> None:
    made = matcher()

    def broken() -> np.ndarray:
        raise ImageMessageError("a compressed image cannot be decoded")

    made.add("front", 1.00, picture(7))
    made.add("front", 1.02, broken)
    made.add("front", 1.04, picture(9, WRIST))
    found = made.match(1.03)
    assert found is not None and found["front"][0, 0, 0] == 7
    assert made.counts["front"].broken == 2
    assert "another size" in made.counts["front"].problem


def test_frames_are_decoded_once_and_only_when_wanted() -> None:
    made, calls = matcher(), []

    def counted() -> np.ndarray:
        calls.append(1)
        return picture(1)()

    for number in range(3):
        made.add("front", number * 0.03, counted)
    made.match(0.03)
    made.match(0.031)
    assert len(calls) == 1


def test_late_frames_are_left_out_and_a_clock_that_went_back_begins_anew() -> None:
    made = matcher()
    made.add("front", 100.0, picture(1))
    made.add("front", 99.9, picture(2))
    made.add("front", 100.0, picture(3))
    assert made.counts["front"].out_of_order == 2
    made.add("front", 5.0, picture(4))
    assert made.newest_s("front") == 5.0
    assert made.match(100.0) is None
    assert (made.match(5.0) or {})["front"][0, 0, 0] == 4
