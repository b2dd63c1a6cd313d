"""Recording episodes: what is written, what is refused, and who may write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_stack.core.errors import (
    ConfigError,
    DatasetError,
    EmbodimentMismatchError,
    LockedError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
    VideoError,
)
from robot_stack.core.fields import CameraSpec
from robot_stack.datasets import writer as writer_module
from robot_stack.datasets.episode_buffer import EpisodeBuffer
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.validate import validate
from robot_stack.datasets.video_writer import VideoCodec
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.recorded import CAMERA, FAST, KEY, arm, frames, images, length_of, numbers, record, write_some

ROOT = Path(__file__).resolve().parents[2]


def expect_episodes(root: Path, seeds: list[int]) -> None:
    """The dataset holds exactly these reproducible episodes, bit by bit, and nothing is wrong with it."""
    found = validate(root)
    assert not found.findings, [str(f) for f in found.findings]
    with Dataset(root) as dataset:
        assert dataset.num_episodes == len(seeds)
        for number, seed in enumerate(seeds):
            view = dataset.episode(number)
            assert view.length == length_of(seed)
            for name, values in numbers(seed).items():
                got = view.column(name).reshape(values.shape)
                assert got.dtype == values.dtype and np.array_equal(got, values), (number, name)


def test_every_number_comes_back_over_several_sessions(tmp_path: Path):
    root = tmp_path / "set"
    write_some(root, range(3))
    write_some(root, range(3, 4))
    write_some(root, range(4, 9))
    expect_episodes(root, list(range(9)))
    with Dataset(root) as dataset:
        assert dataset.tasks == ("task 0", "task 1", "task 2")
        facts = json.loads(dataset.episode(5).facts["provenance"])
        assert facts == {"seed": 5, "embodiment": arm().fingerprint(), "success": True}
        start = dataset.episodes.start[5]
        assert np.array_equal(dataset.column("index").array, np.arange(dataset.num_frames))
        assert dataset.column("timestamp").array[start + 2] == np.float32(0.2)
    assert len(list((root / "data").rglob("*.parquet"))) == 1
    assert len(list((root / "meta" / "episodes").rglob("*.parquet"))) == 1
    assert not list((root / ".journal").iterdir())


@pytest.mark.parametrize("storage", ["video", "image"])
def test_pictures_come_back(tmp_path: Path, storage: str):
    embodiment, root = arm(cameras=(CAMERA,)), tmp_path / "set"
    for session in range(2):
        with DatasetWriter(root, embodiment, storage=storage, codec=FAST) as writer:  # pyright: ignore[reportArgumentType]
            for seed in range(3 * session, 3 * session + 3):
                record(writer, seed, camera=True)
    expect_episodes(root, list(range(6)))
    with Dataset(root) as dataset:
        for number in range(6):
            got, true = dataset.episode(number).frames(KEY).astype(int), images(number).astype(int)
            if storage == "image":
                assert np.array_equal(got, true)
            else:  # every frame is nearest to itself among all frames: none lost, doubled or moved
                distance = np.abs(got[:, None] - true[None]).mean(axis=(2, 3, 4))
                assert np.array_equal(distance.argmin(axis=1), np.arange(len(true)))
        entry = dataset.info.raw["features"][KEY]
        if storage == "video":
            assert entry["info"]["video.codec"] == "h264" and entry["info"]["video.fps"] == 10
            assert len(list(root.rglob("*.mp4"))) == 1
        assert np.asarray(dataset.stats[KEY]["mean"]).shape == (3, 1, 1)


def test_default_codec_is_lerobots(tmp_path: Path):
    with DatasetWriter(tmp_path, arm(cameras=(CameraSpec("top", 64, 64),))) as writer:
        writer.begin("look")
        rng = np.random.default_rng(0)
        for _ in range(9):
            image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            writer.add({"observation.state": np.zeros(4), "action": np.zeros(2), KEY: image})
        writer.commit()
    info = json.loads((tmp_path / "meta/info.json").read_text())["features"][KEY]["info"]
    assert info["video.codec"] == "av1" and info["video.pix_fmt"] == "yuv420p" and info["video.channels"] == 3
    assert validate(tmp_path).ok


def test_a_commit_is_visible_to_readers_before_the_writer_closes(tmp_path: Path):
    writer = DatasetWriter(tmp_path, arm())
    for seed in range(4):
        record(writer, seed)
        with Dataset(tmp_path) as dataset:
            assert dataset.num_episodes == seed + 1
            assert np.array_equal(dataset.episode(seed).column("action"), numbers(seed)["action"])
    assert not [f for f in validate(tmp_path).findings if f.severity == "error"]
    writer.close()
    writer.close()
    expect_episodes(tmp_path, list(range(4)))


def test_files_are_joined_while_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer_module, "_FILES_BEFORE_COMPACTION", 5)
    with DatasetWriter(tmp_path, arm()) as writer:
        for seed in range(23):
            record(writer, seed)
            assert len(list((tmp_path / "data").rglob("*.parquet"))) <= 6
    expect_episodes(tmp_path, list(range(23)))


def test_files_grow_to_the_size_that_info_asks_for(tmp_path: Path):
    with DatasetWriter(tmp_path, arm(cameras=(CAMERA,)), storage="image") as writer:
        path = tmp_path / "meta/info.json"
        info = json.loads(path.read_text())
        path.write_text(json.dumps({**info, "data_files_size_in_mb": 1}))
        writer._store.reload()
        rng = np.random.default_rng(0)
        for _ in range(12):
            writer.begin("noise")
            for _ in range(60):
                image = rng.integers(0, 256, CAMERA.shape, dtype=np.uint8)
                writer.add({"observation.state": np.zeros(4), "action": np.zeros(2), KEY: image})
            writer.commit()
    files = sorted((tmp_path / "data").rglob("*.parquet"))
    assert 2 <= len(files) <= 6 and all(f.stat().st_size <= 2**20 for f in files)
    assert validate(tmp_path).ok


def test_nan_is_refused_by_name_and_nothing_is_lost(tmp_path: Path):
    with DatasetWriter(tmp_path, arm()) as writer:
        record(writer, 0)
        writer.begin("bad")
        frame = frames(1)[0]
        writer.add(frame)
        for name, value in (
            ("action", [0.0, np.inf]),
            ("observation.state", [0, np.nan, 0, 0]),
            ("next.reward", np.nan),
        ):
            with pytest.raises(NonFiniteError, match=f"(?s){name}.*frame 1"):
                writer.add({**frame, name: np.array(value)})
        with pytest.raises(NonFiniteError, match="action"):
            writer.add({**frame, "action": np.array([1e300, 0.0])})
        assert writer.recorded_frames == 1
        writer.abort()
        record(writer, 1)
    expect_episodes(tmp_path, [0, 1])


def test_wrong_frames_are_refused(tmp_path: Path):
    with DatasetWriter(tmp_path, arm(cameras=(CAMERA,)), codec=FAST) as writer:
        writer.begin("bad")
        good = frames(0, camera=True)[0]
        with pytest.raises(ShapeError, match=r"'action'[^\n]*shape"):
            writer.add({**good, "action": np.zeros(3)})
        with pytest.raises(ShapeError, match=r"'observation\.state' is missing"):
            writer.add({k: v for k, v in good.items() if k != "observation.state"})
        with pytest.raises(ShapeError, match="image"):
            writer.add({**good, KEY: np.zeros((48, 32, 3), dtype=np.uint8)})
        with pytest.raises(ShapeError, match="image"):
            writer.add({**good, KEY: np.zeros((32, 48, 3), dtype=np.float32)})
        with pytest.raises(UnknownNameError, match=r"next.reward"):
            writer.add({**good, "next.rewards": 1.0})
        with pytest.raises(DatasetError, match="at least one frame"):
            writer.commit()
        writer.add(good)
        with pytest.raises(DatasetError, match="being recorded"):
            writer.begin("another")
        writer.abort()
        with pytest.raises(DatasetError, match="no episode has begun"):
            writer.add(good)
    with pytest.raises(DatasetError, match="closed"):
        writer.begin("late")


def test_the_outcome_reaches_the_frames(tmp_path: Path):
    with DatasetWriter(tmp_path, arm()) as writer:
        writer.begin("a person judges")
        for frame in frames(0):
            writer.add(frame)
        writer.commit(success=True, provenance={"judge": "someone"})
        writer.begin("contradiction")
        for frame in frames(1):
            writer.add(frame)
        with pytest.raises(DatasetError, match="contradicts"):
            writer.commit(success=False)
        writer.commit(success=True)
    with Dataset(tmp_path) as dataset:
        assert dataset.episode(0).column("next.success").ravel().tolist() == [False] * (length_of(0) - 1) + [True]
        assert json.loads(dataset.episode(0).facts["provenance"])["judge"] == "someone"
    assert validate(tmp_path).ok


def test_another_robot_is_refused_with_the_differences(tmp_path: Path):
    write_some(tmp_path, range(1))
    with pytest.raises(EmbodimentMismatchError, match="20 Hz, expected 10 Hz"):
        DatasetWriter(tmp_path, arm(rate=20.0))
    with pytest.raises(ConfigError, match="frame rate"):
        DatasetWriter(tmp_path, arm(), fps=5)
    expect_episodes(tmp_path, [0])
    columns = numbers(0)
    with DatasetWriter(tmp_path, arm()) as writer, pytest.raises(EmbodimentMismatchError, match="other/arm"):
        writer.write_episode(EpisodeBuffer(arm(name="other/arm"), "x", {}, columns))


def test_two_processes_cannot_write_one_dataset(tmp_path: Path):
    code = (
        "import sys; from robot_stack.datasets.writer import DatasetWriter; from tests.datasets.recorded import arm\n"
        "writer = DatasetWriter(sys.argv[1], arm()); print('open', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(LockedError, match=str(other.pid)):
            DatasetWriter(tmp_path, arm())
        other.kill()
    write_some(tmp_path, range(2))
    expect_episodes(tmp_path, [0, 1])


def test_an_empty_dataset_can_be_read_and_continued(tmp_path: Path):
    DatasetWriter(tmp_path, arm()).close()
    with Dataset(tmp_path) as dataset:
        assert dataset.num_episodes == 0
    assert validate(tmp_path).ok
    write_some(tmp_path, range(2))
    expect_episodes(tmp_path, [0, 1])


def test_a_foreign_folder_is_refused(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(DatasetError, match=r"thesis\.txt"):
        DatasetWriter(tmp_path, arm())
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_missing_encoder_names_those_that_are_there(tmp_path: Path):
    with pytest.raises(VideoError, match=r"(?s)libnothing.*VideoCodec\(encoder="):
        DatasetWriter(tmp_path, arm(cameras=(CAMERA,)), codec=VideoCodec(encoder="libnothing"))


def test_whole_episodes_are_written_together(tmp_path: Path):
    def buffer(seed: int) -> EpisodeBuffer:
        return EpisodeBuffer(arm(), f"task {seed % 3}", {"seed": seed}, numbers(seed))

    with DatasetWriter(tmp_path, arm()) as writer:
        assert writer.write_episode(buffer(0)) == 0
        assert writer.write_episodes([buffer(s) for s in range(1, 90)]) == range(1, 90)
        broken = buffer(3)
        broken.columns["action"] = broken.columns["action"].copy()
        broken.columns["action"][2, 1] = np.nan
        with pytest.raises(NonFiniteError, match=r"(?s)action.*frame 2.*number 1"):
            writer.write_episodes([buffer(90), broken])
        assert writer.write_episodes([buffer(90), buffer(91)]) == range(90, 92)
        record(writer, 92)
        assert [p["seed"] for p in writer.provenance()] == list(range(93))
    expect_episodes(tmp_path, list(range(93)))


@pytest.mark.parametrize("storage", ["video", "image"])
def test_whole_episodes_with_pictures(tmp_path: Path, storage: str):
    embodiment = arm(cameras=(CAMERA,))
    with DatasetWriter(tmp_path, embodiment, storage=storage, codec=FAST) as writer:  # pyright: ignore[reportArgumentType]
        buffers = [EpisodeBuffer(embodiment, "look", {}, numbers(s), {KEY: images(s)}) for s in range(3)]
        writer.write_episodes(buffers)
        bad = EpisodeBuffer(embodiment, "look", {}, numbers(3), {KEY: images(3)[:-1]})
        with pytest.raises(ShapeError, match="top"):
            writer.write_episode(bad)
    expect_episodes(tmp_path, [0, 1, 2])


def test_lerobot_reads_tasks_with_the_text_as_index(tmp_path: Path):
    write_some(tmp_path, range(3))
    metadata = pq.read_schema(tmp_path / "meta/tasks.parquet").metadata or {}
    assert json.loads(metadata[b"pandas"])["index_columns"] == ["task"]


def test_control_c_at_any_moment_loses_at_most_the_episode_being_recorded(tmp_path: Path):
    code = (
        "import sys, os\n"
        "from tests.datasets.recorded import *\n"
        "with DatasetWriter(sys.argv[1], arm(cameras=(CAMERA,)), codec=FAST) as writer:\n"
        "    print('open', flush=True)\n"
        "    seed = writer.num_episodes\n"
        "    while True:\n"
        "        record(writer, seed, camera=True); print(seed, flush=True); seed += 1\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    acknowledged = -1
    for attempt in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as child:
            assert child.stdout is not None and child.stderr is not None
            for _ in range(2 + attempt):
                line = child.stdout.readline()
            child.send_signal(signal.SIGINT)
            rest, errors = child.communicate(timeout=120)
            assert "KeyboardInterrupt" in errors and child.returncode != 0, errors
        told = [int(x) for x in [line, *rest.splitlines()] if x.strip().isdigit()]
        acknowledged = max([acknowledged, *told])
        with DatasetWriter(tmp_path, arm(cameras=(CAMERA,)), codec=FAST) as writer:
            facts = writer.provenance()
            while facts and facts[-1].get("recovered"):  # so that the next child goes on with whole episodes
                facts.pop()
        assert [f["seed"] for f in facts if not f.get("recovered")][: acknowledged + 1]
        assert not validate(tmp_path).of("error")
        with Dataset(tmp_path) as dataset:
            whole = {f["seed"]: n for n, f in enumerate(writer_facts(dataset)) if not f.get("recovered")}
            assert max(told) in whole
            for seed, number in whole.items():
                assert np.array_equal(dataset.episode(number).column("action"), numbers(seed)["action"])


def writer_facts(dataset: Dataset) -> list[dict]:
    return [json.loads(text) for text in dataset.episodes.column("provenance")]
