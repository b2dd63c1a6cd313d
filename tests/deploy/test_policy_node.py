"""The policy node on real ROS topics."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.deploy.ros_node import REFUSED, reliable, set_stamp, stamp_ns
from robot_stack.policies.loading import make_policy
from robot_stack.policies.normalizers import SourceRows, fit_normalizers
from robot_stack.policies.saving import save_bundle
from tests.deploy.policies import ROBOT, SEEING, Counting, Place
from tests.deploy.ros_bench import Bench, StandIn
from tests.policies.robots import CLONING


def node_in_this_process(bench: Bench, driver: Counting, cameras: tuple[str, ...] = (), **parameters: Any) -> Any:
    from robot_stack.deploy.policy_process import PolicyNode

    made = PolicyNode(bench.make_node("policy", {"policy": "p", "execute_steps": 4, **parameters}))
    made.core._opening = lambda config, robot: Place(driver, cameras)
    return made


def listen_to_chunks(bench: Bench) -> list[Any]:
    from trajectory_msgs.msg import JointTrajectory

    bench.listen(JointTrajectory, "action_chunk", reliable(50))
    return bench.heard["action_chunk"]


def test_chunks_say_which_observation_they_are_for_and_when_they_apply(bench: Bench) -> None:
    chunks, driver = listen_to_chunks(bench), Counting()
    policy, robot = node_in_this_process(bench, driver, seed=3, instruction="count"), StandIn(bench, ROBOT)
    bench.until(lambda: policy.core.asynchronous is not None, "the policy")
    robot.observe()
    robot.say("ARMED")
    bench.until(lambda: policy.core._begun, "the episode")
    assert driver.begun[-1] == ("count", 3)
    stamps = []

    def asked() -> bool:
        stamps.append(robot.observe())
        return len(chunks) >= 3

    bench.until(asked, "three chunks", poll_s=0.05)
    for chunk in chunks[:3]:
        stamp = stamp_ns(chunk.header)
        assert stamp in stamps
        assert chunk.header.frame_id == ROBOT.fingerprint()
        assert tuple(chunk.joint_names) == ROBOT.action_names
        due = [p.time_from_start.sec * 10**9 + p.time_from_start.nanosec for p in chunk.points]
        assert due == [k * 50_000_000 for k in range(16)]
        tick = robot.tick - (robot.now_ns - stamp) // robot.period_ns
        np.testing.assert_allclose([p.positions[0] for p in chunk.points], tick + np.arange(16))
    robot.say("SOFT_STOP")
    bench.until(lambda: not policy.core._armed, "the stop")
    policy.close()


def test_images_of_either_kind_are_matched_by_stamp(bench: Bench) -> None:
    from sensor_msgs.msg import CompressedImage, Image

    from robot_stack.hardware.cameras.image_messages import fill_compressed, fill_image

    chunks, driver = listen_to_chunks(bench), Counting(history=1)
    robot = StandIn(bench, SEEING)
    for kind, topic, transport in (
        (Image, "camera/front/image_raw", "raw"),
        (CompressedImage, "camera/front/image_raw/compressed", "compressed"),
    ):
        policy = node_in_this_process(bench, driver, ("front",), image_transport=transport)
        images = bench.node.create_publisher(kind, topic, reliable(5))
        bench.until(lambda p=policy: p.core.asynchronous is not None and p._cameras, "the policy")
        robot.say("ARMED")
        bench.until(lambda p=policy: p.core._begun, "the episode")
        seen = len(driver.histories)
        chunks.clear()

        def tick(images=images, kind=kind, transport=transport) -> bool:
            shade = robot.tick % 200 + 3
            message = kind()
            set_stamp(message.header, robot.now_ns + robot.period_ns - 3_000_000)
            picture = np.full((6, 8, 3), shade, np.uint8)
            picture[..., 2] = 9
            fill_image(message, picture, "bgr8") if transport == "raw" else fill_compressed(message, picture, "png")
            images.publish(message)
            robot.observe()
            return len(chunks) >= 2

        bench.until(tick, "two chunks", poll_s=0.05)
        for history in driver.histories[seen + 1 :]:
            shade = (int(history[-1].state[0]) - 1) % 200 + 3
            got = history[-1].images["front"]
            assert abs(int(got[0, 0, 0]) - shade) <= 1, "this moment's picture, or its neighbour"
            assert got[0, 0, 2] == 9
        robot.say("IDLE")
        bench.until(lambda p=policy: not p.core._armed, "the stop")
        policy.close()
        bench.executor.remove_node(policy.node)
        policy.node.destroy_node()


def bundle_at(folder: Path, robot=ROBOT) -> Path:
    """A small policy with random weights, as training leaves it."""
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    states, actions = rng.uniform(-1, 1, (50, robot.state_size)), rng.uniform(-1, 1, (50, robot.action_size))
    rows = SourceRows("demos", states, actions)
    made = make_policy(CLONING, robot, fit_normalizers(CLONING.normalization, (rows,)), (), None, seed=1)
    save_bundle(made, folder, provenance={})
    return folder


@pytest.mark.slow
def test_whole_processes_survive_what_happens_to_them(bench: Bench, tmp_path: Path) -> None:
    """The policy's child is killed; the robot node goes and comes back; SIGTERM ends all, children too."""
    chunks = listen_to_chunks(bench)
    bundle = bundle_at(tmp_path / "bundle")
    process = bench.start("policy_process", "policy", {"policy": str(bundle), "strategy": "trimmed"}, tmp_path)
    robot = StandIn(bench, ROBOT)

    def ticking(condition) -> Any:
        def look() -> Any:
            robot.observe()
            return condition()

        return look

    robot.say("ARMED")
    bench.until(ticking(lambda: len(chunks) >= 3), "chunks", poll_s=0.05)
    child = children_of(process.pid)
    assert len(child) >= 1
    for pid in child:
        os.kill(pid, signal.SIGKILL)
    before = len(chunks)
    bench.until(ticking(lambda: len(chunks) >= before + 3), "chunks of a new child", poll_s=0.05)
    for chunk in chunks[-3:]:
        assert robot.now_ns - stamp_ns(chunk.header) < 10**9, "nothing old"

    robot.say("UNCONFIGURED")
    reborn = StandIn(bench, ROBOT, start_ns=77)  # started again, with a clock that starts again
    reborn.say("ARMED")
    robot = reborn
    before = len(chunks)
    bench.until(ticking(lambda: len(chunks) >= before + 3), "chunks for the new robot node", poll_s=0.05)
    assert stamp_ns(chunks[-1].header) < 10**12

    child = children_of(process.pid)
    process.terminate()
    assert process.wait(30) == 0, bench.said()
    for pid in child:
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
    assert "Traceback" not in bench.said()


@pytest.mark.slow
def test_a_policy_of_another_robot_is_refused_with_the_difference(bench: Bench, tmp_path: Path) -> None:
    process = bench.start("policy_process", "policy", {"policy": str(bundle_at(tmp_path / "bundle"))}, tmp_path)
    StandIn(bench, replace(ROBOT, control_hz=50.0))
    bench.until(lambda: process.poll() is not None, "the refusal")
    assert process.returncode == REFUSED
    assert "50 Hz, expected 20 Hz" in bench.said()
    assert "Traceback" not in bench.said()


def children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
