"""Timers follow the monotonic clock: a step of the system's clock must not stall a node."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'robot_stack[ros]'")

import rclpy
from rclpy.clock_type import ClockType
from rclpy.executors import SingleThreadedExecutor

from robot_stack.hardware.ros.steady_timer import steady_timer

ROOT = Path(__file__).resolve().parents[3]


def test_it_ticks_on_the_steady_clock() -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node, calls = rclpy.create_node("ticker", context=context), []
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        timer = steady_timer(node, 0.001, lambda: calls.append(1))
        assert timer.clock.clock_type is ClockType.STEADY_TIME
        while len(calls) < 3:
            executor.spin_once(timeout_sec=1.0)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def test_no_node_has_a_timer_of_the_systems_clock() -> None:
    sources = [*(ROOT / "hardware").rglob("*.py"), *(ROOT / "robot_stack/deploy").rglob("*.py")]
    guilty = [p.name for p in sources if ".create_timer(" in p.read_text() and p.name != "steady_timer.py"]
    assert len(sources) > 100 and not guilty
