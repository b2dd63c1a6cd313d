"""Caches: whole or not there, shared between processes, flat in memory, honest about a full disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_stack.core.errors import StorageError
from robot_stack.datasets import cache_store, columns
from robot_stack.datasets.cache_store import ArrayFile
from robot_stack.datasets.reader import Dataset
from tests.datasets.hand_written import values, write_dataset


def test_array_file_gives_what_numpy_reads(tmp_path: Path):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, 2, 3)).astype(np.float32) for n in (4, 0, 7)]
    file = ArrayFile(tmp_path / "a.npy", np.dtype(np.float32), (2, 3))
    for part in parts:
        file.append(part)
    file.close()
    whole = np.load(tmp_path / "a.npy", mmap_mode="r")
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    longer = ArrayFile(tmp_path / "b.npy", np.dtype(np.float32), (2, 3))
    longer.copy_rows(tmp_path / "a.npy", 5)
    longer.append(parts[2])
    longer.close()
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), np.concatenate([whole[:5], parts[2]]))


def test_interrupted_building_leaves_nothing_and_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_dataset(tmp_path, [5, 6, 7, 8])
    decode = columns._decode_part

    def interrupt(part: columns.DataPart, *rest: object) -> None:
        if part.first_row:
            raise KeyboardInterrupt
        decode(part, *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(columns, "_decode_part", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Dataset(root).column("action")
    assert [path.name for path in (root / ".cache/columns").iterdir()] == [".lock"]
    monkeypatch.undo()
    np.testing.assert_array_equal(Dataset(root).column("action").array, values("action", np.arange(26), 2))


def test_full_disk_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_dataset(tmp_path, [5])

    def full(self: ArrayFile, rows: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArrayFile, "append", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        Dataset(root).column("action")
    assert "cache_dir" in (caught.value.remedy or "")


def test_what_a_dead_builder_left_is_removed(tmp_path: Path):
    root = write_dataset(tmp_path, [5])
    left = root / ".cache/columns/tmp-dead"
    left.mkdir(parents=True)
    (left / "column-0000.npy").write_bytes(b"half")
    Dataset(root).column("action")
    assert not left.exists()


def test_damaged_manifest_means_building_again(tmp_path: Path):
    root = write_dataset(tmp_path, [5])
    Dataset(root).column("action")
    (manifest,) = (root / ".cache/columns").glob("g-*/manifest.json")
    manifest.write_text(manifest.read_text()[:40])
    np.testing.assert_array_equal(Dataset(root).column("action").array, values("action", np.arange(5), 2))


def test_several_processes_build_once(tmp_path: Path):
    root = write_dataset(tmp_path, [50, 60, 70, 80])
    code = textwrap.dedent(
        f"""
        import sys
        from robot_stack.datasets import columns
        from robot_stack.datasets.reader import Dataset
        decode, count = columns._decode_part, []
        columns._decode_part = lambda *a: (count.append(1), decode(*a))
        print("ready", flush=True)
        sys.stdin.readline()
        print(float(Dataset({str(root)!r}).column("action").array.sum()), len(count))
        """
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0].split() for process in started]
    assert {answer[0] for answer in answers} == {str(float(values("action", np.arange(260), 2).sum()))}
    assert sorted(int(answer[1]) for answer in answers) == [0, 0, 2]  # two files, decoded by one process
    assert len(list((root / ".cache/columns").glob("g-*"))) == 1


MEASURE = """
import json, sys
import numpy as np
from robot_stack.datasets import columns
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.stream import BatchStream
from robot_stack.datasets.windows import Windows, diffusion_windows

columns._MAPPED_BYTES = 4 << 20  # so that a dataset small enough for a test counts as large

def kilobytes(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

Dataset(sys.argv[2]).column("action")  # everything is imported and warm before measuring
before = kilobytes("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
windows = Windows(Dataset(sys.argv[1]), diffusion_windows(["observation.state"], n_obs=2, horizon=16, n_action_steps=8))
stream = BatchStream(windows, 64, seed=0)
for _ in range(400):
    next(stream)
print(json.dumps({"peak": kilobytes("VmHWM") - before, "frames": windows.dataset.num_frames}))
"""


def _write_wide(root: Path, rows: int, size: int) -> Path:
    """Files of 20,000 wide rows in episodes of 1,000."""
    write_dataset(root, [1000] * (rows // 1000), state=size, episodes_per_file=20, row_group=1000)
    return root


def test_memory_stays_flat_when_the_dataset_grows_tenfold(tmp_path: Path):
    """Peak resident memory of decoding and of sampling 25,600 windows, in a process of its own."""
    warm = write_dataset(tmp_path / "warm", [30])
    peaks = {}
    for times in (1, 10):
        root = _write_wide(tmp_path / f"x{times}", 20_000 * times, 100)
        command = [sys.executable, "-c", MEASURE, str(root), str(warm)]
        settings = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}  # returns memory, so that peaks are comparable
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
        result = json.loads(done.stdout)
        assert result["frames"] == 20_000 * times
        peaks[times] = result["peak"] / 1024
    small, large = 8, 80  # megabytes of the state column
    assert peaks[10] - peaks[1] < 0.25 * (large - small), peaks


def test_decoding_reads_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_dataset(tmp_path, [3000], row_group=1000)
    sizes: list[int] = []
    append = cache_store.ArrayFile.append
    monkeypatch.setattr(columns, "_BATCH_ROWS", 256)
    monkeypatch.setattr(ArrayFile, "append", lambda self, rows: (sizes.append(len(rows)), append(self, rows))[1])
    Dataset(root).column("action")
    assert max(sizes) <= 256


def test_uncommitted_rows_in_the_last_file_are_left_out(tmp_path: Path):
    root = write_dataset(tmp_path, [5, 6])
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table.slice(0, 4)]), path)
    assert Dataset(root).column("index").array.tolist() == list(range(11))


@pytest.mark.parametrize("mapped_bytes", [1 << 30, 0])
def test_taking_rows_mapped_or_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped_bytes: int):
    monkeypatch.setattr(columns, "_MAPPED_BYTES", mapped_bytes)
    data = np.random.default_rng(0).normal(size=(50, 2, 3))
    file = ArrayFile(tmp_path / "a.npy", np.dtype(np.float64), (2, 3))
    file.append(data)
    file.close()
    column = columns.Column(tmp_path / "a.npy")
    runs = np.array([[0, 0, 1, 2], [46, 47, 48, 49], [48, 49, 49, 49], [7, 5, 6, 5]])
    for rows in (
        runs,
        runs[:, :1],
        runs[0],
        runs[:, 0],
        np.array(3),
        np.empty((0, 4), dtype=int),
        runs.reshape(2, 2, 4),
    ):
        np.testing.assert_array_equal(column.take(rows), data[rows])
    for start, stop in ((0, 50), (7, 9), (48, 90), (9, 9), (9, 7)):
        np.testing.assert_array_equal(column.slice(start, stop), data[start:stop])
    if not mapped_bytes:
        with pytest.raises(IndexError):
            column.take(np.array([3, 50]))


def _generation(root: Path, names: list[str], built: list[int]) -> str:
    """The text of the generation made by joining some files; ``built`` notes how many were inherited each time."""
    sources = [cache_store.describe_source(root, root / name, 1) for name in names]

    def build(folder: Path, inherited: cache_store.Inherited | None) -> None:
        built.append(inherited.files if inherited else 0)
        (folder / "joined").write_text("".join((root / name).read_text() for name in names))

    return (cache_store.open_generation(root / "home", "layout", root, sources, build) / "joined").read_text()


def test_generations_follow_the_content_of_their_sources(tmp_path: Path):
    built: list[int] = []
    for name in "abc":
        (tmp_path / name).write_text(name)
    assert _generation(tmp_path, ["a", "b"], built) == "ab" and built == [0]
    (tmp_path / "a").write_text("a")  # written again, the same
    os.utime(tmp_path / "a", (1, 1))
    assert _generation(tmp_path, ["a", "b"], built) == "ab" and built == [0]
    (tmp_path / "b").write_text("B")  # as long as before
    os.utime(tmp_path / "b", (2, 2))
    assert _generation(tmp_path, ["a", "b"], built) == "aB" and built == [0, 1]
    assert _generation(tmp_path, ["a", "b", "c"], built) == "aBc" and built == [0, 1, 2]
    assert _generation(tmp_path, ["a"], built) == "a" and built == [0, 1, 2, 1]  # episodes were deleted
    assert _generation(tmp_path, ["c", "a"], built) == "ca" and built == [0, 1, 2, 1, 0]
    assert len(list((tmp_path / "home").glob("g-*"))) == 1


def test_a_source_replaced_while_it_is_read_is_noticed(tmp_path: Path):
    (tmp_path / "a").write_text("old")
    sources = [cache_store.describe_source(tmp_path, tmp_path / "a", 1)]

    def build(folder: Path, inherited: cache_store.Inherited | None) -> None:
        (folder / "joined").write_text((tmp_path / "a").read_text())
        (tmp_path / "a").write_text("new")
        os.utime(tmp_path / "a", (1, 1))

    with pytest.raises(cache_store.FilesChanged, match="changed while it was read"):
        cache_store.open_generation(tmp_path / "home", "layout", tmp_path, sources, build)
    assert not list((tmp_path / "home").glob("g-*"))
