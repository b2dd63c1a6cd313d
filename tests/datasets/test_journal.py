"""The journal: every frame before a cut or a damaged byte comes back, nothing after it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.errors import DatasetError
from robot_stack.datasets.journal import JournalCamera, JournalHeader, JournalReader, JournalWriter, encode_png

ROW = np.dtype([("action", "<f4", (3,)), ("observation.time", "<f8")])
CAMERAS = (JournalCamera("raw", (6, 5, 3), png=False), JournalCamera("png", (7, 4, 3), png=True))


def fill(path: Path, frames: int) -> tuple[np.ndarray, list[list[np.ndarray]], list[int]]:
    """Write a journal; returns rows, images, and the size of the file after the header and after each frame."""
    rng = np.random.default_rng(3)
    header = JournalHeader(4, "wipe the table", {"seed": 8}, ROW, CAMERAS)
    writer = JournalWriter(path, header)
    rows = np.zeros(frames, dtype=ROW)
    rows["action"], rows["observation.time"] = rng.normal(size=(frames, 3)), rng.normal(size=frames)
    pictures, sizes = [], [path.stat().st_size]
    for row in rows:
        pair = [rng.integers(0, 256, c.shape, dtype=np.uint8) for c in CAMERAS]
        writer.append(row.tobytes(), [pair[0], encode_png(pair[1])])
        pictures.append(pair)
        sizes.append(path.stat().st_size)
    writer.close()
    return rows, pictures, sizes


def expect(path: Path, rows: np.ndarray, pictures: list[list[np.ndarray]]) -> None:
    with JournalReader(path) as journal:
        assert len(journal) == len(rows)
        assert np.array_equal(journal.rows(), rows)
        for frame, pair in enumerate(pictures[: len(rows)]):
            for camera, image in enumerate(pair):
                assert np.array_equal(journal.image(frame, camera), image)


def test_everything_comes_back(tmp_path: Path):
    path = tmp_path / "a.journal"
    rows, pictures, _ = fill(path, 9)
    expect(path, rows, pictures)
    with JournalReader(path) as journal:
        assert (journal.header.episode, journal.header.instruction) == (4, "wipe the table")
        assert journal.header.row == ROW and journal.header.cameras == CAMERAS


def test_a_file_cut_short_at_every_byte_gives_its_complete_frames(tmp_path: Path):
    path, cut = tmp_path / "a.journal", tmp_path / "b.journal"
    rows, pictures, sizes = fill(path, 3)
    data = path.read_bytes()
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        complete = sum(s <= size for s in sizes) - 1
        if complete < 0:
            with pytest.raises(DatasetError):
                JournalReader(cut)
        else:
            with JournalReader(cut) as journal:
                assert len(journal) == complete
    expect(cut, rows[:2], pictures)


def test_a_damaged_byte_ends_the_journal_before_its_frame(tmp_path: Path):
    path, bad = tmp_path / "a.journal", tmp_path / "b.journal"
    rows, pictures, sizes = fill(path, 4)
    data = bytearray(path.read_bytes())
    for place in np.random.default_rng(0).integers(sizes[0], len(data), size=60):
        data[place] ^= 0x41
        bad.write_bytes(data)
        data[place] ^= 0x41
        expect(bad, rows[: sum(s <= place for s in sizes) - 1], pictures)


def test_foreign_files_are_refused(tmp_path: Path):
    path = tmp_path / "a.journal"
    for data in (b"", b"PAR1", os.urandom(1000)):
        path.write_bytes(data)
        with pytest.raises(DatasetError):
            JournalReader(path)
