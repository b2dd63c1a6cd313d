"""``python -m robot_stack.deploy.robot_process``: the robot node, the only process that writes to a robot.

Its parameters are the fields of :class:`~robot_stack.deploy.robot_config.RobotNodeConfig`. It imports no torch.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from robot_stack.core.clock import ScaledClock
from robot_stack.core.errors import MissingExtraError, RobotStackError
from robot_stack.hardware.ros.environment import require_ros

REFUSED = 3
"""Exit code of a process that refuses its parameters."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The whole life of the process; 0 when it was told to end, :data:`REFUSED` when it refused its parameters.

    Args:
        arguments: of the command line; the process's own when left out.
    """
    try:
        require_ros("the robot node")
        return _run([sys.argv[0], *(sys.argv[1:] if arguments is None else arguments)])
    except KeyboardInterrupt:
        return 0
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED


def _run(words: list[str]) -> int:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from robot_stack.hardware.ros.robot_node import RobotNode

    rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
    node = RobotNode("robot")
    process: _Process | None = None
    try:
        process = _Process(node)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not told.is_set() and rclpy.ok():
            executor.spin_once(timeout_sec=0.2)
        return 0
    except RobotStackError as error:
        node.get_logger().fatal(str(error))
        return REFUSED
    finally:
        node.release_robot()
        node.publisher.close()
        if process is not None:
            process.close()
        node.destroy_node()
        rclpy.try_shutdown()


class _Process:
    """What hangs on the node: the robot's own nodes, parameters, a simulated body."""

    def __init__(self, node: Any) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        from robot_stack.deploy.parameters import declare
        from robot_stack.deploy.robot_config import CHANGEABLE, RobotNodeConfig
        from robot_stack.sim.robot_catalog import robot_name, robot_spec

        self._node = node
        self.config = declare(node, RobotNodeConfig, CHANGEABLE)
        robot_name(self.config.robot)
        self.clock = ScaledClock(self.config.clock_speed)
        place = {"namespace": node.get_namespace(), "use_global_arguments": False}
        self._others = [rclpy.create_node(f"{node.get_name()}_bus", **place)]
        self._emulator: Any = None
        if self.config.bus == "direct":
            from robot_stack.deploy.direct_emulator import DirectEmulator

            self._others.append(rclpy.create_node("emulator", **place))
            rate_hz = robot_spec(self.config.robot).control_hz * self.config.clock_speed
            self._emulator = DirectEmulator(self._others[-1], self.clock, rate_hz, self.config.seed)
        node.prepare(self._make, self.clock, self.config.release_s, self.config.priority)
        node.add_on_set_parameters_callback(self._change)
        self._executor = SingleThreadedExecutor()
        for other in self._others:
            self._executor.add_node(other)
        self._ending = False
        self._thread = threading.Thread(target=self._spin, name="robot bus", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the other nodes, before ROS itself is shut down."""
        self._ending = True
        self._thread.join(5.0)
        self._executor.shutdown(timeout_sec=2.0)
        for other in self._others:
            other.destroy_node()

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException, ShutdownException

        try:
            while not self._ending:
                self._executor.spin_once(timeout_sec=0.2)
        except (ExternalShutdownException, ShutdownException):
            return

    def _make(self) -> Any:
        """The robot, at every configuration."""
        from robot_stack.deploy.assemble import assemble
        from robot_stack.hardware.loop_reports import Changed
        from robot_stack.hardware.state_machine import State

        parts = assemble(self.config, self.clock, self._others[0])
        if self._emulator is not None:
            bus: Any = getattr(parts.bus, "inner", parts.bus)
            self._emulator.bus = bus

            def listen(report: Any) -> None:
                if isinstance(report, Changed) and report.state is State.ARMED:
                    bus.let_go()

            self._node.on_report = listen
        return parts

    def _change(self, parameters: Sequence[Any]) -> Any:
        """Take over parameters that may change, unless the robot moves."""
        from rcl_interfaces.msg import SetParametersResult

        from robot_stack.deploy.assemble import chunk_config
        from robot_stack.deploy.robot_config import CHANGEABLE
        from robot_stack.hardware.state_machine import State

        wanted = {p.name: p.value for p in parameters if p.name in CHANGEABLE}
        if not wanted:
            return SetParametersResult(successful=True)
        loop = self._node.loop
        if loop is not None and loop.state in (State.READY, State.ARMED):
            reason = f"the robot is in {loop.state.value}; make it hold first"
            return SetParametersResult(successful=False, reason=reason)
        try:
            changed = replace(self.config, **{name: float(value) for name, value in wanted.items()})
            if loop is not None:
                names = ("deadman_timeout_s", "tracked_timeout_s", "disarm_after_s", "ready_speed")
                timing = {name: getattr(changed, name) for name in names}
                loop.retime(replace(loop.parts.config, **timing), chunk_config(changed))
            else:
                chunk_config(changed)
        except (RobotStackError, TypeError, ValueError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.config = changed
        return SetParametersResult(successful=True)


if __name__ == "__main__":
    sys.exit(main())
