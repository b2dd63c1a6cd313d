"""The contract between the robot process and one kind of robot.

``robot_stack/deploy/robots/<name>.py`` holds a :class:`Deployment` called ``DEPLOYMENT``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.errors import ConfigError, require_name
from robot_stack.core.joint_bus import JointBus
from robot_stack.core.joint_control import Controller
from robot_stack.deploy.emulator import EmulatorMaker
from robot_stack.hardware.loop_config import JointLimits, LoopConfig, StopBehaviour
from robot_stack.sim.measured_senses import BaseEstimator
from robot_stack.sim.robot_catalog import robot_name
from robot_stack.sim.robots.model import RobotModel

MODULES = {
    "panda": "robot_stack.deploy.robots.panda",
    "aloha": "robot_stack.deploy.robots.aloha",
    "locoman": "robot_stack.deploy.robots.locoman",
    "g1": "robot_stack.deploy.robots.unitree_g1",
}
"""Where each robot's deployment stands, by its name in the catalogue."""

RestAction = Callable[[np.ndarray], np.ndarray]
"""The action that rests, from the last one that was followed."""


@dataclass(frozen=True, eq=False)
class BusContext:
    """What a bus may need to speak to its robot."""

    model: RobotModel
    """The compiled robot in its task's scene; joints in the order of ``model.spec.driven``."""

    node: Any
    """The robot process' own rclpy node, for robots that are spoken to over ROS; spun by the process in a thread."""

    clock: Clock
    """Whose time states are stamped with."""

    parameters: dict[str, Any]
    """The robot's own, from the ROS parameter ``robot_parameters``."""

    simulated: bool
    """An emulator is on the other side."""


def _as_is(value: Any, context: BusContext) -> Any:
    return value


def _never(controller: Controller) -> RestAction | None:
    return None


@dataclass(frozen=True, eq=False)
class Deployment:
    """How one kind of robot is driven for real, besides what its ``RobotSpec`` says."""

    make_bus: Callable[[BusContext], JointBus]
    """Makes the connection to its electronics; opens nothing yet. Joints in the order of ``RobotSpec.driven``."""

    make_emulator: EmulatorMaker | None = None
    """Speaks for those electronics in front of a simulated body."""

    stop: StopBehaviour = "hold"
    """What a stop does."""

    make_estimator: Callable[[RobotModel], BaseEstimator] | None = None
    """Of a floating base, for the parameter ``base:=estimated``; ``None``: the base has to be tracked."""

    rest_action: Callable[[Controller], RestAction | None] = _never
    """For the controller of an action mode: what makes the action that rests, where the controller has to go on in
    ``HOLD`` because it keeps a balance; ``None``: the joints hold by themselves."""

    adjust_limits: Callable[[JointLimits, BusContext], JointLimits] = _as_is
    """Changes the limits and gains that come from the spec: gains to stand with, damping to sink with."""

    adjust_loop: Callable[[LoopConfig, BusContext], LoopConfig] = _as_is
    """Changes the loop's settings: buttons of the remote control, tilt limits, time-outs."""


def deployment(name: str) -> Deployment:
    """The deployment of a robot.

    Args:
        name: in the catalogue, or an alias.

    Raises:
        UnknownNameError: naming the nearest robots.
        ConfigError: if the robot cannot be deployed yet.
    """
    known = robot_name(name)
    require_name("robot that can be deployed", known, MODULES)
    try:
        module = importlib.import_module(MODULES[known])
    except ModuleNotFoundError as error:
        if error.name not in (MODULES[known], MODULES[known].rpartition(".")[0]):
            raise
        raise ConfigError(f"robot {known!r} cannot be deployed", remedy="use bus:=direct, its simulation") from None
    return module.DEPLOYMENT


def check_parameters(parameters: Iterable[str], known: Sequence[str], robot: str) -> None:
    """Refuse a robot's own parameters that it does not have.

    Args:
        parameters: their names.
        known: names of all there are.
        robot: whose, for the message.

    Raises:
        UnknownNameError: naming the nearest.
    """
    for name in parameters:
        require_name(f"parameter of {robot}", name, known)


def robot_parameters(text: str) -> dict[str, Any]:
    """The robot's own parameters from the JSON object of the ROS parameter ``robot_parameters``.

    Raises:
        ConfigError: if it is no JSON object.
    """
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise ConfigError("robot_parameters is no JSON", got=text[:200], remedy=str(error)) from None
    if not isinstance(value, dict):
        raise ConfigError("robot_parameters is no JSON object", got=text[:200])
    return value
