"""Recording over ROS: what was published is what is in the dataset, number by number."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, UnknownNameError
from robot_stack.core.fields import CameraSpec
from robot_stack.datasets.reader import Dataset
from robot_stack.deploy.episode_assembler import EpisodeAssembler, Verdict
from robot_stack.deploy.frame_matcher import FrameMatcher
from robot_stack.deploy.recorder_config import RecorderConfig
from robot_stack.deploy.recorder_core import RecorderCore
from robot_stack.deploy.ros_node import reliable, set_stamp
from tests.deploy.policies import ROBOT, SEEING
from tests.deploy.ros_bench import Bench, StandIn

PERIOD = 50_000_000
START = 10_000_000_000_000_123


def facts_of(data: Dataset, episode: int) -> dict[str, Any]:
    return json.loads(data.episode(episode).facts["provenance"])


# --- assembling, without ROS


def assembler(*cameras: CameraSpec) -> EpisodeAssembler:
    return EpisodeAssembler(FrameMatcher(cameras, 0.1, kept=64))


def ticks(made: EpisodeAssembler, count: int, first: int = 0, skip: tuple[int, ...] = ()) -> None:
    for k in range(first, first + count):
        stamp = START + k * PERIOD
        made.observed(stamp, np.array([k, 0.0, 0.0]))
        if k not in skip:
            made.asked(stamp, np.array([k + 0.25, 1.0]))
        made.sent(stamp, np.array([k + 0.5, 1.0]))


def test_frames_are_given_once_in_order_when_they_have_settled() -> None:
    made = assembler()
    made.begin()
    ticks(made, 10)
    early = made.settled()
    assert [f["action"][0] for f in early] == [0.5, 1.5, 2.5, 3.5]
    assert [f["observation.time"] for f in early] == pytest.approx([0.0, 0.05, 0.1, 0.15])
    assert made.settled() == []
    assert [f["action.requested"][0] for f in made.rest()] == [4.25, 5.25, 6.25, 7.25, 8.25, 9.25]


def test_messages_may_come_in_any_order() -> None:
    made, rng = assembler(), np.random.default_rng(0)
    made.begin()
    work = []
    for k in range(12):
        stamp = START + k * PERIOD
        work.append((made.sent, stamp, np.array([k + 0.5, 1.0])))
        work.append((made.asked, stamp, np.array([k + 0.25, 1.0])))
        work.append((made.observed, stamp, np.array([k, 0.0, 0.0])))
    for put, stamp, numbers in [work[i] for i in rng.permutation(len(work))]:
        put(stamp, numbers)
    frames = made.rest()
    assert [f["observation.state"][0] for f in frames] == list(range(12))
    assert [f["action.requested"][0] for f in frames] == [k + 0.25 for k in range(12)]


def test_what_is_missing_is_counted_and_resting_is_what_was_sent() -> None:
    made = assembler()
    made.begin()
    ticks(made, 6, skip=(2,))
    del made._observed[START + 4 * PERIOD]
    frames = made.rest()
    assert [f["action.requested"][0] for f in frames] == [0.25, 1.25, 2.5, 3.25, 5.25]
    assert (made.counts.frames, made.counts.resting, made.counts.unobserved) == (5, 1, 1)


def test_a_verdict_belongs_to_the_tick_before_it() -> None:
    made = assembler()
    made.begin()
    ticks(made, 4)
    made.judged(START + PERIOD // 2, Verdict(0.1))
    made.judged(START + PERIOD, Verdict(0.2, success=False))
    made.judged(START + 2 * PERIOD + 1, Verdict(0.9, success=True))
    made.judged(START + 3 * PERIOD + 5, Verdict(0.0, failed=True))
    frames = made.rest()
    assert [f["next.reward"] for f in frames] == [0.2, 0.0, 0.9, 0.0]
    assert [f["next.success"] for f in frames] == [False, False, True, False]
    assert [f["next.done"] for f in frames] == [False, False, True, True]


def test_episodes_share_no_tick() -> None:
    made = assembler()
    made.begin()
    ticks(made, 5)
    assert len(made.rest()) == 5
    made.begin()
    ticks(made, 5, first=5)
    frames = made.rest()
    assert [f["action"][0] for f in frames] == [5.5, 6.5, 7.5, 8.5, 9.5]
    assert frames[0]["observation.time"] == 0.0


def test_pictures_of_both_sides_count_and_a_tick_without_any_is_left_out() -> None:
    made = assembler(SEEING.cameras[0])
    made.begin()
    ticks(made, 6)
    for k in (0, 1, 4):  # 20 ms after the tick: the nearest to tick 0 is after it
        at = (START + k * PERIOD) * 1e-9 + 0.02
        made.frames.add("front", at, lambda k=k: np.full((6, 8, 3), k, np.uint8))
    shades = [f["observation.images.front"][0, 0, 0] for f in made.rest()]
    assert shades == [0, 1, 1, 4, 4, 4]
    assert made.counts.pictureless == 0
    made.begin()
    ticks(made, 3, first=20)
    assert made.rest() == []
    assert made.counts.pictureless == 3


# --- the recorder, without ROS


def core_of(tmp_path: Path, robot=ROBOT, **options: Any) -> RecorderCore:
    core = RecorderCore(RecorderConfig(dataset=str(tmp_path / "data"), shortest_s=0.1, **options))
    core.meet(robot)
    return core


def drive(core: RecorderCore, count: int, first: int = 0) -> None:
    assert core.assembler is not None
    ticks(core.assembler, count, first)


def test_an_episode_lasts_while_the_robot_is_armed(tmp_path: Path) -> None:
    core = core_of(tmp_path, instruction="go", task="line", driver="test")
    for first in (0, 30):
        core.state("HOLD")
        core.state("ARMED")
        drive(core, 20, first)
        core.tend()
        core.intervened(["rate", "rate"])
        core.state("SOFT_STOP")
    core.state("ARMED")
    drive(core, 1, 70)  # too short
    core.close()
    data = Dataset(tmp_path / "data")
    assert (data.num_episodes, data.num_frames) == (2, 40)
    np.testing.assert_array_equal(data.episode(1).column("action")[:, 0], np.arange(30, 50) + 0.5)
    facts = facts_of(data, 0)
    assert (facts["ending"], facts["driver"], facts["interventions"]) == ("SOFT_STOP", "test", {"rate": 2})
    assert data.episode(0).tasks == ("go",)


def test_a_recorder_that_comes_late_records_the_rest_and_says_so(tmp_path: Path) -> None:
    core = RecorderCore(RecorderConfig(dataset=str(tmp_path / "data"), shortest_s=0.1))
    core.state("ARMED")
    core.meet(ROBOT)
    drive(core, 20)
    core.close()
    facts = facts_of(Dataset(tmp_path / "data"), 0)
    assert facts["begun_late"] is True
    assert facts["ticks"]["frames"] == 20


def test_services_begin_end_discard_and_judge(tmp_path: Path) -> None:
    core = core_of(tmp_path, begin="service")
    core.state("ARMED")
    drive(core, 20)
    with pytest.raises(ConfigError, match="no episode"):
        core.end()
    core.begin()
    with pytest.raises(ConfigError, match="under way"):
        core.begin()
    drive(core, 10, 20)
    core.judge(True)
    core.end()
    core.begin()  # before the last was committed: it is now
    drive(core, 10, 40)
    core.discard()
    core.begin()
    drive(core, 10, 60)
    core.judge(False)
    core.close()
    data = Dataset(tmp_path / "data")
    assert data.num_episodes == 2
    assert (data.episode(0).column("action")[:, 0] >= 19.5).all(), "nothing from before it began"
    assert [facts_of(data, k)["success"] for k in (0, 1)] == [True, False]
    assert facts_of(data, 1)["ending"] == "the recorder was ended"


def test_another_robot_and_unknown_cameras_are_refused(tmp_path: Path) -> None:
    core = core_of(tmp_path)
    core.meet(ROBOT)
    with pytest.raises(EmbodimentMismatchError):
        core.meet(replace(ROBOT, control_hz=10.0))
    core.close()
    with pytest.raises(EmbodimentMismatchError):
        core_of(tmp_path, robot=replace(ROBOT, name="other"))
    with pytest.raises(UnknownNameError, match="front"):
        core_of(tmp_path / "x", cameras=("front",))
    with pytest.raises(ConfigError, match="dataset"):
        RecorderCore(RecorderConfig())


# --- over ROS


def test_what_was_published_is_recorded_exactly(bench: Bench, tmp_path: Path) -> None:
    from sensor_msgs.msg import Image, JointState

    from robot_stack.deploy.recorder_process import RecorderNode
    from robot_stack.hardware.cameras.image_messages import fill_image

    given = {"dataset": str(tmp_path / "data"), "cameras": ["front"], "storage": "image", "instruction": "count"}
    recorder = RecorderNode(bench.make_node("recorder", given))
    robot = StandIn(bench, SEEING)
    score = bench.node.create_publisher(JointState, "score", reliable(10))
    images = bench.node.create_publisher(Image, "camera/front/image_raw", reliable(10))
    bench.until(lambda: recorder.core.assembler is not None and images.get_subscription_count(), "the recorder")
    robot.say("ARMED")
    bench.until(lambda: recorder.core.recording, "the episode")
    rng, said = np.random.default_rng(1), []
    for k in range(25):
        stamp = robot.observe()
        asked, sent = rng.normal(size=2), rng.normal(size=2)
        message = Image()
        set_stamp(message.header, stamp + 1_000_000)
        fill_image(message, np.full((6, 8, 3), 10 * k, np.uint8))
        images.publish(message)
        if k != 7:
            robot.vector("asked", SEEING.action_names, asked, stamp)
        robot.vector("sent", SEEING.action_names, sent, stamp)
        verdict = JointState(name=["reward", "success", "failed"], position=[k / 25, float(k == 24), 0.0])
        set_stamp(verdict.header, stamp + PERIOD)
        score.publish(verdict)
        said.append((stamp, sent if k == 7 else asked, sent))
        assembler: Any = recorder.core.assembler
        bench.until(lambda s=stamp, a=assembler: s in a._sent and s in a._observed)
    bench.until(lambda: assembler.frames.counts["front"].frames == 25, "the pictures")
    bench.until(lambda: len(assembler._verdicts) >= 25, "the verdicts")
    robot.say("HOLD")
    bench.until(lambda: recorder.core.episodes == 1, "the commit")
    recorder.close()
    data = Dataset(tmp_path / "data")
    episode = data.episode(0)
    assert episode.length == 25
    np.testing.assert_array_equal(episode.column("action"), np.array([s for _, _, s in said], np.float32))
    np.testing.assert_array_equal(episode.column("action.requested"), np.array([a for _, a, _ in said], np.float32))
    np.testing.assert_array_equal(episode.column("observation.state")[:, 0], np.arange(1, 26, dtype=np.float32))
    times = (np.array([stamp for stamp, _, _ in said]) - said[0][0]) * 1e-9
    np.testing.assert_allclose(episode.column("observation.time").reshape(-1), times, atol=1e-12)
    np.testing.assert_allclose(episode.column("next.reward").reshape(-1), np.arange(25) / 25, atol=1e-6)
    assert episode.column("next.success").reshape(-1).tolist() == [False] * 24 + [True]
    shades = episode.frames("observation.images.front")[:, 0, 0, 0]
    np.testing.assert_array_equal(shades, (10 * np.arange(25)).astype(np.uint8))
    facts = facts_of(data, 0)
    assert facts["success"] is True
    assert facts["ticks"] == {"frames": 25, "unobserved": 0, "pictureless": 0, "resting": 1}


@pytest.mark.slow
def test_a_recorder_that_is_killed_loses_nothing_that_it_had_written(bench: Bench, tmp_path: Path) -> None:
    given = {"dataset": str(tmp_path / "data"), "instruction": "count"}
    process = bench.start("recorder_process", "recorder", given, tmp_path)
    robot = StandIn(bench, ROBOT)
    robot.say("ARMED")
    journal = tmp_path / "data" / ".journal"

    def written() -> bool:
        stamp = robot.observe()
        robot.vector("asked", ROBOT.action_names, np.array([1.0, 2.0]), stamp)
        robot.vector("sent", ROBOT.action_names, np.array([robot.tick, 2.0]), stamp)
        return any(file.stat().st_size > 4000 for file in journal.glob("*")) if journal.exists() else False

    bench.until(written, "a journal", poll_s=0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    again = bench.start("recorder_process", "recorder", given, tmp_path)
    bench.until(lambda: "repaired" in bench.said(), "the repair")
    robot.say("HOLD")
    again.terminate()
    assert again.wait(60) == 0, bench.said()
    data = Dataset(tmp_path / "data")
    actions = data.episode(0).column("action")[:, 0]
    assert len(actions) > 5
    assert (np.diff(actions) == 1.0).all(), "one after the other, without a gap"
    assert facts_of(data, 0)["recovered"] is True
