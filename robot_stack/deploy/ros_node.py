"""What the policy, recorder, camera, evaluator and replay nodes share: topics' qualities, stamps, and how they run."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from robot_stack.core.errors import MissingExtraError, RobotStackError
from robot_stack.hardware.ros.environment import require_ros

REFUSED = 3
"""Exit code of a process that refuses its parameters, its robot or its policy."""


class Finished(Exception):
    """Raised in a callback by a node that has done all it was there for: its process ends with code 0."""


class Closeable(Protocol):
    """What a process runs; ``node`` is spun until the process is told to end."""

    node: Any
    """Of rclpy."""

    def close(self) -> None:
        """Let go of everything but the node; idempotent."""
        ...


def latched(depth: int = 1) -> Any:
    """Reliable and kept for late joiners: states, embodiments."""
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def reliable(depth: int) -> Any:
    """Reliable, the last ``depth``: whatever is recorded or obeyed; matches subscribers of either kind."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def newest(depth: int = 1) -> Any:
    """Best effort: whoever is slow sees the newest; subscribers of this kind match publishers of either kind."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)


def stamp_ns(header: Any) -> int:
    """The stamp of a message's header [ns]."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def set_stamp(header: Any, time_ns: int) -> None:
    """Stamp a message's header [ns]."""
    header.stamp.sec, header.stamp.nanosec = divmod(int(time_ns), 1_000_000_000)


def diagnostic(name: str, level: int, message: str, values: Mapping[str, object]) -> Any:
    """A ``DiagnosticStatus``.

    Args:
        name: of what it tells.
        level: 0 fine, 1 warning, 2 error.
        message: one sentence.
        values: numbers and words by name.
    """
    from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

    pairs = [KeyValue(key=key, value=_text(value)) for key, value in values.items()]
    return DiagnosticStatus(level=bytes([level]), name=name, hardware_id="", message=message, values=pairs)


def camera_topic(camera: str, compressed: bool) -> str:
    """Where a camera's frames are published, relative to the robot's namespace."""
    return f"camera/{camera}/image_raw" + ("/compressed" if compressed else "")


def run(name: str, make: Callable[[Any], Closeable], arguments: Sequence[str] | None = None) -> int:
    """The whole life of a process with one node.

    Args:
        name: of the node, unless the command line remaps it.
        make: makes what runs, from the node; its errors, and those of callbacks, end the process.
        arguments: of the command line; the process's own when left out.

    Returns:
        0 when it was told to end, :data:`REFUSED` when it refused; the reason is logged.
    """
    try:
        require_ros(f"the {name} node")
        import rclpy
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    except KeyboardInterrupt:
        return 0
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    running: Closeable | None = None
    try:
        # rclpy ends the spinning at SIGINT and SIGTERM alike. Python's own way, an exception in the middle of whatever
        # a callback is doing, would cut a commit in two.
        signal.signal(signal.SIGINT, lambda number, frame: None)
        rclpy.init(args=[sys.argv[0], *(sys.argv[1:] if arguments is None else arguments)])
        node = rclpy.create_node(name)
        executor = SingleThreadedExecutor()
        try:
            running = make(node)
            executor.add_node(node)
            executor.spin()
        except RobotStackError as error:
            node.get_logger().fatal(str(error))
            return REFUSED
    except (KeyboardInterrupt, ExternalShutdownException, Finished):
        pass
    except RuntimeError:
        if rclpy.ok():
            raise
        # A callback that published, or was answered, after a signal had ended the context: no fault of its own.
    finally:
        _end(running, rclpy)
    return 0


def _end(running: Closeable | None, rclpy: Any) -> None:
    """Let go of everything; a second Ctrl-C does not make it end in the middle."""
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)
    if running is not None:
        running.close()
    rclpy.try_shutdown()


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
