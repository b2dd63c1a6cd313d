"""Splitting and merging: every number keeps its bits, every video frame too, and nothing half-written is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ConfigError, DatasetError, EmbodimentMismatchError, UnknownNameError
from robot_stack.core.fields import CameraSpec, Field
from robot_stack.datasets.episode_buffer import EpisodeBuffer
from robot_stack.datasets.merge import merge
from robot_stack.datasets.reader import Dataset
from robot_stack.datasets.source import Source
from robot_stack.datasets.split import choose, deal, write_chosen, write_shares
from robot_stack.datasets.validate import validate
from robot_stack.datasets.video_cut import Span, copy_spans
from robot_stack.datasets.video_reader import VideoPool
from robot_stack.datasets.video_writer import VideoCodec
from robot_stack.datasets.writer import DatasetWriter
from tests.datasets.hand_written import FPS, tell, write_dataset, write_video

LEROBOT = Path(__file__).resolve().parents[1] / "data" / "lerobot_v3"
RENUMBERED = {"index", "episode_index", "task_index"}
ROBOT = Embodiment(
    name="test/arm",
    state=(Field("hand", 3, "m"), Field("grip", 1, "1")),
    action=(Field("target", 3, "m"),),
    cameras=(CameraSpec("top", 64, 64),),
    control_hz=20,
)


def record(root: Path, count: int, *, robot: Embodiment = ROBOT, seed: int = 0, storage: str = "video") -> Path:
    """A dataset of our own writer: episodes of 5 to 9 frames, every other a success, two tasks and two drivers."""
    rng = np.random.default_rng(seed)
    codec = VideoCodec("libx264", preset="ultrafast")
    with DatasetWriter(root, robot, storage="image" if storage == "image" else "video", codec=codec) as writer:
        for i in range(count):
            n = int(rng.integers(5, 10))
            success = np.arange(n) == n - 1 if i % 2 else np.zeros(n, dtype=bool)
            columns = {
                "observation.state": rng.normal(size=(n, robot.state_size)),
                "action": rng.normal(size=(n, robot.action_size)),
                "next.success": success,
            }
            images = {
                f"observation.images.{c.name}": rng.integers(0, 256, (n, *c.shape), np.uint8) for c in robot.cameras
            }
            facts = {"driver": ("expert", "person")[i // 2 % 2], "seed": i, "filter_keys": ["train"] if i else []}
            writer.write_episode(EpisodeBuffer(robot, ("push", "pull")[i % 2], facts, columns=columns, images=images))
    return root


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("recorded") / "demos", 6)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("made") / "set", [12, 9, 20, 5, 7], video_size=32, gop=100)


def require_same(new: Path, sources: list[tuple[Path, int]], *, frames: bool = True) -> None:
    """Episode ``i`` of ``new`` has the numbers, tasks and pictures of the ``i``-th source episode."""
    assert not validate(new).of("error"), validate(new).findings
    with Dataset(new) as dataset:
        assert dataset.num_episodes == len(sources)
        for i, (root, episode) in enumerate(sources):
            with Dataset(root) as source:
                mine, theirs = dataset.episode(i), source.episode(episode)
                assert mine.tasks == theirs.tasks
                for name in set(source.column_names) - RENUMBERED:
                    a, b = mine.column(name), theirs.column(name)
                    assert a.dtype == b.dtype
                    assert a.tobytes() == b.tobytes(), name
                for camera in source.camera_names if frames else ():
                    np.testing.assert_array_equal(mine.frames(camera), theirs.frames(camera))


@pytest.mark.parametrize("episodes", [(0,), (4,), (1, 2), (0, 2, 3), (0, 1, 2, 3, 4), (1, 3)])
def test_chosen_episodes_keep_every_bit(by_hand: Path, tmp_path: Path, episodes: tuple[int, ...]) -> None:
    write_chosen(Source(by_hand), episodes, tmp_path / "out")
    require_same(tmp_path / "out", [(by_hand, e) for e in episodes])


@pytest.mark.parametrize("storage", ["video", "image"])
def test_recorded_episodes_keep_every_bit(tmp_path: Path, storage: str) -> None:
    root = record(tmp_path / "demos", 4, storage=storage)
    write_chosen(Source(root), (1, 3), tmp_path / "out")
    require_same(tmp_path / "out", [(root, 1), (root, 3)])
    assert validate(tmp_path / "out").findings == ()


def test_what_lerobot_wrote_keeps_every_bit(tmp_path: Path) -> None:
    foreign = Path(shutil.copytree(LEROBOT, tmp_path / "lerobot"))
    write_chosen(Source(foreign), (0, 2), tmp_path / "out")
    require_same(tmp_path / "out", [(foreign, 0), (foreign, 2)])
    before = pq.read_table(foreign / "meta/episodes/chunk-000/file-000.parquet")
    after = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet")
    for name in before.column_names:
        if name.startswith("stats/") and name.split("/")[1] not in RENUMBERED:
            assert after[name].to_pylist() == [before[name].to_pylist()[i] for i in (0, 2)]


def test_provenance_is_kept_and_says_where_the_episode_was(recorded: Path, tmp_path: Path) -> None:
    write_chosen(Source(recorded), (1, 4), tmp_path / "a")
    write_chosen(Source(tmp_path / "a"), (1,), tmp_path / "b")
    (note,), before = Source(tmp_path / "b").notes, Source(recorded).notes[4]
    assert (note.driver, note.seed, note.success) == (before.driver, before.seed, before.success)
    origin = note.provenance["origin"]
    assert origin == [{"dataset": "demos", "episode": 4}, {"dataset": "a", "episode": 1}]


def test_merged_datasets_keep_every_bit_and_share_tasks(recorded: Path, tmp_path: Path) -> None:
    other = record(tmp_path / "other", 3, seed=5)
    merge([recorded, other], tmp_path / "out")
    require_same(tmp_path / "out", [(recorded, i) for i in range(6)] + [(other, i) for i in range(3)])
    assert Dataset(tmp_path / "out").tasks == ("push", "pull")
    assert validate(tmp_path / "out").findings == ()


def test_a_merged_dataset_can_be_recorded_on(recorded: Path, tmp_path: Path) -> None:
    out = merge([recorded, record(tmp_path / "other", 2, seed=5)], tmp_path / "out")
    with DatasetWriter(out, ROBOT, codec=VideoCodec("libx264", preset="ultrafast")) as writer:
        assert writer.num_episodes == 8
        for _ in range(2):
            writer.begin("push")
            for _ in range(3):
                image = np.zeros((64, 64, 3), dtype=np.uint8)
                writer.add({"observation.state": np.ones(4), "action": np.ones(3), "observation.images.top": image})
            writer.commit(success=False)
    assert validate(out).findings == ()
    require_same(write_chosen(Source(out), tuple(range(6)), tmp_path / "again"), [(recorded, i) for i in range(6)])


def test_another_robot_is_refused_with_the_differences(recorded: Path, tmp_path: Path) -> None:
    robot = Embodiment(ROBOT.name, ROBOT.state, (Field("target", 4, "m"),), ROBOT.cameras, 10.0)
    other = record(tmp_path / "other", 1, robot=robot)
    with pytest.raises(EmbodimentMismatchError) as raised:
        merge([recorded, other], tmp_path / "out")
    assert "the control rate is 10 Hz, expected 20 Hz" in raised.value.differences
    assert any("has 4 numbers, expected 3" in line for line in raised.value.differences)
    assert not (tmp_path / "out").exists()


def test_other_features_are_refused(recorded: Path, by_hand: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"the feature 'action\.requested' is missing"):
        merge([recorded, by_hand], tmp_path / "out")
    with pytest.raises(ConfigError, match="twice"):
        merge([recorded, recorded], tmp_path / "out")
    with pytest.raises(ConfigError, match="two datasets"):
        merge([recorded], tmp_path / "out")


def test_an_existing_folder_is_left_alone(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        write_chosen(Source(recorded), (0,), tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes()[:-200])])
def test_a_damaged_source_leaves_nothing(recorded: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    root = Path(shutil.copytree(recorded, tmp_path / "demos"))
    source = Source(root)
    damage(next(root.glob("data/**/*.parquet")))
    with pytest.raises(DatasetError):
        write_chosen(source, (0,), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["demos"]


def test_killed_while_writing_leaves_nothing_at_the_place(recorded: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom robot_stack.datasets.split import write_chosen\n"
        "from robot_stack.datasets.source import Source\n"
        "def stop(done, total):\n    if done == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_chosen(Source(sys.argv[1]), (0, 1, 2, 3, 4), sys.argv[2], progress=stop)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(recorded), str(tmp_path / "out")], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "out").exists()
    write_chosen(Source(recorded), (0, 1), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert validate(tmp_path / "out").findings == ()


@pytest.mark.parametrize("bad", [(6,), (-1,), (1, 1), (2, 1), ()])
def test_impossible_choices(recorded: Path, tmp_path: Path, bad: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        write_chosen(Source(recorded), bad, tmp_path / "out")


def test_choosing_by_what_was_noted(recorded: Path) -> None:
    notes = Source(recorded).notes
    assert choose(notes) == (0, 1, 2, 3, 4, 5)
    assert choose(notes, task="pull") == (1, 3, 5)
    assert choose(notes, outcome="failure") == (0, 2, 4)
    assert choose(notes, driver="person") == (2, 3)
    assert choose(notes, driver="person", outcome="success") == (3,)
    assert choose(notes, filter_key="train") == (1, 2, 3, 4, 5)
    assert choose(notes, episodes=(1, 2, 3), without=(2,)) == (1, 3)
    with pytest.raises(UnknownNameError, match="'push'"):
        choose(notes, task="pusch")
    with pytest.raises(UnknownNameError, match="'success'"):
        choose(notes, outcome="succes")
    with pytest.raises(ConfigError, match="no episode fits"):
        choose(notes, task="pull", outcome="failure")
    with pytest.raises(ConfigError, match="no such episode"):
        choose(notes, episodes=(9,))


def test_shares_are_dealt_once_and_the_same_for_a_seed(recorded: Path, tmp_path: Path) -> None:
    source, everyone = Source(recorded), tuple(range(6))
    write_shares(source, everyone, {"train": 0.5, "valid": 0.5}, tmp_path, seed=3)
    origins = {
        name: [note.provenance["origin"][0]["episode"] for note in Source(tmp_path / name).notes]
        for name in ("train", "valid")
    }
    assert sorted(origins["train"] + origins["valid"]) == list(everyone)
    assert len(origins["train"]) == 3
    dealt = deal(6, {"train": 0.5, "valid": 0.5}, 3)
    assert {name: list(part) for name, part in dealt.items()} == origins
    assert deal(100, {"a": 0.9, "b": 0.1}, 0) != deal(100, {"a": 0.9, "b": 0.1}, 1)
    assert [len(part) for part in deal(100, {"a": 0.55, "b": 0.2}, 0).values()] == [55, 20]


@pytest.mark.parametrize("shares", [{"a": 0.0}, {"a": 0.7, "b": 0.7}, {}, {"a": 0.05}, {"a": -1.0}])
def test_impossible_shares(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        deal(6, shares, 0)


@pytest.mark.parametrize(
    ("codec", "gop", "cut"), [("libx264", 5, True), ("libsvtav1", 5, True), ("libx264", 100, False)]
)
def test_cutting_a_video_keeps_frames_and_times(tmp_path: Path, codec: str, gop: int, cut: bool) -> None:
    size = 64
    write_video(tmp_path / "all.mp4", [(t // 10, t % 10) for t in range(40)], size, gop=gop, codec=codec)
    spans = [Span(1.0, 10), Span(3.0, 10)]
    begins = copy_spans(tmp_path / "all.mp4", spans, FPS, tmp_path / "some.mp4")
    pool = VideoPool()
    times = pool.table(tmp_path / "some.mp4").times
    assert len(times) == (20 if cut else 40)
    for episode, begin in zip((1, 3), begins, strict=True):
        first = int(np.argmin(np.abs(times - begin)))
        np.testing.assert_allclose(times[first : first + 10], begin + np.arange(10) / FPS, atol=1e-5)
        new = list(pool.read(tmp_path / "some.mp4", np.arange(first, first + 10)))
        old = list(pool.read(tmp_path / "all.mp4", np.arange(10 * episode, 10 * episode + 10)))
        np.testing.assert_array_equal(new, old)
        assert [tell(frame) for frame in new] == [(episode, t) for t in range(10)]
    with av.open(str(tmp_path / "some.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(times)
    pool.close()


def test_unused_frames_are_left_behind(recorded: Path, tmp_path: Path) -> None:
    out = write_chosen(Source(recorded), (2,), tmp_path / "out")
    (video,) = out.glob("videos/**/*.mp4")
    assert video.stat().st_size < 0.6 * sum(p.stat().st_size for p in recorded.glob("videos/**/*.mp4"))
    assert len(VideoPool().table(video).times) == Source(out).table.length[0]


def test_videos_of_two_codecs_share_no_codec_in_info(tmp_path: Path) -> None:
    roots = []
    for name, codec in (("a", "libx264"), ("b", "libsvtav1")):
        with DatasetWriter(tmp_path / name, ROBOT, codec=VideoCodec(codec)) as writer:
            images = {"observation.images.top": np.zeros((5, 64, 64, 3), np.uint8)}
            columns = {"observation.state": np.zeros((5, 4)), "action": np.zeros((5, 3))}
            writer.write_episode(EpisodeBuffer(ROBOT, "push", {}, columns=columns, images=images))
        roots.append(tmp_path / name)
    out = merge(roots, tmp_path / "out")
    info = json.loads((out / "meta/info.json").read_text())["features"]["observation.images.top"]["info"]
    assert info["video.codec"] is None
    assert info["video.height"] == 64
    require_same(out, [(roots[0], 0), (roots[1], 0)])
