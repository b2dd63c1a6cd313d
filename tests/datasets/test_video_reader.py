"""Random access to video frames against decoding the whole file in order."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_stack.core.errors import DatasetError, VideoError
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.video_reader import VideoPool, read_seek_table
from tests.datasets.hand_written import CAMERA, tell, write_dataset, write_video

LEROBOT_VIDEO = (
    Path(__file__).resolve().parents[1] / "data/lerobot_v3/videos/observation.images.front/chunk-000/file-000.mp4"
)
SIZE = 64


def decode_all(path: Path) -> np.ndarray:
    """Every frame in order, by PyAV's own loop over the file."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, np.ndarray]]:
    """H.264 with reordered frames, with one key frame, with frames before their key frame; AV1; LeRobot's own file."""
    root = tmp_path_factory.mktemp("videos")
    rows = [(0, t) for t in range(45)]
    open_groups = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0"}
    made = {
        "h264": ("libx264", 12, {}),
        "h264 one key": ("libx264", 1000, {}),
        "h264 open": ("libx264", 12, open_groups),
        "av1": ("libsvtav1", 2, {}),
    }
    paths = {}
    for name, (codec, gop, more) in made.items():
        paths[name] = root / f"{name}.mp4"
        write_video(paths[name], rows, SIZE, gop=gop, codec=codec, more=more)
    paths["lerobot"] = LEROBOT_VIDEO
    return {name: (path, decode_all(path)) for name, path in paths.items()}


@given(data=st.data())
@settings(max_examples=40)
@pytest.mark.parametrize("name", ["h264", "h264 one key", "h264 open", "av1", "lerobot"])
def test_any_frames_in_any_calls_equal_decoding_in_order(
    videos: dict[str, tuple[Path, np.ndarray]], name: str, data: st.DataObject
):
    path, frames = videos[name]
    pool = VideoPool()
    for _ in range(3):
        numbers = sorted(data.draw(st.sets(st.integers(0, len(frames) - 1), min_size=1, max_size=8)))
        for number, frame in zip(numbers, pool.read(path, np.array(numbers)), strict=True):
            np.testing.assert_array_equal(frame, frames[number])


def test_reordered_frames_are_told_apart(videos: dict[str, tuple[Path, np.ndarray]]):
    """The H.264 file really has frames stored out of order, so the test above covers that."""
    table = read_seek_table(videos["h264"][0])
    assert (np.diff(table.pts) < 0).any()
    assert table.times.tolist() == pytest.approx(np.arange(45) / 10)
    assert table.key.sum() >= 3
    opened = read_seek_table(videos["h264 open"][0])
    keys = opened.pts[opened.key]
    assert (opened.pts[opened.start] <= opened.pts[opened.order]).all()
    assert any((opened.pts[int(np.flatnonzero(opened.pts == key)[0]) :] < key).any() for key in keys)


def test_files_taken_in_turn_and_more_files_than_may_be_open(videos: dict[str, tuple[Path, np.ndarray]]):
    pool = VideoPool(max_files=1, max_packets=50)
    before = _open_files()
    for number in (3, 4, 40, 5):
        for name in ("h264", "h264 one key", "av1"):
            path, frames = videos[name]
            (frame,) = pool.read(path, np.array([number]))
            np.testing.assert_array_equal(frame, frames[number])
    assert _open_files() <= before + 1
    pool.close()
    assert _open_files() == before


def test_consecutive_frames_read_each_packet_once(videos: dict[str, tuple[Path, np.ndarray]], monkeypatch):
    from robot_stack.datasets import video_reader

    path, frames = videos["h264 one key"]
    reads: list[int] = []
    read = video_reader._read_packet
    monkeypatch.setattr(video_reader, "_read_packet", lambda t, d, i: (reads.append(i), read(t, d, i))[1])
    pool = VideoPool()
    for start in range(0, 45, 5):
        assert len(list(pool.read(path, np.arange(start, start + 5)))) == 5
    assert sorted(reads) == list(range(len(frames)))


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_dataset_frames_over_several_files(tmp_path: Path, codec: str):
    lengths = [9, 4, 11, 3, 6]
    root = write_dataset(tmp_path, lengths, video_size=SIZE, codec=codec)
    dataset = Dataset(root)
    rows = np.random.default_rng(0).permutation(sum(lengths))
    rows = np.concatenate([rows, rows[:5], [4, 4]])
    frames = dataset.frames(CAMERA, rows)
    start = np.concatenate([[0], np.cumsum(lengths)])
    for row, frame in zip(rows, frames, strict=True):
        episode = int(np.searchsorted(start, row, side="right") - 1)
        assert tell(frame) == (episode, row - start[episode])


def test_seek_tables_are_kept_and_follow_the_file(tmp_path: Path, monkeypatch):
    from robot_stack.datasets import seek_table

    root = write_dataset(tmp_path, [9, 4], video_size=SIZE)
    first = Dataset(root).frames(CAMERA, np.arange(13))
    monkeypatch.setattr(seek_table, "read_seek_table", lambda path: pytest.fail("searched again"))
    np.testing.assert_array_equal(Dataset(root).frames(CAMERA, np.arange(13)), first)
    monkeypatch.undo()
    write_video(
        root / f"videos/{CAMERA}/chunk-000/file-000.mp4", [(7, t) for t in range(13)], SIZE, gop=3, codec="libx264"
    )
    assert tell(Dataset(root).frames(CAMERA, np.array([2]))[0]) == (7, 2)


def test_a_file_replaced_while_its_packets_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The seek table must be that of the file that is open, or frames would be read from wrong places."""
    from robot_stack.datasets import seek_table

    path, longer = tmp_path / "video.mp4", tmp_path / "longer.mp4"
    write_video(path, [(1, t) for t in range(10)], SIZE, gop=3, codec="libx264")
    write_video(longer, [(2, t) for t in range(30)], SIZE, gop=5, codec="libx264")
    read = seek_table.read_seek_table

    def replace_first(wanted: Path) -> seek_table.SeekTable:
        if longer.exists():
            longer.replace(wanted)
        return read(wanted)

    monkeypatch.setattr(seek_table, "read_seek_table", replace_first)
    for _ in range(2):  # the second time from the cache
        frames = list(VideoPool(tmp_path / "seek").read(path, np.array([3, 8, 27])))
        assert [tell(frame) for frame in frames] == [(2, 3), (2, 8), (2, 27)]


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _file(root: Path) -> Path:
    return root / f"videos/{CAMERA}/chunk-000/file-001.mp4"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zero_middle(path: Path) -> None:
    """Overwrite packets from the third key frame on, header and seek table left whole."""
    table = read_seek_table(path)
    begin = int(table.offset[np.flatnonzero(table.key)[2]])
    data = bytearray(path.read_bytes())
    end = begin + int(table.size[np.flatnonzero(table.key)[2] :].sum())
    data[begin:end] = bytes(end - begin)
    path.write_bytes(bytes(data))


DAMAGES = {
    "cut": (_cut, VideoError, "cut short or damaged"),
    "gone": (lambda p: p.unlink(), DatasetError, "missing"),
    "no video at all": (lambda p: p.write_text("hello"), VideoError, "cut short or damaged"),
    "packets overwritten": (_zero_middle, VideoError, "cannot be decoded"),
    "frames missing at the end": (
        lambda p: write_video(p, [(2, t) for t in range(6)], SIZE, gop=4, codec="libx264"),
        DatasetError,
        "no frame at the time of a row",
    ),
    "another size": (
        lambda p: write_video(p, [(2, t) for t in range(20)], 96, gop=4, codec="libx264"),
        DatasetError,
        "another image size",
    ),
}


@pytest.mark.parametrize("name", list(DAMAGES))
@pytest.mark.parametrize("cached", [False, True])
def test_damage_names_the_file(tmp_path: Path, name: str, cached: bool):
    damage, kind, message = DAMAGES[name]
    root = write_dataset(tmp_path, [9, 4, 11, 9], video_size=SIZE)
    damage(_file(root))
    dataset = Dataset(root)
    dataset.frames(CAMERA, np.arange(13))  # the other file is whole
    with pytest.raises(kind, match=message) as caught:
        if cached:
            dataset.cache_frames((CAMERA,), 1 << 30)
        else:
            dataset.frames(CAMERA, np.arange(33))
    assert "chunk-000/file-001.mp4" in str(caught.value.where)
    assert caught.value.remedy
    assert dataset.frames(CAMERA, np.array([3])).shape == (1, SIZE, SIZE, 3)  # the dataset goes on working
    assert not list((root / ".cache").glob("frames/*/[gt]*"))


def test_a_row_between_frames_is_named(tmp_path: Path):
    root = write_dataset(tmp_path, [9], video_size=SIZE)
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    times = table["timestamp"].to_numpy().copy()
    times[5] += 0.04
    column = table.schema.get_field_index("timestamp")
    pq.write_table(table.set_column(column, "timestamp", pa.array(times)), path)
    dataset = Dataset(root)
    assert len(dataset.frames(CAMERA, np.array([4, 6]))) == 2
    with pytest.raises(DatasetError, match="no frame at the time") as caught:
        dataset.frames(CAMERA, np.array([4, 5, 6]))
    assert "row 5 of the dataset" in str(caught.value.where) and "0.54" in str(caught.value.expected)


def test_growing_dataset_reuses_cached_frames(tmp_path: Path, monkeypatch):
    root = write_dataset(tmp_path, [6, 5, 7, 4], video_size=SIZE)
    dataset = Dataset(root)
    dataset.cache_frames((CAMERA,), 1 << 30)
    write_dataset(root, [6, 5, 7, 4, 8], video_size=SIZE, first_episode=4)
    dataset.refresh()
    from robot_stack.datasets.video_camera import VideoCamera

    decoded: list[int] = []
    read = VideoCamera.read
    monkeypatch.setattr(VideoCamera, "read", lambda self, rows: (decoded.extend(rows.tolist()), read(self, rows))[1])
    dataset.cache_frames((CAMERA,), 1 << 30)
    assert decoded == list(range(22, 30))
    assert tell(dataset.frames(CAMERA, np.array([25]))[0]) == (4, 3)
    assert tell(dataset.frames(CAMERA, np.array([21]))[0]) == (3, 3)
    assert len(list((root / ".cache/frames").glob("*/g-*"))) == 1  # the old one is gone


def test_channels_first_shapes_are_understood(tmp_path: Path):
    import json

    root = write_dataset(tmp_path, [5], video_size=SIZE)
    path = root / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"][CAMERA] |= {"shape": [3, SIZE, SIZE], "names": ["channels", "height", "width"]}
    path.write_text(json.dumps(info))
    assert Dataset(root).frames(CAMERA, np.array([0])).shape == (1, SIZE, SIZE, 3)


def test_damaged_pictures_name_file_row_and_column(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = Path(__file__).resolve().parents[1] / "data/lerobot_v3"
    root = Path(shutil.copytree(source, tmp_path / "copy"))
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    name = "observation.images.wrist"
    pictures = table[name].to_pylist()
    pictures[7]["bytes"] = pictures[7]["bytes"][:100]
    column = table.schema.get_field_index(name)
    pq.write_table(table.set_column(column, name, pa.array(pictures, type=table[name].type)), path)
    dataset = Dataset(root)
    assert dataset.frames(name, np.array([6, 8])).shape == (2, 64, 64, 3)
    with pytest.raises(DatasetError, match="picture is damaged") as caught:
        dataset.frames(name, np.array([6, 7]))
    assert f"{path}, row 7" in str(caught.value.where) and name in str(caught.value.where)
