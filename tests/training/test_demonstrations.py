"""What training refuses, how it splits, and how it is told apart."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.errors import ConfigError, DatasetError, NonFiniteError, UnknownNameError
from robot_stack.training.demonstrations import (
    content_hash,
    open_demonstrations,
    split_episodes,
)

FIELDS = ("observation.state", "action")


def poison(root: Path, file: str, name: str, row: int, element: int, value: float) -> None:
    path = root / "data" / file
    table = pq.read_table(path)
    rows = np.array(table[name].to_pylist(), dtype=np.float32)
    rows[row, element] = value
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    pq.write_table(table.set_column(table.column_names.index(name), name, column), path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_is_refused_by_file_episode_frame_and_field(hand_written: ModuleType, tmp_path: Path, value: float) -> None:
    root = hand_written.write_dataset(tmp_path / "d", [4, 6, 5, 7], episodes_per_file=2)
    open_demonstrations([root], FIELDS)
    poison(root, "chunk-000/file-001.parquet", "action", 5 + 3, 1, value)  # episode 3, frame 3
    with pytest.raises(NonFiniteError) as caught:
        open_demonstrations([root], FIELDS)
    text = str(caught.value)
    assert f"{root / 'data/chunk-000/file-001.parquet'}, row 8" in text
    assert f"{value} in action[1]" in text and "episode 3, frame 3" in text and "what to do" in text


def test_empty_missing_and_foreign_datasets_are_refused(hand_written: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one dataset"):
        open_demonstrations([], FIELDS)
    with pytest.raises(DatasetError):
        open_demonstrations([tmp_path / "nowhere"], FIELDS)
    root = hand_written.write_dataset(tmp_path / "d", [4])
    with pytest.raises(UnknownNameError, match="unknown column"):
        open_demonstrations([root], ["observation.stat"])


@given(st.integers(1, 300), st.floats(0, 0.99), st.integers(0, 99), st.one_of(st.none(), st.integers(1, 50)))
def test_splits_share_no_episode_and_lose_none(count: int, fraction: float, seed: int, at_most: int | None) -> None:
    split = split_episodes(count, fraction, seed=seed, at_most=at_most)
    together = np.concatenate([split.train, split.validation])
    assert len(set(together.tolist())) == len(together) <= count
    assert len(split.train) >= 1
    assert (len(split.validation) >= 1) == (fraction > 0 and count > 1)
    if at_most is None:
        assert sorted(together.tolist()) == list(range(count))
    else:
        assert len(split.train) == min(at_most, count - len(split.validation))
    again = split_episodes(count, fraction, seed=seed, at_most=at_most)
    assert np.array_equal(split.train, again.train) and np.array_equal(split.validation, again.validation)


def test_splits_depend_on_the_seed_and_nonsense_is_refused() -> None:
    assert not np.array_equal(split_episodes(50, 0.5, seed=0).train, split_episodes(50, 0.5, seed=1).train)
    for bad in ((10, 1.0, None), (10, -0.1, None), (10, 0.1, 0)):
        with pytest.raises(ConfigError):
            split_episodes(bad[0], bad[1], seed=0, at_most=bad[2])


def test_the_hash_tells_content(hand_written: ModuleType, tmp_path: Path) -> None:
    one = hand_written.write_dataset(tmp_path / "one", [4, 6])
    same = hand_written.write_dataset(tmp_path / "same", [4, 6])
    assert content_hash(one) == content_hash(same)
    open_demonstrations([one], FIELDS)  # caches beside the data do not count
    assert content_hash(one) == content_hash(same)
    poison(same, "chunk-000/file-000.parquet", "action", 0, 0, 5.0)
    assert content_hash(one) != content_hash(same)
    with pytest.raises(DatasetError):
        content_hash(tmp_path)
