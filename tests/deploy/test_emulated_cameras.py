"""A simulated robot's cameras publish what its scene looks like, over real ROS 2."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from robot_stack.deploy.emulator_config import EmulatorConfig
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_spec, robot_task

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install 'robot_stack[ros]'")
DOMAIN = 184


@pytest.fixture(scope="module")
def plant() -> MujocoPlant:
    return MujocoPlant(robot_spec("panda"), robot_task("panda/drawer"), 500.0)


@pytest.fixture
def node() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    yield rclpy.create_node("cameras", context=context, namespace="/panda")
    rclpy.shutdown(context=context)


def hear(node: Any, kind: Any, topic: str) -> list[Any]:
    from robot_stack.deploy.ros_node import newest

    heard: list[Any] = []
    node.create_subscription(kind, topic, heard.append, newest(2))
    return heard


def look_until(node: Any, cameras: Any, heard: list[Any], now_s: float) -> float:
    """Renders frame after frame until one has arrived; returns the time of the last."""
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    until = time.monotonic() + 120.0
    while not heard:
        assert time.monotonic() < until, "no image came"
        cameras.look(now_s)
        executor.spin_once(timeout_sec=0.05)
        now_s += 1.0
    executor.remove_node(node)
    return now_s - 1.0


@pytest.mark.parametrize("encoding", ["rgb8", "jpeg"])
def test_images_are_what_the_scene_looks_like_with_the_robots_time(
    plant: MujocoPlant, node: Any, encoding: Any
) -> None:
    from sensor_msgs.msg import CompressedImage, Image

    from robot_stack.deploy.emulated_cameras import EmulatedCameras
    from robot_stack.deploy.ros_node import stamp_ns
    from robot_stack.hardware.cameras.image_messages import rgb_of, rgb_of_compressed

    name = plant.task.view
    config = EmulatorConfig(cameras=(name,), image_height=48, image_width=64, encoding=encoding)
    compressed = encoding == "jpeg"
    topic = f"camera/{name}/image_raw" + ("/compressed" if compressed else "")
    heard = hear(node, CompressedImage if compressed else Image, topic)
    look_until(node, EmulatedCameras(node, plant, config), heard, 10.0)
    message = heard[0]
    pixels = rgb_of_compressed(message) if compressed else rgb_of(message)
    expected = plant.render(name, 48, 64)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - expected.astype(int)).mean() < (6.0 if compressed else 1e-9)
    assert expected.std() > 10.0, "there is something to see"
    assert message.header.frame_id == name
    assert stamp_ns(message.header) % 1_000_000_000 == 0 and stamp_ns(message.header) >= 10_000_000_000


def test_a_frame_is_made_once_a_period_and_one_camera_at_a_time(plant: MujocoPlant, node: Any) -> None:
    from robot_stack.deploy.emulated_cameras import EmulatedCameras

    name = plant.task.view
    other = next(camera for k in range(plant.robot.model.ncam) if (camera := plant.robot.model.camera(k).name) != name)
    config = EmulatorConfig(cameras=(name, other), image_height=16, image_width=16, image_hz=10.0)
    cameras, rendered = EmulatedCameras(node, plant, config), []

    class Watched:
        def render(self, camera: str, height: int, width: int) -> np.ndarray:
            rendered.append(camera)
            return plant.render(camera, height, width)

    cameras._plant = Watched()  # type: ignore[assignment]
    for tick in range(200):
        before = len(rendered)
        cameras.look(100.0 + tick / 500)
        assert len(rendered) - before <= 1
    assert [rendered.count(name), rendered.count(other)] == [4, 4]
