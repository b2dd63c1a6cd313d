"""A camera's thread, with sources that tests lead."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.clock import SimulatedClock
from robot_stack.hardware.cameras.capture import Capture, fitted
from robot_stack.hardware.cameras.image_messages import opencv
from robot_stack.hardware.cameras.sources import CameraError, OpenCvCamera, VideoFile

UNPLUG = object()


class Led:
    """Gives the frames that a test puts in."""

    def __init__(self) -> None:
        self.frames: queue.Queue = queue.Queue()
        self.opened, self.closed, self.absent = 0, 0, False

    def open(self) -> None:
        self.opened += 1
        if self.absent:
            raise CameraError("there is no such camera")

    def read(self) -> tuple[np.ndarray, float]:
        frame = self.frames.get(timeout=30)
        if frame is UNPLUG:
            raise CameraError("a camera gives no frames any more")
        return np.full((4, 4, 3), frame[0], np.uint8), frame[1]

    def close(self) -> None:
        self.closed += 1


class Led10Hz:
    """A capture at 10 Hz that tells when a frame came."""

    def __init__(self, **options) -> None:
        self.source, self.came = Led(), threading.Semaphore(0)
        self.capture = Capture(self.source, SimulatedClock(), 10.0, self.came.release, retry_s=0.01, **options)

    def give(self, shade: int, time_s: float) -> None:
        self.source.frames.put((shade, time_s))
        assert self.came.acquire(timeout=30)

    def close(self) -> None:
        self.source.frames.put(UNPLUG)
        self.capture.close()


def test_the_newest_frame_is_taken_once_with_its_true_time() -> None:
    led = Led10Hz(latency_s=0.03)
    led.give(1, 5.0)
    led.give(2, 5.1)
    taken = led.capture.take()
    assert taken is not None and taken[0][0, 0, 0] == 2 and taken[1] == pytest.approx(5.07)
    assert led.capture.take() is None
    counts = led.capture.counts
    assert (counts.captured, counts.delivered, counts.overtaken, counts.missing) == (2, 1, 1, 0)
    led.close()


def test_frames_that_the_camera_left_out_are_counted() -> None:
    led = Led10Hz()
    for time_s in (1.0, 1.1, 1.43, 1.5):
        led.give(0, time_s)
    assert led.capture.counts.missing == 2
    led.close()


def test_an_unplugged_camera_is_waited_for() -> None:
    led = Led10Hz()
    led.give(1, 1.0)
    led.source.absent = True
    led.source.frames.put(UNPLUG)
    wait = threading.Event()
    while led.source.opened < 4:
        wait.wait(0.01)
    counts = led.capture.counts
    assert counts.unplugged == 1
    assert "no such camera" in counts.problem
    led.source.absent = False
    led.give(3, 9.0)
    counts = led.capture.counts
    assert (counts.problem, counts.captured, counts.missing) == ("", 2, 0)
    assert led.source.closed >= 3, "it let go of the camera each time"
    led.close()


def test_frames_are_cut_to_the_ratio_and_scaled() -> None:
    frame = np.zeros((100, 300, 3), np.uint8)
    frame[:, 100:200] = (10, 20, 30)  # BGR in the middle third
    out = fitted(frame, 50, 50)
    assert out.shape == (50, 50, 3)
    assert (out == (30, 20, 10)).all()
    assert fitted(np.full((4, 4), 7, np.uint8), 4, 4)[0, 0].tolist() == [7, 7, 7]
    assert fitted(frame, 600, 200).shape == (200, 600, 3)
    assert fitted(frame, 90, 10).shape == (10, 90, 3)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    cv2 = opencv("tests")
    path = tmp_path / "shades.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (32, 24))
    for number in range(5):
        writer.write(np.full((24, 32, 3), 40 * number, np.uint8))
    writer.release()
    return path


def test_a_video_file_is_played_at_its_rate_again_and_again(video: Path) -> None:
    clock = SimulatedClock(100.0)
    source = VideoFile(video, clock)
    source.open()
    frames = [source.read() for _ in range(7)]
    np.testing.assert_allclose([time_s for _, time_s in frames], 100.0 + 0.05 * np.arange(7))
    shades = [int(frame.mean()) for frame, _ in frames]
    assert np.abs(np.array(shades) - [0, 40, 80, 120, 160, 0, 40]).max() <= 3
    clock.sleep_until(clock.now() + 0.1)  # who reads slowly misses frames, and gets none late
    frame, time_s = source.read()
    assert abs(int(frame.mean()) - 120) <= 3 and time_s == pytest.approx(100.4)
    source.close()


def test_what_cannot_be_opened_is_told(tmp_path: Path, video: Path) -> None:
    with pytest.raises(CameraError, match="no such camera"):
        OpenCvCamera("/dev/video97", SimulatedClock(), width=4, height=4, fps=30.0).open()
    with pytest.raises(CameraError, match="cannot be read"):
        VideoFile(tmp_path / "nothing.avi", SimulatedClock()).open()
    once = VideoFile(video, SimulatedClock(), again=False)
    once.open()
    for _ in range(5):
        once.read()
    with pytest.raises(CameraError, match="over"):
        once.read()
