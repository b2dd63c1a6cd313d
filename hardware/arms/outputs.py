"""How one controller is told where to go: a topic or an action, each behind the same two calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from robot_stack.core.joint_bus import BusError
from robot_stack.hardware.arms.config import ArmConfig, ControllerConfig, GripperConfig
from robot_stack.hardware.arms.goals import GoalSender
from robot_stack.hardware.ros.action_client import action_client

REJECTED_IN_A_ROW = 5
"""So many refused goals one after the other are a fault."""


class Output(Protocol):
    """One controller."""

    def send(self, numbers: np.ndarray) -> None:
        """Where its joints are to go, in its own units and order."""
        ...

    def halt(self) -> None:
        """Call off whatever reaches further than the last numbers sent."""
        ...

    def listeners(self) -> int:
        """How many listen: 0 means that the controller is not active."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Why it cannot be trusted any more, in words."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def duration(seconds: float) -> Any:
    """A ``builtin_interfaces/Duration``, whole nanoseconds."""
    from builtin_interfaces.msg import Duration

    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def command_qos() -> Any:
    """Reliable, the newest only: as ros2_control's controllers subscribe, without a queue that could be replayed."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    return QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


class _Topic:
    """What the two topics share."""

    def __init__(self, node: Any, message: type, topic: str) -> None:
        self._node = node
        self._publisher = node.create_publisher(message, topic, command_qos())

    def halt(self) -> None:
        """Nothing reaches further than the last numbers."""

    def listeners(self) -> int:
        """How many subscribe."""
        return self._publisher.get_subscription_count()

    def faults(self) -> tuple[str, ...]:
        """A topic gives no answer."""
        return ()

    def close(self) -> None:
        """Stop publishing."""
        self._node.destroy_publisher(self._publisher)


class ForwardPosition(_Topic):
    """``forward_command_controller``: it holds the last numbers for ever, so that a dead sender leaves it at rest."""

    def __init__(self, node: Any, name: str) -> None:
        from std_msgs.msg import Float64MultiArray

        super().__init__(node, Float64MultiArray, f"{name}/commands")
        self._message = Float64MultiArray

    def send(self, numbers: np.ndarray) -> None:
        """Publish the numbers."""
        self._publisher.publish(self._message(data=numbers.tolist()))


class TrajectoryTopic(_Topic):
    """``joint_trajectory_controller``: one point a short while ahead, begun at once (stamp zero)."""

    def __init__(self, node: Any, name: str, joints: tuple[str, ...], horizon_s: float) -> None:
        from trajectory_msgs.msg import JointTrajectory

        super().__init__(node, JointTrajectory, f"{name}/joint_trajectory")
        self._joints, self._ahead = list(joints), duration(horizon_s)

    def send(self, numbers: np.ndarray) -> None:
        """Publish the one point."""
        self._publisher.publish(one_point(self._joints, numbers, self._ahead))


class TrajectoryAction:
    """The action of the same controller, which says no where the topic is silent."""

    def __init__(
        self, node: Any, name: str, joints: tuple[str, ...], horizon_s: float, now: Callable[[], float], action: Any
    ) -> None:

        self._name, self._joints, self._ahead = name, list(joints), duration(horizon_s)
        self._goal = action.Goal
        self._sender = GoalSender(action_client(node, action, f"{name}/follow_joint_trajectory"), now, horizon_s / 2)

    def send(self, numbers: np.ndarray) -> None:
        """Send a goal of one point, if the last one is long enough ago."""
        if self._sender.ready:
            self._sender.send(self._goal(trajectory=one_point(self._joints, numbers, self._ahead)))

    def halt(self) -> None:
        """Cancel the goal that runs."""
        self._sender.cancel()

    def listeners(self) -> int:
        """1 while the server is there."""
        return int(self._sender._client.server_is_ready())

    def faults(self) -> tuple[str, ...]:
        """Goals refused again and again."""
        return refusals(self._name, self._sender)

    def close(self) -> None:
        """Stop."""
        self._sender.cancel()
        self._sender.close()


class GripperAction:
    """The GripperCommand action; a goal only when the command has moved."""

    def __init__(self, node: Any, config: GripperConfig, now: Callable[[], float], action: Any) -> None:

        self._config, self._goal = config, action.Goal
        client = action_client(node, action, f"{config.name}/{config.action}")
        self._sender = GoalSender(client, now, config.min_interval_s)
        self._asked: float | None = None

    def send(self, numbers: np.ndarray) -> None:
        """Send a goal where the command has moved by more than the deadband since the last one."""
        number = float(numbers[0])
        if self._asked is not None and abs(number - self._asked) <= self._config.deadband:
            return
        if self._sender.ready:
            goal = self._goal()
            goal.command.position, goal.command.max_effort = number, self._config.max_effort
            self._sender.send(goal)
            self._asked = number

    def halt(self) -> None:
        """A gripper keeps what it holds: nothing is called off."""

    def listeners(self) -> int:
        """1 while the server is there."""
        return int(self._sender._client.server_is_ready())

    def faults(self) -> tuple[str, ...]:
        """Goals refused again and again."""
        return refusals(self._config.name, self._sender)

    def close(self) -> None:
        """Stop."""
        self._sender.close()


def refusals(name: str, sender: GoalSender) -> tuple[str, ...]:
    """The fault of a controller that refuses its goals."""
    if sender.rejected_in_a_row < REJECTED_IN_A_ROW:
        return ()
    return (f"{name} refused {sender.rejected_in_a_row} goals in a row",)


def one_point(joints: list[str], numbers: np.ndarray, ahead: Any) -> Any:
    """A trajectory of one point, begun at once."""
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    point = JointTrajectoryPoint(positions=numbers.tolist(), time_from_start=ahead)
    return JointTrajectory(joint_names=joints, points=[point])


def make_output(node: Any, config: ArmConfig, controller: ControllerConfig, now: Callable[[], float]) -> Output:
    """What speaks to a controller of arm joints."""
    if controller.kind == "forward_position":
        return ForwardPosition(node, controller.name)
    if controller.kind == "joint_trajectory":
        return TrajectoryTopic(node, controller.name, controller.names, config.horizon_s)
    action = control_actions().FollowJointTrajectory
    return TrajectoryAction(node, controller.name, controller.names, config.horizon_s, now, action)


def make_gripper(node: Any, config: ArmConfig, gripper: GripperConfig, now: Callable[[], float]) -> Output:
    """What speaks to a gripper."""
    if gripper.kind == "forward_position":
        return ForwardPosition(node, gripper.name)
    if gripper.kind == "joint_trajectory":
        return TrajectoryTopic(node, gripper.name, (gripper.ros_joint,), config.horizon_s)
    return GripperAction(node, gripper, now, control_actions().GripperCommand)


def control_actions() -> Any:
    """The module ``control_msgs.action``, the distribution's own or generated.

    Raises:
        BusError: if there is neither.
    """
    from robot_stack.hardware.ros.generate.messages import messages

    try:
        return messages("control_msgs").action
    except AttributeError as error:
        raise BusError("control_msgs has no actions", got=error) from error
