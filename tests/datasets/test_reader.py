"""Reading datasets: one that LeRobot 0.4.4 wrote, ones made by hand, and damaged ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_stack.core.errors import DatasetError, RobotStackError, UnknownNameError
from robot_stack.datasets.reader import Dataset
from tests.datasets.hand_written import values, write_dataset

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A copy of the dataset that LeRobot 0.4.4 wrote."""
    return Path(shutil.copytree(DATA / "lerobot_v3", tmp_path / "lerobot_v3"))


def test_reads_every_value_lerobot_wrote(foreign: Path):
    expected = np.load(DATA / "lerobot_v3_expected.npz", allow_pickle=False)  # as LeRobot itself loads it
    dataset = Dataset(foreign)
    assert (dataset.num_episodes, dataset.num_frames, dataset.fps) == (3, 26, 10)
    for name in dataset.column_names:
        ours, theirs = dataset.column(name).array, expected[name]
        assert ours.dtype == np.dtype(dataset.features[name].dtype)
        np.testing.assert_array_equal(ours.astype(theirs.dtype).reshape(theirs.shape), theirs, err_msg=name)
    assert {"observation.matrix", "observation.pair", "next.done", "timestamp"} <= set(dataset.column_names)


@pytest.mark.parametrize("cached", [False, True])
def test_reads_every_frame_lerobot_wrote(foreign: Path, cached: bool):
    expected = np.load(DATA / "lerobot_v3_expected.npz", allow_pickle=False)
    dataset = Dataset(foreign)
    assert dataset.camera_names == ("observation.images.wrist", "observation.images.front")
    if cached:
        assert dataset.cache_frames(dataset.camera_names, 1 << 30) == dataset.camera_names
    for camera in dataset.camera_names:
        np.testing.assert_array_equal(dataset.frames(camera, expected["frame_rows"]), expected[camera])


def test_reads_facts_lerobot_wrote(foreign: Path):
    facts = json.loads(np.load(DATA / "lerobot_v3_expected.npz")["__facts__"].tobytes())
    dataset = Dataset(foreign)
    assert dict(zip(dataset.tasks, range(3), strict=True)) == facts["tasks"]
    assert dataset.episodes.length.tolist() == facts["episode_lengths"]
    assert dataset.task_texts(np.arange(26)) == facts["texts"]["task"]
    assert dataset.texts("note", np.array([25, 3, 3])) == [facts["texts"]["note"][i] for i in (25, 3, 3)]
    assert dataset.episodes.column("tasks") == facts["episode_tasks"]
    assert dataset.episode(1).tasks == ("open the drawer",)
    assert dataset.episode(2).facts["dataset_from_index"] == 15
    for feature, entries in facts["stats"].items():
        for name, value in entries.items():
            np.testing.assert_allclose(dataset.stats[feature][name], value)


def test_columns_over_many_files_and_row_groups(tmp_path: Path):
    lengths = [7, 1, 12, 3, 9, 4, 6]
    dataset = Dataset(write_dataset(tmp_path, lengths))
    rows = np.arange(sum(lengths))
    np.testing.assert_array_equal(dataset.column("observation.state").array, values("observation.state", rows, 3))
    np.testing.assert_array_equal(dataset.column("next.reward").array, values("next.reward", rows, 1))
    np.testing.assert_array_equal(dataset.column("episode_index").array, np.repeat(np.arange(7), lengths))
    np.testing.assert_array_equal(dataset.episode(4).column("frame_index"), np.arange(9))
    np.testing.assert_array_equal(dataset.column("action").take(np.array([[3, 3], [0, 41]])).shape, (2, 2, 2))
    assert not dataset.column("action").array.flags.writeable


def test_second_opening_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_dataset(tmp_path, [5, 6, 7])
    first = Dataset(root).column("action").array.copy()
    monkeypatch.setattr("robot_stack.datasets.columns._decode_part", lambda *a: pytest.fail("decoded again"))
    np.testing.assert_array_equal(Dataset(root).column("action").array, first)


def test_copied_dataset_keeps_its_cache_but_changed_content_does_not(tmp_path: Path):
    root = write_dataset(tmp_path / "a", [5, 6, 7])
    Dataset(root).column("action")
    copy = Path(shutil.copytree(root, tmp_path / "b", copy_function=shutil.copyfile))  # new modification times
    Dataset(copy).column("action")
    assert [p.name for p in (root / ".cache/columns").iterdir()] == [
        p.name for p in (copy / ".cache/columns").iterdir()
    ]
    file = copy / "data/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    changed = table.set_column(
        table.schema.get_field_index("next.reward"), "next.reward", pa.array(np.full(11, 7, dtype=np.float32))
    )
    pq.write_table(changed, file, row_group_size=5)
    assert (Dataset(copy).column("next.reward").array[:11] == 7).all()


def test_growing_dataset_is_seen_after_refresh_and_old_files_are_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = write_dataset(tmp_path, [5, 6, 7, 8])
    dataset = Dataset(root)
    before = dataset.column("action").array
    held = before.copy()
    decoded: list[str] = []
    import robot_stack.datasets.columns as columns

    decode = columns._decode_part
    monkeypatch.setattr(columns, "_decode_part", lambda part, *a: (decoded.append(part.path.name), decode(part, *a)))
    write_dataset(root, [5, 6, 7, 8, 9, 3], first_episode=4)
    assert dataset.num_episodes == 4  # a reader keeps what it saw
    assert dataset.refresh() == 2
    rows = np.arange(38)
    np.testing.assert_array_equal(dataset.column("action").array, values("action", rows, 2))
    np.testing.assert_array_equal(before, held)
    assert decoded == ["file-000.parquet"]  # only the third file, chunk-001/file-000


def test_rows_of_an_uncommitted_episode_are_not_seen(tmp_path: Path):
    root = write_dataset(tmp_path, [5, 6, 7])
    info = json.loads((root / "meta/info.json").read_text())
    info |= {"total_episodes": 1, "total_frames": 5}
    (root / "meta/info.json").write_text(json.dumps(info))
    dataset = Dataset(root)
    assert (dataset.num_episodes, dataset.num_frames) == (1, 5)
    np.testing.assert_array_equal(dataset.column("index").array, np.arange(5))


def test_dataset_in_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_dataset(tmp_path / "data set", [5, 6])
    (root / ".cache").write_text("stands for a folder that cannot be made")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert Dataset(root).column("action").array.shape == (11, 2)
    assert list((tmp_path / "user/robot_stack/datasets").glob("*/columns/g-*/manifest.json"))


def test_cache_dir_is_used_when_given(tmp_path: Path):
    root = write_dataset(tmp_path / "data", [5])
    Dataset(root, cache_dir=tmp_path / "elsewhere").column("action")
    assert not (root / ".cache").exists()
    assert list((tmp_path / "elsewhere").glob("columns/g-*"))


def test_unknown_names_list_the_nearest(tmp_path: Path):
    dataset = Dataset(write_dataset(tmp_path, [5]))
    with pytest.raises(UnknownNameError, match=r"did you mean 'action'"):
        dataset.column("actoin")
    with pytest.raises(UnknownNameError, match="camera"):
        dataset.frames("top", np.array([0]))
    with pytest.raises(UnknownNameError, match="episode column"):
        dataset.episodes.column("operator")


def test_extra_provenance_columns_and_episodes_from_before_they_existed(tmp_path: Path):
    root = write_dataset(tmp_path, [5, 6])
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 1), path)
    later = table.slice(1, 1).append_column("operator", pa.array(["Ada"]))
    pq.write_table(later, path.with_name("file-001.parquet"))
    dataset = Dataset(root)
    assert dataset.episodes.column("operator") == [None, "Ada"]
    assert dataset.episode(1).facts["operator"] == "Ada"


def _cut(path: Path, part: float = 0.6) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


def _edit_info(root: Path, **changes: object) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _damage_row(root: Path, column: str, row: int, value: object) -> None:
    path = root / "data/chunk-000/file-001.parquet"
    table = pq.read_table(path)
    items = table[column].to_pylist()
    items[row] = value
    kind = pa.list_(pa.float32()) if column == "action" else table[column].type
    where = table.schema.get_field_index(column)
    pq.write_table(table.set_column(where, column, pa.array(items, type=kind)), path)


DAMAGES = {
    "info cut": (lambda r: _cut(r / "meta/info.json"), "JSON file is damaged", "info.json, line"),
    "info missing": (lambda r: (r / "meta/info.json").unlink(), "not a LeRobotDataset", "info.json"),
    "info lacks key": (lambda r: _edit_info(r, features=None), "unusable value", "info.json"),
    "episodes cut": (lambda r: _cut(r / "meta/episodes/chunk-000/file-000.parquet"), "cut short", "episodes/chunk-000"),
    "episodes gone": (lambda r: shutil.rmtree(r / "meta/episodes"), "ends before the last committed", "meta/episodes"),
    "episodes too few": (
        lambda r: _edit_info(r, total_episodes=9),
        "ends before the last committed episode",
        "episodes/chunk-000/file-000.parquet",
    ),
    "lengths do not add up": (lambda r: _edit_info(r, total_frames=12), "do not add up", "meta/episodes"),
    "tasks cut": (lambda r: _cut(r / "meta/tasks.parquet"), "cut short", "tasks.parquet"),
    "data cut": (lambda r: _cut(r / "data/chunk-000/file-001.parquet"), "cut short", "data/chunk-000/file-001.parquet"),
    "data gone": (lambda r: (r / "data/chunk-000/file-001.parquet").unlink(), "missing", "file-001.parquet"),
    "data emptied": (lambda r: (r / "data/chunk-000/file-000.parquet").write_bytes(b""), "empty", "file-000.parquet"),
    "data foreign": (
        lambda r: (r / "data/chunk-000/file-000.parquet").write_text("hello, this is no table\n" * 50),
        "not a parquet file",
        "file-000.parquet",
    ),
    "data swapped": (
        lambda r: shutil.copy(r / "data/chunk-000/file-000.parquet", r / "data/chunk-000/file-001.parquet"),
        "not where the episode table says|fewer rows",
        "file-001.parquet",
    ),
    "row empty": (
        lambda r: _damage_row(r, "next.reward", 4, None),
        "does not fit its feature",
        "file-001.parquet, row 4",
    ),
    "row too short": (lambda r: _damage_row(r, "action", 3, [1.0]), "does not fit", "file-001.parquet, row 3"),
    "row ragged": (lambda r: _damage_row(r, "action", 2, [None, 1.0]), "does not fit", "file-001.parquet, row 2"),
    "row misplaced": (lambda r: _damage_row(r, "index", 1, 99), "not where", "file-001.parquet, row 1"),
}


@pytest.mark.parametrize("name", list(DAMAGES))
def test_damage_gives_one_error_that_names_file_and_remedy(tmp_path: Path, name: str):
    damage, message, where = DAMAGES[name]
    root = write_dataset(tmp_path, [8, 9, 7, 6])
    damage(root)
    with pytest.raises(DatasetError, match=message) as caught:
        Dataset(root).column("action")
    assert where in str(caught.value.where)
    assert caught.value.remedy
    if (root / ".cache/columns").exists():
        assert [p.name for p in (root / ".cache/columns").iterdir()] == [".lock"]  # nothing half-built stays


@pytest.mark.parametrize(
    ("version", "hint"), [("v2.1", "convert_dataset_v21_to_v30"), ("v1.6", "v2.0"), ("v4.0", "update")]
)
def test_other_format_versions_are_refused_with_the_way_out(tmp_path: Path, version: str, hint: str):
    root = write_dataset(tmp_path, [5])
    _edit_info(root, codebase_version=version)
    with pytest.raises(DatasetError, match="another format version") as caught:
        Dataset(root)
    assert hint in (caught.value.remedy or "") and caught.value.got == version


def test_folders_that_are_no_dataset(tmp_path: Path):
    with pytest.raises(DatasetError, match="no dataset here"):
        Dataset(tmp_path / "nowhere")
    (tmp_path / "demo.hdf5").write_bytes(b"\x89HDF")
    with pytest.raises(DatasetError, match="this is a file") as caught:
        Dataset(tmp_path / "demo.hdf5")
    assert "import" in (caught.value.remedy or "")


def test_empty_dataset_opens_and_says_so_when_used(tmp_path: Path):
    root = write_dataset(tmp_path, [5])
    _edit_info(root, total_episodes=0, total_frames=0)
    shutil.rmtree(root / "meta/episodes")
    (root / "meta/tasks.parquet").unlink()
    dataset = Dataset(root)
    assert (dataset.num_episodes, dataset.num_frames, dataset.tasks) == (0, 0, ())
    assert dataset.column("action").array.shape == (0, 2)
    with pytest.raises(DatasetError, match="no episodes"):
        dataset.require_episodes()
    with pytest.raises(RobotStackError, match="no such episode"):
        dataset.episode(0)
