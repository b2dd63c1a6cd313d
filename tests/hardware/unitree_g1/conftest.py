from __future__ import annotations

import pytest

from robot_stack.hardware.unitree_g1.arm_sdk import ArmSdkBus
from robot_stack.hardware.unitree_g1.bus import G1Bus
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.direct import DirectLink
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatedG1, EmulatorConfig
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.robot_catalog import robot_spec, robot_task
from tests.hardware.unitree_g1.rig import Maker, Rig


@pytest.fixture(scope="module")
def plant() -> MujocoPlant:
    return MujocoPlant(robot_spec("g1"), robot_task("g1/stand"))


@pytest.fixture
def make_rig(plant: MujocoPlant) -> Maker:
    def make(config: G1Config | None = None, emulated: EmulatorConfig | None = None, *, arms: bool = False) -> Rig:
        plant.reset(0)
        robot = EmulatedG1(plant.read(), emulated or EmulatorConfig(), plant.period_s, plant.hoist)
        link = DirectLink(robot, plant, "arm_sdk" if arms else "lowcmd")
        bus = (ArmSdkBus if arms else G1Bus)(link, link, config)
        bus.open()
        return Rig(plant, robot, link, bus)

    return make
