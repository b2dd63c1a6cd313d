"""What the policy, recorder, camera, evaluator and replay nodes share: topics' qualities, stamps, and how they run."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

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


Running = TypeVar("Running", bound=Closeable)


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


def run(
    name: str,
    make: Callable[[Any], Running],
    arguments: Sequence[str] | None = None,
    lingers: Callable[[Running], bool] | None = None,
) -> int:
    """The whole life of a process with one node.

    Args:
        name: of the node, unless the command line remaps it.
        make: makes what runs, from the node; its errors, and those of callbacks, end the process.
        arguments: of the command line; the process's own when left out.
        lingers: whether it is still needed after a Ctrl-C, which reaches all processes of a launch at once; asked until
            it is not. A second Ctrl-C, or SIGTERM, ends it anyway.

    Returns:
        0 when it was told to end, :data:`REFUSED` when it refused; the reason is logged.
    """
    try:
        require_ros(f"the {name} node")
        import rclpy
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
    except KeyboardInterrupt:
        return 0
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    running: Running | None = None
    interrupts = _Interrupts() if lingers is not None else None
    try:
        # rclpy ends the spinning at SIGINT and SIGTERM alike. Python's own way, an exception in the middle of whatever
        # a callback is doing, would cut a commit in two.
        if interrupts is None:
            signal.signal(signal.SIGINT, lambda number, frame: None)
        options = SignalHandlerOptions.ALL if interrupts is None else SignalHandlerOptions.NO
        words = [sys.argv[0], *(sys.argv[1:] if arguments is None else arguments)]
        rclpy.init(args=words, signal_handler_options=options)
        node = rclpy.create_node(name)
        executor = SingleThreadedExecutor()
        try:
            running = make(node)
            executor.add_node(node)
            if interrupts is None or lingers is None:
                executor.spin()
            else:
                while not interrupts.last.is_set() and (not interrupts.first.is_set() or lingers(running)):
                    executor.spin_once(timeout_sec=0.1)
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


class _Interrupts:
    """Ctrl-C is noted; a second one, or SIGTERM, is the last word."""

    def __init__(self) -> None:
        self.first, self.last = threading.Event(), threading.Event()
        signal.signal(signal.SIGINT, lambda number, frame: (self.last if self.first.is_set() else self.first).set())
        signal.signal(signal.SIGTERM, lambda number, frame: self.last.set())


def _end(running: Closeable | None, rclpy: Any) -> None:
    """Let go of everything; a second Ctrl-C does not make it end in the middle."""
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)
    if running is not None:
        running.close()
    rclpy.try_shutdown()


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
