"""Topics as bytes, read and written in the thread that wants them, without an executor.

Making a message object of a state takes six times as long as reading and judging its bytes, and an executor in another
thread, besides, costs a 500 Hz loop about twice as much (``benchmarks/g1_bus.py``).
"""

from __future__ import annotations

from typing import Any

from robot_stack.core.joint_bus import BusError


class RosContext:
    """A ROS context and node of one's own, which nobody spins: not part of whatever else the process runs.

    Args:
        name: of the node.
        domain: ROS domain; ``None`` for the one of the environment.

    Raises:
        BusError: if there can be no such node.
    """

    def __init__(self, name: str, domain: int | None) -> None:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        self.context = rclpy.Context()
        """Of rclpy."""
        try:
            # No arguments: those of the process rename its own nodes.
            rclpy.init(args=[], context=self.context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
            self.node: Any = rclpy.create_node(
                name,
                context=self.context,
                use_global_arguments=False,
                enable_rosout=False,
                start_parameter_services=False,
            )
            """Of rclpy."""
        except Exception as error:  # rclpy raises its own kinds, some of them plain RuntimeErrors
            self.close()
            raise BusError(
                "there is no ROS 2 network",
                got=str(error).splitlines()[0] if str(error) else type(error).__name__,
                remedy="does the network interface of the Fast DDS profile exist and have an IPv4 address?",
            ) from error

    def close(self) -> None:
        """Leave the network; idempotent."""
        node = getattr(self, "node", None)
        self.node = None
        if node is not None:
            node.destroy_node()
        if self.context.ok():
            self.context.shutdown()


class RawReader:
    """Takes the bytes, or the messages, of a topic.

    Args:
        context: whose node subscribes.
        kind: message class.
        topic: its full name.
        depth: how many wait to be taken; older ones are lost.
        raw: bytes instead of message objects.
        reliable: ask for what was lost on the way; only matches publishers that keep it.
    """

    def __init__(
        self, context: RosContext, kind: Any, topic: str, depth: int = 1, *, raw: bool = True, reliable: bool = False
    ) -> None:
        from rclpy.qos import QoSProfile, ReliabilityPolicy

        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=depth, reliability=policy)
        self._subscription = context.node.create_subscription(kind, topic, _never_called, qos, raw=raw)
        self._handle, self._kind, self._raw, self._depth = self._subscription.handle, kind, raw, depth

    def take(self) -> list[Any]:
        """What came since the last call, oldest first; no more than fits in the queue twice."""
        taken = []
        with self._handle:
            for _ in range(2 * self._depth):
                message = self._handle.take_message(self._kind, self._raw)
                if message is None:
                    break
                taken.append(message[0])
        return taken


def raw_writer(context: RosContext, kind: Any, topic: str) -> Any:
    """A publisher that takes bytes as well as messages; the newest alone is kept for those who missed it."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    return context.node.create_publisher(kind, topic, QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE))


def _never_called(message: Any) -> None:
    """The node is not spun."""
