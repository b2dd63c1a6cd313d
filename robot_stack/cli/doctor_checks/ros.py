"""ROS 2: a node is made that sends itself a message through the middleware."""

from __future__ import annotations

import os
import time
from typing import Any

from robot_stack.cli.doctor_checks.check import Check, Ground
from robot_stack.cli.doctor_checks.probe import ask

_WORDS = "hello from robot-stack doctor"
_PATIENCE_S = 20.0
_FIREWALL = "allow UDP multicast on this machine (firewall, container network), or set ROS_LOCALHOST_ONLY=1"


def check(ground: Ground) -> list[Check]:
    """Make a node and wait for its own message."""
    answer = ask("ros", [str(min(_PATIENCE_S, ground.timeout_s))], timeout_s=ground.timeout_s)
    if answer.missing:
        found = f"not installed (no package {answer.missing!r}): no deployment through ROS 2 from here"
        remedy = "pip install 'robot_stack[ros]', or source the setup file of your ROS 2 installation"
        return [Check("ROS 2", "warning", found, remedy)]
    if not answer.ok:
        return [Check("ROS 2", "broken", answer.trouble, _remedy(answer.trouble))]
    found = f"a node heard itself after {answer.value['seconds']:.2f} s ({answer.value['middleware']})"
    return [Check("ROS 2", "works", found, details=answer.value)]


def _remedy(trouble: str) -> str:
    if "did not hear" in trouble or "no answer" in trouble:
        return _FIREWALL
    return "reinstall with pip install --force-reinstall 'robot_stack[ros]'; do not mix it with a sourced ROS 2"


def probe(arguments: list[str]) -> dict[str, Any]:
    """Publish and subscribe within one node; the topic's name is this process's own."""
    import rclpy
    from rclpy.qos import QoSProfile
    from rclpy.utilities import get_rmw_implementation_identifier
    from std_msgs.msg import String

    rclpy.init()
    node = rclpy.create_node(f"robot_stack_doctor_{os.getpid()}")
    heard: list[str] = []
    topic = f"/robot_stack_doctor_{os.getpid()}"
    node.create_subscription(String, topic, lambda message: heard.append(message.data), QoSProfile(depth=10))
    publisher = node.create_publisher(String, topic, QoSProfile(depth=10))
    began = time.monotonic()
    while _WORDS not in heard and time.monotonic() - began < float(arguments[0]):
        publisher.publish(String(data=_WORDS))
        rclpy.spin_once(node, timeout_sec=0.1)
    if _WORDS not in heard:
        return {"error": f"a node was made, but it did not hear its own message within {arguments[0]} s"}
    return {
        "seconds": time.monotonic() - began,
        "middleware": get_rmw_implementation_identifier(),
        "domain": os.environ.get("ROS_DOMAIN_ID", "0"),
    }
