"""``python -m robot_stack.deploy.operator_process``: a person's table and keys, or nobody's in simulation.

Node ``operator``. It publishes ``deadman`` (sensor_msgs/Joy) and ``emergency_stop``, and calls the services of the
robot node. It decides nothing: states, limits and stops are the robot node's; when this process dies the deadman switch
counts as released.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import Any

from robot_stack.core.clock import ScaledClock
from robot_stack.core.errors import RobotStackError
from robot_stack.deploy.hands_free import HandsFree
from robot_stack.deploy.held_key import HeldKey, JoyButton
from robot_stack.deploy.log_tail import LogTail
from robot_stack.deploy.operator_config import OperatorConfig
from robot_stack.deploy.operator_keys import OperatorKeys
from robot_stack.deploy.operator_link import OperatorLink, joy_stamp
from robot_stack.deploy.operator_view import fitted, headline
from robot_stack.deploy.parameters import declare
from robot_stack.deploy.ros_node import REFUSED, newest
from robot_stack.deploy.terminal_keys import TerminalKeys
from robot_stack.hardware.ros.environment import require_ros

DRAW_HZ = 10.0
"""Of the table [Hz]."""

FAILED = 1
"""Exit code when the robot stopped although nobody wanted it to."""


def operate(node: Any, stopping: threading.Event) -> int:
    """Run the operator until it ends; the node is spun by somebody else.

    Args:
        node: of rclpy, in the robot's namespace.
        stopping: set when the process is told to end.

    Returns:
        The exit code.

    Raises:
        RobotStackError: if parameters are wrong, or there is no terminal.
    """
    config = declare(node, OperatorConfig)
    key, joy = HeldKey(config.hold_s), JoyButton(config.joy_button)

    def held() -> bool:
        now_s = time.monotonic()
        return config.hands_free or (joy.held(now_s) if config.joy else key.held(now_s))

    link = OperatorLink(node, config, held)
    tail = LogTail(config.log_folder)
    if config.hands_free:
        return _hands_free(node, link, config, stopping)
    link.known.deadman = f"button {config.joy_button} of {config.joy}" if config.joy else "SPACE"
    if config.joy:
        _listen_to_joy(node, config, joy)
    return _at_the_keys(link, OperatorKeys(link, key, held, real=not config.simulated), tail, stopping)


def _listen_to_joy(node: Any, config: OperatorConfig, joy: JoyButton) -> None:
    from sensor_msgs.msg import Joy

    def hear(message: Any) -> None:
        joy.hear(list(message.buttons), joy_stamp(message), time.monotonic())

    node.create_subscription(Joy, config.joy, hear, newest())


def _at_the_keys(link: OperatorLink, keys: OperatorKeys, tail: LogTail, stopping: threading.Event) -> int:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with TerminalKeys() as terminal, Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while not stopping.is_set() and not keys.quitting:
            try:
                pressed = terminal.pressed(1.0 / DRAW_HZ)
            except EOFError:
                break
            for each in pressed:
                keys.press(each, time.monotonic())
            keys.look(time.monotonic())
            for line in tail.new_lines():
                link.note(line)
            live.update(fitted(link.known, console), refresh=True)
    return 0


def _hands_free(node: Any, link: OperatorLink, config: OperatorConfig, stopping: threading.Event) -> int:
    sequence, clock = HandsFree(config.until, config.duration_s), ScaledClock(config.clock_speed)
    said = ""
    while not stopping.wait(0.05):
        known = link.known
        ready = all(known.nodes.get(name, (1, ""))[0] == 0 for name in config.waits_for)
        request = sequence.next(known.lifecycle, known.state, ready, link.acted, clock.now())
        line = " ".join(filter(None, (known.state or known.lifecycle, headline(known))))
        if line != said:
            node.get_logger().info(line)
            said = line
        if request == "end":
            node.get_logger().info(f"{config.duration_s:g} s are over; {known.score or 'nothing was scored'}")
            return 0
        if request == "fail":
            node.get_logger().error(f"the robot stopped: {known.message or known.state}")
            return FAILED
        if link.waiting:
            continue
        if request in ("configure", "activate"):
            link.change(request)
        elif request:
            link.ask(request)
    return 0


def main() -> int:
    """Run until the operator ends it."""
    try:
        require_ros("the operator node")
    except RobotStackError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())  # rclpy's own would take the context from under callbacks
    try:
        import rclpy
        from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except KeyboardInterrupt:
        return 0
    node = rclpy.create_node("operator")

    executor, over = SingleThreadedExecutor(), threading.Event()
    executor.add_node(node)

    def spin() -> None:
        try:
            while not over.is_set():
                executor.spin_once(timeout_sec=0.1)
        except (ExternalShutdownException, ShutdownException, KeyboardInterrupt):
            pass
        finally:
            stopping.set()

    spinning = threading.Thread(target=spin, name="spin", daemon=True)
    spinning.start()
    try:
        return operate(node, stopping)
    except KeyboardInterrupt:
        return 0
    except RobotStackError as error:
        node.get_logger().fatal(str(error))
        return REFUSED
    finally:
        over.set()
        spinning.join(timeout=5.0)  # nothing may be torn down under a thread that still waits for it
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
