"""Position controllers of ros2_control as an arm meets them: forward commands, trajectories, grippers.

All of them hold where they were told last, for ever: the real ones have no time-out either.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from robot_stack.hardware.arms.config import ControllerConfig, GripperConfig
from robot_stack.hardware.arms.outputs import control_actions

STALLED_S = 0.5
"""A gripper that has not moved for so long has closed on something [s]."""

REACHED_RAD = 0.02
"""An arm's goal is reached within this [rad]."""

REACHED_SHARE = 0.02
"""A gripper's goal is reached within this share of its way."""


class Faulty(Protocol):
    """What goes wrong at controllers."""

    inactive: bool
    reject_goals: bool
    abort_goals: bool


class EmulatedController:
    """Interpolates linearly in time from where it is to where it was told, and holds.

    Args:
        joints: its joints, as ROS calls them.
        faults: what goes wrong.
        reached: how near to a goal is near enough, in the joints' unit.
    """

    def __init__(self, joints: tuple[str, ...], faults: Faulty, reached: float = REACHED_RAD) -> None:
        self.joints, self.faults, self.reached = joints, faults, reached
        self._from = np.zeros(len(joints))
        self._path: list[tuple[float, np.ndarray]] = []
        self._from_s = 0.0
        self._now_s = 0.0
        self._goal: tuple[Any, Any] | None = None
        self._moved_s = 0.0
        self._seen = np.zeros(len(joints))

    def hold(self, position: np.ndarray, now_s: float) -> None:
        """Stay here."""
        self._from, self._path, self._from_s, self._now_s = position.copy(), [], now_s, now_s
        self._seen, self._moved_s = position.copy(), now_s

    def follow(self, path: list[tuple[float, np.ndarray]]) -> None:
        """Go along points, each with the time after now at which it is to be reached [s]."""
        if self.faults.inactive:
            return
        self._from, self._from_s = self.desired(), self._now_s
        self._path = [(self._now_s + ahead, position) for ahead, position in path]

    def desired(self) -> np.ndarray:
        """Where the joints are to be now, shape ``(joints,)``."""
        start_s, start = self._from_s, self._from
        for end_s, end in self._path:
            if self._now_s < end_s:
                return start + (self._now_s - start_s) / (end_s - start_s) * (end - start)
            start_s, start = end_s, end
        return start

    def update(self, position: np.ndarray, now_s: float) -> np.ndarray:
        """Time goes on; returns where the joints are to be.

        Args:
            position: where they are, shape ``(joints,)``.
            now_s: simulated time [s].
        """
        self._now_s = now_s
        if np.abs(position - self._seen).max() > 1e-4:
            self._seen, self._moved_s = position.copy(), now_s
        if self._goal is not None:
            self._look(position)
        return self.desired()

    # --- actions

    def accept(self, _: Any) -> Any:
        """Whether a goal is taken."""
        from rclpy.action.server import GoalResponse

        return GoalResponse.REJECT if self.faults.reject_goals else GoalResponse.ACCEPT

    async def carry_out(self, handle: Any, path: list[tuple[float, np.ndarray]], result: Any) -> Any:
        """Follow a goal's path until it is reached, replaced, cancelled or given up."""
        from rclpy.task import Future

        self._end("replaced")
        self.follow(path)
        self._moved_s = self._now_s
        future = Future()
        self._goal = handle, future
        ending = await future
        if ending == "reached":
            handle.succeed()
        elif ending == "cancelled":
            handle.canceled()
        else:
            handle.abort()
        return result(ending, self._seen)

    def _look(self, position: np.ndarray) -> None:
        assert self._goal is not None
        handle = self._goal[0]
        end_s, end = self._path[-1] if self._path else (self._now_s, self.desired())
        if handle.is_cancel_requested:
            self.follow([(1e-3, position.copy())])
            self._end("cancelled")
        elif self.faults.abort_goals:
            self._end("aborted")
        elif self._now_s >= end_s and np.abs(position - end).max() <= self.reached:
            self._end("reached")
        elif self._now_s >= end_s and self._now_s - self._moved_s > STALLED_S:
            self._end("stalled")

    def _end(self, how: str) -> None:
        if self._goal is not None:
            goal, self._goal = self._goal, None
            goal[1].set_result(how)


def emulate(node: Any, config: ControllerConfig, faults: Faulty) -> EmulatedController:
    """A controller of arm joints with its topic or action."""
    controller = EmulatedController(config.names, faults)
    if config.kind == "forward_position":
        _listen_forward(node, config.name, controller)
    elif config.kind == "joint_trajectory":
        _listen_trajectory(node, config.name, controller)
    else:
        _serve_trajectory(node, config.name, controller)
    return controller


def emulate_gripper(node: Any, config: GripperConfig, faults: Faulty) -> EmulatedController:
    """A gripper's controller with its topic or action."""
    controller = EmulatedController((config.ros_joint,), faults, REACHED_SHARE * abs(config.open - config.closed))
    if config.kind == "forward_position":
        _listen_forward(node, config.name, controller)
    elif config.kind == "joint_trajectory":
        _listen_trajectory(node, config.name, controller)
    else:
        _serve_gripper(node, config, controller)
    return controller


def points_of(trajectory: Any, joints: tuple[str, ...]) -> list[tuple[float, np.ndarray]] | None:
    """A trajectory's points in a controller's own order; ``None`` where the controller would refuse it."""
    if sorted(trajectory.joint_names) != sorted(joints) or not trajectory.points:
        return None
    order = [list(trajectory.joint_names).index(joint) for joint in joints]
    out, last = [], 0.0
    for point in trajectory.points:
        ahead = point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec
        position = np.array(point.positions, dtype=np.float64)
        if position.shape != (len(joints),) or not np.isfinite(position).all() or ahead <= last:
            return None
        out.append((ahead, position[order]))
        last = ahead
    return out


def _listen_forward(node: Any, name: str, controller: EmulatedController) -> None:
    from std_msgs.msg import Float64MultiArray

    def hear(message: Any) -> None:
        position = np.array(message.data, dtype=np.float64)
        if position.shape == (len(controller.joints),) and np.isfinite(position).all():
            controller.follow([(1e-9, position)])

    node.create_subscription(Float64MultiArray, f"{name}/commands", hear, 1)


def _listen_trajectory(node: Any, name: str, controller: EmulatedController) -> None:
    from trajectory_msgs.msg import JointTrajectory

    def hear(message: Any) -> None:
        path = points_of(message, controller.joints)
        if path is not None:
            controller.follow(path)

    node.create_subscription(JointTrajectory, f"{name}/joint_trajectory", hear, 1)


def _serve_trajectory(node: Any, name: str, controller: EmulatedController) -> None:
    from rclpy.action.server import ActionServer, CancelResponse, GoalResponse

    action = control_actions().FollowJointTrajectory

    def accept(goal: Any) -> Any:
        known = points_of(goal.trajectory, controller.joints) is not None
        return controller.accept(goal) if known else GoalResponse.REJECT

    def result(ending: str, _: np.ndarray) -> Any:
        done = action.Result()
        done.error_code = {"reached": 0, "cancelled": 0}.get(ending, -4)
        done.error_string = ending
        return done

    async def execute(handle: Any) -> Any:
        path = points_of(handle.request.trajectory, controller.joints)
        assert path is not None
        return await controller.carry_out(handle, path, result)

    _keep(
        node,
        ActionServer(
            node,
            action,
            f"{name}/follow_joint_trajectory",
            execute,
            goal_callback=accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        ),
    )


def _serve_gripper(node: Any, config: GripperConfig, controller: EmulatedController) -> None:
    from rclpy.action.server import ActionServer, CancelResponse

    action = control_actions().GripperCommand

    def result(ending: str, seen: np.ndarray) -> Any:
        done = action.Result()
        done.position = float(seen[0])
        done.reached_goal, done.stalled = ending == "reached", ending == "stalled"
        return done

    async def execute(handle: Any) -> Any:
        low, high = sorted((config.closed, config.open))
        number = min(max(handle.request.command.position, low), high)
        return await controller.carry_out(handle, [(1e-9, np.array([number]))], result)

    _keep(
        node,
        ActionServer(
            node,
            action,
            f"{config.name}/{config.action}",
            execute,
            goal_callback=controller.accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        ),
    )


def _keep(node: Any, server: Any) -> None:
    """An action server lives as long as its node."""
    node.__dict__.setdefault("_kept_action_servers", []).append(server)
