"""Films: what is written is what is read, as H.264 with the index in front; nothing half-written stays."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, ShapeError, VideoError
from robot_stack.core.seeding import generator
from robot_stack.evaluation.film import Film, frame_rate, montage, read_film


def gradient(shift: int, height: int = 48, width: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([(columns * 3 + shift) % 256, rows * 4, np.full_like(rows, 90)], -1)
    return image.astype(np.uint8)


def test_frames_come_back_nearly_as_they_were(tmp_path: Path) -> None:
    frames = [gradient(0) // 2 + 10 * i for i in range(8)]
    with Film(tmp_path / "a.mp4", 12.5, quality=10) as film:
        for frame in frames:
            film.add(frame)
    back = list(read_film(tmp_path / "a.mp4"))
    assert len(back) == 8 and frame_rate(tmp_path / "a.mp4") == 12.5
    for mine, theirs in zip(frames, back, strict=True):
        assert np.abs(mine.astype(int) - theirs).mean() < 4
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a browser can start at once"


def test_odd_sizes_are_padded(tmp_path: Path) -> None:
    with Film(tmp_path / "odd.mp4", 10) as film:
        film.add(gradient(0, 33, 47))
    assert next(read_film(tmp_path / "odd.mp4")).shape == (34, 48, 3)


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Film(tmp_path / "b.mp4", 10) as film:
        film.add(gradient(0))
        raise RuntimeError
    with pytest.raises(VideoError, match="without frames"), Film(tmp_path / "c.mp4", 10):
        pass
    with pytest.raises(ShapeError), Film(tmp_path / "d.mp4", 10) as film:
        film.add(gradient(0))
        film.add(gradient(0, 20, 20))
    with pytest.raises(ShapeError), Film(tmp_path / "d.mp4", 10) as film:
        film.add(gradient(0).astype(np.float32))
    with pytest.raises(ConfigError):
        Film(tmp_path / "e.mp4", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_film_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(generator(0).bytes(1000))
    with pytest.raises(VideoError, match="cannot be read"):
        list(read_film(tmp_path / "bad.mp4"))


def test_a_montage_places_films_and_holds_their_last_frames(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    for place, (colour, length) in enumerate(zip(colours, (2, 5, 3), strict=True)):
        with Film(tmp_path / f"{place}.mp4", 10) as film:
            for _ in range(length):
                film.add(np.full((32, 40, 3), colour, np.uint8))
    montage([tmp_path / f"{i}.mp4" for i in range(3)], tmp_path / "grid.mp4", columns=2, gap=4)
    frames = list(read_film(tmp_path / "grid.mp4"))
    assert len(frames) == 5 and frames[0].shape == (68, 84, 3)
    for frame in (frames[0], frames[-1]):
        centres = frame[16, 20], frame[16, 64], frame[52, 20], frame[52, 64]
        for got, expected in zip(centres, [*colours, (255, 255, 255)], strict=True):
            assert np.abs(got.astype(int) - expected).max() < 16
    with pytest.raises(VideoError):
        montage([], tmp_path / "none.mp4")
