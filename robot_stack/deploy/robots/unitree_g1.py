"""Unitree's G1 over its own DDS topics: all joints, or arms and waist beside the robot's own motion control.

Its own parameters (``robot_parameters``) are :data:`PARAMETERS`; docs/unitree_g1.md says what they do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from robot_stack.core.config_json import from_plain
from robot_stack.core.errors import ConfigError, require_name
from robot_stack.core.joint_bus import JointBus
from robot_stack.core.joint_control import Controller
from robot_stack.core.joint_plant import JointPlant
from robot_stack.deploy.deployment import BusContext, Deployment, RestAction, check_parameters
from robot_stack.deploy.emulator import Emulator
from robot_stack.hardware.loop_config import ButtonPress, JointLimits, LoopConfig
from robot_stack.hardware.state_machine import Event
from robot_stack.hardware.unitree_g1.arm_sdk import ArmSdkBus
from robot_stack.hardware.unitree_g1.bus import G1Bus
from robot_stack.hardware.unitree_g1.config import G1Config
from robot_stack.hardware.unitree_g1.emulated_robot import EmulatorConfig
from robot_stack.hardware.unitree_g1.emulator import emulate
from robot_stack.hardware.unitree_g1.joints import JOINT_NAMES
from robot_stack.hardware.unitree_g1.ros_link import RosLink
from robot_stack.hardware.unitree_g1.stance import STANCE_DAMPING, STANCE_STIFFNESS
from robot_stack.sim.control.g1_balance import G1Balance
from robot_stack.sim.control.standing_odometry import StandingOdometry
from robot_stack.sim.measured_senses import BaseEstimator
from robot_stack.sim.robot_tasks.g1_hall import READY_RAD
from robot_stack.sim.robots.model import RobotModel

PARAMETERS = (
    "network_interface",
    "domain",
    "machines",
    "release_motion",
    "sole_writer",
    "wait_s",
    "damping",
    "damping_s",
    "protection",
    "arms_only",
    "ramp_s",
    "start_pose",
    "emulator",
)
"""``start_pose``: ``ready`` (arms raised, as the tasks with a scene begin) or ``home`` (arms down). ``arms_only``: use
``arm_sdk`` for arms and waist alone, the weight rising in ``ramp_s``. ``emulator``: fields of
:class:`~robot_stack.hardware.unitree_g1.emulated_robot.EmulatorConfig`. ``network_interface`` is the processes'
environment's. The others are fields of :class:`~robot_stack.hardware.unitree_g1.config.G1Config`."""

SIMULATED_WAIT_S = 60.0
"""How long an emulated robot may take to be heard: its process has to import and compile first [s]."""

STAND_UP_S = 2.0
"""Least time to the start pose [s], as Unitree's own programs take."""

BUTTONS = (
    ButtonPress(("L2", "B"), Event.ESTOP),
    ButtonPress(("select",), Event.DAMP),
    ButtonPress(("start",), Event.READY),
    ButtonPress(("X",), Event.HOLD),
    ButtonPress(("A",), Event.ARM),
)
"""On the robot's remote control. L2 and R2 together are the robot's own debug mode, so neither has a meaning alone."""

DEADMAN_BUTTONS = ("R1",)
"""Held down, a deadman switch."""


def make_bus(context: BusContext) -> JointBus:
    """The connection to the robot, or to an emulator in the environment's ROS domain.

    Raises:
        ConfigError: if a parameter is out of range.
        UnknownNameError: if there is no such parameter.
    """
    parameters = context.parameters
    config = settings(parameters, simulated=context.simulated)
    # A real G1 is in domain 0; an emulator is wherever its own process is.
    domain = config.domain if "domain" in parameters or not context.simulated else None
    if not arms_only(parameters):
        return G1Bus(RosLink(domain), context.clock, config)
    return ArmSdkBus(RosLink(domain, "arm_sdk"), context.clock, config, float(parameters.get("ramp_s", 2.0)))


def make_emulator(plant: JointPlant, node: Any, parameters: dict[str, Any]) -> Emulator:
    """The G1's electronics in front of a simulated body; see :func:`make_bus` for errors."""
    settings(parameters, simulated=True)
    config = from_plain(EmulatorConfig, parameters.get("emulator", {}))
    hang = getattr(plant, "hoist", None)
    return emulate(plant.read(), config, plant.period_s, hang, node, parameters.get("domain"))


def make_estimator(model: RobotModel) -> BaseEstimator:
    """Odometry of the soles: for controllers that stand on both feet."""
    return StandingOdometry(model)


def rest_action(controller: Controller) -> RestAction | None:
    """Balance goes on, the hands where they were sent last."""
    return _as_before if isinstance(controller, G1Balance) else None


def adjust_limits(limits: JointLimits, context: BusContext) -> JointLimits:
    """It holds with gains that it can stand with, and sinks slowly."""
    stiffest = np.maximum(limits.max_stiffness, STANCE_STIFFNESS)
    sinking = settings(context.parameters, simulated=context.simulated).damping
    return replace(
        limits,
        stiffness=tuple(STANCE_STIFFNESS.tolist()),
        damping=tuple(STANCE_DAMPING.tolist()),
        limp_damping=(sinking,) * len(STANCE_DAMPING),
        max_stiffness=tuple(stiffest.tolist()),
    )


def adjust_loop(config: LoopConfig, context: BusContext) -> LoopConfig:
    """Stands up slowly, stops when it has fallen, and heeds its remote control."""
    protection = settings(context.parameters, simulated=context.simulated).protection
    return replace(
        config,
        # Beside the robot's own motion control there is nothing to fall: arms stay where they are.
        stop="hold" if arms_only(context.parameters) else config.stop,
        start_pose=_raised(config.start_pose) if start_pose(context.parameters) == "ready" else config.start_pose,
        ready_min_s=STAND_UP_S,
        max_tilt_rad=protection.tilt_rad,
        presses=BUTTONS,
        deadman_buttons=DEADMAN_BUTTONS,
    )


def settings(parameters: dict[str, Any], *, simulated: bool) -> G1Config:
    """The robot's configuration from its parameters.

    Args:
        parameters: of :data:`PARAMETERS`.
        simulated: an emulator is on the other side.

    Raises:
        ConfigError: if a value is out of range.
        UnknownNameError: if there is no such parameter.
    """
    check_parameters(parameters, PARAMETERS, "the G1")
    other = ("network_interface", "arms_only", "ramp_s", "start_pose", "emulator")
    values = {name: value for name, value in parameters.items() if name not in other}
    if simulated:
        values.setdefault("wait_s", SIMULATED_WAIT_S)
    return from_plain(G1Config, values)


def arms_only(parameters: dict[str, Any]) -> bool:
    """Whether only arms and waist are driven.

    Raises:
        ConfigError: if it is neither true nor false.
    """
    value = parameters.get("arms_only", False)
    if not isinstance(value, bool):
        raise ConfigError("arms_only is true or false", got=value)
    return value


def start_pose(parameters: dict[str, Any]) -> str:
    """Where ``ready`` leads.

    Raises:
        UnknownNameError: if there is no such pose.
    """
    return require_name("start pose of the G1", str(parameters.get("start_pose", "ready")), ("ready", "home"))


def _raised(pose: tuple[float, ...]) -> tuple[float, ...]:
    """A pose with the arms as the tasks begin; an empty one stays empty."""
    if not pose:
        return pose
    made = list(pose)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for part, angle in READY_RAD.items():
            mirrored = sign if part.endswith(("roll", "yaw")) else 1.0
            made[JOINT_NAMES.index(f"{side}_{part}_joint")] = mirrored * angle
    return tuple(made)


def _as_before(action: np.ndarray) -> np.ndarray:
    return action


DEPLOYMENT = Deployment(
    make_bus=make_bus,
    make_emulator=make_emulator,
    stop="hold_upright",
    make_estimator=make_estimator,
    rest_action=rest_action,
    adjust_limits=adjust_limits,
    adjust_loop=adjust_loop,
)
"""How the robot process drives a G1."""
