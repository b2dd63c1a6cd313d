"""Arguments become plans; whatever does not go together is refused before anything starts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from robot_stack.core.config_json import to_plain
from robot_stack.core.errors import ConfigError, EmbodimentMismatchError, UnknownNameError
from robot_stack.deploy import plan as plans
from robot_stack.deploy.arguments import (
    KINDS,
    CollectArguments,
    DeployArguments,
    EvaluateArguments,
    ReplayArguments,
    RobotArguments,
    as_text,
    choices,
    explained,
    from_texts,
)
from robot_stack.deploy.check import embodiment_of, require_policy_for
from robot_stack.deploy.plan import plan_collect, plan_deploy, plan_evaluate, plan_replay
from robot_stack.deploy.process_plan import DeployPlan, ProcessPlan
from robot_stack.deploy.setting import robot_setting
from robot_stack.hardware.ros.environment import DISCOVERY

POLICY = "ws://policies.local:8400"
"""A policy that nobody asks while a plan is made."""

SIM = DeployArguments(robot="panda", sim=True, task="drawer", policy=POLICY)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE", raising=False)


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What a bundle's manifest tells; a policy for the Panda's drawer through one camera."""
    setting = robot_setting(dataclasses.replace(SIM, cameras="front"), None)
    trained = embodiment_of(dataclasses.replace(setting, image_height=96, image_width=128))
    info = {
        "embodiment": to_plain(trained),
        "config": {"inputs": {"cameras": ["front"]}},
        "tasks": ["open the upper drawer"],
        "policy_sha256": "ab" * 32,
    }
    monkeypatch.setattr("robot_stack.deploy.setting.bundle_info", lambda path: info)
    return tmp_path / "bundle"


def parameters(plan: DeployPlan, node: str) -> dict[str, Any]:
    return dict(plan.process(node).parameters)


def nodes(plan: DeployPlan) -> list[str]:
    return [process.node for process in plan.processes]


def test_a_simulated_deployment() -> None:
    plan = plan_deploy(dataclasses.replace(SIM, clock_speed=0.5, seed=3, speed_share=0.3))
    assert nodes(plan) == ["emulator", "robot", "policy", "operator"]
    assert {process.namespace for process in plan.processes} == {"/panda"}
    robot = parameters(plan, "robot")
    assert (robot["robot"], robot["task"], robot["simulated"], robot["speed"]) == ("panda", "panda/drawer", True, 0.3)
    assert {parameters(plan, node)["clock_speed"] for node in nodes(plan)} == {0.5}
    assert parameters(plan, "emulator")["seed"] == 3
    assert plan.discovery == "localhost"
    assert not plan.moves_hardware
    ranks = {process.node: process.stop_rank for process in plan.processes}
    assert ranks["policy"] < ranks["robot"] < ranks["emulator"]
    assert {process.node for process in plan.processes if process.on_exit == "stop_all"} == {
        "emulator",
        "robot",
        "operator",
    }


def test_the_parameters_are_those_that_the_processes_take() -> None:
    from robot_stack.deploy.emulator_config import EmulatorConfig
    from robot_stack.deploy.operator_config import OperatorConfig
    from robot_stack.deploy.policy_config import PolicyNodeConfig
    from robot_stack.deploy.robot_config import RobotNodeConfig

    plan = plan_deploy(SIM)
    for node, kind in (
        ("emulator", EmulatorConfig),
        ("robot", RobotNodeConfig),
        ("policy", PolicyNodeConfig),
        ("operator", OperatorConfig),
    ):
        assert kind(**parameters(plan, node)) is not None
        assert set(parameters(plan, node)) == {field.name for field in dataclasses.fields(kind)}


def test_a_direct_simulation_has_no_emulator() -> None:
    plan = plan_deploy(dataclasses.replace(SIM, direct=True))
    assert nodes(plan) == ["robot", "policy", "operator"]
    assert parameters(plan, "robot")["bus"] == "direct"


def test_a_real_robot_with_cameras_is_recorded(tmp_path: Path) -> None:
    arguments = CollectArguments(
        robot="bimanual",
        task="lift-tray",
        cameras="top=/dev/video2,wrist=4",
        images="jpeg",
        dataset=str(tmp_path),
        robot_parameters='{"wait_s": 3}',
    )
    plan = plan_collect(arguments)
    assert nodes(plan) == ["robot", "camera_top", "camera_wrist", "recorder", "operator"]
    assert plan.moves_hardware
    assert parameters(plan, "camera_wrist")["device"] == "4"
    assert parameters(plan, "camera_top")["encoding"] == "jpeg"
    assert parameters(plan, "recorder")["cameras"] == ("top", "wrist")
    assert parameters(plan, "recorder")["image_transport"] == "compressed"
    assert json.loads(parameters(plan, "robot")["robot_parameters"]) == {"wait_s": 3}
    assert plan.process("operator").terminal


def test_a_replay_and_an_evaluation(tmp_path: Path) -> None:
    replay = plan_replay(
        ReplayArguments(robot="g1", sim=True, task="g1/button", dataset=str(tmp_path), episode=2, speed=0.5)
    )
    assert nodes(replay) == ["emulator", "robot", "replay", "operator"]
    assert (parameters(replay, "replay")["episode"], parameters(replay, "replay")["speed"]) == (2, 0.5)
    told = EvaluateArguments(
        robot="locoman", sim=True, task="press", policy=POLICY, out=str(tmp_path), hands_free=True, episodes=7
    )
    evaluation = plan_evaluate(told)
    assert nodes(evaluation) == ["emulator", "robot", "policy", "evaluator", "operator"]
    evaluator = parameters(evaluation, "evaluator")
    assert (evaluator["episodes"], evaluator["verdict"], evaluator["reset_simulation"]) == (7, "score", True)
    assert evaluator["horizon_s"] > 1.0
    assert parameters(evaluation, "operator")["until"] == "idle"
    assert evaluation.process("policy").on_exit == "stop_all", "nobody is there to decide"
    recorded = plan_evaluate(dataclasses.replace(told, record=str(tmp_path / "episodes")))
    assert nodes(recorded) == ["emulator", "robot", "policy", "recorder", "evaluator", "operator"]
    assert parameters(recorded, "recorder")["dataset"] == str(tmp_path / "episodes")
    assert parameters(recorded, "recorder")["task"] == parameters(evaluation, "evaluator")["task"]


def test_a_policy_tells_task_cameras_and_instruction(bundle: Path) -> None:
    told = DeployArguments(robot="panda", sim=True, policy=str(bundle))
    plan = plan_deploy(told)
    robot = parameters(plan, "robot")
    assert robot["task"] == "panda/drawer"
    assert (robot["cameras"], robot["image_height"], robot["image_width"]) == (("front",), 96, 128)
    assert parameters(plan, "emulator")["cameras"] == ("front",)
    assert parameters(plan, "policy")["instruction"] == "open the upper drawer"
    require_policy_for(robot_setting(told, told), told, told)


def test_a_policy_of_another_robot_is_refused_with_every_difference(bundle: Path) -> None:
    told = DeployArguments(robot="panda", sim=True, policy=str(bundle), task="peg")
    with pytest.raises(EmbodimentMismatchError, match="drawer_opening"):
        require_policy_for(robot_setting(told, told), told, told)


def test_the_embodiment_is_the_one_that_the_robot_process_will_have() -> None:
    from robot_stack.core.clock import SimulatedClock
    from robot_stack.deploy.assemble import assemble
    from robot_stack.deploy.robot_config import RobotNodeConfig

    told = dataclasses.replace(SIM, direct=True)
    config = RobotNodeConfig(**parameters(plan_deploy(told), "robot"))
    parts = assemble(config, SimulatedClock())
    assert embodiment_of(robot_setting(told, told)) == parts.embodiment


def test_a_robot_on_a_network_is_reached_through_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    told = DeployArguments(robot="g1", task="button", policy=POLICY)
    with pytest.raises(ConfigError, match="network_interface"):
        plan_deploy(told)
    with pytest.raises(UnknownNameError, match="lo"):
        plan_deploy(dataclasses.replace(told, network_interface="enp99s9"))
    plan = plan_deploy(dataclasses.replace(told, network_interface="lo"))
    assert plan.discovery == "subnet"
    assert plan.profile is not None
    assert (plan.profile.interfaces, plan.profile.type_propagation) == (("127.0.0.1",), False)
    assert "network_interface" in parameters(plan, "robot")["robot_parameters"]
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", DISCOVERY["localhost"])
    assert plan_deploy(SIM).discovery is None, "a range that the user has set is left alone"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"robot": ""}, "no robot"),
        ({"policy": ""}, "no policy"),
        ({"sim": False, "clock_speed": 0.5}, "clock_speed is for simulation only"),
        ({"sim": False, "hands_free": True}, "hands_free is for simulation only"),
        ({"sim": False, "direct": True}, "direct is for simulation only"),
        ({"duration_s": 3.0}, "duration_s without hands_free"),
        ({"speed_share": 0.0}, "speed_share"),
        ({"speed_share": 1.5}, "speed_share"),
        ({"clock_speed": 0.0}, "clock_speed"),
        ({"cameras": "front=/dev/video0"}, "simulated cameras"),
        ({"cameras": "front,front"}, "named twice"),
        ({"robot_parameters": "{"}, "no JSON"),
        ({"robot_parameters": '{"a": 1}]'}, "no JSON"),
        ({"robot_parameters": "/no/such/file.json"}, "cannot be read"),
        ({"task": "", "policy": POLICY}, "which task"),
        ({"namespace": "panda"}, "namespace"),
        ({"domain": 500}, ""),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], words: str) -> None:
    told = dataclasses.replace(SIM, **changes)
    if changes == {"domain": 500}:
        from robot_stack.hardware.ros.environment import ros_environment

        with pytest.raises(ConfigError, match="ROS domain"):
            ros_environment(domain=plan_deploy(told).domain)
        return
    with pytest.raises(ConfigError, match=words):
        plan_deploy(told)


@pytest.mark.parametrize(
    ("changes", "nearest"),
    [({"robot": "pandas"}, "panda"), ({"task": "drawr"}, "drawer"), ({"mode": "joint"}, "joint")],
)
def test_unknown_names_tell_the_nearest(changes: dict[str, Any], nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=nearest):
        plan_deploy(dataclasses.replace(SIM, **changes))


def test_verdicts_that_nobody_can_give() -> None:
    told = EvaluateArguments(robot="panda", sim=True, task="drawer", policy=POLICY, out="results")
    with pytest.raises(ConfigError, match="needs a person"):
        plan_evaluate(dataclasses.replace(told, verdict="person", hands_free=True))
    with pytest.raises(ConfigError, match="scores by itself"):
        plan_evaluate(dataclasses.replace(told, verdict="score", sim=False))


@pytest.mark.parametrize("form", KINDS)
def test_every_argument_is_explained_and_goes_through_text(form: str) -> None:
    kind = KINDS[form]
    said = explained(kind)
    assert list(said) == [field.name for field in dataclasses.fields(kind)]
    assert all(text.endswith(".") and len(text) >= 9 for text in said.values()), said
    usual: RobotArguments = kind()
    texts = {field.name: as_text(getattr(usual, field.name)) for field in dataclasses.fields(kind)}
    assert from_texts(kind, texts) == usual


def test_texts_that_mean_nothing() -> None:
    assert from_texts(DeployArguments, {"sim": "True", "seed": "4"}) == DeployArguments(sim=True, seed=4)
    assert choices(DeployArguments, "images") == ("raw", "jpeg")
    with pytest.raises(UnknownNameError, match="policy"):
        from_texts(DeployArguments, {"polcy": "x"})
    with pytest.raises(UnknownNameError, match="raw"):
        from_texts(DeployArguments, {"images": "png"})
    with pytest.raises(UnknownNameError, match="true"):
        from_texts(DeployArguments, {"sim": "maybe"})
    with pytest.raises(ConfigError, match="no number"):
        from_texts(DeployArguments, {"seed": "three"})


@pytest.mark.parametrize("wrong", [{"node": "a-b"}, {"namespace": "g1"}, {"executable": "9x"}, {"namespace": "/"}])
def test_names_that_ros_does_not_take(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no name"):
        told: dict[str, Any] = {"executable": "robot", "node": "robot", "namespace": "/g1", **wrong}
        ProcessPlan(**told)


def test_two_nodes_of_one_name_are_refused() -> None:
    one = ProcessPlan("robot", "robot", "/g1")
    with pytest.raises(ConfigError, match="one name"):
        plans.DeployPlan("twice", (one, one))


def test_the_page_about_deployment_lists_every_argument_with_its_meaning() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "deployment.md").read_text()
    for kind in KINDS.values():
        for name, text in explained(kind).items():
            assert f"| `{name}` |" in page, name
            assert text.replace("|", "\\|") in page, name
