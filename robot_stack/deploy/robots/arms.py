"""What all arms behind ros2_control share; each has a file of its own that says which configuration is its."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_bus import JointBus
from robot_stack.core.joint_plant import JointPlant
from robot_stack.deploy.deployment import BusContext, Deployment, check_parameters
from robot_stack.deploy.emulator import Emulator
from robot_stack.hardware.arms.bus import ArmBus
from robot_stack.hardware.arms.config import ArmConfig, load_arm_config
from robot_stack.hardware.arms.emulator import ArmEmulator
from robot_stack.sim.robots.spec import RobotSpec

PARAMETERS = ("config", "wait_s")
"""``config``: an arm configuration, a JSON file or the name of one that ships. ``wait_s``: for the robot [s]."""


def arm_deployment(spec: RobotSpec, config: str) -> Deployment:
    """How an arm is driven.

    Args:
        spec: the robot.
        config: name of its usual configuration.
    """

    def make_bus(context: BusContext) -> JointBus:
        settings = _config(context.parameters, config, spec)
        wait_s = float(context.parameters.get("wait_s", 10.0))
        return ArmBus(settings, spec.driven_names, context.node, context.clock.now, wait_s)

    def make_emulator(plant: JointPlant, node: Any, parameters: dict[str, Any]) -> Emulator:
        stiffness = np.array([joint.stiffness for joint in spec.driven], dtype=np.float64)
        damping = np.array([joint.damping for joint in spec.driven], dtype=np.float64)
        return ArmEmulator(_config(parameters, config, spec), plant.joint_names, stiffness, damping, node)

    return Deployment(make_bus=make_bus, make_emulator=make_emulator, stop="hold")


def _config(parameters: dict[str, Any], usual: str, spec: RobotSpec) -> ArmConfig:
    check_parameters(parameters, PARAMETERS, "an arm")
    settings = load_arm_config(parameters.get("config", usual))
    if settings.robot != spec.name:
        raise ConfigError("the arm configuration is another robot's", got=settings.robot, expected=spec.name)
    return settings
