"""An action client that may be made while its node is spun by another thread."""

from __future__ import annotations

import threading
from typing import Any


def action_client(node: Any, kind: Any, name: str) -> Any:
    """A client of an action.

    rclpy's own (9.1.x) is handed to the executor before its lock exists; an executor that looks in that instant ends
    with an ``AttributeError``, and nothing of the node is heard any more. Here the lock is there from the beginning.

    Args:
        node: of rclpy.
        kind: of the action.
        name: of the action.
    """
    from rclpy.action.client import ActionClient

    class Locked(ActionClient):
        def __init__(self) -> None:
            self._lock = threading.Lock()
            super().__init__(node, kind, name)

    return Locked()
