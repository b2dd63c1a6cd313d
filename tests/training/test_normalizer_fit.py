"""Normalisers are fitted block by block: the same numbers, in memory that does not grow with the dataset."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from robot_stack.core.errors import NonFiniteError
from robot_stack.datasets import columns
from robot_stack.datasets.columns import Column
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.windows import Windows, diffusion_windows
from robot_stack.policies.config import NormalizationConfig
from robot_stack.policies.normalizers import PolicyNormalizers, SourceRows, fit_normalizers
from robot_stack.training import demonstrations, normalizer_fit, row_blocks
from robot_stack.training.demonstrations import open_demonstrations, require_finite
from robot_stack.training.normalizer_fit import fit_policy_normalizers
from robot_stack.training.row_blocks import rows_of_episodes, rows_of_step

LENGTHS = [40, 7, 300, 25, 33, 290, 12, 60]
CHOSEN = np.array([0, 2, 3, 5, 7])
NAME = "observation.state"


@pytest.fixture
def root(hand_written: ModuleType, tmp_path: Path) -> Path:
    return hand_written.write_dataset(tmp_path / "d", LENGTHS)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every column is a large one, which is read, not mapped; the sizes of reads are noted."""
    sizes: list[int] = []
    read = Column.slice

    def noted(self: Column, start: int, stop: int) -> np.ndarray:
        sizes.append(stop - start)
        self.__dict__.pop("array", None)  # whoever maps the whole column fails
        return read(self, start, stop)

    monkeypatch.setattr(columns, "_MAPPED_BYTES", 0)
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 16)
    monkeypatch.setattr(demonstrations, "BLOCK_ROWS", 16)
    monkeypatch.setattr(row_blocks, "_GAP_ROWS", 8)
    monkeypatch.setattr(Column, "slice", noted)
    return sizes


def windows(root: Path) -> Windows:
    return Windows(Dataset(root), diffusion_windows([NAME], n_obs=2, horizon=8, n_action_steps=4), episodes=CHOSEN)


def expected(root: Path, config: NormalizationConfig, *, per_step: bool) -> PolicyNormalizers:
    made = windows(root)
    rows = np.flatnonzero(np.isin(made.dataset.column("episode_index").array, CHOSEN))
    action = made.batch(np.arange(len(made)))["action"] if per_step else made.dataset.column("action").take(rows)
    state = made.dataset.column(NAME).take(rows)
    return fit_normalizers(config, [SourceRows("all", state.astype(np.float64), action.astype(np.float64))])


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("kind", ["identity", "min_max", "quantile", "mean_std"])
def test_no_more_than_a_block_is_read_at_once(
    root: Path, kind, per_step: bool, small_blocks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = NormalizationConfig(kind, kind, action_per_step=per_step)
    wanted = expected(root, config, per_step=per_step).sources[0]
    monkeypatch.setattr(normalizer_fit, "EXACT_ROWS", 1000)  # one number of the vector at a time
    found = fit_policy_normalizers(config, [("d", windows(root))], range(-1, 7)).sources[0]
    for ours, theirs in ((found.state, wanted.state), (found.action, wanted.action)):
        assert (ours.kind, ours.clip, ours.size) == (theirs.kind, theirs.clip, theirs.size)
        np.testing.assert_allclose([ours.offset, ours.scale], [theirs.offset, theirs.scale], rtol=1e-9, atol=1e-9)
    assert kind == "identity" or 0 < max(small_blocks) <= 16 + 16 * 8


def test_demonstrations_are_checked_block_by_block(root: Path, small_blocks: list[int]) -> None:
    (dataset,) = open_demonstrations([root], [NAME, "action"])
    assert max(small_blocks) == 16 and sum(small_blocks) >= 2 * sum(LENGTHS)
    values = np.lib.format.open_memmap(dataset.column("action").path, "r+")
    values[500, 1] = np.nan
    values.flush()
    with pytest.raises(NonFiniteError, match=r"nan in action\[1\].*episode 5, frame 95"):
        require_finite(Dataset(root), "action")


def test_quantiles_of_very_many_rows_are_those_of_a_sample(
    hand_written: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = hand_written.write_dataset(tmp_path / "d", [50] * 400)
    config = NormalizationConfig("quantile", "quantile")
    made = Windows(Dataset(root), diffusion_windows([NAME], n_obs=1, horizon=4, n_action_steps=2))
    exact = fit_policy_normalizers(config, [("d", made)], range(4)).sources[0].state
    monkeypatch.setattr(normalizer_fit, "EXACT_ROWS", 4000)
    sampled = fit_policy_normalizers(config, [("d", made)], range(4)).sources[0].state
    assert sampled != exact
    again = fit_policy_normalizers(config, [("d", made)], range(4)).sources[0].state
    assert again == sampled
    values = made.dataset.column(NAME).array
    bounds = np.array(sampled.offset) + np.array([[-1], [1]]) * np.array(sampled.scale)
    np.testing.assert_allclose((values < bounds[0]).mean(axis=0), 0.02, atol=0.01)
    np.testing.assert_allclose((values > bounds[1]).mean(axis=0), 0.02, atol=0.01)


def test_rows_are_found_by_number(root: Path) -> None:
    made = windows(root)
    numbers = np.flatnonzero(np.isin(made.dataset.column("episode_index").array, CHOSEN))
    rows = rows_of_episodes(made.dataset, CHOSEN)
    assert rows.count == len(numbers) and np.array_equal(rows.locate(np.arange(rows.count)), numbers)
    some = np.array([3, 4, 41, 200, 5])
    np.testing.assert_array_equal(
        np.concatenate(list(rows.blocks("action", some))), made.dataset.column("action").array[numbers[some]]
    )
    batch = made.batch(np.arange(len(made)))
    for step, offset in enumerate(range(-1, 7)):
        blocks = list(rows_of_step(made, offset).blocks("action"))
        np.testing.assert_array_equal(np.concatenate(blocks), batch["action"][:, step])
