"""A server that does not answer yet, and how whoever asks finds out: real nodes, one of them not spun at first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.ros_bench import DOMAIN, LONG_S, NAMESPACE, Bench


def mute_node(bench: Bench, name: str) -> Any:
    """A lifecycle node that offers its services and answers nothing until the bench's executor spins it."""
    from rclpy.lifecycle import LifecycleNode

    assert DOMAIN
    return LifecycleNode(name, context=bench.context, namespace=NAMESPACE)


def test_introduced_is_who_was_answered(bench: Bench) -> None:
    from robot_stack.deploy.introduction import Introduction, poll

    introduction = Introduction(bench.node, "robot")
    assert not introduction.made(0.3, poll, again_s=0.1), "nobody is there"
    robot = mute_node(bench, "robot")
    assert not introduction.made(0.5, poll, again_s=0.1), "it does not answer"
    bench.executor.add_node(robot)
    assert introduction.made(LONG_S, poll)
    assert introduction.made(LONG_S, bench.waits)


def test_an_operator_asks_only_who_answers_but_stops_whoever_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from std_srvs.srv import Trigger

    from robot_stack.deploy import operator_link
    from robot_stack.deploy.operator_config import OperatorConfig

    monkeypatch.setattr(operator_link, "ANSWER_S", 1.0)
    robot = mute_node(bench, "robot")
    for request in ("ready", "hold"):
        robot.create_service(Trigger, request, lambda _, answer: answer)
    link = operator_link.OperatorLink(bench.node, OperatorConfig(), lambda: False)
    bench.until(lambda: link._services["hold"].service_is_ready(), "the services")
    assert link.ask("ready") is None
    assert "does not answer" in link.known.answer
    assert link.change("configure") is None
    assert link.ask("hold") is not None and link.waiting
    bench.until(lambda: not link.waiting, "the end of waiting for an answer that is lost")
    assert "no answer" in link.known.answer
    bench.until(lambda: link.known.lifecycle == "silent", "the silence")

    bench.executor.add_node(robot)
    bench.until(lambda: link.known.lifecycle == "unconfigured", "its lifecycle")
    future = link.ask("ready")
    bench.until(future.done, "an answer")
    future = link.change("configure")
    bench.until(future.done, "another")
    assert link.known.lifecycle == "inactive"
