"""Encoding of camera frames to MP4 with exact frame counts and times, and joining of such files without re-encoding.

Defaults are those of huggingface/lerobot 0.4 (lerobot/datasets/video_utils.py): AV1 by libsvtav1, yuv420p, a key frame
every second frame, crf 30, preset 12.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec import Codec
from av.error import FFmpegError

from robot_stack.core.errors import StorageError, VideoError
from robot_stack.datasets.stats import PictureStats

ENCODERS = ("libsvtav1", "libx264", "h264", "hevc", "libx265", "libaom-av1")


@dataclass(frozen=True)
class VideoCodec:
    """How cameras are encoded."""

    encoder: str = "libsvtav1"
    """Name of an FFmpeg encoder; ``"libx264"`` decodes everywhere and makes files about twice as large."""

    crf: int = 30
    """Quality; lower is better and larger."""

    gop: int = 2
    """Frames from one key frame to the next; 2 keeps random access fast."""

    preset: str = ""
    """Speed of the encoder; empty takes 12 for libsvtav1 and the encoder's own default else."""

    pixel_format: str = "yuv420p"
    """How colours are stored."""

    threads: int = 0
    """Threads of one encoder; 0 leaves it to the encoder."""

    def options(self) -> dict[str, str]:
        """What the encoder is told."""
        out = {"g": str(self.gop), "crf": str(self.crf)}
        preset = self.preset or ("12" if self.encoder == "libsvtav1" else "")
        if preset:
            out["preset"] = preset
        if self.threads and self.encoder == "libsvtav1":
            out["svtav1-params"] = f"lp={self.threads}"
        elif self.threads:
            out["threads"] = str(self.threads)
        return out


def require_encoder(codec: VideoCodec) -> None:
    """Refuse an encoder that the installed FFmpeg lacks.

    Raises:
        VideoError: with those that are there.
    """
    if not _has_encoder(codec.encoder):
        there = [name for name in ENCODERS if _has_encoder(name)]
        raise VideoError(
            f"this installation cannot encode with {codec.encoder!r}",
            expected=f"one of: {', '.join(there) or '(none)'}",
            remedy=f"use VideoCodec(encoder={there[0]!r})" if there else 'keep cameras with storage="image"',
        )


def _has_encoder(name: str) -> bool:
    try:
        Codec(name, "w")
    except (FFmpegError, ValueError):
        return False
    return True


class VideoWriter:
    """Encodes the frames of one camera to one file. Frame ``k`` is shown at ``k / fps``.

    Args:
        path: the file; its folder must exist.
        shape: ``(height, width, channels)`` of a frame.
        fps: frames a second.
        codec: how.

    Raises:
        VideoError: if the encoder is missing or refuses the size.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], fps: Fraction, codec: VideoCodec) -> None:
        require_encoder(codec)
        self.path, self.shape, self.fps = path, shape, fps
        self.stats = PictureStats(shape[2])
        self.frames = 0
        self._format = "rgb24" if shape[2] == 3 else "gray"
        with video_errors(path):
            os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder tells its settings on stderr unless told not to
            self._container = av.open(str(path), "w", format="mp4")
            try:
                self._stream: Any = self._container.add_stream(codec.encoder, rate=fps, options=codec.options())
                self._stream.pix_fmt = codec.pixel_format
                self._stream.height, self._stream.width = shape[:2]
                self._stream.codec_context.time_base = 1 / fps
                self._stream.codec_context.open()
            except BaseException:
                self._container.close()
                raise

    def add(self, image: np.ndarray) -> None:
        """Encode the next frame, uint8 of the camera's shape.

        Raises:
            VideoError: if the encoder fails.
            StorageError: if the disk is full.
        """
        pixels = image if self.shape[2] == 3 else image[..., 0]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=self._format)
        frame.pts, frame.time_base = self.frames, 1 / self.fps
        with video_errors(self.path):
            self._container.mux(self._stream.encode(frame))
        self.stats.add(image)
        self.frames += 1

    def close(self) -> None:
        """Finish the file and check that every frame is in it at its time.

        Raises:
            VideoError: if it is not.
            StorageError: if the disk is full.
        """
        try:
            with video_errors(self.path):
                self._container.mux(self._stream.encode(None))
        finally:
            with video_errors(self.path):
                self._container.close()
        check_video(self.path, self.frames, self.fps)

    def abort(self) -> None:
        """Give the file up and remove it; never raises."""
        with contextlib.suppress(FFmpegError, OSError):
            self._container.close()
        self.path.unlink(missing_ok=True)


class BackgroundVideoWriter:
    """A :class:`VideoWriter` in a thread of its own, so that recording does not wait for the encoder.

    When the encoder falls behind by more than ``ahead`` frames, :meth:`add` waits; no frame is ever dropped.

    Args:
        writer: what encodes; owned by this object from now on.
        ahead: how many frames may wait.
    """

    def __init__(self, writer: VideoWriter, *, ahead: int = 32) -> None:
        self._writer = writer
        self._queue: queue.Queue[np.ndarray | None] = queue.Queue(ahead)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"encode {writer.path.name}", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The file."""
        return self._writer.path

    @property
    def frames(self) -> int:
        """Frames that were encoded."""
        return self._writer.frames

    def add(self, image: np.ndarray) -> None:
        """Hand over the next frame; the array must not be changed afterwards."""
        if self._failure is None:
            self._queue.put(image)

    def finish(self) -> dict[str, np.ndarray]:
        """Wait for the encoder and give the camera's statistics.

        Raises:
            VideoError, StorageError: what went wrong in the thread; the file is removed then.
        """
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._writer.stats.result()

    def abort(self) -> None:
        """Stop and remove the file; never raises."""
        self._failure = self._failure or VideoError("given up")
        self._queue.put(None)
        self._thread.join()
        self.path.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            while (image := self._queue.get()) is not None:
                if self._failure is None:
                    self._writer.add(image)
            if self._failure is None:
                self._writer.close()
                return
        except BaseException as error:
            self._failure = error
            self._drain()
        self._writer.abort()

    def _drain(self) -> None:
        """Take frames until the end, so that nobody waits for a place in the queue."""
        while self._queue.get() is not None:
            pass


class video_errors:
    """Turns errors of the codec library into :class:`StorageError` and :class:`VideoError`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.errno in (27, 28, 122):
            raise StorageError(
                "cannot write the video: no space left",
                where=self.path,
                remedy="free disk space and run the command again; nothing that was committed is lost",
            ) from error
        if isinstance(error, (FFmpegError, ValueError)):
            raise VideoError(
                "the video encoder failed",
                where=self.path,
                got=error,
                remedy='use an even image size, another VideoCodec, or storage="image"',
            ) from error


def check_video(path: Path, frames: int, fps: Fraction) -> None:
    """Check that a file holds exactly so many frames at ``k / fps``.

    Raises:
        VideoError: with what it holds.
    """
    times = frame_times(path)
    expected = np.arange(frames) / float(fps)
    if len(times) != frames or (frames and np.abs(times - expected).max() > 1e-4):
        raise VideoError("the video does not hold the frames that were written", where=path, got=len(times))


def frame_times(path: Path) -> np.ndarray:
    """Times of the frames in order [s], without decoding, shape ``(frames,)``."""
    with video_errors(path), av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1, 1)
        pts = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size)
    return np.array(pts, dtype=np.float64) * float(base)


def video_info(path: Path) -> dict[str, Any]:
    """What LeRobot notes about the videos of a camera in info.json."""
    with video_errors(path), av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = stream.base_rate or Fraction(0)
        return {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec_context.codec.canonical_name,
            "video.pix_fmt": stream.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": int(rate) if rate.denominator == 1 else float(rate),
            "video.channels": 1 if "gray" in (stream.pix_fmt or "") else 3,
            "has_audio": False,
        }


def stream_signature(path: Path) -> tuple[object, ...]:
    """Files with equal signatures can be joined without re-encoding."""
    with video_errors(path), av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return (context.name, context.extradata, stream.width, stream.height, stream.pix_fmt, stream.time_base)


def join_videos(parts: Sequence[tuple[Path, int]], target: Path, fps: Fraction) -> None:
    """Write the first frames of several files one after another, copying packets without decoding.

    Args:
        parts: files with equal :func:`stream_signature` and how many frames of each to take.
        target: the new file.
        fps: of all of them.

    Raises:
        VideoError: if the result does not hold all the frames at their times.
        StorageError: if the disk is full.
    """
    done = 0
    with video_errors(target), av.open(str(target), "w", format="mp4") as output:
        out_stream: Any = None
        for path, frames in parts:
            with av.open(str(path)) as source:
                stream = source.streams.video[0]
                base = stream.time_base or Fraction(1, 1)
                if out_stream is None:
                    out_stream = output.add_stream_from_template(template=stream, opaque=True)
                    out_stream.time_base = base
                shift, end = round(Fraction(done) / fps / base), round(Fraction(frames) / fps / base)
                for packet in source.demux(stream):
                    if packet.pts is None or packet.dts is None or packet.pts >= end:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = out_stream
                    output.mux(packet)
            done += frames
    check_video(target, done, fps)
