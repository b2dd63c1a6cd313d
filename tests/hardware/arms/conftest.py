"""An emulated arm on real DDS: the plant steps in the test's hands, both nodes are spun by threads."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_stack.hardware.arms.bus import ArmBus
from robot_stack.hardware.arms.config import ArmConfig
from robot_stack.hardware.arms.emulator import ArmEmulator
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_spec, robot_task

TASKS = {"panda": "panda/drawer", "aloha": "aloha/hand-over"}


class EmulatedArm:
    """Plant, emulator and bus; everything advances in :meth:`step`."""

    def __init__(self, config: ArmConfig, context: Any) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        spec = robot_spec(config.robot)
        self.plant = MujocoPlant(spec, robot_task(TASKS[config.robot]), servo_hz=config.command_hz)
        self.plant.reset(1)
        gains = np.array([[j.stiffness, j.damping] for j in spec.driven]).T
        self.nodes = [rclpy.create_node(name, context=context) for name in ("emulator", "robot")]
        self.emulator = ArmEmulator(config, spec.driven_names, gains[0], gains[1], self.nodes[0])
        self.emulator.reset(self.plant.read())
        self.bus = ArmBus(config, spec.driven_names, self.nodes[1], time.monotonic)
        self.executors = []
        for node in self.nodes:
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            threading.Thread(target=_spin, args=(executor,), daemon=True).start()
            self.executors.append(executor)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        """Wait until something holds."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited too long for {what}"
            time.sleep(0.005)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10.0)
        self.bus.close()
        for executor in self.executors:
            executor.shutdown(timeout_sec=5.0)
        for node in self.nodes:
            node.destroy_node()
        self.plant.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.plant.advance(self.emulator.command(self.plant.read()))
            self.emulator.publish(self.plant.read())
            self._stop.wait(0.5 * self.plant.period_s)


def _spin(executor: Any) -> None:
    from rclpy.executors import ExternalShutdownException

    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    rclpy = pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=20 + os.getpid() % 180)
    yield made
    rclpy.try_shutdown(context=made)


@pytest.fixture
def emulated(context: Any) -> Iterator[Callable[..., EmulatedArm]]:
    arms: list[EmulatedArm] = []

    def make(config: ArmConfig, **changes: Any) -> EmulatedArm:
        arms.append(EmulatedArm(replace(config, **changes), context))
        return arms[-1]

    yield make
    for arm in arms:
        arm.close()
