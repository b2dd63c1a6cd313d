"""Windows against a reference that walks the rows one by one."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError, DatasetError, UnknownNameError
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.windows import FieldWindow, Windows, WindowSpec, chunk_windows, diffusion_windows
from tests.datasets.hand_written import CAMERA, tell, values, write_dataset

LENGTHS = (9, 1, 4, 17, 2, 12)


@lru_cache(maxsize=1)
def shared_dataset() -> Dataset:
    """One dataset for all examples; its folder goes with the process."""
    folder = tempfile.mkdtemp(prefix="windows-")
    return Dataset(write_dataset(Path(folder), list(LENGTHS)))


def reference(spec: WindowSpec, episodes: list[int]) -> list[dict[str, object]]:
    """Every window, row by row, from the definition."""
    out = []
    start = np.concatenate([[0], np.cumsum(LENGTHS)])
    lowest = min(o for f in spec.fields for o in f.offsets)
    highest = max(o for f in spec.fields for o in f.offsets)
    for episode in episodes:
        length = LENGTHS[episode]
        for t in range(length):
            if t + lowest < -spec.pad_before or t + highest > length - 1 + spec.pad_after:
                continue
            window: dict[str, object] = {"index": int(start[episode]) + t, "episode_index": episode, "frame_index": t}
            for field in spec.fields:
                rows, pad = [], []
                for offset in field.offsets:
                    step = min(max(t + offset, 0), length - 1)
                    rows.append(int(start[episode]) + step)
                    pad.append(not 0 <= t + offset < length)
                size = {"observation.state": 3, "action": 2, "next.reward": 1}[field.name]
                window[field.name] = np.stack([values(field.name, np.array([r]), size)[0] for r in rows])
                window[field.name + "_is_pad"] = np.array(pad)
            out.append(window)
    return out


offsets = st.lists(st.integers(-6, 14), min_size=1, max_size=5).map(tuple)
specs = st.builds(
    lambda state, action, before, after: WindowSpec(
        (FieldWindow("observation.state", state), FieldWindow("action", action), FieldWindow("next.reward", state)),
        before,
        after,
    ),
    offsets,
    offsets,
    st.integers(0, 8),
    st.integers(0, 16),
)


@given(spec=specs, episodes=st.lists(st.sampled_from(range(len(LENGTHS))), min_size=1, max_size=5, unique=True))
def test_windows_equal_the_row_by_row_reference(spec: WindowSpec, episodes: list[int]):
    expected = reference(spec, episodes)
    if not expected:
        with pytest.raises(DatasetError, match="no episode is long enough"):
            Windows(shared_dataset(), spec, episodes=episodes)
        return
    windows = Windows(shared_dataset(), spec, episodes=episodes)
    assert len(windows) == len(expected)
    numbers = np.random.default_rng(0).permutation(len(expected))
    batch = windows.batch(numbers)
    for place, number in enumerate(numbers):
        for name, value in expected[number].items():
            np.testing.assert_array_equal(batch[name][place], value, err_msg=f"{name} of window {number}")
    assert set(expected[0]) | {"task_index", "timestamp"} == set(batch)


@given(n_obs=st.integers(1, 4), spare=st.integers(0, 9), n_action_steps=st.integers(1, 8))
def test_diffusion_windows_are_those_of_the_paper(n_obs: int, spare: int, n_action_steps: int):
    """The sequences that real-stanford/diffusion_policy's create_indices enumerates, by its definition."""
    horizon = n_obs - 1 + n_action_steps + spare
    spec = diffusion_windows(["observation.state"], n_obs=n_obs, horizon=horizon, n_action_steps=n_action_steps)
    starts = []
    first = 0
    for length in LENGTHS:
        for begin in range(-(n_obs - 1), length - horizon + (n_action_steps - 1) + 1):
            if 0 <= begin + n_obs - 1 < length:
                starts.append(first + begin + n_obs - 1)
        first += length
    if starts:
        windows = Windows(shared_dataset(), spec)
        np.testing.assert_array_equal(windows.anchors(np.arange(len(windows))), starts)
        batch = windows.batch(np.arange(len(windows)))
        assert batch["action"].shape[1] == horizon and batch["observation.state"].shape[1] == n_obs
        last = batch["frame_index"] + horizon - n_obs - (np.array(LENGTHS)[batch["episode_index"]] - 1)
        assert last.max() <= n_action_steps - 1


def test_chunk_windows_anchor_every_step():
    windows = Windows(shared_dataset(), chunk_windows(["observation.state"], horizon=10))
    assert len(windows) == sum(LENGTHS)
    batch = windows.batch(np.arange(len(windows)))
    left = np.array(LENGTHS)[batch["episode_index"]] - batch["frame_index"]
    np.testing.assert_array_equal(batch["action_is_pad"].sum(axis=1), np.maximum(10 - left, 0))
    assert not batch["observation.state_is_pad"].any()


def test_masks_at_both_edges():
    spec = WindowSpec((FieldWindow("action", (-2, -1, 0, 1, 2)),), pad_before=2, pad_after=2)
    windows = Windows(shared_dataset(), spec, episodes=[0])
    masks = windows.batch(np.arange(9))["action_is_pad"]
    assert masks[0].tolist() == [True, True, False, False, False]
    assert masks[1].tolist() == [True, False, False, False, False]
    assert not masks[4].any()
    assert masks[8].tolist() == [False, False, False, True, True]


def test_camera_windows_show_the_right_steps(tmp_path: Path):
    dataset = Dataset(write_dataset(tmp_path, [12, 5, 9], video_size=64))
    spec = diffusion_windows(["observation.state", CAMERA], n_obs=2, horizon=8, n_action_steps=4)
    direct = Windows(dataset, spec, frame_cache_bytes=0)
    numbers = np.random.default_rng(1).permutation(len(direct))
    batch = direct.batch(numbers)
    assert batch[CAMERA].shape == (len(direct), 2, 64, 64, 3) == (len(direct), *direct.field_shape(CAMERA))
    for i in range(len(numbers)):
        episode, t = int(batch["episode_index"][i]), int(batch["frame_index"][i])
        assert [tell(frame) for frame in batch[CAMERA][i]] == [(episode, max(t - 1, 0)), (episode, t)]
    cached = Windows(Dataset(tmp_path), spec, frame_cache_bytes=1 << 30)
    np.testing.assert_array_equal(cached.batch(numbers)[CAMERA], batch[CAMERA])
    assert list((tmp_path / ".cache/frames").glob("*/g-*/frames.npy"))


def test_frame_cache_respects_its_budget(tmp_path: Path):
    dataset = Dataset(write_dataset(tmp_path, [6, 5], video_size=64))
    assert dataset.cache_frames((CAMERA,), 11 * 64 * 64 * 3 - 1) == ()
    assert dataset.cache_frames((CAMERA,), 11 * 64 * 64 * 3) == (CAMERA,)


def test_batches_give_every_window_once():
    windows = Windows(shared_dataset(), chunk_windows(["observation.state"], horizon=3))
    parts = [batch["index"] for batch in windows.batches(7)]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(sum(LENGTHS)))


def test_refusals():
    dataset = shared_dataset()
    with pytest.raises(UnknownNameError, match=r"did you mean 'observation\.state'"):
        Windows(dataset, chunk_windows(["observation.stat"], horizon=2))
    with pytest.raises(DatasetError, match="not in the dataset"):
        Windows(dataset, chunk_windows(["observation.state"], horizon=2), episodes=[0, 6])
    with pytest.raises(ConfigError, match="do not fit the horizon"):
        diffusion_windows(["observation.state"], n_obs=2, horizon=8, n_action_steps=8)
    with pytest.raises(ConfigError, match="different names"):
        WindowSpec((FieldWindow("action", (0,)), FieldWindow("action", (1,))), 0, 0)
    with pytest.raises(DatasetError, match="no such window"):
        Windows(dataset, chunk_windows(["observation.state"], horizon=2)).batch(np.array([45]))


def test_windows_of_an_empty_dataset_are_refused(tmp_path: Path):
    from tests.datasets.test_reader import _edit_info

    root = write_dataset(tmp_path, [5])
    _edit_info(root, total_episodes=0, total_frames=0)
    with pytest.raises(DatasetError, match="no episodes"):
        Windows(Dataset(root), chunk_windows(["observation.state"], horizon=2))
