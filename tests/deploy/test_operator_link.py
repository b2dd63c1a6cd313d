"""What the operator knows of other nodes, by real messages."""

from __future__ import annotations

import pytest

from robot_stack.deploy import operator_link
from robot_stack.deploy.operator_config import OperatorConfig
from robot_stack.deploy.ros_node import diagnostic, reliable
from tests.deploy.ros_bench import NAMESPACE, Bench


def test_a_node_that_falls_silent_does_not_go_on_being_fine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    monkeypatch.setattr(operator_link, "SILENT_S", 0.6)
    link = operator_link.OperatorLink(bench.node, OperatorConfig(), lambda: False)
    policy = bench.node.create_publisher(DiagnosticArray, "/diagnostics", reliable(10))

    def says(text: str) -> bool:
        policy.publish(DiagnosticArray(status=[diagnostic(f"{NAMESPACE}/policy", 0, text, {})]))
        return link.known.nodes.get("policy") == (0, text)

    bench.until(lambda: says("drives"), "the policy's word")
    bench.until(lambda: link.known.nodes["policy"][0] == 2, "its silence")
    assert "silent for" in link.known.nodes["policy"][1]
    bench.until(lambda: says("waits for ARMED"), "its word again")
