"""ros2_control's side of an arm, for a simulated robot: the same topics and actions, from a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from robot_stack.core.errors import ConfigError, RobotStackError, require_name
from robot_stack.core.joint_bus import BusState
from robot_stack.core.joint_control import JointCommand
from robot_stack.hardware.arms.config import ArmConfig
from robot_stack.hardware.arms.emulated_controllers import EmulatedController, emulate, emulate_gripper
from robot_stack.hardware.arms.joint_map import ArmJointMap


@dataclass
class ArmFaults:
    """What goes wrong; may be changed while the emulator runs."""

    frozen_states: bool = False
    """Joint states repeat the last ones, stamps too."""

    silent_states: bool = False
    """No joint states."""

    missing_joint: str = ""
    """A joint that is left out of the joint states, by its ROS name."""

    nan_joint: str = ""
    """A joint whose position is NaN, by its ROS name."""

    jump_rad: float = 0.0
    """Added to the first joint's position [rad]: an encoder that jumped."""

    reorder: bool = False
    """Joint states come in another order in each message."""

    inactive: bool = False
    """Controllers take commands and do nothing."""

    reject_goals: bool = False
    """Actions refuse every goal."""

    abort_goals: bool = False
    """Actions give up every goal."""


def parse_faults(texts: Sequence[str]) -> ArmFaults:
    """Faults from ``name`` or ``name=value``, as the emulator's parameter ``faults`` lists them.

    Args:
        texts: for example ``("frozen_states", "missing_joint=panda_joint4", "jump_rad=0.5")``; empty ones are skipped.

    Raises:
        UnknownNameError: naming the nearest faults.
        ConfigError: if a value is missing, or is none.
    """
    found = ArmFaults()
    for text in filter(None, texts):
        name, _, value = text.partition("=")
        require_name("fault of an arm", name, [field.name for field in fields(ArmFaults)])
        usual = getattr(found, name)
        try:
            given: bool | float | str = True if isinstance(usual, bool) else type(usual)(value)
        except ValueError:
            raise ConfigError("a fault needs a number", where=name, got=value or "nothing") from None
        if given == "":
            raise ConfigError("a fault needs a joint", where=name, expected="name=ROS name of the joint")
        setattr(found, name, given)
    return found


class ArmEmulator:
    """The controllers of one arm over a simulated robot's joints.

    Args:
        config: controllers and grippers.
        joint_names: every driven joint, in our order.
        stiffness: kp of the robot's own position loops, shape ``(joints,)``.
        damping: kd, likewise.
        node: an ``rclpy`` node; somebody else spins it, in this thread or another.
    """

    def __init__(
        self,
        config: ArmConfig,
        joint_names: Sequence[str],
        stiffness: np.ndarray,
        damping: np.ndarray,
        node: Any,
    ) -> None:
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import JointState

        self.config, self.faults = config, ArmFaults()
        self.map = ArmJointMap(config, joint_names)
        self._stiffness, self._damping, self._node = stiffness, damping, node
        self._message = JointState
        self._publisher = node.create_publisher(JointState, config.joint_states, QoSProfile(depth=1))
        self._controllers: list[EmulatedController] = [
            emulate(node, controller, self.faults) for controller in config.controllers
        ]
        self._grippers: list[EmulatedController] = [
            emulate_gripper(node, gripper, self.faults) for gripper in config.grippers
        ]
        self._shuffle = np.random.Generator(np.random.PCG64(0))
        self._last: Any = None
        node.declare_parameter("faults", [""])
        node.add_on_set_parameters_callback(self._on_parameters)

    def reset(self, state: BusState) -> None:
        """The robot was put somewhere: every controller holds it there."""
        for controller, places in zip(self._controllers, self.map.of_controller, strict=True):
            controller.hold(state.joint_position[places], state.time_s)
        for i, gripper in enumerate(self._grippers):
            gripper.hold(np.array([self.map.gripper_number(i, state.joint_position)]), state.time_s)

    def command(self, state: BusState) -> JointCommand:
        """What the controllers tell the robot's joints now."""
        position = state.joint_position.copy()
        for controller, places in zip(self._controllers, self.map.of_controller, strict=True):
            position[places] = controller.update(state.joint_position[places], state.time_s)
        for i, gripper in enumerate(self._grippers):
            now = np.array([self.map.gripper_number(i, state.joint_position)])
            places = [self.map.joint_names.index(joint) for joint in self.config.grippers[i].joints]
            position[places] = self.map.gripper_joints(i, float(gripper.update(now, state.time_s)[0]))
        zeros = np.zeros_like(position)
        return JointCommand(position, zeros, zeros, self._stiffness, self._damping)

    def publish(self, state: BusState) -> None:
        """Publish the joint states, as joint_state_broadcaster does: sorted by name, with what goes wrong."""
        faults = self.faults
        if faults.silent_states:
            return
        if faults.frozen_states and self._last is not None:
            self._publisher.publish(self._last)
            return
        names, position, velocity, effort = self._ros_side(state)
        if faults.jump_rad:
            position[0] += faults.jump_rad
        if faults.nan_joint in names:
            position[names.index(faults.nan_joint)] = np.nan
        order = np.argsort(names)
        if faults.reorder:
            order = self._shuffle.permutation(len(names))
        order = [i for i in order if names[i] != faults.missing_joint]
        message = self._message()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.name = [names[i] for i in order]
        message.position, message.velocity, message.effort = (
            [float(row[i]) for i in order] for row in (position, velocity, effort)
        )
        self._last = message
        self._publisher.publish(message)

    def close(self) -> None:
        """Its node is somebody else's: nothing to free."""

    def _on_parameters(self, parameters: list[Any]) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        for parameter in parameters:
            if parameter.name == "faults":
                try:
                    wanted = parse_faults(list(parameter.value))
                except RobotStackError as error:
                    return SetParametersResult(successful=False, reason=str(error))
                for field in fields(ArmFaults):
                    setattr(self.faults, field.name, getattr(wanted, field.name))
        return SetParametersResult(successful=True)

    def _ros_side(self, state: BusState) -> tuple[list[str], list[float], list[float], list[float]]:
        rows: tuple[list[float], list[float], list[float]] = ([], [], [])
        for places in self.map.of_controller:
            for row, ours in zip(rows, (state.joint_position, state.joint_velocity, state.joint_effort), strict=True):
                row.extend(ours[places].tolist())
        for i, config in enumerate(self.config.grippers):
            here = self.map.gripper_number(i, state.joint_position)
            soon = self.map.gripper_number(i, state.joint_position + 1e-3 * state.joint_velocity)
            effort = float(state.joint_effort[self.map.joint_names.index(config.joints[0])])
            for row, value in zip(rows, (here, (soon - here) / 1e-3, effort), strict=True):
                row.append(value)
        return list(self.map.ros_names), *rows
