"""Pictures to messages and back, and what is no picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.hardware.cameras.image_messages import (
    ImageMessageError,
    fill_compressed,
    fill_image,
    rgb_of,
    rgb_of_compressed,
)


def picture(height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_pictures_come_back_bit_for_bit(encoding: str) -> None:
    message = SimpleNamespace()
    fill_image(message, picture(), encoding)
    assert (message.height, message.width, message.step, message.encoding) == (5, 7, 21, encoding)
    np.testing.assert_array_equal(rgb_of(message), picture())


def test_bgr_is_blue_first() -> None:
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 200
    message = SimpleNamespace()
    fill_image(message, red, "bgr8")
    assert list(message.data) == [0, 0, 200]


@pytest.mark.parametrize(("encoding", "size"), [("rgba8", 4), ("bgra8", 4), ("mono8", 1), ("rgb8", 3)])
def test_padding_and_other_encodings_are_understood(encoding: str, size: int) -> None:
    rgb, step = picture(3, 2), 2 * size + 5
    if encoding == "mono8":
        rgb = np.repeat(rgb[..., :1], 3, axis=2)
    rows = np.full((3, step), 99, np.uint8)
    pixels = rgb[..., ::-1] if encoding.startswith("bgr") else rgb
    filled = np.concatenate([pixels, np.full((3, 2, 1), 7, np.uint8)], axis=2) if size == 4 else pixels[..., :size]
    rows[:, : 2 * size] = filled.reshape(3, -1)
    message = SimpleNamespace(height=3, width=2, step=step, encoding=encoding, data=rows.tobytes())
    np.testing.assert_array_equal(rgb_of(message), rgb)


def test_compressed_pictures_come_back() -> None:
    message = SimpleNamespace()
    fill_compressed(message, picture(), "png")
    np.testing.assert_array_equal(rgb_of_compressed(message), picture())
    smooth = np.dstack([np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1))] * 3)
    fill_compressed(message, smooth, "jpeg", 95)
    assert np.abs(rgb_of_compressed(message).astype(int) - smooth).max() < 12
    assert message.format == "jpeg"


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 9), st.integers(0, 9), st.integers(0, 40), st.binary(max_size=200), st.sampled_from(["rgb8", "x"])
)
def test_whatever_arrives_is_a_picture_or_refused(height, width, step, data, encoding) -> None:
    message = SimpleNamespace(height=height, width=width, step=step, encoding=encoding, data=data, format="jpeg")
    try:
        assert rgb_of(message).shape == (height, width, 3)
    except ImageMessageError:
        assert encoding == "x" or height * width == 0 or step < 3 * width or len(data) < height * step
    with pytest.raises(ImageMessageError):
        rgb_of_compressed(message)
