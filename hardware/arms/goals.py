"""Goals for an action server, one after the other, sent without ever waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class GoalSender:
    """Sends goals where a new one takes the place of the one before, and keeps count of those that were refused.

    Args:
        client: an ``rclpy.action.ActionClient``.
        now: the process's clock [s].
        min_interval_s: goals are at least this far apart [s].
    """

    def __init__(self, client: Any, now: Callable[[], float], min_interval_s: float = 0.0) -> None:
        self._client = client
        self._now = now
        self._min_interval_s = min_interval_s
        self._sent_s = -float("inf")
        self._running: Any = None
        self._number = 0
        self.rejected = 0
        """Goals that the server refused."""
        self.aborted = 0
        """Goals that the server gave up."""
        self.rejected_in_a_row = 0
        """Refused since the last accepted one."""

    @property
    def ready(self) -> bool:
        """Whether a goal may be sent now: the server is there, and the last goal is long enough ago."""
        return self._now() - self._sent_s >= self._min_interval_s and self._client.server_is_ready()

    def send(self, goal: Any) -> None:
        """Send a goal; it replaces the one that runs."""
        self._sent_s = self._now()
        self._number += 1
        number = self._number
        self._client.send_goal_async(goal).add_done_callback(lambda future: self._answered(number, future))

    def cancel(self) -> None:
        """Ask the server to stop at once; the answer is not waited for."""
        self._number += 1  # answers that are under way are of no interest any more
        if self._running is not None:
            self._running.cancel_goal_async()
            self._running = None

    def close(self) -> None:
        """Give the client back."""
        self._client.destroy()

    def _answered(self, number: int, future: Any) -> None:
        handle = future.result()
        if handle is None or not handle.accepted:
            self.rejected += 1
            self.rejected_in_a_row += 1
            return
        self.rejected_in_a_row = 0
        if number != self._number:
            handle.cancel_goal_async()  # it was called off before the server answered
            return
        self._running = handle
        handle.get_result_async().add_done_callback(self._ended)

    def _ended(self, future: Any) -> None:
        from action_msgs.msg import GoalStatus

        result = future.result()
        if result is not None and result.status == GoalStatus.STATUS_ABORTED:
            self.aborted += 1
