"""Drawing ahead changes neither the batches nor what a checkpoint says about their order."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from robot_stack.training.data import DeviceFeed

CPU = torch.device("cpu")


@pytest.mark.parametrize("depth", [None, 0, 1, 4])
def test_batches_and_state_are_those_of_the_source(tiny, depth: int) -> None:
    rows, reference = tiny.Rows(8), tiny.Rows(8)
    with DeviceFeed(rows, CPU, depth) as feed:
        for number in range(1, 6):
            batch, expected = next(feed), next(reference)
            assert feed.state_dict() == {"step": number}
            assert batch.keys() == expected.keys()
            for name, values in expected.items():
                assert isinstance(batch[name], torch.Tensor)
                np.testing.assert_array_equal(batch[name].numpy(), values)
    assert rows.state_dict() == {"step": 5}  # what was drawn ahead is given back
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_errors_of_the_source_reach_the_user(tiny) -> None:
    class Broken(tiny.Rows):
        def __next__(self) -> dict[str, np.ndarray]:
            if self.step == 2:
                raise OSError("disk gone")
            return super().__next__()

    with DeviceFeed(Broken(4), CPU, 2) as feed:
        next(feed)
        next(feed)
        with pytest.raises(OSError, match="disk gone"):
            next(feed)


def test_strided_arrays_and_read_only_memory_are_taken(tiny) -> None:
    class Odd(tiny.Rows):
        def __next__(self) -> dict[str, np.ndarray]:
            self.step += 1
            whole = np.arange(12.0).reshape(3, 4)
            whole.setflags(write=False)
            return {"t": whole.T, "images": np.zeros((2, 1, 4, 4, 3), np.uint8)}

    with DeviceFeed(Odd(4), CPU) as feed:
        assert not [t for t in threading.enumerate() if t.name == "prefetch"]
        batch = next(feed)
    assert batch["t"].shape == (4, 3) and batch["t"][1, 2] == 9.0
    assert batch["images"].dtype == torch.uint8


def test_large_batches_are_drawn_by_a_thread(tiny) -> None:
    class Images(tiny.Rows):
        def __next__(self) -> dict[str, np.ndarray]:
            self.step += 1
            return {"images": np.full((16, 2, 128, 128, 3), self.step, np.uint8)}

    source = Images(16)
    with DeviceFeed(source, CPU) as feed:
        assert [t for t in threading.enumerate() if t.name == "prefetch"]
        assert [int(next(feed)["images"][0, 0, 0, 0, 0]) for _ in range(4)] == [1, 2, 3, 4]
        assert feed.state_dict() == {"step": 4}
    assert source.step == 4
