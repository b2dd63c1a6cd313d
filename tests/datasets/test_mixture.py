"""Mixtures and streams: shares, cover, sharding, resuming, per-source transforms, prefetching."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_stack.core.errors import CheckpointError, ConfigError, ShapeError
from robot_stack.datasets.mixture import Mixture, Source
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.stream import BatchStream, Prefetcher
from robot_stack.datasets.windows import Batch, Windows, chunk_windows
from tests.datasets.hand_written import write_dataset


def windows_of(root: Path, lengths: list[int], **options: object) -> Windows:
    """Windows with horizon 4 of a new dataset."""
    dataset = Dataset(write_dataset(root, lengths, **options))  # pyright: ignore[reportArgumentType]
    return Windows(dataset, chunk_windows(["observation.state"], horizon=4))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Windows]:
    """Three datasets of 60, 25 and 7 windows; tasks overlap in one."""
    root = tmp_path_factory.mktemp("mixture")
    return [
        windows_of(root / "a", [20, 30, 10], tasks=("push", "pull")),
        windows_of(root / "b", [25], tasks=("lift",)),
        windows_of(root / "c", [3, 4], tasks=("pull", "turn")),
    ]


def assert_equal(a: Batch, b: Batch) -> None:
    """Same fields, same numbers, same types."""
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        assert a[name].dtype == b[name].dtype


weights = st.lists(st.floats(0.01, 100, allow_nan=False), min_size=3, max_size=3)


@given(weights=weights, draws=st.integers(0, 10**9))
def test_shares_are_exact_at_every_point(three: list[Windows], weights: list[float], draws: int):
    mixture = Mixture([Source(w, weight=x) for w, x in zip(three, weights, strict=True)])
    counts = mixture.counts(draws)
    assert sum(counts) == draws
    for count, share in zip(counts, mixture.weights, strict=True):
        assert abs(count - draws * share) <= 1.5
    later = mixture.counts(draws + 1)
    assert sorted(np.subtract(later, counts).tolist()) == [0, 0, 1]  # no draw is ever taken back


def test_shares_by_number_of_windows(three: list[Windows]):
    assert Mixture([Source(w) for w in three]).weights == pytest.approx((60 / 92, 25 / 92, 7 / 92))


def test_every_window_once_before_any_twice(three: list[Windows]):
    stream = BatchStream(Mixture([Source(three[0], 3.0), Source(three[1], 1.0), Source(three[2], 1.0)]), 10, seed=4)
    seen: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for _ in range(40):
        batch = next(stream)
        for source, row in zip(batch["source_index"], batch["index"], strict=True):
            seen[int(source)].append(int(row))
    assert [len(seen[i]) for i in range(3)] == [240, 80, 80]
    for i, size in ((0, 60), (1, 25), (2, 7)):
        for epoch in range(len(seen[i]) // size):
            assert sorted(seen[i][epoch * size : (epoch + 1) * size]) == list(range(size))
        assert seen[i][:size] != seen[i][size : 2 * size]


def test_shards_are_disjoint_and_cover_the_global_batch(three: list[Windows]):
    mixture = Mixture([Source(three[0], 1.0), Source(three[1], 1.0)])
    whole = BatchStream(mixture, 12, seed=8)
    shards = [BatchStream(mixture, 4, seed=8, rank=r, world_size=3) for r in range(3)]
    for _ in range(6):
        parts = [next(shard) for shard in shards]
        assert_equal(next(whole), {name: np.concatenate([p[name] for p in parts]) for name in parts[0]})


def test_shards_of_an_even_mixture_are_not_one_source_each(three: list[Windows]):
    shard = BatchStream(Mixture([Source(three[0], 1.0), Source(three[1], 1.0)]), 8, seed=0, rank=0, world_size=2)
    share = np.mean([next(shard)["source_index"].mean() for _ in range(30)])
    assert 0.35 < share < 0.65


def test_one_epoch_over_processes_covers_everything(three: list[Windows]):
    rows = [
        row
        for rank in range(3)
        for _, batch in zip(range(5), BatchStream(three[0], 4, seed=1, rank=rank, world_size=3), strict=False)
        for row in batch["index"]
    ]
    assert sorted(rows) == list(range(60))


def test_resumed_stream_gives_identical_batches(three: list[Windows]):
    mixture = Mixture([Source(three[0], 2.0), Source(three[1], 1.0), Source(three[2], 0.5)])
    straight = BatchStream(mixture, 9, seed=11)
    batches = [next(straight) for _ in range(12)]
    first = BatchStream(mixture, 9, seed=11)
    for _ in range(5):
        next(first)
    state = json.loads(json.dumps(first.state_dict()))  # as a checkpoint keeps it
    resumed = BatchStream(mixture, 9, seed=11)
    resumed.load_state_dict(state)
    for expected in batches[5:]:
        assert_equal(next(resumed), expected)


def test_resuming_with_more_processes_keeps_the_order(three: list[Windows]):
    one = BatchStream(three[0], 8, seed=2)
    for _ in range(3):
        next(one)
    halves = [BatchStream(three[0], 4, seed=2, rank=r, world_size=2) for r in range(2)]
    for half in halves:
        half.load_state_dict(one.state_dict())
    expected = next(one)["index"]
    np.testing.assert_array_equal(np.concatenate([next(h)["index"] for h in halves]), expected)


def test_resuming_over_other_data_is_refused(three: list[Windows]):
    state = BatchStream(three[0], 8, seed=2).state_dict()
    for stream, what in (
        (BatchStream(three[0], 8, seed=3), "seed"),
        (BatchStream(three[0], 4, seed=2), "global_batch_size"),
        (BatchStream(three[1], 8, seed=2), "sources"),
    ):
        with pytest.raises(CheckpointError, match=what):
            stream.load_state_dict(state)


def test_each_source_gets_its_own_transform_and_tasks_are_shared(three: list[Windows]):
    def shift(by: float):
        return lambda batch: {**batch, "action": batch["action"] * 0 + by}

    mixture = Mixture([Source(three[0], 1.0, transform=shift(1)), Source(three[2], 1.0, transform=shift(2))])
    assert mixture.tasks == ("push", "pull", "turn")
    batch = BatchStream(mixture, 40, seed=0).batch_at(0)
    np.testing.assert_array_equal(batch["action"][:, 0, 0], batch["source_index"] + 1)
    for i in range(40):
        part = mixture.sources[batch["source_index"][i]].windows
        assert mixture.tasks[batch["task_index"][i]] == part.dataset.task_texts(batch["index"][i : i + 1])[0]


def test_sources_that_do_not_fit_are_refused(three: list[Windows], tmp_path: Path):
    other = windows_of(tmp_path, [9], state=5)
    with pytest.raises(ShapeError, match=r"'observation\.state'"):
        Mixture([Source(three[0]), Source(other)])
    cut = Source(other, transform=lambda b: {**b, "observation.state": b["observation.state"][..., :3]})
    assert Mixture([Source(three[0]), cut]).num_windows == 69


@pytest.mark.parametrize("given", [[1.0, None], [1.0, 0.0], [1.0, float("nan")], [1.0, -2.0]])
def test_wrong_weights_are_refused(three: list[Windows], given: list[float | None]):
    with pytest.raises(ConfigError, match="positive weight"):
        Mixture([Source(w, weight=x) for w, x in zip(three, given, strict=False)])


def test_wrong_sizes_are_refused(three: list[Windows]):
    with pytest.raises(ConfigError):
        BatchStream(three[0], 0, seed=0)
    with pytest.raises(ConfigError):
        BatchStream(three[0], 1, seed=0, rank=2, world_size=2)
    with pytest.raises(ConfigError):
        Mixture([])


def test_prefetching_changes_nothing(three: list[Windows]):
    plain = BatchStream(three[0], 7, seed=5)
    ahead = Prefetcher(BatchStream(three[0], 7, seed=5), depth=3)
    for _ in range(9):
        assert_equal(next(ahead), next(plain))
        assert ahead.state_dict() == plain.state_dict()
    state = ahead.state_dict()
    expected = next(plain)
    ahead.load_state_dict(state)
    assert_equal(next(ahead), expected)
    ahead.close()
    assert not [t for t in threading.enumerate() if t.name == "batch-prefetch"]


def test_an_error_in_the_thread_reaches_the_user(three: list[Windows]):
    def fail(batch: Batch) -> Batch:
        raise ValueError("on purpose")

    with (
        Prefetcher(BatchStream(Mixture([Source(three[0], transform=fail)]), 4, seed=0)) as ahead,
        pytest.raises(ValueError, match="on purpose"),
    ):
        next(ahead)
