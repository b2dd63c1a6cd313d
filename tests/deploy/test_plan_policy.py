"""The policy that a deployment names: a folder, however it is written, or a server that is asked first."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from robot_stack.core.config_json import to_plain
from robot_stack.core.errors import BundleError, ConfigError
from robot_stack.deploy.arguments import DeployArguments
from robot_stack.deploy.check import embodiment_of, require_policy_for
from robot_stack.deploy.plan import plan_deploy
from robot_stack.deploy.policy_config import PolicyNodeConfig
from robot_stack.deploy.policy_place import open_place
from robot_stack.deploy.process_plan import DeployPlan
from robot_stack.deploy.setting import robot_setting
from robot_stack.runtime.policy_connection import PolicyServerError

SIM = DeployArguments(robot="panda", sim=True, task="drawer")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What the manifest of a bundle tells, wherever it is looked for; the home and working folder."""
    info = {
        "embodiment": to_plain(embodiment_of(robot_setting(SIM, None))),
        "config": {"inputs": {"cameras": []}},
        "tasks": ["open the upper drawer"],
        "policy_sha256": "ab" * 32,
    }
    monkeypatch.setattr("robot_stack.deploy.setting.bundle_info", lambda path: info)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parameters(plan: DeployPlan, node: str) -> dict[str, Any]:
    return dict(plan.process(node).parameters)


def test_paths_may_begin_with_home_be_relative_and_have_spaces(told: Path) -> None:
    for given, meant in (("~/a b", "a b"), ("a b/../c", "c"), (str(told / "d"), "d")):
        plan = plan_deploy(dataclasses.replace(SIM, policy=given, token_file=given, record=given))
        assert parameters(plan, "policy")["policy"] == str(told / meant)
        assert parameters(plan, "policy")["token_file"] == str(told / meant)
        assert parameters(plan, "recorder")["dataset"] == str(told / meant)


@pytest.mark.parametrize("policy", ["~/nothing", "some where/nothing", "/nothing", "file.txt"])
def test_a_bundle_that_is_not_there_is_refused(policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("no bundle")
    with pytest.raises(BundleError, match="no policy bundle") as raised:
        plan_deploy(DeployArguments(robot="panda", sim=True, task="drawer", policy=policy))
    assert "~" not in str(raised.value)


def test_a_policy_at_a_server_cannot_tell_the_size_of_its_images() -> None:
    remote = dataclasses.replace(SIM, policy="ws://here:8400", cameras="front")
    assert embodiment_of(robot_setting(remote, remote)).camera("front").shape == (480, 640, 3)
    plan = plan_deploy(dataclasses.replace(remote, image_size="96x128"))
    for node in ("robot", "emulator"):
        assert (parameters(plan, node)["image_height"], parameters(plan, node)["image_width"]) == (96, 128)
    for wrong in ("96", "96x", "x", "0x128", "-1x3", "96x128x3"):
        with pytest.raises(ConfigError, match="as 96x128"):
            plan_deploy(dataclasses.replace(remote, image_size=wrong))


def test_a_policy_node_that_is_started_by_hand_knows_home_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BundleError) as raised:
        open_place(PolicyNodeConfig(policy="~/a b"), embodiment_of(robot_setting(SIM, None)))
    assert str(tmp_path / "a b") in str(raised.value)


@pytest.mark.parametrize("policy", ["http://here:8400", "file:///here"])
def test_an_address_of_another_kind_is_no_folder(policy: str) -> None:
    with pytest.raises(ConfigError, match="ws://host:port"):
        plan_deploy(dataclasses.replace(SIM, policy=policy))


def test_a_policy_server_is_asked_before_anything_starts(tmp_path: Path) -> None:
    pytest.importorskip("websockets")
    told = dataclasses.replace(SIM, policy="ws://127.0.0.1:1", token_file=str(tmp_path / "token"))
    with pytest.raises(ConfigError, match="no token here"):
        require_policy_for(robot_setting(told, told), told, told)
    (tmp_path / "token").write_text("a-token-of-tests\n")
    with pytest.raises(PolicyServerError, match="no policy server can be reached"):
        require_policy_for(robot_setting(told, told), told, told)
