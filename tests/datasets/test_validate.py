"""Checking datasets: sound ones pass, and each kind of damage gives one error that names file, row and remedy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_stack.core.config_json import from_plain
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.checks.finding import Finding
from robot_stack.datasets.validate import validate
from robot_stack.datasets.video_writer import VideoCodec
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.hand_written import CAMERA, write_dataset

LEROBOT = Path(__file__).resolve().parents[1] / "data" / "lerobot_v3"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-001.parquet"
VIDEO = f"videos/{CAMERA}/chunk-000/file-001.mp4"


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("made") / "set", [12, 9, 20, 5, 7], video_size=32)


@pytest.fixture
def made(_made: Path, tmp_path: Path) -> Path:
    """A hand-made dataset of 5 episodes in 3 files, with one video camera."""
    return Path(shutil.copytree(_made, tmp_path / "set"))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A copy of the dataset that LeRobot 0.4.4 wrote."""
    return Path(shutil.copytree(LEROBOT, tmp_path / "lerobot"))


def errors(root: Path, *, quick: bool = False) -> tuple[Finding, ...]:
    return validate(root, quick=quick).of("error")


def only_error(root: Path, *, quick: bool = False) -> Finding:
    found = errors(root, quick=quick)
    assert len(found) == 1, "\n".join(map(str, found))
    assert found[0].remedy
    return found[0]


def files(root: Path) -> list[str]:
    found = (p.relative_to(root) for p in root.rglob("*") if p.is_file())
    return sorted(str(path) for path in found if not path.parts[0].startswith("."))


def edit_table(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, type=table.schema.field(name).type))


def test_sound_datasets_have_no_errors(made: Path, foreign: Path) -> None:
    for root, episodes, frames in ((made, 5, 53), (foreign, 3, 26)):
        found = validate(root)
        assert found.ok, found.findings
        assert (found.episodes, found.frames, found.decoded) == (episodes, frames, True)


def test_nothing_is_written(made: Path) -> None:
    before = {name: (made / name).stat().st_mtime_ns for name in files(made)}
    validate(made)
    assert {name: (made / name).stat().st_mtime_ns for name in files(made)} == before


def test_quantiles_averaged_over_episodes_are_told_as_one_warning(foreign: Path) -> None:
    (warning,) = validate(foreign).of("warning")
    assert "quantile" in warning.message
    assert warning.file == "meta/stats.json"


@pytest.mark.parametrize("name", files(LEROBOT))
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.995])
def test_a_truncated_file_gives_one_error_that_names_it(foreign: Path, name: str, share: float) -> None:
    path = foreign / name
    os.truncate(path, int(path.stat().st_size * share))
    found = only_error(foreign)
    assert found.file.split(",")[0] == name


@pytest.mark.parametrize("name", files(LEROBOT))
def test_a_text_file_in_its_place_gives_one_error_that_names_it(foreign: Path, name: str) -> None:
    (foreign / name).write_text("Dear colleague,\nplease find the data attached.\n" * 40)
    found = only_error(foreign)
    assert found.file.split(",")[0] == name


@pytest.mark.parametrize("name", [n for n in files(LEROBOT) if not n.endswith("stats.json")])
def test_a_missing_file_gives_one_error_that_names_it(foreign: Path, name: str) -> None:
    (foreign / name).unlink()
    found = only_error(foreign)
    expected = "meta/episodes" if "episodes" in name else name
    assert found.file == expected


def test_missing_statistics_are_a_warning(foreign: Path) -> None:
    (foreign / "meta/stats.json").unlink()
    found = validate(foreign)
    assert found.ok
    assert [f.message for f in found.of("warning")] == ["there are no statistics"]


@pytest.mark.parametrize("name", files(LEROBOT))
def test_flipped_bytes_never_raise(foreign: Path, name: str) -> None:
    path = foreign / name
    original = path.read_bytes()
    rng = np.random.default_rng(7)
    seen = 0
    for _ in range(12):
        data = bytearray(original)
        for place in rng.integers(0, len(data), size=8):
            data[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(data))
        seen += not validate(foreign).ok
    assert seen >= 8


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v1.6", "v4.0", None, 3])
def test_another_version_gives_one_error(foreign: Path, version: object) -> None:
    path = foreign / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"codebase_version": version}))
    found = only_error(foreign)
    assert found.file == "meta/info.json"
    assert "version" in found.message


def test_a_folder_that_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "not a LeRobotDataset" in only_error(tmp_path).message
    assert "no dataset" in only_error(tmp_path / "nowhere").message


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("index", lambda v: v + 1, "index is wrong"),
        ("frame_index", lambda v: np.roll(v, 1), "frame_index is wrong"),
        ("episode_index", lambda v: np.where(np.arange(len(v)) == 3, 99, v), "episode_index is wrong"),
        ("timestamp", lambda v: v + np.float32(0.01), "timestamp is not frame_index / fps"),
        ("task_index", lambda v: np.where(np.arange(len(v)) == 3, 2, v), "task_index names no task"),
    ],
)
def test_a_wrong_automatic_column_names_the_first_row(
    made: Path, column: str, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    before = pq.read_table(made / DATA)[column].to_numpy()
    after = change(before)
    edit_table(made / DATA, lambda table: with_column(table, column, after))
    found = only_error(made)
    assert found.message.startswith(message)
    assert (found.file, found.row) == (DATA, int(np.flatnonzero(before != after)[0]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_names_its_row(made: Path, value: float) -> None:
    def spoil(table: pa.Table) -> pa.Table:
        rows = np.stack(table["action"].to_numpy())
        rows[17, 1] = value
        return with_column(table, "action", list(rows))

    edit_table(made / DATA, spoil)
    found = only_error(made)
    assert found.message == "'action' is not finite"
    assert (found.file, found.row) == (DATA, 17)


def test_a_ragged_or_empty_row_is_named(made: Path) -> None:
    for bad in ([1.0], None, [1.0, 2.0, 3.0]):
        rows = [list(v) for v in np.stack(pq.read_table(made / "data/chunk-001/file-000.parquet")["action"].to_numpy())]
        rows[4] = bad  # type: ignore[call-overload]
        path = made / DATA
        original = path.read_bytes()
        table = pq.read_table(path)
        values = [list(v) for v in np.stack(table["action"].to_numpy())]
        values[11] = bad  # type: ignore[call-overload]
        place = table.column_names.index("action")
        pq.write_table(table.set_column(place, "action", pa.array(values, type=pa.list_(pa.float32()))), path)
        found = only_error(made)
        assert (found.file, found.row) == (DATA, 11)
        path.write_bytes(original)


def test_missing_rows_and_columns(made: Path) -> None:
    original = (made / DATA).read_bytes()
    edit_table(made / DATA, lambda table: table.slice(0, table.num_rows - 1))
    assert only_error(made).file == DATA
    (made / DATA).write_bytes(original)
    edit_table(made / DATA, lambda table: table.drop_columns(["action"]))
    found = only_error(made)
    assert found.file == DATA
    assert "action" in found.expected


@pytest.mark.parametrize("column", ["dataset_from_index", "dataset_to_index"])
def test_wrong_ranges_in_the_episode_table(made: Path, column: str) -> None:
    edit_table(made / EPISODES, lambda t: with_column(t, column, [*t[column].to_pylist()[:3], 7, 8]))
    found = only_error(made)
    assert found.message.startswith(f"{column} does not follow from the lengths")
    assert (found.file, found.row) == (EPISODES, 3)


def test_wrong_lengths_in_the_episode_table(made: Path) -> None:
    edit_table(made / EPISODES, lambda t: with_column(t, "length", [n + 1 for n in t["length"].to_pylist()]))
    assert only_error(made).file == "meta/episodes"


def test_wrong_video_times(made: Path) -> None:
    name = f"videos/{CAMERA}/to_timestamp"
    edit_table(made / EPISODES, lambda t: with_column(t, name, [n + 1.0 for n in t[name].to_pylist()]))
    assert only_error(made).row == 0


def test_swapped_videos_are_noticed(made: Path) -> None:
    shutil.copy(made / f"videos/{CAMERA}/chunk-001/file-000.mp4", made / VIDEO)
    found = only_error(made, quick=True)
    assert found.file == VIDEO
    assert "lacks frame" in found.message


def test_a_damaged_frame_is_found_by_decoding_only(made: Path) -> None:
    data = bytearray((made / VIDEO).read_bytes())
    start = data.index(b"mdat") + 600
    data[start : start + 400] = bytes(400)
    (made / VIDEO).write_bytes(bytes(data))
    assert not errors(made, quick=True)
    found = only_error(made)
    assert found.file == VIDEO
    assert found.row is not None


def test_a_video_of_another_size(made: Path) -> None:
    path = made / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"][CAMERA]["shape"] = [48, 32, 3]
    path.write_text(json.dumps(info))
    found = errors(made)
    assert {f.message for f in found} == {"a frame has another size than info.json says"}
    assert found[0].expected == "32x48"


@pytest.mark.parametrize(("statistic", "value"), [("min", -1e6), ("max", 1e6), ("mean", 1e5), ("std", 1e5)])
def test_wrong_statistics(foreign: Path, statistic: str, value: float) -> None:
    path = foreign / "meta/stats.json"
    stats = json.loads(path.read_text())
    stats["action"][statistic][0] = value
    path.write_text(json.dumps(stats))
    found = only_error(foreign)
    assert found.file == "meta/stats.json"
    assert "'action'" in found.message
    assert statistic in found.got


def test_changed_numbers_are_caught_by_the_statistics(foreign: Path) -> None:
    path = foreign / "data/chunk-000/file-000.parquet"

    def spoil(table: pa.Table) -> pa.Table:
        rows = np.stack(table["action"].to_numpy())
        rows[3] += 100
        return with_column(table, "action", list(rows))

    edit_table(path, spoil)
    assert {(f.file, f.row) for f in errors(foreign)} == {("meta/stats.json", None), (EPISODES, 0)}


@pytest.mark.parametrize("split", ["0:99", "a:b", "3:1"])
def test_impossible_splits(foreign: Path, split: str) -> None:
    path = foreign / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"splits": {"train": split}}))
    assert only_error(foreign).got == split


def test_leftovers_are_told_and_not_errors(made: Path) -> None:
    (made / "meta/.info.json.123.tmp").write_text("{")
    (made / "data/chunk-007").mkdir()
    shutil.copy(made / DATA, made / "data/chunk-007/file-000.parquet")
    found = validate(made)
    assert found.ok
    assert {f.file for f in found.findings} >= {"meta/.info.json.123.tmp", "data/chunk-007/file-000.parquet"}


@pytest.fixture(scope="module")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    robot = Embodiment(
        "test/arm", (Field("hand", 3, "m"),), (Field("target", 2, "m"),), (CameraSpec("top", 64, 64),), 20.0
    )
    root, rng = tmp_path_factory.mktemp("recorded") / "demos", np.random.default_rng(0)
    with DatasetWriter(root, robot, codec=VideoCodec("libx264", preset="ultrafast")) as writer:
        for n in (4, 6, 5):
            writer.begin("push", {"driver": "expert"})
            for _ in range(n):
                image = rng.integers(0, 256, (64, 64, 3), np.uint8)
                state, action = rng.normal(size=3), rng.normal(size=2)
                writer.add({"observation.state": state, "action": action, "observation.images.top": image})
            writer.commit(success=False)
    return root


@pytest.fixture
def recorded(_recorded: Path, tmp_path: Path) -> Path:
    """A dataset of our own writer: 3 episodes, one camera, embodiment and provenance."""
    return Path(shutil.copytree(_recorded, tmp_path / "recorded"))


def test_what_our_writer_records_has_no_findings(recorded: Path) -> None:
    assert validate(recorded).findings == ()


@pytest.mark.parametrize("seed", range(8))
def test_any_damage_is_at_most_one_error_that_names_the_file(recorded: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    caught = 0
    names = files(recorded)
    for name in names:
        original = (recorded / name).read_bytes()
        data = bytearray(original)
        place, size = int(rng.integers(len(data))), int(rng.integers(1, 200))
        if rng.random() < 0.3:
            data = data[:place]
        else:
            size = min(size, len(data) - place)
            data[place : place + size] = rng.integers(0, 256, size=size, dtype=np.uint8).tobytes()
        (recorded / name).write_bytes(bytes(data))
        found = errors(recorded)
        assert [finding.file.split(",")[0] for finding in found] in ([], [name]), found
        assert all(finding.remedy for finding in found)
        caught += bool(found)
        (recorded / name).write_bytes(original)
    assert caught >= len(names) - 2


def test_the_embodiment_must_fit_the_features(recorded: Path) -> None:
    path = recorded / "meta/embodiment.json"
    plain = json.loads(path.read_text())
    for change, words in (
        ({"control_hz": 10.0}, "another rate"),
        ({"state": []}, "'observation.state' has another size"),
        ({"cameras": []}, "is not in the embodiment"),
        ({"cameras": [{**plain["cameras"][0], "height": 32}]}, "has another size"),
        ({"action": [{**plain["action"][0], "names": ["a", "b"]}]}, "have other names"),
    ):
        path.write_text(json.dumps(plain | change))
        assert any(words in f.message for f in validate(recorded).findings), words
    path.write_text(json.dumps(plain | {"name": "test/leg"}))
    assert only_error(recorded).message == "episode 0: it was recorded with another embodiment"


def test_provenance_must_not_contradict_the_rows(recorded: Path) -> None:
    def claim(table: pa.Table) -> pa.Table:
        texts = [json.loads(text) for text in table["provenance"].to_pylist()]
        texts[1]["success"] = True
        return with_column(table, "provenance", [json.dumps(text) for text in texts])

    edit_table(recorded / EPISODES, claim)
    found = only_error(recorded)
    assert "contradicts next.success" in found.message
    assert (found.got, found.expected) == ("True", "False")


def test_an_unfinished_recording_is_told(recorded: Path, _recorded: Path) -> None:
    robot = from_plain(Embodiment, json.loads((_recorded / "meta/embodiment.json").read_text()))
    writer = DatasetWriter(recorded, robot, codec=VideoCodec("libx264", preset="ultrafast"))
    writer.begin("push")
    image = np.zeros((64, 64, 3), np.uint8)
    writer.add({"observation.state": np.ones(3), "action": np.ones(2), "observation.images.top": image})
    (note,) = validate(recorded).of("note")
    assert note.message == "an episode is being recorded"
    writer.close()
    (warning,) = validate(recorded).of("warning")
    assert "1 frames of episode 3 are here" in warning.message
    assert "repair" in warning.remedy
