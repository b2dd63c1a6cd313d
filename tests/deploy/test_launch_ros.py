"""The same with ROS's own launch system, where there is one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="launch_ros comes with a distribution's ROS 2, not with wheels")

LAUNCH = Path(__file__).resolve().parents[2] / "launch"


@pytest.mark.parametrize("form", ["deploy", "collect", "replay", "evaluate"])
def test_launch_reads_the_file_and_lists_its_arguments(form: str) -> None:
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext  # pyright: ignore[reportAttributeAccessIssue]

    made = PythonLaunchDescriptionSource(str(LAUNCH / f"{form}.launch.py")).get_launch_description(LaunchContext())
    names = [argument.name for argument in made.get_launch_arguments()]
    assert {"robot", "sim", "hands_free", "domain"} <= set(names)
    assert all(argument.description for argument in made.get_launch_arguments())


def test_nodes_get_the_words_of_the_plan(tmp_path: Path) -> None:
    from launch_ros.actions import Node

    from launch import LaunchContext  # pyright: ignore[reportAttributeAccessIssue]
    from robot_stack.deploy.arguments import DeployArguments
    from robot_stack.deploy.launch_description import launch_actions
    from robot_stack.deploy.plan import plan_deploy

    if importlib.util.find_spec("ament_index_python") is None:
        pytest.skip("no index of packages")
    plan = plan_deploy(DeployArguments(robot="panda", sim=True, task="drawer", policy="ws://x:1", hands_free=True))
    nodes = [each for each in launch_actions(plan) if isinstance(each, Node)]
    assert len(nodes) == len(plan.processes)
    for node, process in zip(nodes, plan.processes, strict=True):
        context = LaunchContext()
        node._perform_substitutions(context)  # the step that makes names and files into words
        assert node.node_name == process.full_name
