"""Readers beside a live writer: they see committed episodes only, whole, wherever the writer has moved them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.video_writer import VideoCodec
from robot_stack.datasets.windows import Windows, diffusion_windows
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.hand_written import image, tell, values

CAMERA = "observation.images.top"
SIZE = 64


def embodiment() -> Embodiment:
    """Three numbers in, two out, one camera."""
    camera = CameraSpec("top", SIZE, SIZE)
    return Embodiment("writer", (Field("s", 3, "1"),), (Field("a", 2, "1"),), (camera,), 10.0)


def record(writer: DatasetWriter, episode: int, first_row: int, length: int) -> None:
    """One episode whose values tell row, episode and step."""
    writer.begin(f"task {episode % 3}")
    for t in range(length):
        row = np.array([first_row + t])
        state, action = values("observation.state", row, 3)[0], values("action", row, 2)[0]
        writer.add({"observation.state": state, "action": action, CAMERA: image(episode, t, SIZE)})
    writer.commit(success=True)


def check_all(dataset: Dataset, lengths: list[int]) -> None:
    """Every value and frame of every episode that the reader sees."""
    assert dataset.episodes.length.tolist() == lengths
    if not lengths:
        return
    rows = np.arange(sum(lengths))
    np.testing.assert_array_equal(
        dataset.column("observation.state").slice(0, len(rows)), values("observation.state", rows, 3)
    )
    np.testing.assert_array_equal(dataset.column("action").take(rows), values("action", rows, 2))
    episode = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    seen = [tell(frame) for frame in dataset.frames(CAMERA, rows)]
    assert seen == list(zip((episode % 8).tolist(), step.tolist(), strict=True))  # pictures tell them modulo 8
    assert dataset.task_texts(rows) == [f"task {e % 3}" for e in episode]


LENGTHS = [5, 3, 8, 4, 6, 7, 2, 9]


@pytest.mark.parametrize("opened_when", ["before joining", "after joining"])
def test_reader_sees_what_was_committed_though_files_are_joined_meanwhile(tmp_path: Path, opened_when: str):
    writer = DatasetWriter(tmp_path, embodiment(), codec=VideoCodec("libx264"))
    dataset = None
    for episode, length in enumerate(LENGTHS):
        record(writer, episode, sum(LENGTHS[:episode]), length)
        if episode == 3:
            dataset = Dataset(tmp_path)  # opened, nothing decoded yet
            if opened_when == "after joining":
                check_all(dataset, LENGTHS[:4])
    writer.begin("never finished")
    writer.abort()
    writer.close()  # joins all files of rows and all videos
    assert dataset is not None
    check_all(dataset, LENGTHS[:4])
    assert dataset.refresh() == 4
    check_all(dataset, LENGTHS)


def test_frames_of_the_open_episode_are_not_seen(tmp_path: Path):
    with DatasetWriter(tmp_path, embodiment(), codec=VideoCodec("libx264")) as writer:
        assert Dataset(tmp_path).num_episodes == 0
        record(writer, 0, 0, 5)
        writer.begin("task 1")
        state, action = np.zeros(3), np.zeros(2)
        writer.add({"observation.state": state, "action": action, CAMERA: image(1, 0, SIZE)})
        check_all(Dataset(tmp_path), [5])
        writer.abort()


def test_windows_go_on_while_files_are_joined(tmp_path: Path):
    writer = DatasetWriter(tmp_path, embodiment(), codec=VideoCodec("libx264"))
    for episode, length in enumerate(LENGTHS):
        record(writer, episode, sum(LENGTHS[:episode]), length)
    spec = diffusion_windows(["observation.state", CAMERA], n_obs=2, horizon=4, n_action_steps=3)
    windows = Windows(Dataset(tmp_path), spec, frame_cache_bytes=0)
    before = windows.batch(np.arange(len(windows)))
    writer.close()
    after = windows.batch(np.arange(len(windows)))
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected, err_msg=name)


WRITE = """
import sys
from pathlib import Path
from robot_stack.datasets.video_writer import VideoCodec
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.test_reading_while_writing import LENGTHS, embodiment, record

lengths = LENGTHS + LENGTHS[:2]
writer = DatasetWriter(Path(sys.argv[1]), embodiment(), codec=VideoCodec("libx264"))
print("open", flush=True)
for episode, length in enumerate(lengths):
    record(writer, episode, sum(lengths[:episode]), length)
    if episode % 3 == 2:
        writer.compact()
writer.close()
"""


def test_reader_in_another_process_never_sees_half_an_episode(tmp_path: Path):
    """Opens, reads everything and refreshes as fast as it can while a process records and joins files."""
    root, checkout = tmp_path / "data", Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITE), str(root)], cwd=checkout, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    lengths, seen, rounds = LENGTHS + LENGTHS[:2], set(), 0
    held = Dataset(root)
    while process.poll() is None:
        fresh = Dataset(root)
        check_all(fresh, lengths[: fresh.num_episodes])
        held.refresh()
        check_all(held, lengths[: held.num_episodes])
        seen |= {fresh.num_episodes, held.num_episodes}
        rounds += 1
    assert process.returncode == 0
    held.refresh()
    check_all(held, lengths)
    assert rounds >= 2 and len(seen) >= 2
