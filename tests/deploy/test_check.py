"""What could only fail once processes run is refused before they do."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import (
    ConfigError,
    DatasetError,
    EmbodimentMismatchError,
    MissingExtraError,
    RobotStackError,
)
from robot_stack.datasets.writer import DatasetWriter
from robot_stack.deploy.arguments import CollectArguments, DeployArguments, ReplayArguments
from robot_stack.deploy.check import embodiment_of, require_packages, require_ready
from robot_stack.deploy.plan import plan_collect, plan_replay
from robot_stack.deploy.setting import robot_setting
from tests.deploy.policies import ROBOT


def record(folder: Path, robot: Embodiment) -> None:
    with DatasetWriter(folder, robot) as writer:
        writer.begin("anything")
        for k in range(3):
            action = np.zeros(robot.action_size)
            frame = {"observation.state": np.zeros(robot.state_size), "action": action, "action.requested": action}
            writer.add({**frame, "observation.time": 0.1 * k})
        writer.commit(success=True)


@pytest.fixture(scope="module")
def panda() -> Embodiment:
    return embodiment_of(robot_setting(DeployArguments(robot="panda", task="drawer"), None))


def replay(folder: Path, **more: Any) -> None:
    told = ReplayArguments(robot="panda", sim=True, task="drawer", dataset=str(folder), **more)
    require_ready(plan_replay(told), told)


def collect(folder: Path) -> None:
    told = CollectArguments(robot="panda", sim=True, task="drawer", dataset=str(folder))
    require_ready(plan_collect(told), told)


def test_an_episode_to_play_is_there_and_of_this_robot(tmp_path: Path, panda: Embodiment) -> None:
    with pytest.raises(DatasetError, match="no dataset here"):
        replay(tmp_path / "nowhere")
    record(tmp_path / "own", panda)
    replay(tmp_path / "own")
    with pytest.raises(RobotStackError, match="episode"):
        replay(tmp_path / "own", episode=7)
    record(tmp_path / "other", ROBOT)
    with pytest.raises(EmbodimentMismatchError):
        replay(tmp_path / "other")


def test_a_recording_goes_into_a_new_folder_or_goes_on(tmp_path: Path, panda: Embodiment) -> None:
    collect(tmp_path / "new")
    assert not (tmp_path / "new").exists(), "looking makes nothing"
    (tmp_path / "empty").mkdir()
    collect(tmp_path / "empty")
    record(tmp_path / "own", panda)
    collect(tmp_path / "own")
    record(tmp_path / "other", ROBOT)
    with pytest.raises(EmbodimentMismatchError):
        collect(tmp_path / "other")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="cat"):
        collect(tmp_path / "photos")
    with pytest.raises(ConfigError, match="is a file"):
        collect(tmp_path / "photos" / "cat.jpg")


@pytest.mark.parametrize(("package", "extra"), [("msgpack", "serve"), ("torch", "train")])
def test_a_package_that_the_policy_needs_is_named(package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(MissingExtraError, match=package) as raised:
        require_packages(bundle=True)
    assert raised.value.extra == extra


def test_a_server_needs_no_torch_here(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else found(name))
    require_packages(bundle=False)


def test_a_policy_of_another_robot_is_not_asked_for_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panda: Embodiment
) -> None:
    from robot_stack.core.config_json import to_plain

    info = {
        "embodiment": to_plain(panda),
        "config": {"inputs": {"cameras": []}},
        "tasks": ["open the upper drawer"],
        "policy_sha256": "0",
    }
    monkeypatch.setattr("robot_stack.deploy.setting.bundle_info", lambda path: info)
    told = DeployArguments(robot="g1", sim=True, policy=str(tmp_path))
    with pytest.raises(EmbodimentMismatchError, match="another robot") as raised:
        robot_setting(told, told)
    assert "it is of panda, this is unitree_g1" in str(raised.value)
    own = dataclasses.replace(told, robot="panda")
    assert robot_setting(own, own).task == "panda/drawer"
