"""Names for whoever publishes a topic: that of its node, told apart from others of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST = 64
"""So many publishers are remembered; one that was forgotten gets another name, and is somebody else then."""


class DriverNames:
    """The publishers of a topic by the identifier (GID) that the middleware gives to each.

    Args:
        node: of rclpy, whose view of the graph counts.
        topic: as the node knows it.
    """

    def __init__(self, node: Any, topic: str) -> None:
        self._node, self._topic = node, topic
        self._names: dict[bytes, str] = {}

    def of_message(self, info: Mapping[str, Any]) -> str:
        """Who sent a message.

        Args:
            info: what rclpy tells a callback with two arguments.
        """
        gid = bytes((info.get("publisher_gid") or {}).get("data") or b"")
        if gid not in self._names:
            self.present()
        return self._names.get(gid) or self._give(gid, f"publisher {gid.hex()}")

    def present(self) -> tuple[str, ...]:
        """Everybody who publishes, as far as was discovered; one that was killed is forgotten within 20 s."""
        present = []
        for each in self._node.get_publishers_info_by_topic(self._topic):
            gid = bytes(each.endpoint_gid)
            name = f"{each.node_namespace.rstrip('/')}/{each.node_name}"
            present.append(self._names.get(gid) or self._give(gid, name))
        return tuple(present)

    def _give(self, gid: bytes, name: str) -> str:
        if len(self._names) >= MOST:
            del self._names[next(iter(self._names))]
        taken, given, number = set(self._names.values()), name, 1
        while given in taken:
            number += 1
            given = f"{name} ({number})"
        self._names[gid] = given
        return given
