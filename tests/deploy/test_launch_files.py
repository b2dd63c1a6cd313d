"""Launch files say what the plans say, in words that launch and launch_ros take."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from robot_stack.core.errors import ConfigError, UnknownNameError
from robot_stack.deploy.arguments import KINDS, as_text, explained, from_texts
from robot_stack.deploy.plan import PLANS
from robot_stack.deploy.process_plan import ProcessPlan
from tests.deploy import launch_stubs as stubs

LAUNCH = Path(__file__).resolve().parents[2] / "launch"
TOLD = {
    "deploy": {"robot": "panda", "sim": "true", "task": "drawer", "policy": "ws://x:1", "record": "recorded"},
    "collect": {"robot": "g1", "task": "button", "network_interface": "lo", "dataset": "data", "cameras": "head=0"},
    "replay": {"robot": "locoman", "sim": "true", "task": "press", "dataset": "data", "hands_free": "true"},
    "evaluate": {
        "robot": "bimanual", "sim": "true", "task": "lift-tray", "policy": "ws://x:1", "out": "o", "hands_free": "True",
    },
}  # fmt: skip
"""What each form is told in these tests."""


@pytest.fixture(autouse=True)
def _stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in stubs.modules().items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE", raising=False)
    monkeypatch.setattr("robot_stack.deploy.check.require_server_for", lambda robot, policy: None)
    monkeypatch.setattr("robot_stack.deploy.check.require_episode_for", lambda robot, plan: None)


def description(form: str) -> Any:
    path = LAUNCH / f"{form}.launch.py"
    spec = importlib.util.spec_from_file_location(f"{form}_launch", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def actions(form: str, told: dict[str, str]) -> list[Any]:
    """As the launch system calls it: every declared argument has a value."""
    declared, (opaque,) = split(description(form))
    values = {each.given[0]: each.named["default_value"] for each in declared} | told
    context = stubs.Context([f"{name}:={value}" for name, value in told.items()], values)
    return opaque.named["function"](context, *opaque.named["args"])


def split(made: Any) -> tuple[list[Any], list[Any]]:
    (entities,) = made.given
    declared = [each for each in entities if isinstance(each, stubs.DeclareLaunchArgument)]
    return declared, [each for each in entities if isinstance(each, stubs.OpaqueFunction)]


@pytest.mark.parametrize("form", KINDS)
def test_every_argument_is_declared_with_its_default_and_meaning(form: str) -> None:
    kind = KINDS[form]
    declared, _ = split(description(form))
    assert [each.given[0] for each in declared] == [field.name for field in dataclasses.fields(kind)]
    said = explained(kind)
    for each, field in zip(declared, dataclasses.fields(kind), strict=True):
        assert each.named["default_value"] == as_text(field.default)
        assert each.named["description"].startswith(said[field.name])
    by_name = {each.given[0]: each.named["description"] for each in declared}
    assert "One of: raw, jpeg." in by_name["images"]


@pytest.mark.parametrize("form", KINDS)
def test_nodes_are_the_processes_of_the_plan(form: str) -> None:
    plan = PLANS[form](from_texts(KINDS[form], TOLD[form]))
    made = actions(form, TOLD[form])
    nodes = [each for each in made if isinstance(each, stubs.Node)]
    started = [process for process in plan.processes if not process.terminal]
    assert [node.named["name"] for node in nodes] == [process.node for process in started]
    for node, process in zip(nodes, started, strict=True):
        same(node, process)
        for name, value in (*plan.environment, *process.environment):
            assert node.named["additional_env"][name] == value
    by_hand = [each.named["msg"] for each in made if isinstance(each, stubs.LogInfo)][1:]
    assert len(by_hand) == len(plan.processes) - len(started)
    assert all("ros2 run robot_stack operator --ros-args" in line for line in by_hand)


def same(node: Any, process: ProcessPlan) -> None:
    named = node.named
    assert (named["package"], named["executable"]) == ("robot_stack", process.executable)
    assert (named["namespace"], named["respawn"]) == (process.namespace, False)
    assert named["remappings"] == list(process.remaps)
    (file,) = named["parameters"]
    written = json.loads(Path(file).read_text())[process.full_name]["ros__parameters"]
    expected = {name: value for name, value in process.parameters if value != ()}
    assert written == json.loads(json.dumps(expected))
    assert isinstance(named["on_exit"], stubs.Shutdown) == (process.on_exit == "stop_all")
    assert named["sigterm_timeout"] == str(process.grace_s)


def test_a_real_g1_is_seen_beyond_this_machine() -> None:
    nodes = [each for each in actions("collect", TOLD["collect"]) if isinstance(each, stubs.Node)]
    environment = nodes[0].named["additional_env"]
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    assert "type_propagation" in Path(environment["FASTDDS_DEFAULT_PROFILES_FILE"]).read_text()
    assert set(environment) <= set(os.environ) | {
        "ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_DEFAULT_PROFILES_FILE", "AMENT_PREFIX_PATH", "PYTHONUNBUFFERED",
        "RCUTILS_CONSOLE_OUTPUT_FORMAT", "RCUTILS_COLORIZED_OUTPUT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    }  # fmt: skip


def test_a_person_at_another_terminal_is_in_the_same_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    made = actions("deploy", {**TOLD["deploy"], "domain": "7"})
    assert isinstance(made[-1], stubs.LogInfo), "the last lines, which nothing scrolls away"
    words = shlex.split(made[-1].named["msg"].partition(":\n")[2])
    assert words[0] == "env" and {"ROS_DOMAIN_ID=7", "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"} <= set(words)
    assert any(word.startswith("FASTDDS_DEFAULT_PROFILES_FILE=") for word in words)
    file = words[words.index("--params-file") + 1]
    assert "/panda/operator" in json.loads(Path(file).read_text())


def test_an_argument_that_nobody_declared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ros2", "launch", "robot_stack", "deploy.launch.py", "polcy:=x"])
    with pytest.raises(UnknownNameError, match="did you mean 'policy'"):
        actions("deploy", {**TOLD["deploy"], "polcy": "x"})


def test_what_ros2_launch_adds_of_its_own_is_no_unknown_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ros2", "launch", "robot_stack", "deploy.launch.py"])
    assert actions("deploy", {**TOLD["deploy"], "launch-prefix": "nice", "launch-prefix-filter": "robot"})


def test_a_file_that_another_includes_leaves_its_arguments_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ros2", "launch", "our_lab", "bringup.launch.py", "table:=left"])
    assert actions("deploy", {**TOLD["deploy"], "table": "left"})


def test_what_the_plan_refuses_starts_nothing() -> None:
    with pytest.raises(ConfigError, match="which task"):
        actions("deploy", {**TOLD["deploy"], "task": ""})


def test_a_form_that_does_not_exist() -> None:
    from robot_stack.deploy.launch_description import launch_description

    with pytest.raises(UnknownNameError, match="replay"):
        launch_description("replya")
