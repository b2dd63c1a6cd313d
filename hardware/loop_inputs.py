"""What comes to a robot's loop from other threads; each message counts from the next tick on."""

from __future__ import annotations

from collections import deque

from robot_stack.core.senses import Tracked
from robot_stack.hardware.chunk_buffer import StampedChunk
from robot_stack.hardware.loop_reports import Request
from robot_stack.hardware.state_machine import Event


class LoopInputs:
    """Mail boxes. ``hear_…`` and ``ask`` may be called by any thread, ``take_…`` by the loop's alone."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()
        self._chunks: deque[StampedChunk] = deque(maxlen=64)
        self._deadman: deque[tuple[bool, int]] = deque(maxlen=64)
        self._tracked: Tracked | None = None
        self.estop_pressed = False
        """An emergency stop button is down."""

    def hear_chunk(self, chunk: StampedChunk) -> None:
        """Actions came from a driver."""
        self._chunks.append(chunk)

    def hear_deadman(self, held: bool, stamp_ns: int) -> None:
        """A message came from the deadman switch."""
        self._deadman.append((held, stamp_ns))

    def hear_estop(self, pressed: bool) -> None:
        """The emergency stop button is down, or up; up alone resets nothing."""
        self.estop_pressed = pressed

    def hear_tracked(self, tracked: Tracked) -> None:
        """A message came from a tracking system; whole: it takes the place of the one before it."""
        self._tracked = tracked

    def ask(self, event: Event) -> Request:
        """An operator asks for something; the answer comes with the next tick."""
        request = Request(event)
        self._requests.append(request)
        return request

    def take_requests(self) -> list[Request]:
        """In the order in which they came, emergency stops last: nothing may undo them in the same tick."""
        waiting = [self._requests.popleft() for _ in range(len(self._requests))]
        return sorted(waiting, key=lambda each: each.event is Event.ESTOP)

    def take_chunks(self) -> list[StampedChunk]:
        """Every chunk that came since the last call."""
        return [self._chunks.popleft() for _ in range(len(self._chunks))]

    def take_deadman(self) -> list[tuple[bool, int]]:
        """Every message of the deadman switch since the last call: held, and its stamp [ns]."""
        return [self._deadman.popleft() for _ in range(len(self._deadman))]

    def take_tracked(self) -> Tracked | None:
        """The newest message of the tracking system since the last call."""
        tracked, self._tracked = self._tracked, None
        return tracked
