"""A camera node on real ROS topics, with a video file in the camera's place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.clock import ScaledClock
from robot_stack.deploy.ros_node import newest, stamp_ns
from robot_stack.hardware.cameras.image_messages import opencv, rgb_of, rgb_of_compressed
from tests.deploy.ros_bench import Bench


@pytest.fixture
def video(tmp_path: Path) -> Path:
    cv2 = opencv("tests")
    path = tmp_path / "shades.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (32, 24))
    for number in range(40):
        writer.write(np.full((24, 32, 3), 5 * number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("encoding", ["bgr8", "jpeg"])
def test_frames_are_published_with_the_robots_time(bench: Bench, video: Path, encoding: str) -> None:
    from sensor_msgs.msg import CompressedImage, Image

    from robot_stack.deploy.camera_process import CameraNode

    compressed = encoding == "jpeg"
    topic = "camera/wrist/image_raw" + ("/compressed" if compressed else "")
    bench.listen(CompressedImage if compressed else Image, topic, newest(50))
    given = {"camera": "wrist", "device": str(video), "width": 16, "height": 12, "fps": 20, "encoding": encoding}
    clock = ScaledClock(0.5)
    began_s = clock.now()
    made = CameraNode(bench.make_node("camera_wrist", {**given, "clock_speed": 0.5}))
    frames = bench.heard[topic]
    bench.until(lambda: len(frames) >= 6, "six frames")
    stamps = np.array([stamp_ns(frame.header) for frame in frames]) * 1e-9
    assert began_s <= stamps[0] < stamps[-1] <= clock.now()
    assert (np.diff(stamps) > 0.02).all(), "paced by the robot's time, which runs at half speed here"
    decode = rgb_of_compressed if compressed else rgb_of
    images = [decode(frame) for frame in frames]
    assert all(image.shape == (12, 16, 3) for image in images)
    shades = np.array([image.mean() for image in images])
    played = np.round(shades / 5)
    np.testing.assert_allclose(np.diff(played), np.round(np.diff(stamps) * 20), atol=1.01)
    assert frames[0].header.frame_id == "wrist"
    made.close()
    assert made.capture.counts.delivered >= 6
