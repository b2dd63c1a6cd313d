"""Names of worlds, cheaply."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from robot_stack.core.config_json import from_plain, to_plain
from robot_stack.core.errors import UnknownNameError
from robot_stack.sim.catalog import instruction, names, split
from robot_stack.sim.dmc import DmcConfig
from robot_stack.sim.experts import ExpertConfig
from robot_stack.sim.gym_robot import GymnasiumConfig
from robot_stack.sim.metaworld import MetaWorldConfig


def test_listing_imports_no_simulator() -> None:
    code = """
import sys
from robot_stack.sim.catalog import names
assert len(names("metaworld") + names("dmc")) == 101
heavy = {"mujoco", "metaworld", "gymnasium", "dm_control", "torch", "scipy", "OpenGL"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_and_their_parts() -> None:
    assert len(names("metaworld")) == 50
    assert len(names("dmc")) == 51
    assert "gym/CartPole-v1" in names("gym")
    assert split("metaworld/pick-place-v3") == ("metaworld", "pick-place")
    assert split("dmc/ball_in_cup-catch") == ("dmc", "ball_in_cup-catch")
    assert split("gym/some.module:Thing-v0") == ("gym", "some.module:Thing-v0")
    assert "puck" in instruction("metaworld/pick-place")
    assert instruction("gym/CartPole-v1") == ""


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("metaworld/pickplace", "metaworld/pick-place"),
        ("dmc/cartpole", "dmc/cartpole-balance"),
        ("meta/reach", "metaworld/reach"),
        ("gym", "valid"),
    ],
)
def test_wrong_names_get_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        split(wrong)
    assert right in str(caught.value) or right == "valid"
    with pytest.raises(UnknownNameError, match="family"):
        names("atari")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config",
    [
        MetaWorldConfig(task="push", cameras=("corner", "gripperPOV"), quality="full"),
        DmcConfig(task="walker-walk", horizon=200),
        GymnasiumConfig("Pendulum-v1", options=(("g", 9.81),), control_hz=20),
        ExpertConfig(noise_std=0.1, noisy_episodes=0.5),
    ],
)
def test_configs_survive_json(config: Any) -> None:
    assert from_plain(type(config), json.loads(json.dumps(to_plain(config)))) == config
