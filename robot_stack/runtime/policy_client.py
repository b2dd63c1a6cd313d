"""Drives robots with a policy that runs in another process or on another machine; needs no torch.

Anything that goes wrong on the way, a time-out included, ends the connection: an answer that comes late is an answer to
what the robot saw long ago, and is never acted on. A new connection is made when :meth:`RemoteBatchDriver.connect` is
called, never by itself, and every episode begins anew on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from robot_stack.core.action import ActionChunk
from robot_stack.core.embodiment import Embodiment
from robot_stack.core.errors import ShapeError
from robot_stack.core.observation import Observation
from robot_stack.core.running_plan import RunningPlan
from robot_stack.runtime.policy_connection import (
    PolicyConnection,
    PolicyServerError,
    RequestTiming,
    ServerAddress,
    Timeouts,
)
from robot_stack.runtime.wire import PLANNING, Act, Decided, Ready, Reset, Welcome

__all__ = ["PolicyServerError", "RemoteBatchDriver", "RemoteDriver", "RequestTiming", "ServerAddress", "Timeouts"]


class RemoteBatchDriver:
    """A :class:`robot_stack.core.driver.BatchDriver` behind a policy server; connected when it is made.

    Safe to use from several threads; they wait for each other.

    Args:
        address: where the server is, and its token.
        robot: who is driven; the server refuses a robot that is not the policy's.
        timeouts: how long to wait.

    Raises:
        PolicyServerError: if there is no server, or it does not take this token.
        WireError: if it speaks another version.
        EmbodimentMismatchError: if the policy is for another robot.
    """

    def __init__(self, address: ServerAddress, robot: Embodiment, timeouts: Timeouts | None = None) -> None:
        self.address, self.robot, self.timeouts = address, robot, timeouts or Timeouts()
        self._connection = PolicyConnection(address, robot, self.timeouts)

    def connect(self) -> None:
        """Leave the old connection, if there is one, and make a new one; every slot has to be reset.

        Raises:
            PolicyServerError: as when it was made.
        """
        self._connection.close()
        self._connection = PolicyConnection(self.address, self.robot, self.timeouts)

    @property
    def connected(self) -> bool:
        """Whether questions can be asked."""
        return self._connection.usable

    @property
    def welcome(self) -> Welcome:
        """What the server said of its policy."""
        return self._connection.welcome

    @property
    def history(self) -> int:
        """How many of the last observations it needs."""
        return self.welcome.history

    @property
    def timing(self) -> RequestTiming | None:
        """Of the last question that was answered."""
        return self._connection.timing

    def reset(self, slot: int, instruction: str, seed: int) -> None:
        """A new episode begins in ``slot``.

        Raises:
            PolicyServerError: if the server is gone or too slow.
            RobotStackError: what the policy itself says against it.
        """
        self._connection.ask(lambda id: Reset(id, slot, instruction, seed), Ready, self.timeouts.reset_s)

    def act(self, slots: Sequence[int], histories: Sequence[Sequence[Observation]]) -> list[ActionChunk]:
        """Decide the next actions of several episodes; see :class:`robot_stack.core.driver.BatchDriver`.

        Raises:
            PolicyServerError: if the server is gone or too slow.
            ShapeError: if an observation does not match the robot, or an answer does not.
            NonFiniteError: if an observation is not finite.
            WireError: if the observations are too many to send.
        """
        return self._ask(slots, histories, None)

    @property
    def continues(self) -> bool:
        """Whether plans are held to running ones."""
        return self.welcome.planning == "continued plans"

    def plan(
        self, slots: Sequence[int], histories: Sequence[Sequence[Observation]], running: Sequence[RunningPlan]
    ) -> list[ActionChunk]:
        """Decide as far ahead as the policy plans; see :class:`robot_stack.core.running_plan.PlanningDriver`.

        A server of version 1, or one whose policy gives chunks only, answers with these.

        Raises:
            RobotStackError: as :meth:`act`.
        """
        plans = self.welcome.planning in PLANNING[1:]
        return self._ask(slots, histories, tuple(running) if plans else None)

    def _ask(
        self,
        slots: Sequence[int],
        histories: Sequence[Sequence[Observation]],
        running: tuple[RunningPlan, ...] | None,
    ) -> list[ActionChunk]:
        sent = tuple(tuple(self._looked_at(seen) for seen in history) for history in histories)
        asking = tuple(int(slot) for slot in slots)
        answer = self._connection.ask(lambda id: Act(id, asking, sent, running), Decided, self.timeouts.act_s)
        size = self.robot.action_size
        if len(answer.chunks) != len(asking) or any(c.actions.shape[1] != size for c in answer.chunks):
            raise ShapeError(
                "the policy server answered with actions of the wrong size",
                got=[c.actions.shape for c in answer.chunks],
                expected=f"{len(asking)} chunks of (steps, {size})",
            )
        return list(answer.chunks)

    def close(self) -> None:
        """Leave the server; idempotent."""
        self._connection.close()

    def _looked_at(self, seen: Observation) -> Observation:
        """Only the images that the policy looks at travel."""
        images: Mapping = {name: seen.images[name] for name in self.welcome.cameras if name in seen.images}
        return seen if len(images) == len(seen.images) else replace(seen, images=images)


class RemoteDriver:
    """A :class:`robot_stack.core.driver.Driver` for one robot, with a connection of its own.

    Args:
        address: where the server is, and its token.
        robot: who is driven.
        timeouts: how long to wait; a robot that has nothing left to do holds still meanwhile.

    Raises:
        RobotStackError: see :class:`RemoteBatchDriver`.
    """

    def __init__(self, address: ServerAddress, robot: Embodiment, timeouts: Timeouts | None = None) -> None:
        self.remote = RemoteBatchDriver(address, robot, timeouts)

    @property
    def history(self) -> int:
        """How many of the last observations it needs."""
        return self.remote.history

    @property
    def timing(self) -> RequestTiming | None:
        """Of the last question that was answered."""
        return self.remote.timing

    def connect(self) -> None:
        """Leave the old connection and make a new one; the episode has to be begun anew."""
        self.remote.connect()

    def reset(self, instruction: str, seed: int) -> None:
        """A new episode begins."""
        self.remote.reset(0, instruction, seed)

    def act(self, history: Sequence[Observation]) -> ActionChunk:
        """Decide the next actions; see :meth:`RemoteBatchDriver.act`."""
        return self.remote.act([0], [history])[0]

    def close(self) -> None:
        """Leave the server; idempotent."""
        self.remote.close()
