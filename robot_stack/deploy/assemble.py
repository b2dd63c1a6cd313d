"""Puts a robot's loop together from its deployment and the robot node's parameters."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from robot_stack.core.clock import Clock
from robot_stack.core.errors import ConfigError
from robot_stack.core.joint_bus import JointBus
from robot_stack.core.joint_control import Controller
from robot_stack.deploy.deployment import BusContext, Deployment, deployment, robot_parameters
from robot_stack.deploy.dry_bus import DryBus
from robot_stack.deploy.plant_bus import PlantBus
from robot_stack.deploy.robot_config import RobotNodeConfig
from robot_stack.hardware.chunk_buffer import ChunkConfig
from robot_stack.hardware.loop_config import JointLimits, LoopConfig
from robot_stack.hardware.robot_parts import RobotParts
from robot_stack.sim.joint_plant import MujocoPlant
from robot_stack.sim.measured_senses import MeasuredSenses
from robot_stack.sim.robot_catalog import controller_maker, robot_name, robot_spec, robot_task, tasks_of
from robot_stack.sim.robot_embodiment import describe_robot
from robot_stack.sim.robots.model import RobotModel, compile_robot


def assemble(config: RobotNodeConfig, clock: Clock, node: Any = None) -> RobotParts:
    """Everything that the loop of one robot is made of.

    Args:
        config: which robot, how.
        clock: the robot's.
        node: of rclpy, for robots that are spoken to over ROS.

    Raises:
        UnknownNameError: if robot, task, mode or a camera does not exist.
        ConfigError: if they do not go together.
    """
    name = robot_name(config.robot)
    task_name = config.task or tasks_of(name)[0]
    if not task_name.startswith(f"{name}/"):
        raise ConfigError("the task is of another robot", got=task_name, expected=", ".join(tasks_of(name)))
    spec, task = robot_spec(name), robot_task(task_name)
    model = compile_robot(spec, lambda made: task.furnish(made, spec))
    controller = (controller_maker(config.mode, name) or task.controller)(model)
    way = _way(name, config)
    context = BusContext(model, node, clock, robot_parameters(config.robot_parameters), config.is_simulated)
    bus = _direct(config, task_name, controller, clock) if config.bus == "direct" else way.make_bus(context)
    tracked = bus.tracked if isinstance(bus, PlantBus) else None
    if config.dry_run:
        bus = DryBus(bus)
    if tuple(bus.joint_names) != spec.driven_names:
        raise ConfigError("the bus has other joints than the robot", got=bus.joint_names, expected=spec.driven_names)
    senses = MeasuredSenses(model, task.state_fields(), _estimator(way, config, model))
    embodiment = describe_robot(
        model,
        state=senses.fields,
        action=controller.fields,
        control_hz=spec.control_hz,
        cameras=config.cameras,
        image_height=config.image_height,
        image_width=config.image_width,
    )
    return RobotParts(
        bus,
        controller,
        senses,
        embodiment,
        way.adjust_limits(spec_limits(model), context).slowed(config.speed),
        way.adjust_loop(_loop(config, model, way), context),
        chunk_config(config),
        way.rest_action(controller),
        tracked,
    )


def spec_limits(model: RobotModel) -> JointLimits:
    """Limits and gains of a robot's joints as its model and spec give them."""
    driven = model.spec.driven
    stiffness, damping = tuple(joint.stiffness for joint in driven), tuple(joint.damping for joint in driven)
    return JointLimits(
        low=tuple(model.low.tolist()),
        high=tuple(model.high.tolist()),
        velocity=tuple(joint.velocity for joint in driven),
        acceleration=tuple(joint.acceleration or math.inf for joint in driven),
        effort=tuple(joint.effort for joint in driven),
        stiffness=stiffness,
        damping=damping,
        limp_damping=damping,
        max_stiffness=tuple(4.0 * kp for kp in stiffness),
        max_damping=tuple(12.0 * kd for kd in damping),  # velocity loops are ten times as stiff
    )


def chunk_config(config: RobotNodeConfig) -> ChunkConfig:
    """How long actions count."""
    return ChunkConfig(max_age_s=config.max_chunk_age_s, time_to_live_s=config.action_time_to_live_s)


def _way(name: str, config: RobotNodeConfig) -> Deployment:
    """The robot's deployment; a direct simulation goes without one where there is none."""
    try:
        return deployment(name)
    except ConfigError:
        if config.bus != "direct":
            raise
        return Deployment(make_bus=_no_bus)


def _no_bus(context: BusContext) -> JointBus:
    raise ConfigError("this robot has no electronics that are known", got=context.model.spec.name)


def _direct(config: RobotNodeConfig, task: str, controller: Controller, clock: Clock) -> PlantBus:
    spec = robot_spec(config.robot)
    servo_hz = config.direct_servo_hz or controller.servo_hz or spec.control_hz
    return PlantBus(MujocoPlant(spec, robot_task(task), servo_hz), clock, config.seed)


def _estimator(way: Deployment, config: RobotNodeConfig, model: RobotModel) -> Any:
    if config.base == "tracked" or model.spec.base == "fixed":
        return None
    if way.make_estimator is None:
        raise ConfigError("nothing estimates the base of this robot", got=model.spec.name, remedy="base:=tracked")
    return way.make_estimator(model)


def _loop(config: RobotNodeConfig, model: RobotModel, way: Deployment) -> LoopConfig:
    home = tuple(joint.home for joint in model.spec.driven)
    settings = LoopConfig(control_hz=model.spec.control_hz, stop=way.stop)
    return replace(
        settings,
        start_pose=tuple(np.clip(home, model.low, model.high).tolist()) if config.start == "pose" else (),
        ready_speed=config.ready_speed,
        state_timeout_s=config.state_timeout_s,
        tracked_timeout_s=config.tracked_timeout_s,
        deadman_timeout_s=config.deadman_timeout_s,
        disarm_after_s=config.disarm_after_s,
        max_late_s=config.max_late_s,
        **({"following_error": math.inf, "arm_tolerance": math.inf} if config.dry_run else {}),
    )
