"""H.264 films that browsers play, written frame by frame, and a grid of several at once."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from robot_stack.core.atomic import storage_errors
from robot_stack.core.errors import ConfigError, ShapeError, VideoError

_ENCODERS = ("libx264", "libopenh264", "h264")


class Film:
    """An MP4 file under way; it is at its place only once it is whole.

    Frames of odd size are padded at the right and bottom by repeating the edge, because H.264's usual colour format
    halves both directions.

    Args:
        path: where the film will be.
        frames_per_s: of playback [1/s].
        quality: constant rate factor: 0 is lossless, 51 is worst.

    Raises:
        VideoError: if no H.264 encoder is there.
    """

    def __init__(self, path: str | Path, frames_per_s: float, *, quality: int = 23) -> None:
        import av

        if not frames_per_s > 0:
            raise ConfigError("a film needs a positive frame rate", got=frames_per_s)
        self.path = Path(path)
        self.frames = 0
        self.shape: tuple[int, ...] = ()
        self._quality = quality
        self.frames_per_s = frames_per_s
        self._rate = Fraction(frames_per_s).limit_denominator(1000)
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(
                str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"}
            )  # the index comes first, so that a browser starts at once
        self._stream = None

    def add(self, image: np.ndarray) -> None:
        """Append one frame.

        Args:
            image: uint8 of shape ``(height, width, 3)``, equal for all frames.

        Raises:
            ShapeError: if it has another shape or type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or self.shape not in ((), image.shape):
            raise ShapeError(
                "a frame of a film is of the wrong kind",
                where=self.path,
                got=f"{image.dtype}{image.shape}",
                expected=f"uint8{self.shape or '(height, width, 3)'}",
            )
        import av

        even = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self.shape = image.shape
            self._stream = self._open_stream(even.shape[0], even.shape[1])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame.pts = self.frames
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def _open_stream(self, height: int, width: int):  # noqa: ANN202 - PyAV's stream
        import av

        for name in _ENCODERS:
            if name in av.codecs_available:
                with contextlib.suppress(Exception):  # listed, but without an encoder
                    stream = self._container.add_stream(name, rate=self._rate)
                    stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
                    stream.codec_context.thread_count = 1
                    stream.options = {"crf": str(self._quality), "preset": "veryfast"}
                    return stream
        raise VideoError(
            "no H.264 encoder here",
            got=f"none of {', '.join(_ENCODERS)} in this PyAV",
            remedy="install PyAV from its wheel: pip install --only-binary :all: av",
        )

    def finish(self) -> None:
        """Complete the file and put it at its place.

        Raises:
            VideoError: if no frame was added.
        """
        if self._stream is None:
            self.abandon()
            raise VideoError("a film without frames", where=self.path)
        with storage_errors(self.path):
            self._container.mux(self._stream.encode())
            self._container.close()
            os.replace(self._temporary, self.path)

    def abandon(self) -> None:
        """Leave nothing behind; never raises."""
        with contextlib.suppress(Exception):
            self._container.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.abandon()


def read_film(path: str | Path) -> Iterator[np.ndarray]:
    """Frames of a film, uint8 of shape ``(height, width, 3)``.

    Raises:
        VideoError: if it cannot be decoded.
    """
    import av

    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (OSError, ValueError, IndexError) as error:
        raise VideoError("a film cannot be read", where=path, got=f"{type(error).__name__}: {error}") from error


def frame_rate(path: str | Path) -> float:
    """Frames a second of a film."""
    import av

    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 25)


def montage(paths: Sequence[str | Path], target: str | Path, *, columns: int = 4, gap: int = 4) -> None:
    """All films side by side in a grid; those that end early hold their last frame.

    Args:
        paths: films with frames of one size.
        target: where the grid goes.
        columns: of the grid.
        gap: between films [pixel].

    Raises:
        VideoError: if a film cannot be read or there is none.
    """
    if not paths:
        raise VideoError("a montage of no films", where=target)
    readers: list[Iterator[np.ndarray] | None] = [read_film(p) for p in paths]
    tiles = [next(r) for r in readers if r is not None]
    if len({t.shape for t in tiles}) > 1:
        raise ShapeError("the films of a montage differ in size", got=sorted({t.shape for t in tiles}))
    height, width, _ = tiles[0].shape
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    with Film(target, frame_rate(paths[0])) as film:
        while True:
            for place, tile in enumerate(tiles):
                top, left = place // columns * (height + gap), place % columns * (width + gap)
                canvas[top : top + height, left : left + width] = tile
            film.add(canvas)
            for place, reader in enumerate(readers):
                following = None if reader is None else next(reader, None)
                if following is None:
                    readers[place] = None
                else:
                    tiles[place] = following
            if not any(readers):
                return
