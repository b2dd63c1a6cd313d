"""Making sure that a server knows its client before it is asked what must not be asked twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

ASK_AGAIN_S = 1.0
"""An introduction that was not answered is repeated after this time [s]."""

Wait = Callable[[Callable[[], bool], float], bool]
"""Waits until the first holds, at most the second [s]; whether it does."""


class Introduction:
    """Tells that another node knows the clients which this node has made.

    Discovery has two directions. A client that has found its server may ask at once, yet the server may not have found
    the client: it carries the request out, waits 100 ms for the client and then drops the answer ("failed to send
    response"). Most requests must not be asked again: whoever configures a node twice is refused the second time.
    So a question that changes nothing goes first, again and again until it is answered; every rclpy node offers it
    (``get_parameter_types``). Its client is the youngest and discovery is told in order of age: a server that answers
    it knows the older clients as well. That also holds for a server that was killed and started again.

    Args:
        node: of rclpy; every client whose answers matter must have been made before.
        remote: name of the node that is asked, seen from ``node``'s namespace.
    """

    def __init__(self, node: Any, remote: str) -> None:
        from rcl_interfaces.srv import GetParameterTypes

        self._node, self._request = node, GetParameterTypes.Request
        self._client = node.create_client(GetParameterTypes, f"{remote}/get_parameter_types")

    def made(self, timeout_s: float, wait: Wait, again_s: float = ASK_AGAIN_S) -> bool:
        """Whether the other node answers within ``timeout_s``; the executor of the node must be spinning elsewhere.

        Args:
            timeout_s: for all attempts together [s].
            wait: how the calling thread waits.
            again_s: for one attempt [s].
        """
        asked: list[Any] = []
        try:
            for _ in range(max(1, round(timeout_s / again_s))):
                if not wait(self._client.service_is_ready, again_s):
                    continue
                asked.append(self._client.call_async(self._request()))
                if wait(lambda: any(future.done() for future in asked), again_s):  # a slow node answers an older one
                    return True
            return False
        finally:
            for future in asked:
                self._client.remove_pending_request(future)

    def close(self) -> None:
        """Let go of the client."""
        self._node.destroy_client(self._client)


def poll(true: Callable[[], bool], timeout_s: float, every_s: float = 0.002) -> bool:
    """A :data:`Wait` that looks every ``every_s`` [s]."""
    end = time.monotonic() + timeout_s
    while not true() and time.monotonic() < end:
        time.sleep(every_s)
    return true()
