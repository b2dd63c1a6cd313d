"""Action clients that are made while another thread spins their node."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'robot_stack[ros]'")

import rclpy
from rclpy.action.client import ActionClient

from robot_stack.hardware.arms.outputs import control_actions
from robot_stack.hardware.ros.action_client import action_client


def test_an_executor_may_look_the_moment_it_is_there() -> None:
    kind = control_actions().GripperCommand
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("maker", context=context)
    add = node.add_waitable

    def add_and_look(waitable: Any) -> None:
        add(waitable)
        waitable.get_num_entities()  # what an executor does first

    node.add_waitable = add_and_look  # type: ignore[method-assign]
    try:
        action_client(node, kind, "gripper").destroy()
        with pytest.raises(AttributeError, match="_lock"):  # once rclpy has mended it, ours can go
            ActionClient(node, kind, "gripper")
    finally:
        node.destroy_node()
        context.try_shutdown()
