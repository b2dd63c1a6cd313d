"""LocoMan: a Go1's legs over UDP, two manipulators on a serial line.

Its own parameters (``robot_parameters``, see :data:`PARAMETERS`) may be left out in simulation: robot process and
emulator then meet at a port and a link that follow from ``ROS_DOMAIN_ID``.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_stack.core.clock import MonotonicClock, ScaledClock
from robot_stack.core.joint_bus import JointBus
from robot_stack.core.joint_control import Controller
from robot_stack.core.joint_plant import JointPlant
from robot_stack.deploy.deployment import BusContext, Deployment, RestAction, check_parameters
from robot_stack.deploy.emulator import Emulator
from robot_stack.hardware.locoman.bus import LocoManBus
from robot_stack.hardware.locoman.config import LocoManConfig, read_config
from robot_stack.hardware.locoman.emulator import EmulatedLocoMan
from robot_stack.hardware.locoman.joint_map import MOTOR_JOINTS
from robot_stack.hardware.loop_config import ButtonPress, JointLimits, LoopConfig
from robot_stack.hardware.ros.interfaces import ipv4_address
from robot_stack.hardware.state_machine import Event
from robot_stack.sim.control.locoman.controller import LocoManController, VelocityController
from robot_stack.sim.control.locoman.estimate import LegOdometry
from robot_stack.sim.measured_senses import BaseEstimator
from robot_stack.sim.robots.model import RobotModel, compile_robot

PARAMETERS = ("config", "network_interface", "go1_address", "go1_port", "local_port", "servo_port", "power_level")
"""``config``: a JSON file of :class:`robot_stack.hardware.locoman.config.LocoManConfig`. The others override it: the
network interface that leads to the Go1, address and port of its motor computer, our own port, the servos' serial port,
the legs' power level (1 to 10)."""

SIMULATED_PORT = 47000
"""First UDP port of simulated Go1s; the ROS domain is added."""

SIMULATED_PATIENCE = 10.0
"""Emulated servos share their machine with much else: their answers may take so many times longer."""

SINKING_DAMPING = 4.0
"""kd of legs that are to give in slowly [N·m·s/rad]."""

STAND_UP_S = 3.0
"""Least time from lying to standing [s]; LocoMan's own."""

MAX_TILT_RAD = 1.0
"""Tilted more than this it has fallen [rad]; the figure of Unitree's own programs."""

BUTTONS = (ButtonPress(("L2", "B"), Event.ESTOP), ButtonPress(("L1", "L2"), Event.SOFT_STOP))
"""On the Go1's remote control."""

DEADMAN_BUTTONS = ("R1", "R2")
"""Held down together, a deadman switch."""


def make_bus(context: BusContext) -> JointBus:
    """The connection to legs and servos.

    Raises:
        ConfigError: if a parameter is out of range, or the configuration cannot be read.
        UnknownNameError: if there is no such parameter.
    """
    config = settings(context.parameters, simulated=context.simulated)
    in_real_time = isinstance(context.clock, (MonotonicClock, ScaledClock))
    patience = SIMULATED_PATIENCE if context.simulated else 1.0
    return LocoManBus(config, context.clock, patience=patience, threaded=in_real_time)


def make_emulator(plant: JointPlant, node: Any, parameters: dict[str, Any]) -> Emulator:
    """LocoMan's electronics in front of a simulated body; see :func:`make_bus` for errors."""
    return EmulatedLocoMan(settings(parameters, simulated=True))


def make_estimator(model: RobotModel) -> BaseEstimator:
    """The legs' odometry."""
    return LegOdometry(compile_robot(model.spec.own))


def rest_action(controller: Controller) -> RestAction | None:
    """Whole-body controllers keep their balance: they go on with what they were told, without walking."""
    if isinstance(controller, LocoManController):
        return _without_walking
    return _stand_still if isinstance(controller, VelocityController) else None


def adjust_limits(limits: JointLimits, context: BusContext) -> JointLimits:
    """Legs sink slowly."""
    limp = np.array(limits.limp_damping)
    limp[MOTOR_JOINTS] = SINKING_DAMPING
    return replace(limits, limp_damping=tuple(limp.tolist()))


def adjust_loop(config: LoopConfig, context: BusContext) -> LoopConfig:
    """Stands up slowly, stops when it has fallen, and heeds its remote control."""
    return replace(
        config,
        ready_min_s=STAND_UP_S,
        max_tilt_rad=MAX_TILT_RAD,
        presses=BUTTONS,
        deadman_buttons=DEADMAN_BUTTONS,
    )


def settings(parameters: dict[str, Any], *, simulated: bool) -> LocoManConfig:
    """The configuration from the robot's parameters.

    Args:
        parameters: of :data:`PARAMETERS`.
        simulated: an emulator is on the other side.

    Raises:
        ConfigError: if a value is out of range, or the file cannot be read.
        UnknownNameError: if there is no such parameter or network interface.
    """
    check_parameters(parameters, PARAMETERS, "LocoMan")
    config = read_config(parameters.get("config", ""))
    legs, servos = config.legs, config.servos
    address = legs.address
    if simulated:
        port = SIMULATED_PORT + int(os.environ.get("ROS_DOMAIN_ID") or 0)
        address = replace(address, robot="127.0.0.1", robot_port=port, local="127.0.0.1", local_port=0)
        legs = replace(legs, library="ours")
        servos = replace(servos, port=str(Path(tempfile.gettempdir()) / f"robot_stack_servos_{os.getuid()}_{port}"))
    elif parameters.get("network_interface"):
        address = replace(address, local=ipv4_address(str(parameters["network_interface"])))
    address = replace(
        address,
        robot=str(parameters.get("go1_address", address.robot)),
        robot_port=int(parameters.get("go1_port", address.robot_port)),
        local_port=int(parameters.get("local_port", address.local_port)),
    )
    legs = replace(legs, address=address, power_level=int(parameters.get("power_level", legs.power_level)))
    servos = replace(servos, port=str(parameters.get("servo_port", servos.port)))
    return replace(config, legs=legs, servos=servos)


def _without_walking(action: np.ndarray) -> np.ndarray:
    out = action.copy()
    out[-3:] = 0.0
    return out


def _stand_still(action: np.ndarray) -> np.ndarray:
    out = action.copy()
    out[:3] = 0.0
    return out


DEPLOYMENT = Deployment(
    make_bus=make_bus,
    make_emulator=make_emulator,
    stop="hold_upright",
    make_estimator=make_estimator,
    rest_action=rest_action,
    adjust_limits=adjust_limits,
    adjust_loop=adjust_loop,
)
"""Whole-body, base velocity or joint modes; the base tracked, or estimated by the legs' odometry."""
